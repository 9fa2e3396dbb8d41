"""The exact message a reader would get, without sending or recording anything.

Everything happens as in a real run, in a transaction that is rolled back: the same rows, cards and bytes.
"""

from collections.abc import Sequence
from datetime import date, datetime

from django.conf import settings
from django.db import transaction

from digest.editions import cards, compose, digests, schedule, share
from digest.editions.assemble import Assembler
from digest.editions.material import Material
from digest.editions.taught import Taught
from digest.models import Edition
from subscriptions import topics
from subscriptions.mail.letters import Recipient
from subscriptions.models import SubscribedTopic, Subscriber, Topic
from subscriptions.models.delivery import delivery_id

NOBODY = "you@preview.example"


class NoPapersError(LookupError):
    """There is nothing to show: no source lists papers for that day, or none match."""


def for_subscriber(subscriber: Subscriber, *, now: datetime, day: date | None = None) -> bytes:
    """The digest that this reader would get of the edition of `day` (default: the latest day with papers).

    Papers that other editions have brought them are left out, as in the real one. Raises NoPapersError.
    """
    with transaction.atomic():
        message = _message(subscriber, now=now, day=day)
        transaction.set_rollback(True)
    return message


def for_filters(filters: Sequence[str], *, now: datetime, day: date | None = None) -> bytes:
    """The digest of somebody who has just these filters. Raises FilterError, NoPapersError."""
    with transaction.atomic():
        nobody = Subscriber.objects.create(
            email=NOBODY, address=NOBODY, status=Subscriber.Status.ACTIVE, created_at=now
        )
        for position, text in enumerate(filters):
            revision = topics.filter_revision(text, now=now)
            own = Topic.objects.create(owner=nobody, name=revision.canonical[:80], filter=revision)
            SubscribedTopic.objects.create(subscriber=nobody, topic=own, position=position)
        message = _message(nobody, now=now, day=day)
        transaction.set_rollback(True)
    return message


def _message(reader: Subscriber, *, now: datetime, day: date | None) -> bytes:
    kind = Edition.Kind.WEEKLY if reader.frequency == Subscriber.Frequency.WEEKLY else Edition.Kind.DAILY
    wanted = day or schedule.latest_day()
    edition = schedule.open_edition(kind, wanted, now=now) if wanted else None
    if edition is None:
        raise NoPapersError(f"No source lists papers for the {kind} edition of {wanted or 'any day'}.")
    material = Material.of(edition)
    followed = compose.topics_of([reader.pk]).get(reader.pk, [])
    taught = Taught.by([reader.pk])
    material.evaluate({row.topic.filter_id for row in followed} | taught.muted_filters)
    material.score(row.topic for row in followed)
    elsewhere = digests.already_received(
        [reader.pk],
        material.all_names(material.positions),
        since=(now - compose.RECEIVED_FOR).date(),
        but_not_of=[delivery_id(edition.mailing_id, reader.pk)],
        parted=material.parted,
    )[reader.pk]
    received = material.as_original(elsewhere)
    digest = share.gather(material, reader, followed, received=received, taught=taught)
    if not digests.papers_of(digest):
        raise NoPapersError(
            f"None of the {len(material.positions)} papers of the {edition} edition match, so no mail comes."
        )
    look = (digest.language, digest.length)
    cards.build(edition, languages_lengths=[look], paper_ids=digests.papers_of(digest))
    recipient = Recipient(
        delivery_id=digest.pk,
        mailing_id=edition.mailing_id,
        subscriber_id=reader.pk,
        email=reader.email,
        language=reader.language,
        unsubscribe_key=reader.unsubscribe_key,
        dated_at=now.replace(microsecond=0),
        domain=settings.MAIL_DOMAIN,
        label=edition.mailing.label,
    )
    return Assembler(edition).letter(recipient, digest).content
