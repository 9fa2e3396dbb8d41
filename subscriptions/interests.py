"""What a reader wants of the papers that a filter lets in: keywords, a sentence, how relevant at least."""

import contextlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from subscriptions.filters import FilterError, normal, parse, tree
from subscriptions.models import Topic

# The filter of who says it in words and leaves the filter empty: any paper may enter, and from one half up
# their relevance decides.
EVERY_PAPER = "kind:paper"
LEAST_RELEVANCE = 50
THRESHOLDS = (50, 60, 70, 80)  # percent, to choose from

MAX_KEYWORDS = 8
MAX_KEYWORD = 80  # characters
MAX_SENTENCE = 300
MAX_NAME = 80
# Not in what people write: PostgreSQL refuses NUL, and marks of direction turn around the mail around them.
_UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u200b\u200e\u200f\u2060\ufeff\u202a-\u202e\u2066-\u2069]")


@dataclass(frozen=True, slots=True)
class Interest:
    """Keywords and a sentence, either or both; empty for a pure filter. Make it with `of` or `read`."""

    keywords: tuple[str, ...] = ()
    sentence: str = ""

    @classmethod
    def of(cls, keywords: str | Iterable[str], sentence: str = "") -> Self:
        """From keywords, or a text with commas between them, and a sentence: cleaned, each once, cut."""
        pieces = re.split(r"[,;，；、\n]", keywords) if isinstance(keywords, str) else keywords
        distinct: dict[str, str] = {}
        for piece in pieces:
            plain = one_line(piece, MAX_KEYWORD).strip(" .\"'“”")
            if plain:
                distinct.setdefault(plain.casefold(), plain)
        return cls(tuple(distinct.values())[:MAX_KEYWORDS], one_line(sentence, MAX_SENTENCE))

    @classmethod
    def read(cls, text: str) -> Self:
        """From one field for both: short pieces between commas are keywords, what is longer is a sentence."""
        keywords: list[str] = []
        sentences: list[str] = []
        for part in re.split(r"[;；\n]", text):
            pieces = [piece.strip() for piece in re.split(r"[,，、]", part) if piece.strip()]
            if all(_is_keyword(piece, is_alone=len(pieces) == 1) for piece in pieces):
                keywords += pieces
            else:
                sentences.append(part.strip())
        return cls.of(keywords, "; ".join(sentences))

    def __bool__(self) -> bool:
        return bool(self.keywords or self.sentence)

    @property
    def text(self) -> str:
        """As one field shows it; `read` takes it back."""
        return "; ".join(part for part in (", ".join(self.keywords), self.sentence) if part)

    @property
    def name(self) -> str:
        """For a topic that its reader has not named."""
        said = ", ".join(self.keywords[:3]) or self.sentence
        return said if len(said) <= MAX_NAME else said[: MAX_NAME - 1].rstrip() + "…"


def of_topic(topic: Topic) -> Interest:
    """By what a topic's papers get their relevance; empty for a pure filter.

    Of a catalogue topic without keywords the description only tells what it is; of a reader's own topic it is
    the reader's wish.
    """
    if topic.keywords or topic.owner_id is not None:
        return Interest(tuple(topic.keywords), topic.description)
    return Interest()


def threshold(interest: Interest, canonical: str, wanted: int | None = None) -> int | None:
    """How relevant in percent a paper must be: as wanted, but never at will where every paper may enter."""
    if not interest:
        return None
    return LEAST_RELEVANCE if wanted is None and canonical == EVERY_PAPER else wanted


def as_filter(interest: Interest) -> str:
    """The nearest pure filter, canonical: any of the keywords. For where nothing but a filter has room."""
    found = []
    for keyword in interest.keywords:
        with contextlib.suppress(FilterError):  # what no filter can look for
            found.append(parse(f'"{keyword.replace(chr(34), " ")}"').tree)
    return tree.canonical(tree.any_of(found)) if found else ""


def one_line(typed: str, longest: int) -> str:
    """What somebody typed as one line that can be seen, cut at `longest` characters."""
    return " ".join(_UNSEEN.sub(" ", typed).split())[:longest].strip()


def _is_keyword(piece: str, *, is_alone: bool) -> bool:
    if normal.is_cjk(piece):
        return len(piece) <= 12
    return len(piece.split()) <= (4 if is_alone else 5) and len(piece) <= MAX_KEYWORD
