"""A paper at a glance: who wrote it, and what it says in a sentence or two."""

import re
from collections.abc import Sequence
from urllib.parse import urlsplit

# A sentence ends with . ? or ! before a blank and a capital or digit, but not after "e.g.", "et al." or an
# initial.
_SENTENCE_END = re.compile(
    r"(?<!\be\.g)(?<!\bi\.e)(?<!\bal)(?<!\bvs)(?<!\bFig)(?<!\b[A-Z])[.?!](?=\s+[\dA-Z“\"(])"
)


def first_authors(authors: Sequence[object], *, shown: int = 3) -> tuple[list[str], int]:
    """The first names, and how many are left; one more is named instead of counted."""
    names = [str(name) for name in authors if str(name).strip()]
    if len(names) <= shown + 1:
        return names, 0
    return names[:shown], len(names) - shown


def first_sentences(text: str, *, limit: int, at_least: int = 40) -> str:
    """Whole sentences from the beginning: one, and more while they stay under `at_least` characters.

    Never more than `limit` characters; a first sentence longer than that is cut at a word.
    """
    text = text.strip()
    ends = [match.end() for match in _SENTENCE_END.finditer(text)] + [len(text)]
    fitting = [end for end in ends if end <= limit]
    if not fitting:
        return shortened(text, limit)
    return text[: next((end for end in fitting if end >= at_least), fitting[-1])]


def shortened(text: str, limit: int) -> str:
    """The text in at most `limit` characters, cut at a word and marked with an ellipsis."""
    text = text.strip()
    if len(text) <= limit:
        return text
    kept, blank, _ = text[:limit].rpartition(" ")
    return (kept if blank and len(kept) > limit / 2 else text[: limit - 1]).rstrip(" ,;:.") + "…"


def web_link(url: str) -> str:
    """The address if it is one of the web, else nothing: a source could send `javascript:`."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return url if parts.scheme in ("http", "https") and parts.netloc else ""
