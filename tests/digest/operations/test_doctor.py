"""Each finding says what is so and, where something is wrong, how to mend it."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from django.core.cache import cache
from django.core.management import call_command
from django.db import OperationalError

from digest.matching import encoders
from digest.models import Alarm, Source
from digest.operations import doctor, health
from digest.papers import alarms
from digest.sources import clock
from tests.servers import HuggingFaceServer, Reply, WebServer, huggingface_server, web_server
from tests.smtp_server import HANG_UP, SmtpServer, smtp_server

NOW = datetime(2026, 8, 21, 10, 12, tzinfo=UTC)

__all__ = ["smtp_server"]
pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def source(settings) -> Iterator[HuggingFaceServer]:
    cache.clear()
    with huggingface_server() as server:
        settings.HUGGINGFACE_URL = server.url
        yield server


@pytest.fixture(autouse=True)
def mail(smtp_server: SmtpServer) -> SmtpServer:
    return smtp_server


def findings() -> dict[str, doctor.Finding]:
    return {finding.subject: finding for finding in doctor.examine(now=NOW)}


class TestExamine:
    def test_finds_nothing_bad_where_all_is_well(self):
        health.beat_seen(NOW - timedelta(seconds=9))

        found = findings()

        assert [finding for finding in found.values() if finding.state == doctor.BAD] == []
        assert found["beat and workers"].fact == "last sign 9 s ago"
        assert found["database"].fact.endswith("its tables are up to date")
        assert set(found) == {
            "settings",
            "postal address",
            "database",
            "broker",
            "beat and workers",
            "clock",
            "Hugging Face Daily Papers",
            "arXiv",
            "mail server",
        }
        assert found["arXiv"].state == doctor.HINT

    def test_does_not_claim_to_have_looked_at_dns(self):
        facts = " ".join(f"{finding.subject} {finding.fact}" for finding in findings().values())

        assert "SPF" not in facts
        assert "DKIM" not in facts

    def test_names_settings_that_must_not_go_live(self, settings):
        settings.UNCERTAIN_POLICY = "retry"

        found = findings()["settings"]

        assert found.state == doctor.BAD
        assert "UNCERTAIN_POLICY=hold" in found.cure

    def test_a_database_that_does_not_answer_is_said_and_the_rest_is_looked_at(self, monkeypatch):
        def refuse():
            raise OperationalError("connection refused")

        monkeypatch.setattr(health, "_select_one", refuse)

        found = findings()

        assert found["database"].state == doctor.BAD
        assert "DATABASE_URL" in found["database"].cure
        assert "mail server" in found
        assert "clock" not in found

    def test_a_broker_that_does_not_answer_is_said(self, settings):
        settings.CELERY_BROKER_URL = "redis://127.0.0.1:9/0"

        assert findings()["broker"].state == doctor.BAD

    def test_asks_a_source_once(self, source):
        findings()

        assert [(asked.path, asked.params["limit"]) for asked in source.asked] == [("/api/daily_papers", "1")]

    def test_a_source_that_refuses_is_told_in_its_own_words(self, source):
        source.replies = [Reply(status=403, body=b"go away")]

        found = findings()["Hugging Face Daily Papers"]

        assert found.state == doctor.BAD
        assert "403" in found.cure
        assert "terms of use" in found.cure

    def test_a_source_that_is_off_is_not_asked(self, source):
        Source.objects.update(enabled=False)

        assert findings()["sources"].fact == "none is switched on"
        assert source.asked == []

    def test_a_kind_that_cannot_be_read_is_not_asked_in_another_s_place(self, source):
        Source.objects.filter(slug="huggingface").update(kind="gopher", name="Gopher")

        assert findings()["Gopher"].fact == "is switched on, and this version does not read gopher"
        assert source.asked == []

    def test_alarms_that_stand_are_told(self):
        alarms.raise_(
            "late:arxiv",
            kind=Alarm.Kind.LATE,
            source=Source.objects.get(slug="arxiv"),
            message="No list.",
            now=NOW,
        )

        assert (findings()["alarm"].state, findings()["alarm"].fact) == (doctor.WARN, "No list.")

    def test_a_mail_server_that_hangs_up_is_said(self, mail):
        mail.answer("CONNECT", HANG_UP)

        found = findings()["mail server"]

        assert found.state == doctor.BAD
        assert "Check EMAIL_URL" in found.cure

    def test_sends_no_mail(self, mail):
        findings()

        assert mail.envelopes == []
        assert not any(line.upper().startswith("MAIL") for line in mail.commands)


@pytest.fixture
def web() -> Iterator[WebServer]:
    with web_server() as server:
        yield server


FEED = b"""<rss version="2.0"><channel><title>A lab</title><item><title>We did it</title>
<link>https://lab.example/1</link><pubDate>Thu, 20 Aug 2026 10:00:00 GMT</pubDate></item></channel></rss>"""


class TestFeeds:
    @pytest.fixture(autouse=True)
    def _feed(self, web, settings):
        settings.TRUSTED_FEED_HOSTS = [web.host]
        Source.objects.create(
            slug="lab", name="A lab", kind="feed", gives="post", url=f"{web.url}/feed", next_fetch_at=NOW
        )

    def test_one_that_answers_is_told_with_its_entries(self, web):
        web.pages["/feed"] = FEED

        finding = findings()["A lab"]

        assert (finding.state, finding.fact) == (doctor.GOOD, f"{web.host} answers with 1 entry")

    def test_one_that_is_a_page_now_says_where_to_mend_it(self, web):
        web.pages["/feed"] = b"<html><body>We have moved.</body></html>"

        finding = findings()["A lab"]

        assert finding.state == doctor.BAD
        assert f"{web.host} answers with" in finding.fact
        assert f"/admin/digest/source/{Source.objects.get(slug='lab').pk}/change/" in finding.cure

    def test_one_that_is_gone_is_bad(self, web):
        assert findings()["A lab"].state == doctor.BAD

    def test_one_in_a_private_network_is_not_asked(self, web, settings):
        settings.TRUSTED_FEED_HOSTS = []

        assert findings()["A lab"].state == doctor.BAD
        assert web.asked == []


class TestArxiv:
    @pytest.fixture(autouse=True)
    def turns(self, web, settings, monkeypatch) -> list[tuple[str, Sequence[str]]]:
        """The turns that were taken: the real clock commits its row, which would outlive the test."""
        taken: list[tuple[str, Sequence[str]]] = []

        @contextmanager
        def turn(name: str, *, heeding: Sequence[str], longest_wait_seconds: float) -> Iterator[None]:
            taken.append((name, heeding))
            yield

        monkeypatch.setattr(clock, "turn", turn)
        settings.ARXIV_RSS_URL, settings.ARXIV_OAI_URL = web.url, f"{web.url}/oai"
        Source.objects.filter(slug="arxiv").update(enabled=True)
        web.pages |= {"/rss/cs.AI": b"<rss/>", "/oai": b"<OAI-PMH/>"}
        return taken

    def test_both_doors_are_asked_once_in_turn(self, web, turns):
        finding = findings()["arXiv"]

        assert (finding.state, finding.fact) == (doctor.GOOD, f"{web.host} answers, 5 categories chosen")
        assert [asked.path for asked in web.asked] == ["/rss/cs.AI", "/oai"]
        assert turns == [("arxiv", ("arxiv rss",)), ("arxiv", ("arxiv oai",))]

    def test_a_door_that_is_shut_is_named(self, web):
        web.pages["/oai"] = Reply(status=503)

        finding = findings()["arXiv"]

        assert (finding.state, finding.fact) == (doctor.BAD, "OAI-PMH did not answer")

    def test_without_a_category_nothing_is_asked(self, web):
        Source.objects.filter(slug="arxiv").update(categories=[])

        assert findings()["arXiv"].fact == "is switched on without a category"
        assert web.asked == []


class TestEnrichers:
    def test_are_no_finding_where_they_are_not_set(self):
        assert not {"language model", "Semantic Scholar", "semantic model"} & findings().keys()

    @pytest.mark.parametrize(
        ("reply", "model", "state", "fact"),
        [
            (Reply(body=b'{"data": [{"id": "m1"}]}'), "m1", "good", "answers and has m1"),
            (Reply(body=b'{"data": [{"id": "m1"}]}'), "m2", "warn", "does not list m2"),
            (Reply(body=b"[[[]"), "m1", "warn", "not with a list of models"),
            (Reply(status=401), "m1", "bad", "does not let us in (401)"),
            (Reply(status=404), "m1", "warn", "lists no models"),
            (Reply(status=500), "m1", "bad", "did not answer"),
            (Reply(body=b""), "", "bad", "LLM_MODEL is not"),
        ],
    )
    def test_the_language_model_is_looked_up_and_not_asked_to_work(
        self, web, settings, reply, model, state, fact
    ):
        settings.LLM_URL, settings.LLM_KEY, settings.LLM_MODEL = f"{web.url}/v1", "secret", model
        web.pages["/v1/models"] = reply

        finding = findings()["language model"]

        assert (finding.state, fact in finding.fact) == (state, True)
        assert bool(finding.cure) == (state != "good")
        assert "secret" not in f"{finding.fact} {finding.cure}"
        assert [(asked.method, asked.headers["authorization"]) for asked in web.asked] == (
            [("GET", "Bearer secret")] if model else []
        )

    @pytest.mark.parametrize(
        ("status", "state"), [(200, "good"), (429, "warn"), (403, "bad"), (404, "bad"), (500, "bad")]
    )
    def test_semantic_scholar_is_asked_for_one_paper(self, web, settings, status, state):
        settings.SEMANTIC_SCHOLAR_URL, settings.SEMANTIC_SCHOLAR_KEY = web.url, "secret"
        web.pages["/graph/v1/paper/ARXIV:1706.03762"] = Reply(status=status, body=b"{}")

        finding = findings()["Semantic Scholar"]

        assert finding.state == state
        assert [asked.headers["x-api-key"] for asked in web.asked] == ["secret"]

    def test_a_model_for_ranking_that_is_set_and_not_installed_is_found(self, settings, monkeypatch):
        monkeypatch.setattr(encoders, "_loaded", {"minilm": None})
        settings.SEMANTIC_MODEL = "minilm"

        finding = findings()["semantic model"]

        assert finding.state == "bad"
        assert "make semantic" in finding.cure


class TestCommand:
    def test_ends_with_one_json_object(self, capsys):
        call_command("doctor", "--json")

        report = json.loads(capsys.readouterr().out.splitlines()[-1])
        assert report["ok"] is True
        assert {"subject", "state", "fact", "cure"} == set(report["findings"][0])

    def test_fails_and_prints_the_cure_where_something_is_bad(self, mail, capsys):
        mail.answer("CONNECT", HANG_UP)

        with pytest.raises(SystemExit) as ended:
            call_command("doctor")

        assert ended.value.code == 1
        assert "BAD   mail server: cannot be used" in capsys.readouterr().out
