"""Hugging Face Daily Papers: the bytes of `GET /api/daily_papers` as records. Pure, no network.

The format as recorded since May 2024, with each change of it, is described in tests/digest/sources. What is
easy to get wrong:

- The listing day is `paper.submittedOnDailyAt`. The outer `publishedAt` is New York time marked Z, and before
  2025 it meant something else; it is never read. Entries from before March 2025 have no listing day: theirs
  is the one asked for.
- The list holds entries of another day when the server does not know the one asked for. They are left out.
- Most fields stand in `paper`; some stand outside it too, or did. The inner one wins.
- An upvote count of 0 is 0, not unknown.
"""

import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from typing import Any, TypeVar

from digest.sources.records import NotAList, PaperRecord, Parsed, Rejected

PATH = "/api/daily_papers"
LARGEST = 5_000_000  # bytes; a hundred entries are some 230 kB
MOST_ENTRIES = 2_000  # of one answer; five hundred are the most that is asked for
DEFAULT_LIMIT = 50  # entries in an answer when no limit is asked for, or none is honoured
SUMMARY_SOURCE = "Hugging Face"

_PAPER_PAGE = "https://huggingface.co/papers/"
_LARGEST_COUNT = 2**31 - 1  # the database's integer
_MOST_KEYWORDS = 50
_PLAIN_ID = re.compile(r"[\w./-]{1,40}", re.ASCII)

T = TypeVar("T")


class _Unreadable(ValueError):
    """A value that is not what its key promises. The message says what is wrong, to follow "is"."""


def parse(body: bytes, listing_day: date | None) -> Parsed:
    """The answer's entries as records of `listing_day`, in the server's order.

    Without a listing day (a request without `date`) every entry says its own. An entry without an id or a
    title is rejected alone; an optional value of the wrong type counts as absent and is named in the notes.
    Raises NotAList when the body is not a JSON list: an error page, say.
    """
    entries = _entries(body)
    records: dict[str, PaperRecord] = {}
    rejected: list[Rejected] = []
    notes: list[str] = []
    other_days: dict[date, int] = {}
    for position, entry in enumerate(entries):
        try:
            record = _record(entry, position, listing_day, notes)
        except _Unreadable as error:
            rejected.append(Rejected(position=position, problem=str(error), raw=entry))
            continue
        if listing_day is not None and record.listing_day != listing_day:
            other_days[record.listing_day] = other_days.get(record.listing_day, 0) + 1
        elif record.arxiv_id in records:
            notes.append(f"Entry {position} repeats paper {record.arxiv_id}; the first one counts.")
        else:
            records[record.arxiv_id] = record
    for day, count in sorted(other_days.items()):
        are = "1 entry belongs" if count == 1 else f"{count} entries belong"
        notes.append(f"{are} to {day}, not to {listing_day}, and stayed out.")
    return Parsed(
        declared=len(entries), records=tuple(records.values()), rejected=tuple(rejected), notes=tuple(notes)
    )


def _entries(body: bytes) -> list[Any]:
    try:
        answer = json.loads(body.decode("utf-8-sig", errors="replace"), parse_int=_whole)
    except (ValueError, RecursionError) as error:
        raise NotAList(f"not JSON ({type(error).__name__}); it begins {_beginning(body)}") from error
    if isinstance(answer, list):
        if len(answer) > MOST_ENTRIES:
            raise NotAList(f"a list of {len(answer):,} entries, too many for a page of papers")
        return answer
    raise NotAList(f"{_what(answer)} where a list belongs; it begins {_beginning(body)}")


def _whole(digits: str) -> int | float:
    # Python refuses to read integers of thousands of digits; one such entry must not cost the whole list.
    return int(digits) if len(digits) < 100 else float("inf")


def _beginning(body: bytes) -> str:
    return repr(body[:500].decode("utf-8", errors="replace").strip()[:200])


def _record(entry: Any, position: int, asked_day: date | None, notes: list[str]) -> PaperRecord:
    if not isinstance(entry, dict):
        raise _Unreadable(f"Entry {position} is {_what(entry)} where an object belongs.")
    paper = entry.get("paper")
    if not isinstance(paper, dict):
        raise _Unreadable(f"Entry {position} has no paper object: paper is {_what(paper)}.")
    arxiv_id = paper.get("id")
    if not isinstance(arxiv_id, str) or not arxiv_id.strip():
        raise _Unreadable(f"Entry {position} has no id: paper.id is {_what(arxiv_id)}.")
    arxiv_id = arxiv_id.strip()
    where = f"Entry {position} ({arxiv_id[:40]})"

    def read(key: str, reader: Callable[[Any], T], *places: Mapping[str, Any]) -> T | None:
        """The first place that has the key in a readable form; what is unreadable is noted."""
        for place in places or (paper,):
            value = place.get(key)
            if value is None:
                continue
            try:
                return reader(value)
            except _Unreadable as error:
                notes.append(f"{where}: {key} {error}; taken as unknown.")
        return None

    title = read("title", _text, paper, entry)
    if title is None or not title.strip():
        raise _Unreadable(f"{where} has no title.")
    day = read("submittedOnDailyAt", _instant, paper, entry)
    listing_day = day.date() if day else asked_day
    if listing_day is None:
        raise _Unreadable(f"{where} does not say its listing day, and none was asked for.")
    organization = read("organization", _object, paper, entry) or {}
    handle = read("name", _text, organization) or ""
    media = (key for key in ("mediaUrls", "mediaUrl") for place in (paper, entry) if place.get(key))
    summary = read("ai_summary", _text, paper, entry) or ""
    return PaperRecord(
        position=position,
        listing_day=listing_day,
        arxiv_id=arxiv_id,
        source_url=_PAPER_PAGE + arxiv_id if _PLAIN_ID.fullmatch(arxiv_id) else "",
        title=title,
        abstract=read("summary", _text, paper, entry) or "",
        authors=_authors(read("authors", _list) or [], where, notes),
        organization=read("fullname", _text, organization) or handle,
        organization_handle=handle,
        published_at=read("publishedAt", _instant),  # the inner one only
        code_url=read("githubRepo", _address, paper, entry) or "",
        project_url=read("projectPage", _address, paper, entry) or "",
        thumbnail_url=read("thumbnail", _address, entry, paper) or "",
        has_media=any(media),
        summary=summary,
        summary_source=SUMMARY_SOURCE if summary else "",
        keywords=_keywords(read("ai_keywords", _list, paper, entry) or []),
        votes=read("upvotes", _count, paper, entry),
        comments=read("numComments", _count, entry, paper),
        stars=read("githubStars", _count, paper, entry),
        withdrawn_at=read("withdrawnAt", _instant, paper, entry),
        raw=entry,
    )


def _authors(values: list[Any], where: str, notes: list[str]) -> tuple[str, ...]:
    names = []
    for value in values:
        if isinstance(value, dict) and value.get("hidden") is True:
            continue
        name = value.get("name") if isinstance(value, dict) else value
        if isinstance(name, str) and name.strip():
            names.append(name)
        else:
            notes.append(f"{where}: an author without a name was left out.")
    return tuple(names)


def _keywords(values: list[Any]) -> tuple[str, ...]:
    return tuple(value for value in values if isinstance(value, str) and value.strip())[:_MOST_KEYWORDS]


# --- values -------------------------------------------------------------------------------------------------


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise _Unreadable(f"is {_what(value)}, not text")
    return value


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise _Unreadable(f"is {_what(value)}, not a list")
    return value


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _Unreadable(f"is {_what(value)}, not an object")
    return value


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _LARGEST_COUNT:
        raise _Unreadable(f"is {_what(value)}, not a count")
    return value


def _instant(value: Any) -> datetime:
    try:
        instant = datetime.fromisoformat(value.strip())
        return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
    except (AttributeError, ValueError, OverflowError) as error:
        raise _Unreadable(f"is {_what(value)}, not a date") from error


def _address(value: Any) -> str:
    """http or https, in one piece. 2 of 2,863 recorded project pages begin with a blank."""
    address = _text(value).strip()
    if not re.fullmatch(r"https?://[^\s<>\"\x00-\x1f\ud800-\udfff]{1,490}", address, re.IGNORECASE):
        raise _Unreadable(f"is {_what(value)}, not an http address")
    return address


def _what(value: Any) -> str:
    match value:
        case None:
            return "missing"
        case dict():
            return "an object"
        case list():
            return "a list"
    shown = json.dumps(value, ensure_ascii=True)
    return shown if len(shown) <= 60 else f"{shown[:57]}…"
