from datetime import UTC, datetime

import pytest
from django.core.cache import cache
from django.utils import timezone

from subscriptions import tasks, tokens
from subscriptions.mail import notices
from subscriptions.models import Notice, SubscribedTopic, Subscriber
from tests.factories import SubscriberFactory, TopicFactory


@pytest.fixture(autouse=True)
def _fresh_limits(monkeypatch):
    cache.clear()
    # Pokes reach a broker; that they are made is shown by the journeys.
    monkeypatch.setattr(tasks, "poke_notices", lambda: None)
    monkeypatch.setattr(tasks, "poke_editions", lambda: None)


@pytest.fixture
def agents(db):
    return TopicFactory(slug="our-agents", name="Our agents")


@pytest.fixture
def robots(db):
    return TopicFactory(slug="our-robots", name="Our robots")


@pytest.fixture
def reader(agents) -> Subscriber:
    """An active reader of one topic."""
    subscriber = SubscriberFactory(email="mira@lab.example", timezone="Europe/Berlin")
    for act in ("asked", "confirmed"):
        subscriber.consents.create(act=act, at=datetime(2026, 8, 1, tzinfo=UTC), source="test")
    SubscribedTopic.objects.create(subscriber=subscriber, topic=agents)
    return subscriber


@pytest.fixture
def settings_path(reader) -> str:
    """The path of the reader's preferences page."""
    return path_of(tokens.preferences_url(reader.pk, now=timezone.now()))


def path_of(url: str) -> str:
    return "/" + url.split("/", 3)[3]


def confirm_path(notice: Notice | None = None) -> str:
    notice = notice or Notice.objects.filter(kind=notices.CONFIRM).latest("pk")
    return path_of(tokens.confirm_url(notice.pk, now=timezone.now()))


def snapshot() -> list[list[tuple]]:
    """Everything that a GET must leave as it is."""
    return [
        list(model.objects.order_by("pk").values_list()) for model in (Subscriber, Notice, SubscribedTopic)
    ]
