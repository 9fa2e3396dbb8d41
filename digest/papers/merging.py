"""Two rows that are one work: found, recorded with the reason, and taken apart again.

A merge moves nothing. The duplicate's `canonical` points to the original, and every list maps through it;
sightings, identifiers and what readers have received stay where they are, so undoing restores exactly what
was. `canonical` always follows from the merges that stand: it is the end of the chain duplicate → original →
its own original, and is worked out anew for every row that a merge or its undoing touches.

The original is the row with an arXiv id, else the older one.

What counts as the same, and how certain that is (`certainty`):

| in common                                                        | certainty |
|------------------------------------------------------------------|-----------|
| arXiv id or DOI, as one source said of both                      | 1.00      |
| title, and every author                                          | 0.98      |
| title, first author, and at least half of the authors            | 0.95      |
| title and first author                                           | 0.90      |
| title and at least half of the authors, another first            | 0.85      |
| each of those without a date on both sides, or over a year apart | − 0.05    |

A title alone is never enough, nor are titles with fewer than 15 letters. Authors in common are counted by
family name and first initial, out of the shorter list; the first author by family name, which is not enough
where no author is in common ("A survey of agents" by Wei Wang and by Jun Wang). Dates further apart
than two years (a workshop paper and its journal version are closer), two different arXiv ids, and two DOIs
of one publisher (each year has its annual report) speak against; only an operator merges those. "Anonymous"
is nobody's name.

Why so sure: of the 43,249 arXiv ids in the corpora a single pair shares title and authors, and that is a
paper and its extended version, filed anew. How much it finds: of 1,185 papers that both Hugging Face and
arXiv's lists describe, title and authors alone would join 1,179; the other six had been renamed.

A merge that was undone is never made again by itself, neither between the two nor between what each of them
stands for.
"""

import logging
import re
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.db import connection, transaction
from django.db.models import Q

from digest.models import Merge, Paper

LOCK = 0x70617065  # "pape": the advisory lock of ingesting and merging

FURTHEST_APART = timedelta(days=731)
FAR_APART = timedelta(days=366)

_ALL_AUTHORS = 0.98
_FIRST_AND_HALF = 0.95
_FIRST_AUTHOR = 0.90
_HALF_OF_AUTHORS = 0.85
_LESS_WITHOUT_DATES = 0.05

_NOBODY = frozenset(
    {"", "anonymous", "anonymousauthor", "anonymousauthors", "unknown", "unknownauthor", "etal", "others"}
)
# As preprint servers write versions: 10.21203/rs.3.rs-1/v2, 10.31219/osf.io/abc_v2.
_VERSION_OF_DOI = re.compile(r"[/._-]?v\d+$")
_SUFFIXES = frozenset({"jr", "sr", "ii", "iii", "iv"})
# Letters that are no letter with an accent, so that taking accents off leaves them.
_PLAIN = str.maketrans({"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ı": "i"})

logger = logging.getLogger(__name__)


class CannotMerge(ValueError):
    """The message says why not, as an operator would want to read it."""


@dataclass(frozen=True, kw_only=True)
class Match:
    """Two rows that seem to be one work. `duplicate` would point to `original`."""

    duplicate: Paper
    original: Paper
    how: Merge.How
    certainty: float
    evidence: str


def lock() -> None:
    """Wait for whoever stores or merges papers; held until the transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])


# --- by hand ------------------------------------------------------------------------------------------------


def merge(
    duplicate: Paper, original: Paper, *, how: str, certainty: float, evidence: str, now: datetime
) -> Merge:
    """Record that `duplicate` is the same work as `original`; what was merged into it follows.

    Raises CannotMerge when it would not be true any more: the duplicate is merged already, or the original
    is, in the end, the duplicate itself.
    """
    with transaction.atomic():
        lock()
        if duplicate.pk == original.pk:
            raise CannotMerge(f"{duplicate.key} cannot be merged with itself.")
        standing = (
            Merge.objects.filter(duplicate=duplicate, undone_at=None).select_related("original").first()
        )
        if standing:
            raise CannotMerge(
                f"{duplicate.key} is merged into {standing.original.key} already. Undo that first."
            )
        if _roots([original.pk])[original.pk] == duplicate.pk:
            raise CannotMerge(f"{original.key} is merged into {duplicate.key}. Undo that first.")
        made = Merge.objects.create(
            duplicate=duplicate,
            original=original,
            how=how,
            certainty=certainty,
            evidence=evidence,
            merged_at=now,
        )
        _follow([duplicate.pk])
    duplicate.refresh_from_db(fields=["canonical"])
    return made


def undo(merge: Merge, *, now: datetime) -> None:
    """Both rows stand by themselves again, each with what was merged into it. Twice is safe."""
    with transaction.atomic():
        lock()
        if Merge.objects.filter(pk=merge.pk, undone_at=None).update(undone_at=now):
            _follow([merge.duplicate_id])
    merge.refresh_from_db(fields=["undone_at"])


def _follow(paper_ids: Collection[int]) -> None:
    """Point these rows, and all that were merged into them, to where the standing merges end."""
    touched = set(paper_ids)
    while further := set(
        Merge.objects.filter(undone_at=None, original__in=touched)
        .exclude(duplicate__in=touched)
        .values_list("duplicate_id", flat=True)
    ):
        touched |= further
    roots = _roots(touched)
    ends = [None if root == pk else root for pk, root in roots.items()]
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE digest_paper SET canonical_id = ends.pk "
            "FROM unnest(%s::bigint[], %s::bigint[]) AS ends(of, pk) WHERE digest_paper.id = ends.of",
            [list(roots), ends],
        )


def _roots(paper_ids: Collection[int]) -> dict[int, int]:
    """Where each row's standing merges lead; a row that is not merged leads to itself."""
    ends = {pk: pk for pk in paper_ids}
    while True:
        steps = dict(
            Merge.objects.filter(undone_at=None, duplicate__in=set(ends.values())).values_list(
                "duplicate_id", "original_id"
            )
        )
        if not steps:
            return ends
        ends = {pk: steps.get(end, end) for pk, end in ends.items()}


# --- by themselves ------------------------------------------------------------------------------------------


def make(matches: Sequence[Match], *, now: datetime) -> list[Merge]:
    """Record the matches that may be made, each row's first; the caller holds the lock.

    Left out: rows that are merged already, and pairs of which an operator undid one merge.
    """
    if not matches:
        return []
    ids = {one.pk for match in matches for one in (match.duplicate, match.original)}
    roots = _roots(ids)
    undone = _undone(roots)
    made: dict[int, Merge] = {}
    for match in matches:
        duplicate, original = match.duplicate, match.original
        root = roots[original.pk]
        is_merged = roots[duplicate.pk] != duplicate.pk or duplicate.pk in made
        if is_merged or root == duplicate.pk or frozenset((duplicate.pk, root)) in undone:
            continue
        made[duplicate.pk] = Merge(
            duplicate=duplicate,
            original_id=root,
            how=match.how,
            certainty=match.certainty,
            evidence=match.evidence,
            merged_at=now,
        )
        logger.info("%s is %s: %s", duplicate.key, original.key, match.evidence)
    Merge.objects.bulk_create(made.values())
    if made:
        _follow(made)
    return list(made.values())


def _undone(roots: dict[int, int]) -> set[frozenset[int]]:
    """Pairs of originals that an undone merge keeps apart, by what their rows stand for now."""
    ids = {*roots, *roots.values()}
    family = dict(Paper.objects.filter(canonical__in=ids).values_list("pk", "canonical_id"))
    all_ids = {*ids, *family}
    pairs = Merge.objects.filter(
        Q(duplicate__in=all_ids) | Q(original__in=all_ids), undone_at__isnull=False
    ).values_list("duplicate_id", "original_id")
    roots_of = {**{pk: pk for pk in ids}, **family, **roots}
    return {frozenset(roots_of.get(pk, pk) for pk in pair) for pair in pairs}


def find(papers: Iterable[Paper], *, now: datetime) -> list[Merge]:
    """Merge these rows with stored ones of the same title and authors, where the table above allows it.

    The caller holds the lock. A handful of queries, whatever the number of papers.
    """
    keys = {one.title_key for one in papers if one.title_key and one.kind == Paper.Kind.PAPER}
    if not keys:
        return []
    by_title: dict[str, list[Paper]] = defaultdict(list)
    stored = Paper.objects.filter(title_key__in=keys, kind=Paper.Kind.PAPER, canonical=None)
    for paper in stored.defer("abstract", "summary", "keywords").order_by("pk"):
        by_title[paper.title_key].append(paper)
    matches = []
    for same in by_title.values():
        # The best original first: with an arXiv id, then the older row.
        ordered = sorted(same, key=lambda paper: (paper.arxiv_id is None, paper.pk))
        for place, duplicate in enumerate(ordered):
            for original in ordered[:place]:
                if match := compare(duplicate, original):
                    matches.append(match)
                    break
    return make(matches, now=now)


def compare(duplicate: Paper, original: Paper) -> Match | None:
    """What speaks for two rows of the same title being one work; None where that is not enough."""
    if not duplicate.title_key or duplicate.title_key != original.title_key:
        return None
    if {duplicate.kind, original.kind} != {Paper.Kind.PAPER}:
        return None
    if (duplicate.arxiv_id and original.arxiv_id) or _are_two_of_one_publisher(duplicate.doi, original.doi):
        return None
    apart = abs(_dated(duplicate) - _dated(original))
    if apart > FURTHEST_APART:
        return None
    certainty, evidence = _by_authors(duplicate.authors, original.authors)
    if not certainty:
        return None
    if duplicate.published_at is None or original.published_at is None:
        certainty -= _LESS_WITHOUT_DATES
        evidence += "; the date of one is not known"
    elif apart > FAR_APART:
        certainty -= _LESS_WITHOUT_DATES
        evidence += f"; dated {apart.days} days apart"
    return Match(
        duplicate=duplicate,
        original=original,
        how=Merge.How.TITLE,
        certainty=round(certainty, 2),
        evidence=f"Same title; {evidence}.",
    )


def by_identifier(one: Paper, other: Paper, *, how: Merge.How, evidence: str) -> Match | None:
    """The match of two rows of which a source says the same identifier; None for two different arXiv ids."""
    if one.arxiv_id and other.arxiv_id:
        return None
    original, duplicate = sorted((one, other), key=lambda paper: (paper.arxiv_id is None, paper.pk))
    return Match(duplicate=duplicate, original=original, how=how, certainty=1.0, evidence=evidence)


def _are_two_of_one_publisher(doi: str | None, other: str | None) -> bool:
    """Whether one registrant gave both DOIs, and not to two versions of something."""
    if not doi or not other or doi.partition("/")[0] != other.partition("/")[0]:
        return False
    return _VERSION_OF_DOI.sub("", doi) != _VERSION_OF_DOI.sub("", other)


def _dated(paper: Paper) -> date:
    return paper.published_at.date() if paper.published_at else paper.first_listed_on


def _by_authors(some: Sequence[str], others: Sequence[str]) -> tuple[float, str]:
    """The certainty that a title and these authors give, 0 for none, and what they have in common."""
    some, others = _named(some), _named(others)
    if not some or not others:
        return 0.0, ""
    first, other_first = family_name(some[0]), family_name(others[0])
    is_first = bool(first) and first == other_first
    names, other_names = set(map(_short_name, some)), set(map(_short_name, others))
    common, fewer = len(names & other_names), min(len(names), len(other_names))
    said = f"{common} of {fewer} authors in common"
    if is_first and names == other_names:
        return _ALL_AUTHORS, "same authors"
    if is_first and 2 * common >= fewer:
        return _FIRST_AND_HALF, f"same first author, {said}"
    if is_first and common:
        return _FIRST_AUTHOR, f"same family name of the first author, {said}"
    # One name in common is no half of anything but itself.
    if common >= 2 and 2 * common >= fewer:
        return _HALF_OF_AUTHORS, f"{said}, another first"
    return 0.0, ""


def _named(authors: Sequence[str]) -> list[str]:
    """Without what stands in the place of names."""
    return [name for name in authors if _folded(name) not in _NOBODY]


def family_name(name: str) -> str:
    """The family name in lower-case letters without accents: "Emile du Châtelet" is chatelet.

    The last word, or what stands before a comma; a name in one word is its own family name.
    """
    before, comma, _given = name.partition(",")
    words = [word for word in map(_folded, before.split()) if word]
    if not comma:
        while len(words) > 1 and words[-1] in _SUFFIXES:
            words.pop()
    if not words:
        return ""
    return "".join(words) if comma else words[-1]


def _short_name(name: str) -> str:
    """Family name and first initial, as journals shorten them: "Ada Lovelace" is lovelace a."""
    before, comma, given = name.partition(",")
    words = _folded(given if comma and given.strip() else before.split(" ", 1)[0])
    family = family_name(name)
    return f"{family} {words[:1]}" if words != family else family


def _folded(text: str) -> str:
    letters = unicodedata.normalize("NFKD", text).casefold().translate(_PLAIN)
    return "".join(filter(str.isalnum, letters))
