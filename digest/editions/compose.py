"""Who gets what: one pass over an edition's readers in ranges, a handful of queries for each.

Each distinct filter is evaluated once for the edition; a reader's digest is then gathered from the hits of
their topics. Work is proportional to hits, memory to a range, never to readers × papers.
"""

import logging
import time
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Coalesce

from digest.editions import cards, digests, feedback, reader_models, relevance, schedule
from digest.matching.documents import document
from digest.matching.index import DayIndex
from digest.matching.learning import LinearModel
from digest.models import (
    Digest,
    Edition,
    EditionMatch,
    EditionPaper,
    EditionRelevance,
    Merge,
    Paper,
    Sighting,
)
from subscriptions import interests
from subscriptions.filters import Document, FilterError, parse
from subscriptions.mail import ledger, outbox
from subscriptions.models import (
    Consent,
    Delivery,
    FilterRevision,
    Mailing,
    SubscribedTopic,
    Subscriber,
    Suppression,
    Topic,
)
from subscriptions.models.delivery import SUBSCRIBER_BITS, delivery_id

log = logging.getLogger(__name__)

RANGE = 2_000  # readers composed in one transaction,
TAUGHT_AT_ONCE = 100  # of whom so many have opinions of papers: each takes some 50 ms, and 1 MB
RECEIVED_FOR = timedelta(days=400)
WELCOME_FOR = timedelta(days=1)
REASONS = 3  # in a why-line, strongest first
TOP_PAPERS = 3  # for readers who want something on a day without matches

Hits = dict[int, list[list[Any]]]  # filter id → [[paper id, reasons], …], best first


def compose(edition: Edition, *, now: datetime, at_once: bool = False) -> int:
    """Give every reader who should have a row in this edition one; how many rows were added.

    Run again, it adds rows only for readers who have come since (top-up until the edition closes; readers
    who confirm get the latest edition even after). `at_once`: everybody now, whatever the hour.
    """
    started = time.monotonic()
    readers = _without_row(edition, now=now, at_once=at_once)
    material = Material.of(edition)
    looks = _Looks(edition)
    added, last = 0, 0
    while batch := list(readers.filter(pk__gt=last).order_by("pk")[:RANGE]):
        last = batch[-1].pk
        for some in _pieces(batch):
            rows, made = _compose_range(material, some, now=now, at_once=at_once)
            added += rows
            looks.make(made)
    if not added:
        return 0
    Edition.objects.filter(pk=edition.pk).update(
        composed_at=now,
        seconds={**edition.seconds, "match": material.seconds, "compose": time.monotonic() - started},
    )
    return added


class _Looks:
    """Makes the cards that digests hold, and no others: a day may have a thousand papers, of which some are
    found. A worker that is faster makes what it needs by itself."""

    def __init__(self, edition: Edition) -> None:
        self._edition = edition
        self._made: dict[tuple[str, str], set[int]] = defaultdict(set)

    def make(self, made: Iterable[Digest]) -> None:
        needed: dict[tuple[str, str], set[int]] = defaultdict(set)
        for digest in made:
            needed[digest.language, digest.length].update(digests.papers_of(digest))
        for look, paper_ids in sorted(needed.items()):
            if new := paper_ids - self._made[look]:
                cards.build(self._edition, languages_lengths=[look], paper_ids=new)
                self._made[look] |= new


def _without_row(edition: Edition, *, now: datetime, at_once: bool) -> QuerySet[Subscriber]:
    rows = Delivery.objects.of_mailing(edition.mailing_id).filter(subscriber_id=OuterRef("pk"))
    readers = Subscriber.objects.members_of(edition.kind).filter(~Exists(rows))
    if at_once or now < edition.mailing.closes_at:
        return readers
    return readers.filter(
        status=Subscriber.Status.ACTIVE,
        confirmed_at__gte=now - WELCOME_FOR,
        confirmed_at__lte=now,
    )


# --- what an edition offers -----------------------------------------------------------------------


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


# --- a range of readers ---------------------------------------------------------------------------


def _pieces(readers: Sequence[Subscriber]) -> Iterator[Sequence[Subscriber]]:
    """A range in parts in which not too many have taught the matcher something."""
    taught = feedback.who_said([reader.pk for reader in readers])
    first = counted = 0
    for number, reader in enumerate(readers):
        if reader.pk in taught:
            if counted == TAUGHT_AT_ONCE:
                yield readers[first:number]
                first, counted = number, 0
            counted += 1
    yield readers[first:]


def _compose_range(
    material: Material, readers: Sequence[Subscriber], *, now: datetime, at_once: bool
) -> tuple[int, Collection[Digest]]:
    """How many rows were added, and the digests among them."""
    edition = material.edition
    ids = [reader.pk for reader in readers]
    topics = topics_of(ids)
    taught = Taught.by(ids)
    followed = [row.topic for of_one in topics.values() for row in of_one]
    material.evaluate({topic.filter_id for topic in followed} | taught.muted_filters)
    material.score(followed)
    taught.score(material, readers, topics)
    suppressed = set(
        Suppression.objects.in_force(now)
        .filter(address__in=[reader.address for reader in readers])
        .values_list("address", flat=True)
    )
    with transaction.atomic():
        # One after the other, whatever the edition: what a reader has received and what still waits for
        # them must stay true until their new row is written.
        ledger.lock("compose")
        newcomers = _newcomers(readers, now=now)
        earlier = Undelivered.before(edition, ids)
        material.bring_names(earlier.paper_ids)
        received = digests.already_received(
            ids,
            material.all_names([*material.positions, *earlier.paper_ids]) | material.marks(earlier.revisions),
            since=(now - RECEIVED_FOR).date(),
            but_not_of=earlier.keys,  # given, but not delivered: those join this digest instead
            parted=material.parted,
        )
        rows: list[ledger.NewRow] = []
        made: dict[int, Digest] = {}
        for reader in readers:
            reason = _reason_to_skip(reader, suppressed, edition)
            digest: Digest | None = None
            if not reason:
                digest = gather(
                    material,
                    reader,
                    topics.get(reader.pk, ()),
                    received=material.as_original(received[reader.pk]),
                    earlier=earlier,
                    taught=taught,
                )
                if not digests.papers_of(digest):
                    reason = "no_match"
            welcome = reader.pk in newcomers
            due_at = now if at_once or welcome else max(now, schedule.due_at(reader, edition))
            if reason:
                rows.append(ledger.NewRow(reader.pk, reader.email, due_at, Delivery.State.SKIPPED, reason))
            elif digest is not None:
                digest.is_welcome = welcome
                made[reader.pk] = digest
                rows.append(ledger.NewRow(reader.pk, reader.email, due_at))
        added = ledger.add(edition.mailing_id, rows)
        made = {pk: digest for pk, digest in made.items() if pk in added}
        _fold(edition, earlier, made)
        digests.add(made.values(), day=edition.date)
    return len(added), made.values()


def topics_of(subscriber_ids: Sequence[int]) -> dict[int, list[SubscribedTopic]]:
    """What each of these readers follows, in their order, muted topics left out; one query."""
    topics: dict[int, list[SubscribedTopic]] = defaultdict(list)
    for row in (
        SubscribedTopic.objects.filter(subscriber__in=subscriber_ids, muted=False)
        .select_related("topic")
        .order_by("subscriber_id", "position", "pk")
    ):
        topics[row.subscriber_id].append(row)
    return topics


def _reason_to_skip(reader: Subscriber, suppressed: Collection[str], edition: Edition) -> str:
    if reader.address in suppressed:
        return "suppressed"
    if reader.is_paused_on(schedule.due_at(reader, edition).date()):
        return "paused"
    return ""


def _newcomers(readers: Sequence[Subscriber], *, now: datetime) -> set[int]:
    """Who has just confirmed and has no row in any edition yet: their first digest comes at once.

    Imported readers did not wait for anything; theirs comes at their hour.
    """
    recent = [
        reader.pk
        for reader in readers
        if reader.confirmed_at is not None and now - WELCOME_FOR <= reader.confirmed_at <= now
    ]
    if not recent:
        return set()
    confirmed = Consent.objects.filter(
        subscriber__in=recent, act=Consent.Act.CONFIRMED, at__gte=now - WELCOME_FOR
    ).values_list("subscriber_id", flat=True)
    known = Delivery.objects.filter(subscriber_id__in=recent).values_list("subscriber_id", flat=True)
    return set(confirmed) - set(known)


@dataclass
class Taught:
    """What some readers said of papers, and what they never want; a few queries for all of them."""

    said: Mapping[int, Mapping[int | None, feedback.Examples]] = field(default_factory=dict)
    models: Mapping[int, Mapping[int | None, LinearModel]] = field(default_factory=dict)
    mutes: Mapping[int, Sequence[int]] = field(default_factory=dict)  # ids of filters
    _scored: dict[tuple[int, int], relevance.Scores] = field(default_factory=dict)  # by reader and topic

    @classmethod
    def by(cls, subscriber_ids: Sequence[int]) -> "Taught":
        said = feedback.examples(subscriber_ids)
        models = reader_models.models(list(said)) if said else {}
        return cls(said, models, feedback.mutes(subscriber_ids))

    @property
    def muted_filters(self) -> set[int]:
        return {filter_id for of_one in self.mutes.values() for filter_id in of_one}

    def mutes_of(self, reader: Subscriber) -> Sequence[int]:
        return self.mutes.get(reader.pk, ())

    def has_said(self, reader: Subscriber) -> bool:
        return reader.pk in self.said

    def score(
        self,
        material: Material,
        readers: Iterable[Subscriber],
        topics: Mapping[int, Iterable[SubscribedTopic]],
    ) -> None:
        """Work out `scores` of all of them ahead: composing holds a lock, which is no time for arithmetic."""
        for reader in filter(self.has_said, readers):
            for row in topics.get(reader.pk, ()):
                self.scores(material, reader, row.topic)

    def scores(self, material: Material, reader: Subscriber, topic: Topic) -> relevance.Scores:
        """The relevance of a topic's papers to this reader; what was said of no topic counts for each."""
        key = reader.pk, topic.pk
        if key not in self._scored:
            self._scored[key] = self._scores(material, reader, topic)
        return self._scored[key]

    def _scores(self, material: Material, reader: Subscriber, topic: Topic) -> relevance.Scores:
        said = self.said[reader.pk]
        sides = [said[key] for key in (topic.pk, None) if key in said]
        models = self.models.get(reader.pk, {})
        model = models.get(topic.pk, models.get(None))
        if not sides and model is None:
            return {}
        return material.relevance.personal(
            topic,
            material.found(topic.filter_id),
            liked=[paper for liked, _ in sides for paper in liked],
            disliked=[paper for _, disliked in sides for paper in disliked],
            model=model,
        )


def gather(
    material: Material,
    reader: Subscriber,
    topics: Iterable[SubscribedTopic],
    *,
    received: Collection[int],
    earlier: "Undelivered | None" = None,
    taught: "Taught | None" = None,
) -> Digest:
    """One reader's share of an edition, not yet stored: sections by topic, each paper once, capped.

    `received` holds papers under their original's id, and the marks of revisions. A revision is for readers
    who asked for updates, whether they had an earlier version or not.

    A paper stands under the topic to which it is most relevant, by bands, of several the first, and names
    the others. The most relevant come first; in a band, those that are talked about. Where there are more
    than the reader wants, the topics take turns, so that a busy one does not crowd out the rest.
    """
    taught = taught or Taught()
    never = {
        material.original(pk) for filter_id in taught.mutes_of(reader) for pk in material.found(filter_id)
    }
    personal: dict[int, relevance.Scores] = {}
    news: dict[int, int] = {}  # listed papers that this reader had before the version that is announced now
    followed = list(topics)
    found: list[dict[int, int]] = []  # by topic: original → id under which it came, best first
    home: dict[int, tuple[int, int]] = {}  # original → band and number of the topic under which it stands
    for number, topic in enumerate(followed):
        mine: dict[int, int] = {}
        scores = material.relevance.of(topic.topic_id)
        if taught.has_said(reader) and (own_scores := taught.scores(material, reader, topic.topic)):
            personal[topic.topic_id] = scores = own_scores
        known = relevance.probabilities(scores)
        least = topic.min_relevance if interests.of_topic(topic.topic) else None
        for paper_id in _best_first(material.found(topic.topic.filter_id), scores, least):
            original = material.original(paper_id)
            if original in never or original in mine:
                continue
            version = material.revisions.get(paper_id)
            if version is None and original in received and paper_id in material.listed_revisions:
                version = news[paper_id] = material.listed_revisions[paper_id]
            if _is_not_for(reader, original, version, received):
                continue
            mine[original] = paper_id
            # A pure filter is the reader's exact wish: of its papers there is no doubt.
            place = (relevance.place(known.get(paper_id)) if known else 0, number)
            home[original] = min(home.get(original, place), place)
        found.append(mine)
    wanted: list[tuple[SubscribedTopic, list[int]]] = []
    also: dict[int, list[int]] = {}
    for number, (topic, mine) in enumerate(zip(followed, found, strict=True)):
        own = [paper_id for original, paper_id in mine.items() if home[original][1] == number]
        wanted.append((topic, own))
        for original, paper_id in mine.items():
            if home[original][1] == number:
                others = (
                    other.topic.filter_id
                    for other, its in zip(followed, found, strict=True)
                    if original in its
                )
                also[paper_id] = [pk for pk in dict.fromkeys(others) if pk != topic.topic.filter_id]
    before = earlier.papers_for(reader, material, received=received, known=home.keys()) if earlier else {}
    revisions = material.revisions | (earlier.revisions if earlier else {})
    for topic, own in wanted:
        own.extend(before.get(topic.topic_id, {}))
    chosen = _take_turns([(own, topic.max_papers) for topic, own in wanted], reader.max_papers)
    sections: list[dict[str, Any]] = []
    for (topic, _), papers in zip(wanted, chosen, strict=True):
        section: dict[str, Any] = {
            "topic": topic.topic_id,
            "filter": topic.topic.filter_id,
            "papers": papers,
        }
        if not papers and (topic.min_relevance or never):
            missed = [
                pk
                for pk in material.found(topic.topic.filter_id)
                if pk not in material.revisions
                and (original := material.original(pk)) not in home
                and original not in received
            ]
            scores = personal.get(topic.topic_id) or material.relevance.of(topic.topic_id)
            section |= _left_out(missed, material, never, scores, topic.min_relevance)
        if more := {str(pk): also[pk] for pk in papers if also.get(pk)}:
            section["also"] = more
        section |= _of_their_own(
            papers, personal.get(topic.topic_id, {}), joined=before.get(topic.topic_id, {})
        )
        updated = {str(pk): revisions[pk] for pk in papers if _is_revision(pk, material, revisions)}
        updated |= {str(pk): news[pk] for pk in papers if pk in news}
        if updated:
            section["updated"] = updated
        listed = material.listed_revisions
        if newest := {str(pk): listed[pk] for pk in papers if pk in listed and pk not in news}:
            section["newest"] = newest
        sections.append(section)
    shown = sum(len(papers) for papers in chosen)
    top: list[int] = []
    if not shown and reader.top_papers_if_none:
        best: dict[int, int] = {}
        for pk in material.positions:
            if pk not in material.revisions:
                best.setdefault(material.original(pk), pk)
        top = [pk for original, pk in best.items() if original not in received][:TOP_PAPERS]
    return Digest(
        id=delivery_id(material.edition.mailing_id, reader.pk),
        subscriber_id=reader.pk,
        edition_id=material.edition.pk,
        language=reader.language,
        length=reader.length,
        sections=sections,
        top=top,
        held=sum(len(own) for _, own in wanted) - shown,
    )


def _of_their_own(
    papers: Iterable[int], personal: relevance.Scores, *, joined: relevance.Scores
) -> dict[str, Any]:
    """What a section says itself, since the edition's rows do not: of papers that the reader's examples
    change, and of those that joined from an earlier digest."""
    own = {pk: joined.get(pk) or personal[pk] for pk in papers if pk in joined or pk in personal}
    known = {
        str(pk): one.probability for pk, one in own.items() if pk in personal or one.probability is not None
    }
    why = {str(pk): one.reasons for pk, one in own.items() if one.reasons or pk in joined}
    return ({"relevance": known} if known else {}) | ({"why": why} if why else {})


def _left_out(
    found: Sequence[int],
    material: Material,
    never: Collection[int],
    scores: relevance.Scores,
    min_relevance: int | None,
) -> dict[str, Any]:
    """Why a topic without papers has none of those that its filter found, for the mail to say: `never`, how
    many the reader mutes; `below`, [the reader's threshold, how many are under it]."""
    allowed = [pk for pk in found if material.original(pk) not in never]
    kept = _best_first(allowed, scores, min_relevance)
    left: dict[str, Any] = {}
    if len(allowed) < len(found):
        left["never"] = len(found) - len(allowed)
    if len(kept) < len(allowed):
        left["below"] = [min_relevance, len(allowed) - len(kept)]
    return left


def _best_first(found: Sequence[int], scores: relevance.Scores, min_relevance: int | None) -> Sequence[int]:
    """What a filter found, by trending, in the order of the bands of relevance and without what is below the
    reader's threshold. Unchanged where no relevance is known and none is asked for, as for a pure filter."""
    if not scores and min_relevance is None:
        return found
    known = relevance.probabilities(scores)
    return sorted(
        (pk for pk in found if relevance.is_enough(known.get(pk), min_relevance)),
        key=lambda pk: relevance.place(known.get(pk)),
    )


def _is_not_for(reader: Subscriber, original: int, version: int | None, received: Collection[int]) -> bool:
    """Whether this reader has had the paper, or, of a revision, does not want it or has had it as such."""
    if version is None:
        return original in received
    return not reader.wants_updates or digests.revision_mark(original, version) in received


def _is_revision(paper_id: int, material: Material, revisions: Mapping[int, int]) -> bool:
    """A paper that this edition lists is no revision, whatever an earlier one said."""
    return paper_id in revisions and (paper_id in material.revisions or paper_id not in material.positions)


def _take_turns(sections: Sequence[tuple[Sequence[int], int | None]], limit: int) -> list[list[int]]:
    taken: list[list[int]] = [[] for _ in sections]
    room = limit
    for turn in range(max((len(papers) for papers, _ in sections), default=0)):
        for (papers, cap), mine in zip(sections, taken, strict=True):
            if room and turn < len(papers) and (cap is None or turn < cap):
                mine.append(papers[turn])
                room -= 1
    return taken


# --- an earlier digest that was not delivered joins this one ------------------------------------------


@dataclass(slots=True)
class Undelivered:
    """Readers' digests of earlier daily editions whose rows still wait, newest first.

    At most one daily digest a reader and day: these rows are folded into the new one.
    """

    of: dict[int, list[Digest]] = field(default_factory=dict)
    revisions: dict[int, int] = field(default_factory=dict)  # paper id → version, of all of them
    _reasons: dict[tuple[int, int], dict[int, Any]] = field(default_factory=dict)  # by edition and filter
    _scores: dict[tuple[int, int], dict[int, Any]] = field(default_factory=dict)  # by edition and topic

    @classmethod
    def before(cls, edition: Edition, subscriber_ids: Sequence[int]) -> "Undelivered":
        if edition.kind != Edition.Kind.DAILY:
            return cls()
        mailings = Mailing.objects.filter(
            ~Q(status=Mailing.Status.COMPLETE), edition__kind=edition.kind, edition__date__lt=edition.date
        ).values_list("pk", flat=True)
        keys = [delivery_id(mailing, pk) for mailing in mailings for pk in subscriber_ids]
        if not keys:
            return cls()
        waiting = (Delivery.State.DUE, Delivery.State.DEFERRED)
        # Locked, so that no worker takes one while its papers move; one that a worker has is being delivered.
        rows = (
            Delivery.objects.select_for_update(skip_locked=True)
            .filter(pk__in=keys, state__in=waiting)
            .values_list("pk", flat=True)
        )
        found = list(Digest.objects.filter(pk__in=list(rows)))
        dates = dict(
            Edition.objects.filter(pk__in={one.edition_id for one in found}).values_list("pk", "date")
        )
        of: dict[int, list[Digest]] = defaultdict(list)
        for digest in sorted(found, key=lambda one: dates[one.edition_id], reverse=True):
            of[digest.subscriber_id].append(digest)
        matches = EditionMatch.objects.filter(
            edition__in=dates, filter__in={section["filter"] for one in found for section in one.sections}
        )
        reasons = {(match.edition_id, match.filter_id): dict(match.hits) for match in matches}
        revisions = {
            int(pk): version
            for one in sorted(found, key=lambda one: dates[one.edition_id])
            for section in one.sections
            for pk, version in section.get("updated", {}).items()
        }
        relevances = EditionRelevance.objects.filter(
            edition__in=dates, topic__in={section["topic"] for one in found for section in one.sections}
        )
        scores = {
            (row.edition_id, row.topic_id): {pk: (probability, why) for pk, probability, why in row.scored}
            for row in relevances
        }
        return cls(dict(of), revisions, reasons, scores)

    @property
    def keys(self) -> list[int]:
        return [digest.pk for digests_of_one in self.of.values() for digest in digests_of_one]

    @property
    def paper_ids(self) -> set[int]:
        return {
            pk
            for digests_of_one in self.of.values()
            for digest in digests_of_one
            for pk in digests.papers_of(digest)
        }

    def papers_for(
        self, reader: Subscriber, material: Material, *, received: Collection[int], known: Collection[int]
    ) -> dict[int, dict[int, relevance.Scored]]:
        """Topic id → {paper id: relevance and reasons}, each paper once, without those that the reader has
        had or should not get, and without those whose original is in `known`."""
        papers: dict[int, dict[int, relevance.Scored]] = defaultdict(dict)
        known = set(known)
        for digest in self.of.get(reader.pk, ()):
            for section in digest.sections:
                own = section.get("why", {})
                updated = section.get("updated", {})
                reasons = self._reasons.get((digest.edition_id, section["filter"]), {})
                scores = self._scores.get((digest.edition_id, section["topic"]), {})
                for pk in section["papers"]:
                    original = material.original(pk)
                    if original in known or _is_not_for(reader, original, updated.get(str(pk)), received):
                        continue
                    known.add(original)
                    probability, why = scores.get(pk, (None, []))
                    probability = section.get("relevance", {}).get(str(pk), probability)
                    said = own.get(str(pk), why)
                    # A paper that has joined before stands with all its reasons; see Assembler._why.
                    papers[section["topic"]][pk] = relevance.Scored(
                        probability, [*reasons.get(pk, []), *said]
                    )
        return papers


def _fold(edition: Edition, undelivered: Undelivered, made: dict[int, Digest]) -> None:
    """Skip the earlier rows as `folded` and bring their papers' cards into this edition."""
    earlier = [digest for reader in made for digest in undelivered.of.get(reader, ())]
    if not earlier:
        return
    by_mailing: dict[int, list[int]] = defaultdict(list)
    for digest in earlier:
        by_mailing[digest.pk >> SUBSCRIBER_BITS].append(digest.pk)
    for mailing_id, keys in sorted(by_mailing.items()):
        outbox.skip(mailing_id, keys, reason="folded")
    here = set(edition.edition_papers.values_list("paper_id", flat=True))
    joined = {pk for digest in earlier for pk in digests.papers_of(made[digest.subscriber_id])} - here
    if not joined:
        return
    newest = {
        row.paper_id: row
        for row in EditionPaper.objects.filter(
            paper__in=joined, edition__in={digest.edition_id for digest in earlier}
        ).order_by("edition__date")
    }
    last = edition.edition_papers.count()
    EditionPaper.objects.bulk_create(
        (
            EditionPaper(
                edition=edition,
                paper_id=pk,
                listing_day=row.listing_day,
                announced=row.announced,
                version=row.version,
                position=last + number,
                score=row.score,
                folded_in=True,
                votes=row.votes,
                comments=row.comments,
                stars=row.stars,
                counted_at=row.counted_at,
                gained=row.gained,
                top_percent=row.top_percent,
            )
            for number, (pk, row) in enumerate(sorted(newest.items()), start=1)
        ),
        ignore_conflicts=True,
    )
