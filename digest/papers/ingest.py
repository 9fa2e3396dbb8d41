"""The only writer of papers: a list becomes papers, sightings and batches that account for each entry.

Idempotent: the same list again changes nothing but when it was read. Safe beside another run: all ingesting
in one database goes one after the other (an advisory lock for the length of the transaction), so that what is
looked up stays true until it is written. A list costs some twenty queries, whatever the number of its papers
and categories.

Merge order, where several sources speak of one paper (`_OWNERS`): title, abstract, authors and categories are
arXiv's; votes, comments, organisation, code and project links, picture and machine summary are Hugging
Face's; every other kind of source comes last. A source overwrites what sources behind it in that order have
written, and fills what is empty; nothing known is ever emptied. A newer version overwrites the text of an
older one, never the reverse.

A record belongs to the row of its own identity, even if that row is merged into another: lists map through
`canonical`, and a merge that is undone leaves everything where it belongs.
"""

import json
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

from django.db import DataError, IntegrityError, transaction
from django.db.models import Count, Max, Min, Q

from digest.models import Batch, Merge, Paper, SetAside, Sighting, Source
from digest.papers import alarms, merging, rows
from digest.papers.cleaning import COUNTS, Clean, clean, kind_of
from digest.papers.identity import NotAnAddress, canonical_url
from digest.papers.text import spelled_out
from digest.sources.records import PaperRecord, Parsed, Rejected

_LONGEST_RAW = 20_000
_MOST_NOTES = 200

_ARXIV_FIRST = (Source.Kind.ARXIV, Source.Kind.HUGGINGFACE)
_HUGGINGFACE_FIRST = (Source.Kind.HUGGINGFACE, Source.Kind.ARXIV)
# Fields that go together are merged together: a summary and its author, a name and its handle. What a newer
# version may change is marked: an older version does not take it back.
_OWNERS: tuple[tuple[tuple[str, ...], tuple[str, ...], bool], ...] = (
    (("title", "title_key"), _ARXIV_FIRST, True),
    (("abstract", "language"), _ARXIV_FIRST, True),
    (("authors",), _ARXIV_FIRST, True),
    (("affiliations",), _ARXIV_FIRST, True),
    (("primary_category", "categories"), _ARXIV_FIRST, True),
    (("comment",), _ARXIV_FIRST, True),
    (("venue",), _ARXIV_FIRST, True),
    (("journal_ref",), _ARXIV_FIRST, True),
    (("published_at",), _ARXIV_FIRST, False),
    (("organization", "organization_handle"), _HUGGINGFACE_FIRST, False),
    (("code_url",), _HUGGINGFACE_FIRST, False),
    (("project_url",), _HUGGINGFACE_FIRST, False),
    (("thumbnail_url",), _HUGGINGFACE_FIRST, False),
    (("summary", "summary_source"), _HUGGINGFACE_FIRST, False),
    (("keywords",), _HUGGINGFACE_FIRST, False),
)
_UPDATED_FIELDS = (
    *(name for names, _order, _is_versioned in _OWNERS for name in names),
    *COUNTS,
    *("withdrawn_at", "withdrawal", "version", "has_media", "arxiv_id", "doi", "first_listed_on"),
    *("counted_at", "updated_at"),
)
# A withdrawn paper keeps the text that it had: what comes in its place says only that it is gone.
_KEPT_WHEN_WITHDRAWN = frozenset({"title", "abstract"})

DISCUSSED = "discussed"  # announce type of the sightings that mentions make; see mentions.py

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Ingested:
    """What one reading of a list did, each entry counted once, whatever the number of its categories.

    `batches` hold the numbers of each category and day, there `new` is over all readings. `cross` entries are
    listed here and at home in a category that was not asked for. `merged` rows turned out to be others.
    `errors` are notes; `unread` says of lists that could not be read at all why not, the others were stored.
    """

    batches: tuple[Batch, ...]
    declared: int
    parsed: int
    new: int
    updated: int
    rejected: int
    cross: int = 0
    merged: int = 0
    errors: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()

    @property
    def batch(self) -> Batch:
        return self.batches[0]


def ingest(
    parsed: Parsed,
    *,
    source: Source,
    listing_day: date,
    now: datetime,
    categories: Sequence[str] = (),
    door: str = "",
    is_final: bool = False,
    is_sample: bool = False,
    etag: str = "",
    last_modified: str = "",
    payload_sha256: str = "",
) -> Ingested:
    """Store a list as the source's batch of `listing_day`, or as one batch for each category asked for.

    An entry counts in every asked category it belongs to ("cs" stands for all of "cs.…"); its sighting hangs
    at the batch of its primary category, if that was asked for, else of the first of its own that was.
    Entries in none of them, and those that could not be read, count in the first batch.

    Entries that cannot be read become SetAside rows; the rest is stored. A batch is settled when the day was
    over (UTC) at `now`, or at once if the list cannot grow any more (`is_final`; a sample): it may gain votes
    after that, not papers that matter.
    """
    asked = tuple(dict.fromkeys(categories)) or ("",)
    places = [_Place(category, listing_day) for category in asked]

    def places_of(record: PaperRecord, _first_day: date | None) -> list[_Place]:
        own = [place for place in places if _is_in(record.categories or (record.primary_category,), place)]
        home = [place for place in own if _is_in((record.primary_category,), place)]
        return [*home, *(place for place in own if place not in home)] or places[:1]

    return _ingest(
        parsed,
        source=source,
        now=now,
        places=places,
        places_of=places_of if categories else lambda _record, _first_day: places,
        is_final=is_final or is_sample,
        may_forget=False,
        answered={
            "door": door[:20],
            "is_sample": is_sample,
            "etag": etag[:250],
            "last_modified": last_modified[:100],
            "payload_sha256": payload_sha256,
        },
    )


def ingest_all_days(parsed: Parsed, *, source: Source, now: datetime, door: str = "") -> Ingested:
    """Store a list whose entries say their own days: one batch for each.

    An entry that this source gave before keeps the day it was first listed under; a day that has not come yet
    is today. Feeds forget their old entries, so a batch keeps the most it ever had.
    """
    today = now.astimezone(UTC).date()

    def places_of(record: PaperRecord, first_day: date | None) -> list[_Place]:
        return [_Place("", first_day or min(record.listing_day, today))]

    newest = max((min(record.listing_day, today) for record in parsed.records), default=today)
    return _ingest(
        parsed,
        source=source,
        now=now,
        places=[_Place("", newest)],
        places_of=places_of,
        is_final=False,
        may_forget=True,
        answered={"door": door[:20], "is_sample": False},
    )


def read_again(*batches: Batch, now: datetime, is_final: bool = False) -> Ingested:
    """The source gave the very same lists as last time: note when, and that their numbers still hold."""
    latest = Sighting.objects.filter(batch__in=batches).order_by("paper", "-seen_at").distinct("paper")
    with transaction.atomic():
        merging.lock()
        sightings = list(latest.select_related("paper"))
        current = [
            sighting.paper_id
            for sighting in sightings
            if _has_counts(_counts(sighting)) and _same_counts(_counts(sighting), sighting.paper)
        ]
        Paper.objects.filter(pk__in=current).update(counted_at=now)
        for batch in batches:
            batch.fetched_at = now
            batch.updated = 0
            if batch.settled_at is None and (is_final or _is_over(batch.listing_day, now)):
                batch.settled_at = now
        Batch.objects.bulk_update(batches, ["fetched_at", "updated", "settled_at"])
    is_one = len(batches) == 1
    rejected = SetAside.objects.filter(batch__in=batches).count()
    return Ingested(
        batches=batches,
        # An entry in several categories has one sighting, so these count it once.
        declared=batches[0].declared if is_one else len(sightings) + rejected,
        parsed=batches[0].parsed if is_one else len(sightings),
        new=0,
        updated=0,
        rejected=batches[0].rejected if is_one else rejected,
        cross=sum(sighting.announce_type == "cross" for sighting in sightings),
        errors=tuple(dict.fromkeys(error for batch in batches for error in batch.errors)),
    )


def settle(source: Source, *, now: datetime) -> int:
    """A source that says everything in one answer has nothing new: its days that are over are settled.

    Their number. For answers that came unchanged (304), which speak for all days at once.
    """
    today = now.astimezone(UTC).date()
    unsettled = source.batches.filter(settled_at=None, fetched_at__isnull=False, listing_day__lt=today)
    return unsettled.update(settled_at=now, fetched_at=now)


def _is_over(day: date, now: datetime) -> bool:
    return now.astimezone(UTC).date() > day


# --- the ledger ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a source's ledger has a batch."""

    category: str
    day: date


def _is_in(categories: Iterable[str], place: _Place) -> bool:
    asked = place.category.casefold()
    return any(
        category.casefold() == asked or category.casefold().startswith(f"{asked}.")
        for category in categories
        if category
    )


_PlacesOf = Callable[[PaperRecord, date | None], list[_Place]]


def _ingest(
    parsed: Parsed,
    *,
    source: Source,
    now: datetime,
    places: list[_Place],
    places_of: _PlacesOf,
    is_final: bool,
    may_forget: bool,
    answered: dict[str, Any],
) -> Ingested:
    cleaned = clean(parsed, now=now)
    with transaction.atomic():
        merging.lock()
        meant = _meant(cleaned.kept, source=source)
        where = {
            key: places_of(one.record, meant.known[key].first_day if key in meant.known else None)
            for key, one in cleaned.kept.items()
        }
        aside = [
            (places_of(record, None) if record else places[:1], rejected)
            for record, rejected in cleaned.rejected
        ]
        batches = _batches(
            [*places, *(place for own in where.values() for place in own)],
            source=source,
        )
        homes = {key: batches[own[0]] for key, own in where.items()}
        stored = _store(cleaned.kept, meant, homes, source=source, now=now)
        for key, problem in stored.refused.items():
            record = cleaned.kept.pop(key).record
            rejected = Rejected(position=record.position, problem=problem, raw=record.raw)
            aside.append((where.pop(key), rejected))
        merged = merging.make(stored.matches, now=now) + merging.find(stored.retitled, now=now)
        _set_aside(aside, batches, now=now, keeps=may_forget)
        if may_forget:
            _count_so_far(batches, stored, homes)
        else:
            unplaced = parsed.declared - len(cleaned.kept) - len(aside)
            _count(
                batches, cleaned.kept, where, stored, aside=[own for own, _one in aside], unplaced=unplaced
            )
        errors = [spelled_out(said) for said in (*(one.problem for _own, one in aside), *cleaned.notes)]
        for place, batch in batches.items():
            batch.most_declared = max(batch.most_declared, batch.declared)
            batch.errors = errors[:_MOST_NOTES] if place == places[0] else []
            batch.fetched_at = now
            if batch.settled_at is None and (is_final or _is_over(batch.listing_day, now)):
                batch.settled_at = now
            for name, value in answered.items():
                setattr(batch, name, value)
        Batch.objects.bulk_update(batches.values(), _BATCH_FIELDS)
        if not may_forget:
            alarms.weigh(list(batches.values()), source=source, now=now)
    return Ingested(
        batches=tuple(batches.values()),
        declared=parsed.declared,
        parsed=len(cleaned.kept),
        new=len(stored.new),
        updated=len(stored.updated),
        rejected=len(aside),
        cross=sum(_is_cross(one.record, places) for one in cleaned.kept.values()),
        merged=len(merged),
        errors=tuple(errors),
    )


_BATCH_FIELDS = (
    *("declared", "most_declared", "parsed", "new", "updated", "cross", "rejected", "door", "errors"),
    *("fetched_at", "settled_at", "etag", "last_modified", "payload_sha256", "is_sample"),
)


def _batches(places: Iterable[_Place], *, source: Source) -> dict[_Place, Batch]:
    """The batches of these places, in their order; made where there is none yet."""
    wanted = list(dict.fromkeys(places))
    stored = Batch.objects.filter(
        source=source,
        category__in={place.category for place in wanted},
        listing_day__in={place.day for place in wanted},
    )
    found = {_Place(batch.category, batch.listing_day): batch for batch in stored}
    missing = [place for place in wanted if place not in found]
    if missing:
        # A failure that is noted at this moment may make the same row.
        Batch.objects.bulk_create(
            (Batch(source=source, category=place.category, listing_day=place.day) for place in missing),
            ignore_conflicts=True,
        )
        found = {_Place(batch.category, batch.listing_day): batch for batch in stored.all()}
    return {place: found[place] for place in wanted}


def _count(
    batches: dict[_Place, Batch],
    kept: dict[str, Clean],
    where: dict[str, list[_Place]],
    stored: "_Stored",
    *,
    aside: list[list[_Place]],
    unplaced: int,
) -> None:
    """Write down in each batch what it had; `unplaced` entries (which notes name) are the first batch's."""
    for batch in batches.values():
        batch.declared = batch.parsed = batch.cross = batch.updated = batch.rejected = 0
    next(iter(batches.values())).declared += max(unplaced, 0)
    for own in aside:
        for place in own:
            batches[place].rejected += 1
            batches[place].declared += 1
    for key, one in kept.items():
        for place in where[key]:
            batch = batches[place]
            batch.declared += 1
            batch.parsed += 1
            batch.new += key in stored.new
            batch.updated += key in stored.updated
            batch.cross += _is_cross(one.record, [place])


def _count_so_far(batches: dict[_Place, Batch], stored: "_Stored", homes: dict[str, Batch]) -> None:
    """Of a feed, which forgets its old entries: what each day has had, over all readings."""
    of_these = Batch.objects.filter(pk__in=[batch.pk for batch in batches.values()])
    # A paper that one of its posts speaks of is no entry of the feed.
    entries = Count("sightings__paper", filter=~Q(sightings__announce_type=DISCUSSED), distinct=True)
    parsed = dict(of_these.values_list("pk").annotate(papers=entries))
    rejected = dict(of_these.values_list("pk").annotate(entries=Count("set_aside")))
    for batch in batches.values():
        batch.parsed, batch.rejected = parsed[batch.pk], rejected[batch.pk]
        batch.declared = batch.parsed + batch.rejected
        batch.updated = 0
    for key in stored.new:
        homes[key].new += 1
    for key in stored.updated:
        homes[key].updated += 1


def _is_cross(record: PaperRecord, places: Sequence[_Place]) -> bool:
    """Listed in a category, at home in another one."""
    if not record.is_listing or not places[0].category:
        return False
    if not record.primary_category:
        return record.announce_type == "cross"
    return not any(_is_in((record.primary_category,), place) for place in places)


def _set_aside(
    aside: list[tuple[list[_Place], Rejected]],
    batches: dict[_Place, Batch],
    *,
    now: datetime,
    keeps: bool,
) -> None:
    """Keep what could not be read, as it came.

    Of a day's list, the set-aside entries become those of this answer: one that was mended upstream is gone.
    An answer for all days (`keeps`) brings its broken entries again and again: each stays where it was first.
    """
    mine = SetAside.objects.filter(batch__in=batches.values())
    entries = [(own, one, _raw(one.raw)) for own, one in aside]
    taken: dict[int, set[int]] = {}
    if keeps:
        source = next(iter(batches.values())).source_id
        raws = [raw for _own, _one, raw in entries]
        before = SetAside.objects.filter(batch__source=source)
        seen = set(before.filter(raw__in=raws).values_list("raw", flat=True)) if entries else set()
        entries = [entry for entry in entries if entry[2] not in seen]
        for batch_id, position in mine.values_list("batch_id", "position") if entries else ():
            taken.setdefault(batch_id, set()).add(position)
    else:
        mine.delete()
    made = []
    for own, one, raw in entries:
        batch = batches[own[0]]
        positions = taken.setdefault(batch.pk, set())
        position = one.position if one.position not in positions else max(positions) + 1
        positions.add(position)
        made.append(
            SetAside(batch=batch, position=position, problem=spelled_out(one.problem), raw=raw, seen_at=now)
        )
    SetAside.objects.bulk_create(made)


def _raw(entry: Any) -> str:
    return _storable(json.dumps(entry, ensure_ascii=False, default=str))[:_LONGEST_RAW]


def _storable(text: str) -> str:
    """PostgreSQL takes neither NUL nor lone surrogates."""
    return text.replace("\0", "\\u0000").encode("utf-8", "backslashreplace").decode()


# --- who is meant -------------------------------------------------------------------------------------------


@dataclass(kw_only=True)
class _Known:
    """A stored paper, and what the sources have said of it so far."""

    paper: Paper
    kinds: set[str] = field(default_factory=set)
    newest_day: date | None = None  # under which this source lists it
    first_day: date | None = None  # under which this source ever gave it
    is_listed: bool = False  # by any source


@dataclass(kw_only=True)
class _Meant:
    """The stored rows that records mean, by the records' keys."""

    known: dict[str, _Known] = field(default_factory=dict)  # the row of the record's own identity
    same: dict[str, list[Paper]] = field(default_factory=dict)  # others that have one of its identifiers


def _meant(kept: dict[str, Clean], *, source: Source) -> _Meant:
    identities = {key: one.identity for key, one in kept.items()}
    addresses = {key: address for key, one in kept.items() if (address := _other_key(one))}
    stored = list(
        Paper.objects.filter(
            Q(key__in={*kept, *addresses.values()})
            | Q(arxiv_id__in=[one.arxiv_id for one in identities.values() if one.arxiv_id])
            | Q(doi__in=[one.doi for one in identities.values() if one.doi])
        )
    )
    by_key = {paper.key: paper for paper in stored}
    by_arxiv_id = {paper.arxiv_id: paper for paper in stored if paper.arxiv_id}
    by_doi = {paper.doi: paper for paper in stored if paper.doi}
    meant = _Meant()
    for key, identity in identities.items():
        own = by_key.get(key) or by_arxiv_id.get(identity.arxiv_id or "")
        of_doi = by_doi.get(identity.doi or "")
        if own is None and identity.arxiv_id is None:
            own = of_doi
        of_address = by_key.get(addresses.get(key, ""))
        if own is not None:
            meant.known[key] = _Known(paper=own)
        meant.same[key] = [row for row in (of_doi, of_address) if row is not None and row is not own]
    _add_said(meant.known, source=source)
    return meant


def _other_key(one: Clean) -> str:
    """The key that this record would have had without its identifier: its address, if it has one."""
    if one.identity.key.startswith("url:") or not one.record.url or kind_of(one) != Paper.Kind.PAPER:
        return ""
    try:
        address = canonical_url(one.record.url)
    except NotAnAddress:
        return ""
    return "" if address == one.identity.url else f"url:{address}"


def _add_said(known: dict[str, _Known], *, source: Source) -> None:
    by_paper: dict[int, list[_Known]] = {}
    for one in known.values():
        by_paper.setdefault(one.paper.pk, []).append(one)
    said = (
        Sighting.objects.filter(paper__in=by_paper)
        .values_list("paper_id", "source_id", "source__kind")
        .annotate(
            newest=Max("listing_day"),
            first=Min("listing_day"),
            listed=Max("listing_day", filter=Q(is_listing=True)),
        )
    )
    for paper_id, source_id, kind, newest, first, listed in said:
        for one in by_paper[paper_id]:
            one.kinds.add(kind)
            one.is_listed = one.is_listed or listed is not None
            if source_id == source.pk:
                one.newest_day, one.first_day = newest, first


# --- writing ------------------------------------------------------------------------------------------------


@dataclass(kw_only=True)
class _Stored:
    """What became of records, by their keys."""

    new: set[str] = field(default_factory=set)
    updated: set[str] = field(default_factory=set)
    refused: dict[str, str] = field(default_factory=dict)  # by the database: the problem
    matches: list[merging.Match] = field(default_factory=list)
    retitled: list[Paper] = field(default_factory=list)  # new papers, and those whose title changed

    def add(self, other: "_Stored") -> None:
        self.new |= other.new
        self.updated |= other.updated
        self.refused |= other.refused
        self.matches += other.matches
        self.retitled += other.retitled


def _store(
    kept: dict[str, Clean],
    meant: _Meant,
    homes: dict[str, Batch],
    *,
    source: Source,
    now: datetime,
) -> _Stored:
    """Write papers and sightings. What the database refuses in spite of cleaning is found by halving."""
    try:
        with transaction.atomic():
            return _write(kept, meant, homes, source=source, now=now)
    # What cannot even be sent (a character that no encoding has) is a ValueError.
    except (DataError, IntegrityError, ValueError) as error:
        if len(kept) == 1:
            key, one = next(iter(kept.items()))
            said = " ".join(str(error).split())[:300]
            logger.error("%s gave %s, which the database refuses: %s", source.slug, key, said)
            return _Stored(
                refused={key: f"Entry {one.record.position} ({key}) is refused by the database: {said}"}
            )
    stored = _Stored()
    keys = list(kept)
    for part in (keys[: len(keys) // 2], keys[len(keys) // 2 :]):
        half = {key: kept[key] for key in part}
        stored.add(_store(half, _meant(half, source=source), homes, source=source, now=now))
    return stored


def _write(
    kept: dict[str, Clean],
    meant: _Meant,
    homes: dict[str, Batch],
    *,
    source: Source,
    now: datetime,
) -> _Stored:
    if not kept:
        return _Stored()
    known = meant.known
    told = _told(kept, known, homes, source=source)
    dois = _free_dois(kept, meant)
    created = {
        key: _new(one, doi=dois.get(key), day=homes[key].listing_day, now=now)
        for key, one in kept.items()
        if key not in known
    }
    rows.insert(list(created.values()))
    changed: set[str] = set()
    retitled = list(created.values())
    for key, one in known.items():
        title = one.paper.title_key
        day = homes[key].listing_day
        if _merge(kept[key], one, doi=dois.get(key), kind=source.kind, day=day, with_counts=key not in told):
            one.paper.updated_at = now
            changed.add(key)
        if one.paper.title_key != title:
            retitled.append(one.paper)
        if _has_counts(kept[key].counts) and _same_counts(kept[key].counts, one.paper):
            one.paper.counted_at = now
    _update({known[key].paper.pk: known[key].paper for key in changed}, known, now=now)
    papers = {**created, **{key: one.paper for key, one in known.items()}}
    seen = _sightings(kept, papers, told, homes, source=source, now=now)
    return _Stored(
        new=set(created),
        updated=changed | (seen & known.keys()),
        matches=_matches(kept, meant, papers),
        retitled=retitled,
    )


def _told(
    kept: dict[str, Clean], known: dict[str, _Known], homes: dict[str, Batch], *, source: Source
) -> set[str]:
    """The keys of records that say of their paper what this source said already under that day.

    Their counts are not taken over again: a paper featured on two days has newer ones from its other batch.
    """
    if not known:
        return set()
    days = {homes[key].listing_day for key in known}
    latest = {
        (sighting.paper_id, sighting.listing_day): sighting
        for sighting in Sighting.objects.filter(
            source=source, listing_day__in=days, paper__in={one.paper.pk for one in known.values()}
        )
        .order_by("paper", "listing_day", "-seen_at")
        .distinct("paper", "listing_day")
    }
    return {
        key
        for key, one in known.items()
        if (earlier := latest.get((one.paper.pk, homes[key].listing_day)))
        and _same_counts(kept[key].counts, earlier)
        and earlier.announce_type == kept[key].announce_type
        and kept[key].version in (None, earlier.version)
    }


def _free_dois(kept: dict[str, Clean], meant: _Meant) -> dict[str, str]:
    """The DOI that each record may give its row: one that no other row has, and each only once."""
    free: dict[str, str] = {}
    taken = {one.paper.doi for one in meant.known.values()}
    taken |= {row.doi for rows in meant.same.values() for row in rows}
    # A record that has nothing but its DOI comes before one that names it beside an arXiv id.
    for key, one in sorted(kept.items(), key=lambda item: item[1].identity.arxiv_id is not None):
        doi = one.identity.doi
        if doi and doi not in taken:
            taken.add(doi)
            free[key] = doi
    return free


def _new(one: Clean, *, doi: str | None, day: date, now: datetime) -> Paper:
    return Paper(
        key=one.identity.key,
        kind=kind_of(one),
        arxiv_id=one.identity.arxiv_id,
        doi=doi,
        url=one.identity.url,
        first_listed_on=day,
        version=one.version,
        has_media=one.record.has_media,
        **one.counts,
        counted_at=now if _has_counts(one.counts) else None,
        created_at=now,
        updated_at=now,
        **one.fields,
    )


def _merge(one: Clean, known: _Known, *, doi: str | None, kind: str, day: date, with_counts: bool) -> bool:
    """Take over what this source may say about a stored paper; True if that changed it."""
    paper = known.paper
    before = {name: getattr(paper, name) for name in _UPDATED_FIELDS}
    is_older = _is_before(one.version, paper.version)
    is_revised = _is_before(paper.version, one.version)
    # Of a paper featured on two days the later list speaks; reading the earlier one again must not undo it.
    is_newest = known.newest_day is None or known.newest_day <= day
    for names, order, is_versioned in _OWNERS:
        leader = names[0]
        value = one.fields[leader]
        if not value or (one.is_withdrawn and paper.title and leader in _KEPT_WHEN_WITHDRAWN):
            continue
        rank = _rank(order, kind)
        is_owner = leader not in one.found and all(_rank(order, other) >= rank for other in known.kinds)
        is_due = (is_newest or is_revised) and not is_older if is_versioned else is_newest
        if (is_owner and is_due) or not getattr(paper, leader):
            for name in names:
                setattr(paper, name, one.fields[name])
    # What a feed makes of a paper that arXiv or Hugging Face know withdraws nothing.
    may_withdraw = kind in _ARXIV_FIRST or not known.kinds.intersection(_ARXIV_FIRST)
    if one.is_withdrawn and may_withdraw:
        paper.withdrawn_at = paper.withdrawn_at or one.fields["withdrawn_at"]
        paper.withdrawal = paper.withdrawal or one.fields["withdrawal"]
    elif is_revised and paper.withdrawn_at and kind == Source.Kind.ARXIV:
        paper.withdrawn_at, paper.withdrawal = None, ""  # withdrawn by mistake, and submitted again
    for name, count in one.counts.items():
        if with_counts and count is not None:
            setattr(paper, name, count)
    paper.version = one.version if is_revised or paper.version is None else paper.version
    paper.has_media = paper.has_media or one.record.has_media
    paper.arxiv_id = paper.arxiv_id or one.identity.arxiv_id
    paper.doi = paper.doi or doi
    if one.record.is_listing:
        paper.first_listed_on = min(paper.first_listed_on, day) if known.is_listed else day
    return any(getattr(paper, name) != value for name, value in before.items())


def _rank(order: Sequence[str], kind: str) -> int:
    """The place of a kind of source among those that may write a field; kinds not named share the last."""
    return order.index(kind) if kind in order else len(order)


def _is_before(version: int | None, other: int | None) -> bool:
    return version is not None and other is not None and version < other


def _update(papers: dict[int, Paper], known: dict[str, _Known], *, now: datetime) -> None:
    """Write changed rows back, and note for the others that their counts were read again."""
    rows.update(papers.values(), _UPDATED_FIELDS)
    counted = [one.paper.pk for one in known.values() if one.paper.counted_at == now]
    Paper.objects.filter(pk__in=counted).exclude(pk__in=papers).update(counted_at=now)


def _matches(kept: dict[str, Clean], meant: _Meant, papers: dict[str, Paper]) -> list[merging.Match]:
    """Rows that one record's identifiers both mean: this source says that they are one work."""
    by_doi = {paper.doi: paper for paper in papers.values() if paper.doi}
    found: list[merging.Match] = []
    for key, one in kept.items():
        paper = papers[key]
        rows = [*meant.same[key], *filter(None, [by_doi.get(one.identity.doi or "")])]
        for row in {row.pk: row for row in rows if row is not paper}.values():
            is_doi = one.identity.doi is not None and (
                row.doi == one.identity.doi or not one.identity.arxiv_id
            )
            how, value = (
                (Merge.How.DOI, one.identity.doi) if is_doi else (Merge.How.ARXIV_ID, one.identity.arxiv_id)
            )
            evidence = f"One entry says of both: {how.label} {value}."
            if match := merging.by_identifier(paper, row, how=how, evidence=evidence):
                found.append(match)
    return found


def _sightings(
    kept: dict[str, Clean],
    papers: dict[str, Paper],
    told: set[str],
    homes: dict[str, Batch],
    *,
    source: Source,
    now: datetime,
) -> set[str]:
    """Add a sighting for each record that says something new; the keys of those."""
    added = {
        key: Sighting(
            paper=papers[key],
            source=source,
            batch=homes[key],
            listing_day=homes[key].listing_day,
            seen_at=now,
            **one.counts,
            announce_type=one.announce_type,
            version=one.version,
            is_listing=one.record.is_listing,
            url=one.source_url,
        )
        for key, one in kept.items()
        if key not in told
    }
    # Two readings of one list within the same instant say the same; the first stands.
    rows.insert(list(added.values()), ignore_conflicts=True)
    return set(added)


def _counts(said: Sighting) -> dict[str, int | None]:
    return {name: getattr(said, name) for name in COUNTS}


def _has_counts(counts: dict[str, int | None]) -> bool:
    return any(count is not None for count in counts.values())


def _same_counts(counts: dict[str, int | None], stored: Paper | Sighting) -> bool:
    """Whether all counts that are said are those that are stored."""
    return all(count in (None, getattr(stored, name)) for name, count in counts.items())
