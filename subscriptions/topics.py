"""Topics and filters as rows: revisions shared by canonical text, the catalogue, a reader's own filters."""

import hashlib
import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.db.models import Max, Q

from subscriptions import filters, interests
from subscriptions.interests import Interest
from subscriptions.models import FilterRevision, SubscribedTopic, Subscriber, Topic
from subscriptions.models.topic import ARXIV

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


@dataclass(frozen=True)
class Branch:
    """A topic of the catalogue with those that are part of it."""

    topic: Topic
    depth: int  # 0 for a root
    children: tuple["Branch", ...]

    def walk(self) -> "Iterator[Branch]":
        """This branch and all below it, each before its children."""
        yield self
        for child in self.children:
            yield from child.walk()


def tree(catalogue: Iterable[Topic]) -> list[Branch]:
    """The roots, in the order of `catalogue`; a topic whose parent is not offered any more is a root."""
    rows = list(catalogue)
    there = {row.pk for row in rows}
    below: dict[int | None, list[Topic]] = defaultdict(list)
    for row in rows:
        below[row.parent_id if row.parent_id in there else None].append(row)

    def branch(row: Topic, depth: int) -> Branch:
        return Branch(row, depth, tuple(branch(child, depth + 1) for child in below[row.pk]))

    return [branch(root, 0) for root in below[None]]


def by_group(rows: Iterable[Topic]) -> list[tuple[str, list[Topic]]]:
    """The topics under their headings, both in the order in which they come."""
    groups: dict[str, list[Topic]] = {}
    for row in rows:
        groups.setdefault(row.group, []).append(row)
    return list(groups.items())


def offered(catalogue: Iterable[Topic], *, chosen: Iterable[str] = ()) -> list[Topic]:
    """The part of the catalogue that a page offers at once: roots and what is right below them.

    arXiv's categories and narrower topics are there only where they are `chosen` (slugs).
    """
    rows = list(catalogue)
    short = {
        branch.topic.pk
        for root in tree(rows)
        if root.topic.group != ARXIV
        for branch in (root, *root.children)
    }
    wanted = set(chosen)
    return [row for row in rows if row.pk in short or row.slug in wanted]


def relatives(one: Topic) -> list[Topic]:
    """The topics close to one of the catalogue: what it is part of, its parts, and what stands beside it."""
    near = Q(parent=one.pk)
    if one.parent_id:
        near |= Q(pk=one.parent_id) | Q(parent=one.parent_id)
    elif one.group != ARXIV:
        near |= Q(parent=None) & ~Q(group=ARXIV)
    return list(Topic.objects.catalogue().filter(near).exclude(pk=one.pk))


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
