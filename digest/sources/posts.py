"""Entries of feeds, in whatever format they came, as records: the rules that all of them share.

- Two entries with the same id are one; without an id the address decides, without one the title and date.
- An entry's day is that of its date (UTC). Without a date that can be, it is the day on which it was first
  seen: `day` here, and ingest keeps the first. 1970 and 2099 are no dates.
- Its text is what a reader would read of its HTML. What forums and blogs put under every post ("Read full
  topic", "appeared first on") goes; a text that only repeats the title is none.
- Its address is a web address. A relative one is left for the reader of the feed, who knows where it was.
- Of more than 200 entries the newest are read: feeds of whole archives would put years into one answer.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any
from urllib.parse import urldefrag, urlsplit

from digest.sources import plaintext
from digest.sources.plaintext import PlainText
from digest.sources.records import PaperRecord, Parsed, Rejected

MOST_ENTRIES = 200
MOST_COUNTED = 10_000  # entries of an answer that are looked at at all
MOST_MENTIONS = 100
FIRST_YEAR = 1990  # before the web; older is a clock at its zero

_LONGEST_TITLE = 2_000
_LONGEST_TEXT = 5_000
_LONGEST_RAW_VALUE = 2_000
_MADE_UP_TITLE = 100
_MOST_AUTHORS = 50
_MOST_KEYWORDS = 50
_LONGEST_NAME = 200

# Discourse: <p><small>26 posts - 8 participants</small></p> <p><a href=…>Read full topic</a></p>
_POSTS = re.compile(r"(?P<posts>\d[\d,.]{0,9})\s+posts?\s+-\s+\d[\d,.]*\s+participants?")
_UNDER_EVERY_POST = re.compile(
    r"Read full topic|(?:The )?post .{1,400} (?:first )?appeared (?:first )?on .{1,200}"
    r"|Continue reading on .{1,200}|(?:Read|Continue reading)(?: more| the full \w+)?\s*(?:…|\.\.\.|»|→|>>)?",
    re.IGNORECASE | re.DOTALL,
)
_ARXIV_MENTION = re.compile(r"\barXiv:\s?(?P<id>\d{4}\.\d{4,5})(?!\d)", re.IGNORECASE)
_DATE_WORD = re.compile(r"(?:[A-Z][a-z]{2,8}\.? )?\d{1,4}[-/., ]+(?:\d{1,4}[-/., ]*)*")
_LANGUAGE = re.compile(r"(?P<language>[A-Za-z]{2,3})(?:[-_][\w-]*)?")

_STAYED_OUT = "older entries stayed out"
_WITHOUT_DATE = "no date that can be"


@dataclass(frozen=True, kw_only=True)
class Post:
    """One entry as its format gave it. Texts may hold HTML unless `is_plain`; addresses may be anything."""

    position: int
    guid: str = ""
    addresses: tuple[str, ...] = ()  # the entry's own, the best first
    title: str = ""
    texts: tuple[str, ...] = ()  # the fullest first
    is_plain: bool = False
    dates: tuple[datetime | None, ...] = ()  # published, else updated; None was given and could not be read
    authors: tuple[str, ...] = ()
    keywords: tuple[str, ...] = ()
    language: str = ""
    comments: int | None = None
    mentions: tuple[str, ...] = ()  # addresses of other things that the entry is about
    raw: Any = field(default=None, repr=False)


def account(posts: Sequence[Post], *, day: date, base: str = "", notes: Sequence[str] = ()) -> Parsed:
    """The posts as records of an answer that was read on `day` (UTC). `base` completes relative addresses.

    Every post is a record, rejected with a reason, or named in the notes.
    """
    said = list(notes)
    dated = [(post, _date(post, day)) for post in posts]
    if len(dated) > MOST_ENTRIES:
        # Undated ones last; equal ones in the feed's order.
        dated.sort(key=lambda one: one[1] or datetime.min.replace(tzinfo=UTC), reverse=True)
        said.append(f"{len(dated) - MOST_ENTRIES} {_STAYED_OUT}: of one feed {MOST_ENTRIES} are read.")
        dated = sorted(dated[:MOST_ENTRIES], key=lambda one: one[0].position)
    records: list[PaperRecord] = []
    rejected: list[Rejected] = []
    first: dict[str, int] = {}
    undated: list[int] = []
    for post, published_at in dated:
        record = _record(post, published_at, day=day, base=base)
        if isinstance(record, Rejected):
            rejected.append(record)
            continue
        key = _key(post, record)
        if key in first:
            said.append(f"Entry {post.position} repeats entry {first[key]}; the first one counts.")
            continue
        first[key] = post.position
        records.append(record)
        if published_at is None:
            undated.append(post.position)
    if undated:
        entries, have = ("1 entry", "has") if len(undated) == 1 else (f"{len(undated)} entries", "have")
        said.append(
            f"{entries} {have} {_WITHOUT_DATE} (entry {undated[0]} is the first); the day on which Paperboy "
            "saw it first stands in."
        )
    return Parsed(declared=len(posts), records=tuple(records), rejected=tuple(rejected), notes=tuple(said))


def is_lasting(note: str) -> bool:
    """Whether a note is true of the feed at every reading and nothing is lost: worth telling once."""
    return any(said in note for said in (_STAYED_OUT, "and was mended.", "ncoding"))


def is_about_dates(note: str) -> bool:
    """Whether a note is the one on entries without a date."""
    return _WITHOUT_DATE in note


# --- one entry ----------------------------------------------------------------------------------------------


def _record(post: Post, published_at: datetime | None, *, day: date, base: str) -> PaperRecord | Rejected:
    address = _address(post, base)
    if not address:
        given = next((one for one in post.addresses if one.strip()), "")
        said = f" (it gives {given[:80]!a})" if given else ""
        problem = f"Entry {post.position} has no web address where it could be read{said}."
        return Rejected(position=post.position, problem=problem, raw=post.raw)
    texts = [_read(text, post, address) for text in post.texts]
    body = next((text for text in texts if text.paragraphs), PlainText())
    body, comments = _without_tail(body)
    title = _title(post, body)
    if not title:
        problem = f"Entry {post.position} ({address[:80]}) has neither a title nor a text."
        return Rejected(position=post.position, problem=problem, raw=post.raw)
    language = _LANGUAGE.fullmatch(post.language.strip())
    return PaperRecord(
        position=post.position,
        listing_day=published_at.date() if published_at else day,
        url=address,
        source_url=address,
        title=title,
        abstract="" if _letters(body.text) == _letters(title) else _shortened(body.text, _LONGEST_TEXT),
        authors=_names(post.authors, _MOST_AUTHORS),
        language=language["language"].lower() if language else "en",
        published_at=published_at,
        keywords=tuple(
            word for word in _names(post.keywords, _MOST_KEYWORDS) if not _DATE_WORD.fullmatch(word)
        ),
        comments=comments if comments is not None else post.comments,
        mentions=_mentions(post, texts, address),
        raw=post.raw,
    )


def _key(post: Post, record: PaperRecord) -> str:
    if post.guid.strip():
        return f"id:{post.guid.strip()}"
    if record.url:
        return f"url:{record.url}"
    return (
        "hash:"
        + hashlib.sha256(f"{record.title}\n{record.published_at}".encode("utf-8", "replace")).hexdigest()
    )


def _date(post: Post, day: date) -> datetime | None:
    """The first date that can be: not before the web, not after today."""
    for given in post.dates:
        if given is not None and given.year >= FIRST_YEAR and given.date() <= day:
            return given
    return None


def _address(post: Post, base: str) -> str:
    for given in (*post.addresses, post.guid):
        if address := plaintext.absolute(given, base=base):
            return address
    for given in post.addresses:
        if _is_relative(given):
            return given.strip()
    return ""


def _is_relative(address: str) -> bool:
    """A path, for whoever knows where the feed was."""
    given = address.strip()
    try:
        parts = urlsplit(given)
    except ValueError:
        return False
    return (
        bool(given)
        and not parts.scheme
        and len(given) <= plaintext.LONGEST_ADDRESS
        and re.search(r"[\s<>\"\x00-\x1f\x7f-\x9f\ud800-\udfff]", given) is None
    )


def _read(text: str, post: Post, base: str) -> PlainText:
    return plaintext.of_text(text) if post.is_plain else plaintext.of_any(text, base=base)


def _without_tail(body: PlainText) -> tuple[PlainText, int | None]:
    """The text without what stands under every post, and the number of posts where that said it."""
    paragraphs = list(body.paragraphs)
    comments = None
    while paragraphs:
        if match := _POSTS.fullmatch(paragraphs[-1]):
            comments = int(re.sub(r"\D", "", match["posts"]))
        elif not _UNDER_EVERY_POST.fullmatch(paragraphs[-1].rstrip(".")):
            break
        paragraphs.pop()
    return PlainText(paragraphs=tuple(paragraphs), links=body.links), comments


def _title(post: Post, body: PlainText) -> str:
    given = post.title[:_LONGEST_TITLE]
    if plaintext.has_markup(given):
        given = plaintext.of_html(given).text
    return given if given.strip() else _shortened(body.text, _MADE_UP_TITLE)


def _shortened(text: str, longest: int) -> str:
    """Whole words, with … where something is left out."""
    if len(text) <= longest:
        return text
    cut = text[: longest - 1]
    at = cut.rfind(" ")
    return (cut[:at] if at > longest // 2 else cut).rstrip(" ,;:.") + "…"


def _letters(text: str) -> str:
    return "".join(character for character in text[:_LONGEST_TITLE].casefold() if character.isalnum())


def _names(texts: Sequence[str], most: int) -> tuple[str, ...]:
    """Once each, in order. Addresses of mail are nobody's name, and nobody else's business."""
    names = dict.fromkeys(" ".join(text[: 2 * _LONGEST_NAME].split())[:_LONGEST_NAME] for text in texts[:500])
    return tuple(name for name in names if name and "@" not in name)[:most]


def _mentions(post: Post, texts: Sequence[PlainText], own: str) -> tuple[str, ...]:
    addresses = dict.fromkeys(
        address for given in post.mentions if (address := plaintext.absolute(given, base=own))
    )
    for text in texts:
        addresses.update(dict.fromkeys(text.links))
        for match in _ARXIV_MENTION.finditer(text.text):
            addresses.setdefault(f"https://arxiv.org/abs/{match['id']}")
    others = [address for address in addresses if urldefrag(address).url != urldefrag(own).url]
    return tuple(others[:MOST_MENTIONS])


def raw_of(values: dict[str, Any]) -> dict[str, str]:
    """An entry as it came, for people to look at: what is long is cut."""
    return {
        str(name)[:100]: (value if isinstance(value, str) else repr(value))[:_LONGEST_RAW_VALUE]
        for name, value in list(values.items())[:50]
    }
