"""The whole catalogue over many papers: what each topic finds, which find the same, none or too many."""

import gzip
import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import combinations
from pathlib import Path

from django.db.models import Max
from django.db.models.functions import Coalesce

from digest.matching.documents import document
from digest.matching.index import DayIndex, Hits
from digest.models import Paper, Sighting
from digest.papers import categories
from subscriptions import topics
from subscriptions.filters import Document, parse
from subscriptions.models import Topic

MANY_A_DAY = 40
MOST_SHARE = 0.15  # of all papers
ALIKE = 0.6  # Jaccard index: papers of both, of the papers of either
_ENOUGH = 10  # papers; two topics with one paper each are alike by accident


@dataclass(frozen=True)
class Papers:
    """`documents` listed on so many `days`."""

    documents: Sequence[Document]
    days: int


@dataclass(frozen=True)
class Measured:
    """One topic: how many papers it found, a listing day, and as a share of all (0 to 1)."""

    topic: Topic
    depth: int
    found: int
    a_day: float
    share: float
    hits: Hits

    @property
    def is_category(self) -> bool:
        return self.topic.group == topics.ARXIV


@dataclass(frozen=True)
class Pair:
    one: Topic
    other: Topic
    jaccard: float


@dataclass(frozen=True)
class Report:
    papers: int
    days: int
    seconds: float
    measured: Sequence[Measured]  # in the order of the tree, each topic before its children
    alike: Sequence[Pair]  # neither is part of the other, and they find nearly the same
    same: Sequence[tuple[Topic, Topic]]  # one filter under two names

    @property
    def without_hits(self) -> list[Measured]:
        return [one for one in self.measured if not one.found]

    @property
    def with_many(self) -> list[Measured]:
        return [one for one in self.measured if one.a_day > MANY_A_DAY]

    @property
    def broad(self) -> list[Measured]:
        """Those that find more than MOST_SHARE of everything."""
        return [one for one in self.measured if one.share > MOST_SHARE]


def backtest(catalogue: Iterable[Topic], papers: Papers) -> Report:
    """What each topic finds among the papers. About 1 ms for each paper, whatever the number of topics."""
    started = time.perf_counter()
    index = DayIndex(papers.documents)
    branches = [branch for root in topics.tree(catalogue) for branch in root.walk()]
    measured = []
    for branch in branches:
        hits = index.evaluate(parse(branch.topic.filter.canonical))
        share = len(hits) / len(papers.documents) if papers.documents else 0.0
        a_day = len(hits) / papers.days if papers.days else 0.0
        measured.append(Measured(branch.topic, branch.depth, len(hits), a_day, share, hits))
    above = _ancestors([branch.topic for branch in branches])
    alike, same = [], []
    for one, other in combinations(measured, 2):
        if one.topic.filter_id == other.topic.filter_id:
            same.append((one.topic, other.topic))
        elif one.is_category and other.is_category:
            continue  # overlap as arXiv made them
        elif one.topic.pk not in above[other.topic.pk] and other.topic.pk not in above[one.topic.pk]:
            either = (one.hits.bits | other.hits.bits).bit_count()
            both = (one.hits.bits & other.hits.bits).bit_count()
            if either >= _ENOUGH and both > ALIKE * either:
                alike.append(Pair(one.topic, other.topic, both / either))
    alike.sort(key=lambda pair: -pair.jaccard)
    seconds = time.perf_counter() - started
    return Report(len(papers.documents), papers.days, seconds, measured, alike, same)


def stored(*, days: int) -> Papers:
    """The papers listed on the newest listing day and the `days` - 1 calendar days before it."""
    listed = Sighting.objects.filter(is_listing=True, paper__withdrawn_at=None)
    newest = listed.aggregate(newest=Max("listing_day"))["newest"]
    if newest is None:
        return Papers((), 0)
    rows = (
        listed.filter(listing_day__gt=newest - timedelta(days=days))
        .annotate(original=Coalesce("paper__canonical_id", "paper_id"))
        .values_list("original", "source__slug", "listing_day")
        .distinct()
    )
    sources: dict[int, set[str]] = {}
    seen = set()
    for paper_id, slug, day in rows:
        sources.setdefault(paper_id, set()).add(slug)
        seen.add(day)
    found = Paper.objects.filter(pk__in=sources, withdrawn_at=None).order_by("pk")
    return Papers([document(paper, sources[paper.pk]) for paper in found], len(seen))


def recorded(path: Path) -> Papers:
    """Papers of a file with one JSON object a line, gzipped where its name ends in .gz.

    Fields: id, title, abstract, authors, categories (the primary one first), listed (a day). Raises OSError
    and ValueError, which says which line cannot be read.
    """
    documents, days = [], set()
    with (
        gzip.open(path, "rt", encoding="utf-8")
        if path.suffix == ".gz"
        else path.open(encoding="utf-8") as lines
    ):
        for number, line in enumerate(lines, start=1):
            try:
                record = json.loads(line)
                codes = dict.fromkeys(record["categories"])
                for code in record["categories"]:
                    codes |= dict.fromkeys(sorted(categories.names(code)))
                documents.append(
                    Document(
                        id=record["id"],
                        title=record["title"],
                        abstract=record["abstract"],
                        authors=tuple(record["authors"]),
                        categories=tuple(codes),
                        primary=record["categories"][0] if record["categories"] else None,
                        sources=("arxiv",),
                    )
                )
                days.add(record["listed"])
            except (KeyError, TypeError, ValueError) as error:
                raise ValueError(f"{path}, line {number}: {error!r}") from error
    return Papers(documents, len(days))


def _ancestors(rows: Sequence[Topic]) -> dict[int, set[int]]:
    """By topic: the keys of what it is part of, up to the root. Parents come before their children."""
    above: dict[int, set[int]] = {}
    for row in rows:
        parent = row.parent_id
        above[row.pk] = {parent} | above.get(parent, set()) if parent else set()
    return above
