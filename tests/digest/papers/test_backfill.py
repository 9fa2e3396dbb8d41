"""Days are read again whose editions have gone out: nobody gets a paper twice, and what was missed joins."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from digest.editions import compose, schedule
from digest.models import Digest, Edition, Paper, Source
from digest.papers import days, fetch, merging
from digest.sources.http import Client
from subscriptions import topics
from subscriptions.models import Delivery, Subscriber
from tests.factories import NOON, SubscribedTopicFactory, SubscriberFactory, TopicFactory
from tests.servers import HuggingFaceServer, entry, huggingface_server

THURSDAY = date(2026, 8, 20)
FRIDAY = THURSDAY + timedelta(days=1)

pytestmark = pytest.mark.django_db


@pytest.fixture
def server(settings: Any) -> Iterator[HuggingFaceServer]:
    with huggingface_server() as running:
        settings.HUGGINGFACE_URL = running.url
        for day in (THURSDAY - timedelta(days=1), THURSDAY, FRIDAY):
            running.days[day] = [entry(f"2608.{day.day}{number:03}", day=day) for number in range(3)]
        yield running


@pytest.fixture
def reader() -> Subscriber:
    topic = TopicFactory(filter=topics.filter_revision("invented", now=NOON))
    return SubscribedTopicFactory(topic=topic, subscriber=SubscriberFactory()).subscriber


def read(*days: date, now: datetime) -> None:
    source = Source.objects.get(slug="huggingface")
    for day in days:
        fetch.fetch_day(source, day, now=now, client=Client())


def send(day: date, *, at: datetime | None = None) -> set[str]:
    """Open and compose the edition of a day; the arXiv ids of what the one reader gets in it."""
    now = at or schedule.opening("daily", day)
    edition = schedule.open_edition("daily", day, now=now)
    assert edition is not None
    before = set(Digest.objects.values_list("pk", flat=True))
    compose.compose(edition, now=now, at_once=True)
    Delivery.objects.of_mailing(edition.mailing_id).filter(state="due").update(state="sent")
    made = Digest.objects.exclude(pk__in=before)
    ids = [pk for digest in made for section in digest.sections for pk in section["papers"]]
    assert len(ids) == len(set(ids))
    return set(Paper.objects.filter(pk__in=ids).values_list("arxiv_id", flat=True))


def morning(day: date) -> datetime:
    return datetime.combine(day, datetime.min.time(), tzinfo=UTC) + timedelta(hours=9)


class TestBackfill:
    def test_sends_nothing_twice(self, server: HuggingFaceServer, reader: Subscriber) -> None:
        read(THURSDAY, now=schedule.opening("daily", THURSDAY))
        first = send(THURSDAY)
        for listed in server.days[THURSDAY]:
            listed["paper"]["upvotes"] += 40

        read(THURSDAY, FRIDAY, now=morning(FRIDAY + timedelta(days=1)))

        assert send(THURSDAY, at=morning(FRIDAY)) == set()  # the same edition: no second row
        assert send(FRIDAY) == {f"2608.21{number:03}" for number in range(3)}
        assert len(first) == 3
        assert Delivery.objects.count() == Edition.objects.count() == 2

    def test_what_was_missed_joins_the_next_edition_once(
        self, server: HuggingFaceServer, reader: Subscriber
    ) -> None:
        read(THURSDAY, now=schedule.opening("daily", THURSDAY))
        send(THURSDAY)
        server.days[THURSDAY].append(entry("2608.20999", day=THURSDAY))

        read(THURSDAY, FRIDAY, now=morning(FRIDAY))
        joined = send(FRIDAY)

        assert joined == {"2608.20999"} | {f"2608.21{number:03}" for number in range(3)}
        saturday = FRIDAY + timedelta(days=1)
        server.days[saturday] = [entry("2608.22000", day=saturday)]
        read(THURSDAY, FRIDAY, saturday, now=morning(saturday))
        assert send(saturday) == {"2608.22000"}

    def test_what_came_more_than_three_days_late_is_in_the_archive_only(
        self, server: HuggingFaceServer, reader: Subscriber
    ) -> None:
        wednesday, tuesday_after = THURSDAY - timedelta(days=1), FRIDAY + timedelta(days=4)
        read(wednesday, now=schedule.opening("daily", wednesday))
        send(wednesday)
        server.days[wednesday].append(entry("2608.19999", day=wednesday))
        server.days[tuesday_after] = [entry("2608.25000", day=tuesday_after)]

        read(wednesday, tuesday_after, now=morning(tuesday_after))

        assert send(tuesday_after) == {"2608.25000"}
        assert Paper.objects.listed_on(wednesday).filter(arxiv_id="2608.19999").exists()

    def test_a_paper_that_was_sent_under_another_name_does_not_come_again(
        self, server: HuggingFaceServer, reader: Subscriber
    ) -> None:
        read(THURSDAY, now=schedule.opening("daily", THURSDAY))
        send(THURSDAY)
        server.days[FRIDAY] = [entry("2608.21000", day=FRIDAY), entry("2608.21001", day=FRIDAY)]
        read(FRIDAY, now=morning(FRIDAY))
        sent = Paper.objects.get(arxiv_id="2608.20000")
        again = Paper.objects.get(arxiv_id="2608.21000")
        merging.merge(sent, again, how="operator", certainty=1, evidence="Filed anew.", now=morning(FRIDAY))

        assert send(FRIDAY) == {"2608.21001"}


def test_a_list_that_was_read_is_in_the_account_of_its_day(server: HuggingFaceServer) -> None:
    read(THURSDAY, now=morning(FRIDAY))

    reading, *others = [one for one in days.readings(THURSDAY) if one.batch.source.slug == "huggingface"]

    assert (reading.state, reading.read, others) == (days.State.COMPLETE, 3, [])
    assert days.accounts(THURSDAY).missing == ()
