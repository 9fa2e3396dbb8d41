"""One reader, one paper, one edition: what is stored of them."""

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from django.db.models import Q

from digest.editions import compose, digests, prose, share
from digest.editions.material import Material
from digest.editions.taught import Taught
from digest.editions.why import words
from digest.matching import recent
from digest.matching.documents import document
from digest.models import Digest, Edition, EditionPaper, EditionRelevance, Paper, Received, Sighting
from subscriptions.filters import Document
from subscriptions.models import Delivery, Mute, SubscribedTopic, Subscriber, Topic
from subscriptions.models.delivery import SUBSCRIBER_BITS, delivery_id

State = Delivery.State
UNDER_WAY = frozenset({State.DUE, State.LEASED, State.HANDING, State.DEFERRED})
_NOT_GIVEN = frozenset({State.FAILED, State.SKIPPED, State.EXPIRED})  # as digests.already_received has it
_NO_LIMIT = 1_000_000


@dataclass(frozen=True, slots=True)
class Receipt:
    """A digest of the reader's that holds the paper, with its row of the ledger while that is kept."""

    row: Received
    edition: Edition | None
    delivery: Delivery | None

    @property
    def key(self) -> int:
        return self.row.pk

    @property
    def is_given(self) -> bool:
        return self.delivery is None or self.delivery.state not in _NOT_GIVEN

    @property
    def has_arrived(self) -> bool:
        return self.delivery is None or self.delivery.state == State.SENT

    @property
    def words(self) -> str:
        """ "on 21 August 2026, in the daily edition of 20 August 2026"."""
        done_at = self.delivery.done_at if self.delivery else None
        parts = []
        if self.has_arrived and done_at:
            parts.append(f"on {prose.day_month_year(done_at.astimezone(UTC).date())}")
        if self.edition:
            parts.append(f"in {words.edition(self.edition)}")
        return ", ".join(parts) or f"in a mail of {prose.day_month_year(self.row.day)}"


@dataclass(frozen=True, slots=True)
class Followed:
    """A topic as it counted for the edition: its filter then, the reader's limits as they are now.

    `section` is that of the reader's digest; None where there is no digest, or the topic was not among its
    topics. `wish` is None once the reader follows it no more.
    """

    topic: Topic
    filter_id: int
    wish: SubscribedTopic | None
    section: Mapping[str, Any] | None


class Case:
    """What is stored of one reader, one paper (named by `row`) and one edition; each thing read once.

    Without `edition`: the one that brought the paper, else the newest of the reader's kind that lists it.
    """

    def __init__(self, reader: Subscriber, row: Paper, *, now: datetime, edition: Edition | None) -> None:
        self.reader, self.row, self.now = reader, row, now
        self.paper: Paper = row.canonical or row
        merged = Paper.objects.filter(canonical=self.paper).values_list("pk", flat=True)
        self.names: set[int] = {self.paper.pk, *merged}
        self.kind: str = (
            Edition.Kind.WEEKLY if reader.frequency == Subscriber.Frequency.WEEKLY else Edition.Kind.DAILY
        )
        self.receipts = self.receipts_of(self.names)
        self.memberships = list(
            EditionPaper.objects.filter(paper__in=self.names)
            .select_related("edition__mailing")
            .order_by("edition__date", "pk")
        )
        self.edition = edition or self._edition()
        own = [one for one in self.memberships if self.edition and one.edition_id == self.edition.pk]
        self.member = min(own, key=lambda one: one.folded_in, default=None)
        self.receipt = next((one for one in self.receipts if one.key == self.key), None)
        # Before `material` scores what is missing.
        self.scored: set[int] = set(
            EditionRelevance.objects.filter(edition=self.edition).values_list("topic_id", flat=True)
            if self.edition
            else ()
        )

    @property
    def key(self) -> int | None:
        """The reader's in the edition's ledger."""
        return delivery_id(self.edition.mailing_id, self.reader.pk) if self.edition else None

    def receipts_of(self, paper_ids: set[int]) -> list[Receipt]:
        """The reader's digests that hold one of these, oldest first."""
        rows = Received.objects.filter(subscriber_id=self.reader.pk, paper_ids__overlap=list(paper_ids))
        held = list(rows.order_by("pk"))
        mailings = {row.pk >> SUBSCRIBER_BITS for row in held}
        editions = {
            one.mailing_id: one
            for one in Edition.objects.filter(mailing__in=mailings).select_related("mailing")
        }
        deliveries = Delivery.objects.in_bulk([row.pk for row in held])
        return [Receipt(row, editions.get(row.pk >> SUBSCRIBER_BITS), deliveries.get(row.pk)) for row in held]

    def _edition(self) -> Edition | None:
        def rank(receipt: Receipt) -> int:
            return 0 if receipt.has_arrived else 1 if receipt.is_given else 2

        held = [one for one in self.receipts if one.edition is not None]
        if held:
            return min(held, key=rank).edition  # of equals the first
        own = [one for one in self.memberships if one.edition.kind == self.kind and not one.folded_in]
        listed = [one for one in own if one.announced != EditionPaper.Announced.UPDATED]
        return (listed or own)[-1].edition if own else None

    @cached_property
    def delivery(self) -> Delivery | None:
        return Delivery.objects.filter(pk=self.key).first() if self.key else None

    @cached_property
    def digest(self) -> Digest | None:
        return Digest.objects.filter(pk=self.key).first() if self.key else None

    @cached_property
    def sightings(self) -> list[Sighting]:
        """Listings and revisions, oldest first; mentions and look-ups put a paper on no list."""
        said = Sighting.objects.filter(paper__in=self.names).filter(
            Q(is_listing=True) | Q(announce_type__startswith="replace")
        )
        return list(said.select_related("source", "batch").order_by("seen_at", "pk"))

    @cached_property
    def document(self) -> Document:
        """The paper as filters see it; once there is a mail, with the votes of the edition's opening."""
        slugs = Sighting.objects.filter(paper__in=self.names).values_list("source__slug", flat=True)
        seen = copy.copy(self.paper)
        if self.member is not None and self.delivery is not None:
            seen.votes, seen.comments, seen.stars = self.member.votes, self.member.comments, self.member.stars
        return document(seen, set(slugs))

    @cached_property
    def followed(self) -> list[Followed]:
        """The topics of the reader's digest as they were, and then those that have come since."""
        rows = self.reader.subscribed_topics.select_related("topic__filter").order_by("position", "pk")
        wishes = {one.topic_id: one for one in rows}
        sections = self.digest.sections if self.digest else []
        then = Topic.objects.select_related("filter").in_bulk([section["topic"] for section in sections])
        been = [
            Followed(topic, section["filter"], wishes.get(topic.pk), section)
            for section in sections
            if (topic := then.get(section["topic"]))
        ]
        known = {section["topic"] for section in sections}
        since = [
            Followed(wish.topic, wish.topic.filter_id, wish, None)
            for topic_id, wish in wishes.items()
            if topic_id not in known
        ]
        return been + since

    @cached_property
    def finders(self) -> list[str]:
        """The topics of the catalogue that find the paper, those that the reader follows left out."""
        followed = [one.topic.pk for one in self.followed]
        others = Topic.objects.catalogue().exclude(pk__in=followed)
        found = recent.matching_topics(self.paper, others, self.document.sources)
        return [topic.name for topic, _reasons in found]

    def holds(self, section: Mapping[str, Any] | None) -> bool:
        """Whether the paper stands in this section of the reader's digest."""
        return section is not None and not self.names.isdisjoint(section["papers"])

    # --- what the edition had for the reader ---

    @cached_property
    def composed_at(self) -> datetime | None:
        """When the reader's mail was put together, or soon after; None while they have none."""
        return self.edition.composed_at if self.edition and self.delivery else None

    @cached_property
    def mutes(self) -> list[Mute]:
        """What the reader never wants; nothing that they said after the mail was put together."""
        said = Mute.objects.filter(subscriber=self.reader).select_related("filter").order_by("pk")
        return [one for one in said if self.composed_at is None or one.created_at <= self.composed_at]

    @cached_property
    def taught(self) -> Taught:
        filters = [one.filter_id for one in self.mutes]
        return replace(Taught.by([self.reader.pk]), mutes={self.reader.pk: filters})

    @cached_property
    def wishes(self) -> list[SubscribedTopic]:
        """The topics that the mail was, or would be, made of; their filters are those of then."""
        made_of = []
        for one in self.followed:
            is_muted = one.wish is not None and one.wish.muted
            if one.section is None and (self.digest is not None or is_muted):
                continue
            wish = copy.copy(one.wish) or SubscribedTopic(subscriber=self.reader)
            wish.topic = copy.copy(one.topic)
            wish.topic.filter_id = one.filter_id
            made_of.append(wish)
        return made_of

    @cached_property
    def material(self) -> Material | None:
        """The edition's, with the hits and the relevance of the reader's topics: as stored, else made now."""
        if self.edition is None:
            return None
        material = Material.of(self.edition)
        followed = [wish.topic for wish in self.wishes]
        material.evaluate({topic.filter_id for topic in followed} | self.taught.muted_filters)
        material.score(followed)
        return material

    @cached_property
    def ordered(self) -> dict[int, list[int]]:
        """Topic id → everything that the edition had for this reader, best first, without any limit."""
        return dict(self._gathered(is_limited=False))

    @cached_property
    def chosen(self) -> dict[int, list[int]]:
        """The same with the reader's limits as they are now."""
        return dict(self._gathered(is_limited=True))

    def _gathered(self, *, is_limited: bool) -> Iterator[tuple[int, list[int]]]:
        if self.material is None or self.edition is None:
            return
        reader, wishes = copy.copy(self.reader), [copy.copy(wish) for wish in self.wishes]
        if not is_limited:
            reader.max_papers = _NO_LIMIT
            for wish in wishes:
                wish.max_papers = None
        received = self.material.as_original(self._received)
        made = share.gather(self.material, reader, wishes, received=received, taught=self.taught)
        for section in made.sections:
            yield section["topic"], section["papers"]

    @cached_property
    def _received(self) -> set[int]:
        """What mails before this one had brought."""
        if self.material is None or self.edition is None:
            return set()
        since_then = Received.objects.filter(subscriber_id=self.reader.pk, pk__gte=self.key)
        return digests.already_received(
            [self.reader.pk],
            self.material.all_names(self.material.positions),
            since=(self.edition.opened_at - compose.RECEIVED_FOR).date(),
            but_not_of=list(since_then.values_list("pk", flat=True)),
            parted=self.material.parted,
        )[self.reader.pk]
