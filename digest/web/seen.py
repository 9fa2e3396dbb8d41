"""What the sources say of papers: as what each was announced, who lists it, which posts discuss it."""

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date

from digest.models import Mention, Paper, Sighting

DISCUSSED = "discussed"  # the announce type of a mention in a post
REVISIONS = ("replace", "replace-cross")

# Of a paper that one category announces as new and another as cross-listed the first of these holds.
_ORDER = ("new", "cross", *REVISIONS)


@dataclass(frozen=True)
class Seen:
    """What was said of one paper on some days."""

    announced: str = ""  # new, cross, replace, replace-cross; empty for lists that do not announce
    version: int | None = None
    sources: tuple[str, ...] = ()  # names of those that list it, the first to do so first


NOTHING_SEEN = Seen()


def rows_of(paper_ids: Collection[int]) -> dict[int, int]:
    """The papers' own rows and those merged into them, each with the paper that it stands for. One query."""
    merged = dict(Paper.objects.filter(canonical__in=paper_ids).values_list("pk", "canonical_id"))
    return {pk: pk for pk in paper_ids} | merged


def seen(paper_ids: Collection[int], *, first: date, last: date | None = None) -> dict[int, Seen]:
    """What was said of these papers on the days from `first` to `last` (the same day). Two queries.

    What sources say of rows that are merged into a paper counts for the paper. A paper of which nothing was
    said on these days is left out.
    """
    rows = rows_of(paper_ids)
    said = (
        Sighting.objects.filter(paper__in=rows, listing_day__range=(first, last or first))
        .exclude(announce_type=DISCUSSED)
        .order_by("seen_at", "pk")
        .values_list("paper_id", "announce_type", "version", "is_listing", "source__name")
    )
    types: dict[int, set[str]] = {}
    versions: dict[int, int] = {}
    sources: dict[int, dict[str, None]] = {}
    for row, announce_type, version, is_listing, name in said:
        paper = rows[row]
        types.setdefault(paper, set()).add(announce_type)
        if version:
            versions[paper] = max(version, versions.get(paper, 0))
        if is_listing:
            sources.setdefault(paper, {})[name] = None
    return {
        paper: Seen(
            next((one for one in _ORDER if one in announced), ""),
            versions.get(paper),
            tuple(sources.get(paper, ())),
        )
        for paper, announced in types.items()
    }


def discussed(paper_ids: Collection[int]) -> Counter[int]:
    """How many posts link to each of these papers. Two queries."""
    rows = rows_of(paper_ids)
    links: Iterable[tuple[int | None, int]] = (
        Mention.objects.filter(paper__in=rows).values_list("paper_id", "post_id").distinct()
    )
    return Counter(paper for paper, _post in {(rows[row], post) for row, post in links if row is not None})


def revised_on(day: date) -> list[int]:
    """The papers of which a new version was announced on this day, in the order of the announcement.

    They are not on the day's list; one that is on it all the same (announced as new, and replaced at once) is
    left out here. One query.
    """
    said = (
        Sighting.objects.filter(listing_day=day)
        .order_by("pk")
        .values_list("paper_id", "paper__canonical_id", "announce_type", "is_listing")
    )
    listed: set[int] = set()
    revised: dict[int, None] = {}
    for paper_id, canonical_id, announce_type, is_listing in said:
        paper = canonical_id or paper_id
        if is_listing:
            listed.add(paper)
        elif announce_type in REVISIONS:
            revised[paper] = None
    return [paper for paper in revised if paper not in listed]
