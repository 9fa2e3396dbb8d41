"""Topics and filters as rows: revisions shared by canonical text, the catalogue, a reader's own filters."""

import hashlib
import itertools
from collections.abc import Iterable, Sequence
from datetime import datetime

from django.db import transaction
from django.db.models import Max

from subscriptions import filters, interests
from subscriptions.interests import Interest
from subscriptions.models import FilterRevision, SubscribedTopic, Subscriber, Topic

OWN_NAME = "Your filter"  # until the reader gives it another; the next ones are numbered


def fingerprint(canonical: str) -> str:
    return hashlib.sha256(canonical.encode()).hexdigest()


def filter_revision(text: str, *, now: datetime) -> FilterRevision:
    """The row of this filter, made if nobody has used it before.

    Filters that read the same share one row, and so are evaluated once a day. Raises filters.FilterError.
    """
    return revisions([filters.parse(text).canonical], now=now)[0]


def revisions(canonicals: Sequence[str], *, now: datetime) -> list[FilterRevision]:
    """The rows of filters in canonical form, in that order; two queries, whatever the number."""
    FilterRevision.objects.bulk_create(
        [
            FilterRevision(canonical=text, fingerprint=fingerprint(text), created_at=now)
            for text in sorted(set(canonicals))
        ],
        ignore_conflicts=True,  # a filter is never changed, so whoever was first is right
    )
    wanted = {fingerprint(text) for text in canonicals}
    rows = FilterRevision.objects.in_bulk(wanted, field_name="fingerprint")
    return [rows[fingerprint(text)] for text in canonicals]


def catalogue_by_slug(slugs: Iterable[str]) -> list[Topic]:
    """Catalogue topics in the order of `slugs`; unknown and retired ones are left out."""
    wanted = list(dict.fromkeys(slugs))
    found = {topic.slug: topic for topic in Topic.objects.catalogue().filter(slug__in=wanted)}
    return [found[slug] for slug in wanted if slug in found]


def follow(subscriber: Subscriber, topics: Iterable[Topic]) -> None:
    """Add topics at the end of the reader's list; those already there stay where they are."""
    last = subscriber.subscribed_topics.aggregate(last=Max("position"))["last"]
    first = 0 if last is None else last + 1
    SubscribedTopic.objects.bulk_create(
        [
            SubscribedTopic(
                subscriber=subscriber,
                topic=topic,
                position=first + place,
                min_relevance=interests.threshold(interests.of_topic(topic), topic.filter.canonical),
            )
            for place, topic in enumerate(topics)
        ],
        ignore_conflicts=True,
    )


def own(
    subscriber: Subscriber, text: str, *, now: datetime, name: str = "", interest: Interest | None = None
) -> Topic:
    """A topic of the reader's own, not yet followed; the existing one where filter and interest are the same.

    With an interest the filter may be empty: then every paper may enter. Raises filters.FilterError.
    """
    interest = interest or Interest()
    revision = own_filter(text, interest, now=now)
    keywords = list(interest.keywords)
    topic = subscriber.own_topics.filter(
        filter=revision, retired_at=None, keywords=keywords, description=interest.sentence
    ).first()
    if topic is None:
        taken = subscriber.own_topics.filter(retired_at=None).values_list("name", flat=True)
        topic = Topic.objects.create(
            owner=subscriber,
            name=name or interest.name or unused_name(taken),
            filter=revision,
            keywords=keywords,
            description=interest.sentence,
        )
    return topic


def own_filter(text: str, interest: Interest, *, now: datetime) -> FilterRevision:
    """The row of an own topic's filter: every paper's where there is only an interest. Raises FilterError."""
    return filter_revision(text or (interests.EVERY_PAPER if interest else ""), now=now)


def unused_name(taken: Iterable[str]) -> str:
    """For a filter that its reader has not named: "Your filter", then "Your filter 2"."""
    names = set(taken)
    numbered = (OWN_NAME if number == 1 else f"{OWN_NAME} {number}" for number in itertools.count(1))
    return next(name for name in numbered if name not in names)


def unfollow(subscribed: SubscribedTopic, *, now: datetime) -> None:
    """Take a topic off the reader's list. An own filter is retired, not deleted: past digests name it."""
    with transaction.atomic():
        if subscribed.topic.owner_id is not None:
            Topic.objects.filter(pk=subscribed.topic_id).update(retired_at=now)
        subscribed.delete()
