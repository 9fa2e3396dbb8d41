"""Each finding says what is so and, where something is wrong, how to mend it."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from django.core.cache import cache
from django.core.management import call_command
from django.db import OperationalError

from digest.models import Source
from digest.operations import doctor, health
from tests.servers import HuggingFaceServer, Reply, huggingface_server
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
            "mail server",
        }

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
        Source.objects.update(kind=Source.Kind.ARXIV, name="arXiv")

        assert findings()["arXiv"].fact == "is switched on, and this version does not read arxiv"
        assert source.asked == []

    def test_a_mail_server_that_hangs_up_is_said(self, mail):
        mail.answer("CONNECT", HANG_UP)

        found = findings()["mail server"]

        assert found.state == doctor.BAD
        assert "Check EMAIL_URL" in found.cure

    def test_sends_no_mail(self, mail):
        findings()

        assert mail.envelopes == []
        assert not any(line.upper().startswith("MAIL") for line in mail.commands)


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
