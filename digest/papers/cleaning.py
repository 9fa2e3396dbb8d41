"""Records as sources wrote them become what the columns hold: readable, cut to size, checked. Writes nothing.

What the database would refuse is found here, so that it costs one value, or at worst one record: texts too
long, NUL and lone surrogates, links that are none, counts out of range, dates of another age.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from digest.papers import remarks
from digest.papers.glance import web_link
from digest.papers.identity import Identity, NoIdentity, identify, title_key
from digest.papers.text import readable
from digest.sources.records import PaperRecord, Parsed, Rejected

COUNTS = ("votes", "comments", "stars")

_LONGEST_TITLE = 1_000
_LONGEST_ABSTRACT = 20_000
_LONGEST_COMMENT = 2_000
_LONGEST_NAME = 200
_MOST_AUTHORS = 5_000  # the largest collaborations sign with some 3,000 names
_MOST_AFFILIATIONS = 200
_MOST_CATEGORIES = 20
_MOST_KEYWORDS = 50
_HIGHEST_COUNT = 2**31 - 1
_HIGHEST_VERSION = 2**15 - 1
_FIRST_YEAR = 1980  # older is a clock at its zero, not a date
_AHEAD = timedelta(days=2)  # time zones and slow clocks; more is a mistake
_KINDS = frozenset({"paper", "post", "forum", "news"})

_ADDRESS = re.compile(r"https?://[^\s\x00-\x20\x7f-\x9f\"<>\\\ud800-\udfff]+", re.IGNORECASE)
# Nine names in ten: nothing in them that cleaning would change.
_PLAIN_NAME = re.compile(r"[A-Za-z]+(?:(?:[ .]{1,2}|-)[A-Za-z]+)*\.?")


@dataclass(kw_only=True, slots=True)
class Clean:
    """A record with its identity, and its texts as the columns hold them."""

    identity: Identity
    record: PaperRecord
    fields: dict[str, Any]  # columns of Paper that merging decides about
    counts: dict[str, int | None]
    source_url: str
    announce_type: str
    version: int | None
    found: frozenset[str] = frozenset()  # links that stand in a remark: they only fill what is empty
    is_withdrawn: bool = False


@dataclass(kw_only=True)
class Cleaned:
    """The records of an answer by key, in its order, and why the others are not among them."""

    kept: dict[str, Clean] = field(default_factory=dict)
    rejected: list[tuple[PaperRecord | None, Rejected]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def clean(parsed: Parsed, *, now: datetime) -> Cleaned:
    """Of two entries that mean the same paper the first is kept, and the second named in the notes."""
    cleaned = Cleaned(rejected=[(None, one) for one in parsed.rejected], notes=list(parsed.notes))
    for record in parsed.records:
        try:
            identity = identify(arxiv_id=record.arxiv_id, doi=record.doi, url=record.url)
        except NoIdentity as error:
            problem = f"Entry {record.position} cannot be told from others: {error}."
            cleaned.rejected.append((record, _refused(record, problem)))
            continue
        if first := cleaned.kept.get(identity.key):
            cleaned.notes.append(
                f"Entry {record.position} ({identity.key}) is the same as entry {first.record.position}."
            )
            continue
        title = _text(record.title, _LONGEST_TITLE)
        if not title:
            problem = f"Entry {record.position} ({identity.key}) has no title once markup is taken away."
            cleaned.rejected.append((record, _refused(record, problem)))
            continue
        cleaned.kept[identity.key] = _cleaned(record, identity, title, now=now, notes=cleaned.notes)
    return cleaned


def _refused(record: PaperRecord, problem: str) -> Rejected:
    return Rejected(position=record.position, problem=problem, raw=record.raw)


def _cleaned(
    record: PaperRecord, identity: Identity, title: str, *, now: datetime, notes: list[str]
) -> Clean:
    published_at = _instant(record.published_at, now=now)
    if record.published_at and not published_at:
        said = record.published_at.date()
        notes.append(f"Entry {record.position} ({identity.key}) is dated {said}; taken as unknown.")
    abstract = _text(record.abstract, _LONGEST_ABSTRACT)
    comment = _text(record.comment, _LONGEST_COMMENT)
    # A post may well write that some paper was withdrawn, or link to somebody's code.
    is_paper = bool(identity.arxiv_id) or record.kind == "paper"
    remark = remarks.read(comment, abstract) if is_paper else remarks.Remark()
    code_url, project_url = _address(record.code_url, 500), _address(record.project_url, 500)
    found = {"code_url": remark.code_url, "project_url": remark.project_url}
    is_withdrawn = record.withdrawn_at is not None or remark.withdrawn
    fields = {
        "title": title,
        "title_key": title_key(title),
        "abstract": abstract,
        "language": _code(record.language, 10) or "en",
        "authors": _names(record.authors, _MOST_AUTHORS),
        "affiliations": list(dict.fromkeys(_names(record.affiliations, _MOST_AFFILIATIONS))),
        "primary_category": _code(record.primary_category, 20),
        "categories": [
            code for category in record.categories[:_MOST_CATEGORIES] if (code := _code(category, 20))
        ],
        "published_at": published_at,
        "comment": comment,
        "venue": remark.venue[:200],
        "journal_ref": _text(record.journal_ref, 300),
        "organization": _text(record.organization, 200),
        "organization_handle": _text(record.organization_handle, 100),
        "code_url": code_url or _address(found["code_url"], 500),
        "project_url": project_url or _address(found["project_url"], 500),
        "thumbnail_url": _address(record.thumbnail_url, 500),
        "summary": _text(record.summary, _LONGEST_TITLE),
        "summary_source": _text(record.summary_source, 100),
        "keywords": _names(record.keywords, _MOST_KEYWORDS),
        "withdrawn_at": _instant(record.withdrawn_at, now=now) or now if is_withdrawn else None,
        "withdrawal": (_text(record.withdrawal, 2_000) or remark.withdrawal[:2_000]) if is_withdrawn else "",
    }
    return Clean(
        identity=identity,
        record=record,
        fields=fields,
        counts={name: _count(getattr(record, name), _HIGHEST_COUNT) for name in COUNTS},
        source_url=_address(record.source_url, 1_000),
        announce_type=_code(record.announce_type, 20),
        version=_count(record.version, _HIGHEST_VERSION) or None,
        found=frozenset(
            name for name, own in (("code_url", code_url), ("project_url", project_url)) if not own
        ),
        is_withdrawn=is_withdrawn,
    )


def kind_of(one: Clean) -> str:
    """What has an arXiv id is a paper, whoever mentions it."""
    return one.record.kind if one.record.kind in _KINDS and not one.identity.arxiv_id else "paper"


def _text(text: str, longest: int) -> str:
    """Cut before it is cleaned too: nobody's text is half markup, and cleaning a hostile one takes time."""
    return readable(text[: 2 * longest])[:longest].rstrip() if text else ""


def _names(texts: Iterable[str], most: int) -> list[str]:
    names: list[str] = []
    for text in texts:
        is_plain = len(text) <= _LONGEST_NAME and _PLAIN_NAME.fullmatch(text)
        if name := " ".join(text.split()) if is_plain else _text(text, _LONGEST_NAME):
            names.append(name)
            if len(names) == most:
                break
    return names


def _code(text: str, longest: int) -> str:
    """A word that stands for something, such as cs.CL: too long a one stands for nothing that we know."""
    text = text.strip()
    return text if len(text) <= longest and text.isprintable() else ""


def _address(text: str, longest: int) -> str:
    text = text.strip()
    is_one = len(text) <= longest and text.isprintable() and _ADDRESS.fullmatch(text) and web_link(text)
    return text if is_one else ""


def _count(value: int | None, highest: int) -> int | None:
    return value if value is not None and 0 <= value <= highest else None


def _instant(value: datetime | None, *, now: datetime) -> datetime | None:
    """Aware, and of an age in which papers had dates; a source that names no zone means UTC."""
    if value is None:
        return None
    aware = value if value.tzinfo else value.replace(tzinfo=UTC)
    try:
        instant = aware.astimezone(UTC)
    except OverflowError:  # the first or the last day that Python knows
        return None
    return instant if instant.year >= _FIRST_YEAR and instant <= now + _AHEAD else None
