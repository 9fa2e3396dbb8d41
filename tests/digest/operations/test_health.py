"""What the machines that watch get to hear."""

import re
from datetime import UTC, datetime, timedelta

import pytest
import redis
from django.core.cache import cache
from django.db import OperationalError, connection, transaction
from django.test.utils import CaptureQueriesContext

from digest.models import AiSpending, AiText, Batch, Edition, Source
from digest.operations import health, metrics
from digest.papers import alarms
from subscriptions.mail import ledger
from tests.factories import DAY, PaperFactory, SubscriberFactory, open_mailing

NOW = datetime(2026, 8, 21, 10, 12, tzinfo=UTC)
NOBODY = "redis://127.0.0.1:9/0"


@pytest.fixture(autouse=True)
def _empty_cache():
    cache.clear()


@pytest.fixture
def dead_broker(settings):
    settings.CELERY_BROKER_URL = NOBODY


@pytest.fixture
def dead_database(monkeypatch):
    def refuse():
        raise OperationalError("connection to 10.0.0.7 refused for user paperboy")

    monkeypatch.setattr(health, "_select_one", refuse)


class TestHealthz:
    def test_answers_without_a_database(self, client):
        # No django_db mark: pytest-django refuses a query here.
        response = client.get("/healthz")

        assert (response.status_code, response.content) == (200, b"ok\n")
        assert "no-store" in response["Cache-Control"]

    def test_answers_head_as_the_supervisor_asks(self, client):
        assert client.head("/healthz").status_code == 200


@pytest.mark.django_db
class TestReadyz:
    def test_is_ready_when_database_and_broker_answer(self, client):
        response = client.get("/readyz")

        assert response.status_code == 200
        assert response.json()["ready"] is True
        assert response.json()["failing"] == []

    def test_names_a_broker_that_does_not_answer(self, client, dead_broker):
        response = client.get("/readyz")

        assert response.status_code == 503
        assert response.json()["failing"] == ["broker"]

    def test_names_a_database_that_does_not_answer_and_keeps_its_address(self, client, dead_database):
        response = client.get("/readyz")

        assert response.status_code == 503
        assert response.json()["failing"] == ["database"]
        assert "10.0.0.7" not in response.content.decode()


class TestBeat:
    def test_its_age_is_told(self):
        health.beat_seen(NOW)

        assert health.beat_age(NOW + timedelta(seconds=12)) == timedelta(seconds=12)

    def test_is_unknown_until_seen(self):
        assert health.beat_age(NOW) is None

    def test_is_forgotten_after_ten_minutes(self, settings):
        health.beat_seen(NOW)

        with redis.Redis.from_url(settings.CACHES["default"]["LOCATION"]) as server:
            seconds = server.ttl(cache.make_key(health.BEAT_KEY))

        assert 590 <= seconds <= 600

    def test_a_cache_that_does_not_answer_disturbs_no_task(self, settings):
        settings.CACHES = {"default": settings.CACHES["default"] | {"LOCATION": NOBODY}}

        health.beat_seen(NOW)

        assert health.beat_age(NOW) is None


@pytest.mark.django_db
class TestMetrics:
    def values(self, client) -> dict[str, float]:
        text = client.get("/metrics").content.decode()
        lines = [line for line in text.splitlines() if not line.startswith("#")]
        return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}

    def test_tells_the_running_mailings_by_state(self, client):
        with transaction.atomic():
            mailing = open_mailing()
            Edition.objects.create(kind="daily", date=DAY, mailing=mailing, opened_at=NOW)
            readers = SubscriberFactory.create_batch(3)
            ledger.add(mailing.pk, [ledger.NewRow(r.pk, r.email, NOW) for r in readers])

        values = self.values(client)

        assert values['paperboy_deliveries{mailing="daily 2026-08-20",state="prepared"}'] == 3
        assert values['paperboy_deliveries{mailing="daily 2026-08-20",state="due"}'] == 3
        assert values['paperboy_deliveries_unaccounted{mailing="daily 2026-08-20"}'] == 0
        assert values["paperboy_active_subscribers"] == 3

    def test_leaves_out_what_nobody_knows(self, client):
        names = " ".join(self.values(client))

        assert "paperboy_beat_seconds" not in names
        assert "paperboy_source_seconds_since_success" not in names

    def test_tells_ages_in_seconds(self, client):
        now = datetime.now(UTC)
        Source.objects.update(last_success_at=now - timedelta(minutes=5))
        health.beat_seen(now)

        values = self.values(client)

        assert 300 <= values['paperboy_source_seconds_since_success{source="huggingface"}'] < 330
        assert 0 <= values["paperboy_beat_seconds"] < 30

    def test_tells_lists_by_source_and_state(self, client):
        source = Source.objects.get(slug="huggingface")
        today = datetime.now(UTC).date()
        for age, values in enumerate(
            (
                {"settled_at": NOW},
                {"settled_at": NOW},
                {},
                {"rejected": 2},
                {"fetched_at": None},
                {"is_sample": True},
            )
        ):
            Batch.objects.create(
                source=source, listing_day=today - timedelta(days=age), **{"fetched_at": NOW} | values
            )
        Batch.objects.create(source=source, listing_day=today - timedelta(days=7), fetched_at=NOW)

        values = self.values(client)

        assert {name: value for name, value in values.items() if "paperboy_batches" in name} == {
            'paperboy_batches{source="huggingface",state="complete"}': 2,
            'paperboy_batches{source="huggingface",state="still_open"}': 1,
            'paperboy_batches{source="huggingface",state="not_complete"}': 1,
            'paperboy_batches{source="huggingface",state="not_read"}': 1,
        }
        assert values['paperboy_entries_set_aside{source="huggingface"}'] == 2

    def test_tells_alarms_by_kind(self, client):
        alarms.raise_("gap:x", kind="gap", source=Source.objects.first(), message="A gap.", now=NOW)

        values = self.values(client)

        assert values['paperboy_alarms{kind="gap"}'] == 1
        assert values['paperboy_alarms{kind="late"}'] == 0

    def test_tells_what_the_language_model_was_asked_today(self, client, settings):
        assert not any("paperboy_ai" in name for name in self.values(client))

        settings.LLM_URL, settings.LLM_DAILY_REQUESTS = "http://llm.example/v1", 500
        AiSpending.objects.create(day=datetime.now(UTC).date(), requests=12, tokens=3_400)
        AiText.objects.create(paper=PaperFactory(), language="en", kind="summary", due_at=NOW)
        values = self.values(client)

        assert values["paperboy_ai_requests_today"] == 12
        assert values["paperboy_ai_requests_budget"] == 500
        assert values["paperboy_ai_tokens_today"] == 3_400
        assert values['paperboy_ai_texts{status="wanted"}'] == 1

    def test_never_reads_the_ledger(self, client):
        with CaptureQueriesContext(connection) as captured:
            client.get("/metrics")

        assert not any("subscriptions_delivery" in query["sql"] for query in captured)

    def test_is_prometheus_text(self, client):
        response = client.get("/metrics")

        assert response["Content-Type"] == metrics.CONTENT_TYPE
        for line in response.content.decode().splitlines():
            assert re.fullmatch(r'# (HELP|TYPE) [a-z_]+ .+|[a-z_]+(\{([a-z]+="[^"]*",?)+\})? \S+', line)

    def test_labels_are_escaped(self):
        metric = metrics.Metric("paperboy_x", "X.", (({"label": 'a"b\\c\nd'}, 1),))

        assert metrics.exposition([metric]).splitlines()[-1] == 'paperboy_x{label="a\\"b\\\\c\\nd"} 1'
