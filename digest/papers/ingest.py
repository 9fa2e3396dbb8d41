"""The only writer of papers: a list becomes papers, sightings and a batch that accounts for each entry.

Idempotent: the same list again changes nothing but when it was read. Safe beside another run: all ingesting
in one database goes one after the other (an advisory lock for the length of the transaction), so that what is
looked up stays true until it is written. A batch costs a dozen queries, whatever the number of its papers.

Merge order, where several sources speak of one paper (`_OWNERS`): title, abstract, authors and categories are
arXiv's; votes, comments, organisation, code and project links, picture and machine summary are Hugging
Face's. A source overwrites what sources behind it in that order have written, and fills what is empty;
nothing known is ever emptied.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from django.db import connection, transaction
from django.db.models import Max, Q

from digest.models import Batch, Paper, SetAside, Sighting, Source
from digest.papers.identity import Identity, NoIdentity, identify
from digest.papers.text import readable
from digest.sources.records import PaperRecord, Parsed, Rejected

LOCK = 0x70617065  # "pape": the advisory lock of ingesting

_LONGEST_TITLE = 1_000
_LONGEST_ABSTRACT = 20_000
_LONGEST_NAME = 200
_LONGEST_RAW = 20_000
_MOST_CATEGORIES = 20

_ARXIV_FIRST = (Source.Kind.ARXIV, Source.Kind.HUGGINGFACE, Source.Kind.FEED)
_HUGGINGFACE_FIRST = (Source.Kind.HUGGINGFACE, Source.Kind.ARXIV, Source.Kind.FEED)
# Fields that go together are merged together: a summary and its author, a name and its handle.
_OWNERS: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = (
    (("title",), _ARXIV_FIRST),
    (("abstract", "language"), _ARXIV_FIRST),
    (("authors",), _ARXIV_FIRST),
    (("primary_category", "categories"), _ARXIV_FIRST),
    (("published_at",), _ARXIV_FIRST),
    (("organization", "organization_handle"), _HUGGINGFACE_FIRST),
    (("code_url",), _HUGGINGFACE_FIRST),
    (("project_url",), _HUGGINGFACE_FIRST),
    (("thumbnail_url",), _HUGGINGFACE_FIRST),
    (("summary", "summary_source"), _HUGGINGFACE_FIRST),
    (("keywords",), _HUGGINGFACE_FIRST),
    (("withdrawn_at",), _ARXIV_FIRST),
)
_COUNTS = ("votes", "comments", "stars")
_UPDATED_FIELDS = (
    *(name for names, _order in _OWNERS for name in names),
    *_COUNTS,
    *("has_media", "arxiv_id", "doi", "first_listed_on", "counted_at", "updated_at"),
)


@dataclass(frozen=True, kw_only=True)
class Ingested:
    """What one reading of a list did. `batch` has the same numbers, but `new` is over all readings."""

    batch: Batch
    declared: int
    parsed: int
    new: int
    updated: int
    rejected: int
    errors: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class _Clean:
    """A record with its identity, its texts readable and cut to what the columns hold."""

    identity: Identity
    record: PaperRecord
    fields: dict[str, Any]


def ingest(
    parsed: Parsed,
    *,
    source: Source,
    listing_day: date,
    now: datetime,
    is_sample: bool = False,
    etag: str = "",
    last_modified: str = "",
    payload_sha256: str = "",
) -> Ingested:
    """Store a list as the source's batch of `listing_day`.

    Entries that cannot be read become SetAside rows; the rest is stored. The batch is settled when the day
    was over (UTC) at `now`: the list may gain votes after that, not papers that matter. A sample is settled
    at once.
    """
    clean, rejected = _cleaned(parsed)
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
        batch, _created = Batch.objects.get_or_create(source=source, category="", listing_day=listing_day)
        known = _known(clean)
        told = _told(clean, known, batch=batch)
        new, changed, papers = _upsert(clean, known, told, source=source, listing_day=listing_day, now=now)
        seen = _sightings(clean, papers, told, batch=batch, source=source, now=now)
        _set_aside(rejected, batch=batch, now=now)
        batch.declared = parsed.declared
        batch.parsed = len(clean)
        batch.rejected = len(rejected)
        batch.new += new
        batch.updated = len(changed | (seen & known.keys()))
        batch.errors = [_storable(said) for said in (*(one.problem for one in rejected), *parsed.notes)]
        batch.fetched_at = now
        if batch.settled_at is None and (is_sample or _is_over(listing_day, now)):
            batch.settled_at = now
        batch.etag, batch.last_modified, batch.payload_sha256 = (
            etag[:250],
            last_modified[:100],
            payload_sha256,
        )
        batch.is_sample = is_sample
        batch.save()
    return Ingested(
        batch=batch,
        declared=parsed.declared,
        parsed=len(clean),
        new=new,
        updated=batch.updated,
        rejected=len(rejected),
        errors=tuple(batch.errors),
    )


def read_again(batch: Batch, *, now: datetime) -> Ingested:
    """The source gave the very same list as last time: note when, and that its numbers still hold."""
    latest = Sighting.objects.filter(batch=batch).order_by("paper", "-seen_at").distinct("paper")
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
        current = [
            sighting.paper_id
            for sighting in latest.select_related("paper")
            if _has_counts(sighting) and _same_counts(sighting, sighting.paper)
        ]
        Paper.objects.filter(pk__in=current).update(counted_at=now)
        batch.fetched_at = now
        batch.updated = 0
        if batch.settled_at is None and _is_over(batch.listing_day, now):
            batch.settled_at = now
        batch.save(update_fields=["fetched_at", "updated", "settled_at"])
    return Ingested(
        batch=batch,
        declared=batch.declared,
        parsed=batch.parsed,
        new=0,
        updated=0,
        rejected=batch.rejected,
        errors=tuple(batch.errors),
    )


def _is_over(day: date, now: datetime) -> bool:
    return now.astimezone(UTC).date() > day


# --- reading ------------------------------------------------------------------------------------------------


def _cleaned(parsed: Parsed) -> tuple[dict[str, _Clean], list[Rejected]]:
    """Records by key, in the list's order, and what could not be read. Of two equal ones the first."""
    clean: dict[str, _Clean] = {}
    rejected = list(parsed.rejected)
    for record in parsed.records:
        try:
            identity = identify(arxiv_id=record.arxiv_id, doi=record.doi, url=record.url)
        except NoIdentity as error:
            problem = f"Entry {record.position} cannot be told from others: {error}."
            rejected.append(Rejected(position=record.position, problem=problem, raw=record.raw))
            continue
        title = _readable(record.title, _LONGEST_TITLE)
        if not title:
            problem = f"Entry {record.position} ({identity.key}) has no title once markup is taken away."
            rejected.append(Rejected(position=record.position, problem=problem, raw=record.raw))
            continue
        clean.setdefault(
            identity.key, _Clean(identity=identity, record=record, fields=_fields(record, title))
        )
    return clean, rejected


def _readable(text: str, longest: int) -> str:
    """Cut before it is cleaned too: nobody's text is half markup, and cleaning a hostile one takes time."""
    return readable(text[: 2 * longest])[:longest].rstrip()


def _fields(record: PaperRecord, title: str) -> dict[str, Any]:
    authors = [name for name in (_readable(author, _LONGEST_NAME) for author in record.authors) if name]
    return {
        "title": title,
        "abstract": _readable(record.abstract, _LONGEST_ABSTRACT),
        "language": record.language,
        "authors": authors,
        "primary_category": record.primary_category[:20],
        "categories": [category[:20] for category in record.categories[:_MOST_CATEGORIES]],
        "published_at": record.published_at,
        "organization": _readable(record.organization, 200),
        "organization_handle": _readable(record.organization_handle, 100),
        "code_url": record.code_url,
        "project_url": record.project_url,
        "thumbnail_url": record.thumbnail_url,
        "summary": _readable(record.summary, _LONGEST_TITLE),
        "summary_source": record.summary_source[:100],
        "keywords": [word for word in (_readable(keyword, 100) for keyword in record.keywords) if word],
        "withdrawn_at": record.withdrawn_at,
    }


# --- writing ------------------------------------------------------------------------------------------------


@dataclass(kw_only=True)
class _Known:
    """A stored paper, and what the sources have said of it so far."""

    paper: Paper
    kinds: set[str]
    listed_on: dict[int, date]  # source id: the newest day under which it lists the paper
    is_other: bool  # the record's arXiv id or DOI belongs to yet another row


def _known(clean: dict[str, _Clean]) -> dict[str, _Known]:
    """Stored papers by the key of the record that means them, merged ones as their original."""
    identities = [one.identity for one in clean.values()]
    arxiv_ids = {one.arxiv_id: one.key for one in identities if one.arxiv_id}
    dois = {one.doi: one.key for one in identities if one.doi}
    stored = Paper.objects.filter(
        Q(key__in=clean) | Q(arxiv_id__in=arxiv_ids) | Q(doi__in=dois)
    ).select_related("canonical")
    known: dict[str, _Known] = {}
    # By key last: where one record means two rows (its arXiv id one, its DOI another), its own key decides.
    for paper in sorted(stored, key=lambda paper: (paper.key in clean, paper.pk)):
        key = (
            paper.key
            if paper.key in clean
            else arxiv_ids.get(paper.arxiv_id or "") or dois.get(paper.doi or "") or paper.key
        )
        known[key] = _Known(paper=paper.canonical or paper, kinds=set(), listed_on={}, is_other=key in known)
    by_paper = {one.paper.pk: one for one in known.values()}
    said = (
        Sighting.objects.filter(paper__in=by_paper)
        .values_list("paper_id", "source_id", "source__kind")
        .annotate(newest=Max("listing_day"))
    )
    for paper_id, source_id, kind, newest in said:
        by_paper[paper_id].kinds.add(kind)
        by_paper[paper_id].listed_on[source_id] = newest
    return known


def _told(clean: dict[str, _Clean], known: dict[str, _Known], *, batch: Batch) -> set[str]:
    """The keys of records that say of their paper what this batch said already.

    Their counts are not taken over again: a paper featured on two days has newer ones from its other batch.
    """
    latest = {
        sighting.paper_id: sighting
        for sighting in Sighting.objects.filter(
            batch=batch, paper__in=[one.paper.pk for one in known.values()]
        )
        .order_by("paper", "-seen_at")
        .distinct("paper")
    }
    return {
        key
        for key, one in known.items()
        if (earlier := latest.get(one.paper.pk))
        and _same_counts(clean[key].record, earlier)
        and earlier.announce_type == clean[key].record.announce_type
    }


def _upsert(
    clean: dict[str, _Clean],
    known: dict[str, _Known],
    told: set[str],
    *,
    source: Source,
    listing_day: date,
    now: datetime,
) -> tuple[int, set[str], dict[str, Paper]]:
    """How many papers are new, the keys of known ones that changed, and every paper by the key of its record.

    A withdrawn paper that nobody knew yet is not stored: there is nothing to show of it.
    """
    papers = {key: one.paper for key, one in known.items()}
    created = {
        key: Paper(
            key=key,
            kind=one.record.kind,
            arxiv_id=one.identity.arxiv_id,
            doi=one.identity.doi,
            url=one.identity.url,
            first_listed_on=listing_day,
            has_media=one.record.has_media,
            **{name: getattr(one.record, name) for name in _COUNTS},
            counted_at=now if _has_counts(one.record) else None,
            created_at=now,
            updated_at=now,
            **one.fields,
        )
        for key, one in clean.items()
        if key not in known and one.record.withdrawn_at is None
    }
    Paper.objects.bulk_create(created.values())
    changed = {
        key
        for key, one in known.items()
        if _merge(clean[key], one, source=source, listing_day=listing_day, with_counts=key not in told)
    }
    for key in changed:
        papers[key].updated_at = now
    for key, one in known.items():
        if _has_counts(clean[key].record) and _same_counts(clean[key].record, one.paper):
            one.paper.counted_at = now
    distinct = {papers[key].pk: papers[key] for key in changed}
    Paper.objects.bulk_update(distinct.values(), _UPDATED_FIELDS, batch_size=500)
    read_again = [one.paper.pk for one in known.values() if one.paper.counted_at == now]
    Paper.objects.filter(pk__in=read_again).exclude(pk__in=distinct).update(counted_at=now)
    return len(created), changed, papers | created


def _merge(clean: _Clean, known: _Known, *, source: Source, listing_day: date, with_counts: bool) -> bool:
    """Take over what this source may say about a stored paper; True if that changed it."""
    paper, record = known.paper, clean.record
    before = {name: getattr(paper, name) for name in _UPDATED_FIELDS}
    # Of a paper featured on two days the later list speaks; reading the earlier one again must not undo it.
    is_newest = known.listed_on.get(source.pk, listing_day) <= listing_day
    for names, order in _OWNERS:
        rank = order.index(source.kind)
        is_owner = is_newest and all(order.index(kind) >= rank for kind in known.kinds)
        leader = names[0]
        if clean.fields[leader] and (is_owner or not getattr(paper, leader)):
            for name in names:
                setattr(paper, name, clean.fields[name])
    for name in _COUNTS:
        value = getattr(record, name)
        if with_counts and value is not None:
            setattr(paper, name, value)
    paper.has_media = paper.has_media or record.has_media
    if not known.is_other:
        paper.arxiv_id = paper.arxiv_id or clean.identity.arxiv_id
        paper.doi = paper.doi or clean.identity.doi
    paper.first_listed_on = min(paper.first_listed_on, listing_day)
    return any(getattr(paper, name) != value for name, value in before.items())


def _has_counts(said: PaperRecord | Sighting) -> bool:
    return any(getattr(said, name) is not None for name in _COUNTS)


def _same_counts(said: PaperRecord | Sighting, stored: Paper | Sighting) -> bool:
    """Whether all counts that are said are those that are stored."""
    return all(getattr(said, name) in (None, getattr(stored, name)) for name in _COUNTS)


def _sightings(
    clean: dict[str, _Clean],
    papers: dict[str, Paper],
    told: set[str],
    *,
    batch: Batch,
    source: Source,
    now: datetime,
) -> set[str]:
    """Add a sighting for each record that says something new; the keys of those."""
    added = {
        key: Sighting(
            paper=paper,
            source=source,
            batch=batch,
            listing_day=batch.listing_day,
            seen_at=now,
            **{name: getattr(clean[key].record, name) for name in _COUNTS},
            announce_type=clean[key].record.announce_type,
            url=clean[key].record.source_url,
        )
        for key, paper in papers.items()
        if key not in told
    }
    # Two readings of one list within the same instant say the same; the first stands.
    Sighting.objects.bulk_create(added.values(), ignore_conflicts=True)
    return set(added)


def _set_aside(rejected: Sequence[Rejected], *, batch: Batch, now: datetime) -> None:
    """The batch's set-aside entries become those of this answer: one that was mended upstream is gone."""
    batch.set_aside.all().delete()
    SetAside.objects.bulk_create(
        SetAside(
            batch=batch, position=one.position, problem=_storable(one.problem), raw=_raw(one.raw), seen_at=now
        )
        for one in _one_per_position(rejected)
    )


def _one_per_position(rejected: Iterable[Rejected]) -> Iterable[Rejected]:
    return {one.position: one for one in rejected}.values()


def _raw(entry: Any) -> str:
    return _storable(json.dumps(entry, ensure_ascii=False, default=str))[:_LONGEST_RAW]


def _storable(text: str) -> str:
    """PostgreSQL takes neither NUL nor lone surrogates."""
    return text.replace("\0", "\\u0000").encode("utf-8", "backslashreplace").decode()
