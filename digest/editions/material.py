"""What an edition offers: its frozen papers, what each filter finds among them, how relevant each is."""

import logging
import time
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from django.db.models import Q
from django.db.models.functions import Coalesce

from digest.editions import digests, relevance
from digest.matching.documents import document
from digest.matching.index import DayIndex
from digest.models import Edition, EditionMatch, EditionPaper, Merge, Paper, Sighting
from subscriptions.filters import Document, FilterError, parse
from subscriptions.models import FilterRevision, Topic

log = logging.getLogger(__name__)

REASONS = 3  # in a why-line, strongest first

Hits = dict[int, list[list[Any]]]  # filter id → [[paper id, reasons], …], best first


@dataclass
class Material:
    """An edition's frozen papers, and the hits of each filter as they become known."""

    edition: Edition
    positions: dict[int, int]  # paper id → place by trending score; best first
    revisions: dict[int, int] = field(default_factory=dict)  # paper id → version; not new to the list
    listed_revisions: dict[int, int] = field(default_factory=dict)  # the same of papers that are listed too
    canonical: dict[int, int] = field(default_factory=dict)  # merged paper id → what it turned out to be
    parted: list[digests.Parted] = field(default_factory=list)
    hits: Hits = field(default_factory=dict)
    seconds: float = 0.0
    _names: dict[int, list[int]] = field(default_factory=dict)  # what was merged into each original

    @cached_property
    def relevance(self) -> relevance.Relevance:
        return relevance.Relevance(self.edition, self.paper_ids, lambda: self.index)

    @cached_property
    def index(self) -> DayIndex:
        return DayIndex(documents_of(self.paper_ids))

    @classmethod
    def of(cls, edition: Edition) -> "Material":
        rows = edition.edition_papers.filter(folded_in=False).order_by("position")
        material = cls(edition, positions={})
        for paper_id, position, announced, version in rows.values_list(
            "paper_id", "position", "announced", "version"
        ):
            material.positions[paper_id] = position
            if announced == EditionPaper.Announced.UPDATED:
                material.revisions[paper_id] = version or 0
            elif version:
                material.listed_revisions[paper_id] = version
        material.bring_names(material.positions)
        return material

    def bring_names(self, paper_ids: Collection[int]) -> None:
        """Learn under which other ids these papers are known: what a reader has of them counts under any."""
        if not paper_ids:
            return
        self._learn(paper_ids)
        known = {*paper_ids, *self.canonical, *self.canonical.values()}
        undone = Merge.objects.filter(Q(duplicate__in=known) | Q(original__in=known), undone_at__isnull=False)
        pairs = list(undone.values_list("duplicate_id", "original_id", "undone_at__date"))
        if pairs:
            self._learn({pk for duplicate, original, _on in pairs for pk in (duplicate, original)})
            apart = (
                digests.Parted(frozenset(self.names_of(duplicate)), frozenset(self.names_of(original)), on)
                for duplicate, original, on in pairs
                if self.original(duplicate) != self.original(original)
            )
            self.parted = list({*self.parted, *apart})

    def _learn(self, paper_ids: Collection[int]) -> None:
        merged = Paper.objects.filter(pk__in=paper_ids).exclude(canonical=None)
        own: dict[int, Any] = dict(merged.values_list("pk", "canonical_id"))
        originals = {own.get(pk, pk) for pk in paper_ids}
        names = Paper.objects.filter(canonical__in=originals).values_list("pk", "canonical_id")
        self.canonical.update(dict(names))
        self._names = defaultdict(list)
        for pk, original in self.canonical.items():
            self._names[original].append(pk)

    def original(self, paper_id: int) -> int:
        return self.canonical.get(paper_id, paper_id)

    def all_names(self, paper_ids: Iterable[int]) -> set[int]:
        """These papers under every id that is known, and the marks of those that are here as revisions."""
        apart = {pk for pair in self.parted for pk in (*pair.some, *pair.others)}
        marks = self.marks(self.revisions) | self.marks(self.listed_revisions)
        return {*paper_ids, *self.canonical, *self.canonical.values(), *marks, *apart}

    def marks(self, revisions: Mapping[int, int]) -> set[int]:
        """What stands in `received` for revisions that were sent as such."""
        return {
            digests.revision_mark(name, version)
            for pk, version in revisions.items()
            for name in self.names_of(pk)
        }

    def names_of(self, paper_id: int) -> list[int]:
        """All ids under which a paper is known, its original's first."""
        original = self.original(paper_id)
        return [original, *self._names.get(original, ())]

    def as_original(self, received: Iterable[int]) -> set[int]:
        """What a reader has been given, papers and marks of revisions, under the originals' ids."""
        return {digests.renamed(given, self.original) for given in received}

    @property
    def paper_ids(self) -> list[int]:
        return list(self.positions)

    def evaluate(self, filter_ids: Collection[int]) -> None:
        """Make sure that the hits of these filters are known; each is evaluated once for the edition."""
        started = time.monotonic()
        wanted = set(filter_ids) - self.hits.keys()
        self.hits.update(self._known(wanted))
        missing = FilterRevision.objects.filter(pk__in=wanted - self.hits.keys())
        matches = [
            EditionMatch(edition=self.edition, filter=revision, hits=hits, problem=problem)
            for revision in missing
            for hits, problem in [self._find(revision)]
        ]
        if matches:
            # Another process may have evaluated one meanwhile: the stored hits are everybody's.
            EditionMatch.objects.bulk_create(matches, ignore_conflicts=True, batch_size=500)
            self.hits.update(self._known({match.filter_id for match in matches}))
        self.seconds += time.monotonic() - started

    def found(self, filter_id: int) -> list[int]:
        """The papers that a filter finds, by trending."""
        return [paper_id for paper_id, _reasons in self.hits.get(filter_id, ())]

    def score(self, topics: Iterable[Topic]) -> None:
        """Make sure that the relevance of what these topics' filters found is known; once for the edition."""
        started = time.monotonic()
        self.relevance.bring(topics, self.found)
        self.seconds += time.monotonic() - started

    def _known(self, filter_ids: Collection[int]) -> Hits:
        rows = self.edition.matches.filter(filter__in=filter_ids).values_list("filter_id", "hits")
        return dict(rows)

    def _find(self, revision: FilterRevision) -> tuple[list[list[Any]], str]:
        try:
            tree = parse(revision.canonical)
        except FilterError as error:
            log.error("Filter %s cannot be read any more: %s", revision.pk, error)
            return [], str(error)
        found = self.index.evaluate(tree)
        return [
            [self.paper_ids[at], [[r.field, r.atom_text] for r in found.reasons(at)[:REASONS]]]
            for at in found
        ], ""


def documents_of(paper_ids: Sequence[int]) -> list[Document]:
    """The papers as filters see them, in the order given; two queries."""
    sources: dict[int, set[str]] = defaultdict(set)
    sighted = (
        Sighting.objects.filter(Q(paper__in=paper_ids) | Q(paper__canonical__in=paper_ids))
        .annotate(original=Coalesce("paper__canonical_id", "paper_id"))
        .values_list("original", "source__slug")
        .distinct()
    )
    for paper_id, slug in sighted:
        sources[paper_id].add(slug)
    papers = Paper.objects.in_bulk(paper_ids)
    return [document(papers[pk], sources[pk]) for pk in paper_ids]
