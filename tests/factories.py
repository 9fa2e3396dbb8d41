"""One factory per model, with values that a real row would have."""

from datetime import UTC, date, datetime

import factory
from factory.django import DjangoModelFactory

from digest.models import Batch, Paper, Sighting, Source
from subscriptions.mail import ledger
from subscriptions.models import (
    Consent,
    FilterRevision,
    Mailing,
    SubscribedTopic,
    Subscriber,
    Topic,
    normalise_address,
)

DAY = date(2026, 8, 20)
NOON = datetime(2026, 8, 20, 12, tzinfo=UTC)
MORNING_AFTER = datetime(2026, 8, 21, 1, tzinfo=UTC)  # the daily edition of DAY is open


class SubscriberFactory(DjangoModelFactory):
    class Meta:
        model = Subscriber

    email = factory.Sequence(lambda n: f"Reader{n}@lab{n % 3}.example")
    address = factory.LazyAttribute(lambda reader: normalise_address(reader.email))
    status = Subscriber.Status.ACTIVE
    created_at = datetime(2026, 8, 1, tzinfo=UTC)
    confirmed_at = datetime(2026, 8, 1, tzinfo=UTC)


class ConsentFactory(DjangoModelFactory):
    class Meta:
        model = Consent

    subscriber = factory.SubFactory(SubscriberFactory)
    act = Consent.Act.CONFIRMED
    at = factory.SelfAttribute("subscriber.confirmed_at")
    source = "confirmation page"


class FilterRevisionFactory(DjangoModelFactory):
    class Meta:
        model = FilterRevision
        django_get_or_create = ("canonical",)

    canonical = "agents"
    fingerprint = factory.LazyAttribute(lambda revision: revision.canonical.rjust(64, "0")[:64])
    created_at = NOON


class TopicFactory(DjangoModelFactory):
    class Meta:
        model = Topic

    slug = factory.Sequence(lambda n: f"topic-{n}")
    name = factory.Sequence(lambda n: f"Topic {n}")
    filter = factory.SubFactory(FilterRevisionFactory)


class SubscribedTopicFactory(DjangoModelFactory):
    class Meta:
        model = SubscribedTopic

    subscriber = factory.SubFactory(SubscriberFactory)
    topic = factory.SubFactory(TopicFactory)


class SourceFactory(DjangoModelFactory):
    class Meta:
        model = Source
        django_get_or_create = ("slug",)

    slug = "huggingface"
    name = "Hugging Face Daily Papers"
    kind = Source.Kind.HUGGINGFACE
    next_fetch_at = NOON


class BatchFactory(DjangoModelFactory):
    class Meta:
        model = Batch
        django_get_or_create = ("source", "category", "listing_day")

    source = factory.SubFactory(SourceFactory)
    category = ""
    listing_day = DAY
    fetched_at = NOON


class PaperFactory(DjangoModelFactory):
    class Meta:
        model = Paper

    arxiv_id = factory.Sequence(lambda n: f"2608.{n:05}")
    key = factory.LazyAttribute(lambda paper: f"arxiv:{paper.arxiv_id}")
    url = factory.LazyAttribute(lambda paper: f"https://arxiv.org/abs/{paper.arxiv_id}")
    title = factory.Sequence(lambda n: f"On agents, part {n}")
    abstract = "We study how agents use tools."
    authors = factory.LazyFunction(lambda: ["Ada Lovelace", "Émilie du Châtelet"])
    first_listed_on = DAY
    votes = 10
    comments = 1
    counted_at = NOON
    created_at = NOON
    updated_at = NOON


class SightingFactory(DjangoModelFactory):
    class Meta:
        model = Sighting

    paper = factory.SubFactory(PaperFactory)
    listing_day = DAY
    batch = factory.SubFactory(BatchFactory, listing_day=factory.SelfAttribute("..listing_day"))
    source = factory.SelfAttribute("batch.source")
    seen_at = NOON
    votes = factory.SelfAttribute("paper.votes")
    comments = factory.SelfAttribute("paper.comments")


def listed_paper(day: date = DAY, *, seen_at: datetime = NOON, **values: object) -> Paper:
    """A paper that Hugging Face lists under `day`."""
    paper = PaperFactory(first_listed_on=day, **values)
    SightingFactory(paper=paper, listing_day=day, seen_at=seen_at)
    return paper


def arxiv_sighting(
    paper: Paper,
    day: date = DAY,
    *,
    announce_type: str = "new",
    version: int = 1,
    seen_at: datetime = NOON,
) -> Sighting:
    """arXiv announces a paper on `day`."""
    source = SourceFactory(slug="arxiv", name="arXiv", kind=Source.Kind.ARXIV)
    return SightingFactory(
        paper=paper,
        batch=BatchFactory(source=source, category="cs.CL", listing_day=day),
        listing_day=day,
        seen_at=seen_at,
        announce_type=announce_type,
        version=version,
        is_listing=not announce_type.startswith("replace"),
        votes=None,
        comments=None,
    )


def open_mailing(closes_at: datetime | None = None) -> Mailing:
    """A mailing with its ledger partition, open for a year unless said otherwise."""
    return ledger.open_mailing(
        kind="daily",
        label=f"daily {DAY}",
        opened_at=NOON,
        closes_at=closes_at or datetime(2999, 1, 1, tzinfo=UTC),
    )
