"""Who gets what: one pass over an edition's readers in ranges, a handful of queries for each.

Each distinct filter is evaluated once for the edition; a reader's digest is then gathered from the hits of
their topics. Work is proportional to hits, memory to a range, never to readers × papers.
"""

import logging
import time
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet

from digest.editions import cards, digests, feedback, schedule, share, undelivered
from digest.editions.material import Material
from digest.editions.taught import Taught
from digest.models import (
    Digest,
    Edition,
)
from subscriptions.mail import ledger
from subscriptions.models import (
    Consent,
    Delivery,
    SubscribedTopic,
    Subscriber,
    Suppression,
)

log = logging.getLogger(__name__)

RANGE = 2_000  # readers composed in one transaction,
TAUGHT_AT_ONCE = 100  # of whom so many have opinions of papers: each takes some 50 ms, and 1 MB
RECEIVED_FOR = timedelta(days=400)
WELCOME_FOR = timedelta(days=1)


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
        earlier = undelivered.Undelivered.before(edition, ids)
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
                digest = share.gather(
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
        undelivered.fold(edition, earlier, made)
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
