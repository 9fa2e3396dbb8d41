"""An edition from opening to the last reply, through the commands and a real mail server."""

import json
import os
import signal
import subprocess
import sys
import time
from datetime import date, timedelta
from io import StringIO

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from digest import embedded
from digest.editions import compose, preview, run, schedule
from digest.models import Batch, Digest, Edition, Received
from digest.processes import wait_until
from subscriptions import topics
from subscriptions.mail import outbox
from subscriptions.models import Delivery, FilterRevision, Mailing, Subscriber
from tests.factories import (
    DAY,
    MORNING_AFTER,
    NOON,
    SubscribedTopicFactory,
    SubscriberFactory,
    TopicFactory,
    listed_paper,
)
from tests.smtp_server import smtp_server

__all__ = ["smtp_server"]

pytestmark = pytest.mark.django_db


def reader(text: str = "agent", **values: object) -> Subscriber:
    subscriber = SubscriberFactory(**values)
    topic = TopicFactory(name=text, filter=topics.filter_revision(text, now=NOON))
    SubscribedTopicFactory(subscriber=subscriber, topic=topic)
    return subscriber


def command(name: str, *arguments: str) -> list[str]:
    out = StringIO()
    call_command(name, *arguments, stdout=out, stderr=StringIO())
    return out.getvalue().splitlines()


def run_edition(*arguments: str) -> dict[str, object]:
    return json.loads(command("run_edition", "--json", *arguments)[-1])


class TestRunEdition:
    def test_accounts_for_everybody_and_sends_nothing_twice(self, smtp_server):
        listed_paper()
        ada, grace = reader(email="ada@lab.example"), reader(email="grace@gone.example")
        reader("robot", email="mary@lab.example")
        smtp_server.answer("grace@gone.example", "550 5.1.1 no such user")

        account = run_edition("--date", str(DAY), "--now")

        assert account.pop("seconds") > 0
        assert account == {
            "edition": f"daily {DAY}",
            "prepared": 3,
            "sent": 1,
            "due": 0,
            "deferred": 0,
            "failed": 1,
            "skipped": 1,
            "expired": 0,
            "uncertain": 0,
        }
        assert smtp_server.recipients == [ada.email]
        grace.refresh_from_db()
        assert grace.status == "suppressed"

        again = run_edition("--date", str(DAY), "--now")
        assert (again["prepared"], again["sent"]) == (3, 1)
        assert len(smtp_server.envelopes) == 1

    def test_takes_the_latest_listing_day_by_default(self, smtp_server):
        listed_paper(DAY - timedelta(days=1))
        listed_paper(DAY)
        assert run_edition("--now")["edition"] == f"daily {DAY}"

    def test_by_day_takes_the_edition_that_is_open_and_not_todays_list(self, smtp_server):
        today = timezone.now().date()
        listed_paper(today - timedelta(days=1))
        Batch.objects.update(settled_at=NOON)
        listed_paper(today)

        assert run_edition()["edition"] == f"daily {today - timedelta(days=1)}"

    def test_retries_a_greylisting_server_within_half_a_minute(self, smtp_server, monkeypatch):
        monkeypatch.setattr(run, "QUICK_RETRIES", (timedelta(seconds=0.1),))
        listed_paper()
        subscriber = reader()
        smtp_server.answer(subscriber.email, "451 4.7.1 greylisted", "")

        assert run_edition("--now")["sent"] == 1

    def test_an_unreachable_mail_server_is_a_failure_that_loses_nothing(self, settings, monkeypatch):
        monkeypatch.setattr(run, "QUICK_SECONDS", 0.0)
        settings.EMAIL_URL = "smtp://127.0.0.1:9"
        listed_paper()
        reader()

        with pytest.raises(CommandError, match=r"127\.0\.0\.1:9 cannot be used"):
            run_edition("--now")

        assert Delivery.objects.get().state == "due"

    def test_trouble_that_lasts_through_the_retries_is_still_a_failure(self, settings, monkeypatch):
        monkeypatch.setattr(run, "QUICK_SECONDS", 2.5)
        settings.EMAIL_URL = "smtp://127.0.0.1:9"
        listed_paper()
        reader()

        with pytest.raises(CommandError, match=r"127\.0\.0\.1:9 cannot be used"):
            run_edition("--now")

    def test_a_mail_server_that_comes_back_within_half_a_minute_gets_all(self, smtp_server, monkeypatch):
        monkeypatch.setattr(run, "QUICK_LEFT_ALONE", timedelta(seconds=0.1))
        listed_paper()
        reader()
        smtp_server.answer("CONNECT", "421 4.3.2 starting", "")

        assert run_edition("--now")["sent"] == 1

    def test_everybody_now_takes_stale_rows_too(self, smtp_server, monkeypatch):
        monkeypatch.setattr(run, "QUICK_SECONDS", 0.0)
        listed_paper()
        reader(email="ada@lab.example")
        reader(email="grace@lab.example")
        edition = schedule.open_edition("daily", DAY, now=MORNING_AFTER)
        compose.compose(edition, now=timezone.now() - timedelta(days=3), at_once=True)
        smtp_server.answer("grace@lab.example", "451 4.7.1 greylisted")

        account = run_edition("--date", str(DAY), "--now")

        assert (account["sent"], account["deferred"], account["expired"]) == (1, 1, 0)

    @pytest.mark.django_db(transaction=True, serialized_rollback=True)
    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_told_to_stop_it_ends_between_two_messages_and_loses_no_answer(self, smtp_server, number):
        listed_paper()
        for _ in range(20):
            reader()
        bundled = embedded.database_url(settings.VAR_DIR)
        environment = os.environ | {
            "DATABASE_URL": f"{bundled.rpartition('/')[0]}/{connection.settings_dict['NAME']}",
            "EMAIL_URL": smtp_server.url,
        }
        arguments = ("run_edition", "--date", str(DAY), "--now", "--json")

        def slowly() -> str:
            time.sleep(0.05)
            return ""

        smtp_server.answer("DATA", slowly)
        with subprocess.Popen(
            [sys.executable, "manage.py", *arguments], env=environment, cwd=settings.BASE_DIR,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        ) as command:  # fmt: skip
            wait_until(lambda: len(smtp_server.envelopes) >= 3, seconds=30)
            command.send_signal(number)
            out, said = command.communicate(timeout=30)

        account = json.loads(out.splitlines()[-1])
        assert command.returncode == 1
        assert "Stopped" in said
        assert 3 <= account["sent"] == len(smtp_server.envelopes) < 20
        assert account["due"] == 20 - account["sent"]
        assert Delivery.objects.filter(state="due", attempts=0).count() == account["due"]

    def test_says_what_to_do_without_papers(self):
        with pytest.raises(CommandError, match="fetch_papers"):
            run_edition("--date", "2026-01-01", "--now")
        with pytest.raises(CommandError, match="fetch_papers"):
            run_edition()

    def test_waits_for_the_opening_unless_told_not_to(self):
        today = timezone.now().date()
        listed_paper(today)
        with pytest.raises(CommandError, match="opens at"):
            run_edition("--date", str(today))

    def test_without_now_sends_only_what_is_due(self, smtp_server):
        yesterday = timezone.now().date() - timedelta(days=1)
        listed_paper(yesterday)
        Batch.objects.update(settled_at=NOON)  # so that it opens at midnight already
        due_at_once = reader(timezone="Pacific/Kiritimati", hour=0)  # UTC+14: that hour is over
        Subscriber.objects.filter(pk=due_at_once.pk).update(confirmed_at=NOON)
        later = reader(timezone="Etc/GMT+12", hour=23)  # UTC-12: not before tomorrow

        account = run.run("daily", yesterday, now=timezone.now())

        assert account is not None
        assert (account.counts["sent"], account.counts["due"]) == (1, 1)
        assert Delivery.objects.get(subscriber_id=later.pk).state == "due"

    def test_a_weekly_edition_goes_to_weekly_readers(self, smtp_server):
        listed_paper()
        weekly = reader(frequency="weekly")
        reader()

        account = run_edition("--kind", "weekly", "--date", str(DAY), "--now")

        assert account["edition"] == f"weekly {date(2026, 8, 17)}"
        assert smtp_server.recipients == [weekly.email]


class TestDeliveries:
    def test_lists_each_row_with_the_message_id_that_was_sent(self, smtp_server):
        listed_paper()
        ada, mary = reader(email="ada@lab.example"), reader("robot", email="mary@lab.example")
        run_edition("--now")

        rows = [json.loads(line) for line in command("deliveries", "--date", str(DAY))]

        assert [(row["email"], row["state"], row["reason"]) for row in rows] == [
            (ada.email, "sent", "250 2.0.0 taken"),
            (mary.email, "skipped", "no_match"),
        ]
        assert rows[0]["message_id"] == smtp_server.messages[0]["Message-ID"]
        assert command("deliveries", "--date", str(DAY), "--state", "failed") == []
        assert len(command("deliveries", "--date", str(DAY), "--json")) == 2


class TestPreview:
    def test_is_the_message_that_then_comes_and_leaves_nothing_behind(self, smtp_server):
        paper = listed_paper()
        subscriber = reader(email="ada@lab.example")

        content = preview.for_subscriber(subscriber, now=MORNING_AFTER)

        assert paper.title.encode() in content
        assert not Edition.objects.exists()
        assert not Digest.objects.exists()
        assert not Received.objects.exists()
        assert not Mailing.objects.exists()
        run_edition("--now")
        sent = smtp_server.messages[0]
        assert sent["Subject"].encode() in content

    def test_of_filters_needs_no_subscriber(self, tmp_path):
        paper = listed_paper()
        out = tmp_path / "digest.eml"

        command("preview_digest", "--filter", "agent", "robot", "--out", str(out))

        assert paper.title.encode() in out.read_bytes()
        assert not Subscriber.objects.exists()
        assert not FilterRevision.objects.filter(canonical="robot").exists()

    def test_says_as_json_what_it_wrote(self, tmp_path):
        listed_paper()
        out = tmp_path / "digest.eml"

        said = command("preview_digest", "--filter", "agent", "--out", str(out), "--json")[-1]

        assert json.loads(said) == {"bytes": out.stat().st_size, "out": str(out)}

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (
                ("--filter", "agent", "--out", "/no/such/folder/x.eml"),
                "x.eml cannot be written",
            ),
            (("--filter", "agent", "--date", "today"), "Write it as YYYY-MM-DD"),
            (("--filter", "agent ("), "Column"),
            (("--filter", "robot"), "None of the 1 papers"),
            (("--subscriber", "nobody@lab.example"), "Nobody has subscribed as nobody@lab.example"),
        ],
    )
    def test_says_what_is_wrong(self, arguments, message):
        listed_paper()
        with pytest.raises(CommandError, match=message):
            command("preview_digest", *arguments)


def test_a_welcome_after_the_edition_completed_is_still_sent(smtp_server):
    listed_paper()
    reader()
    run_edition("--now")
    outbox.sweep()
    assert Mailing.objects.get().status == "complete"
    newcomer = reader(email="new@lab.example", confirmed_at=timezone.now())

    account = run_edition("--date", str(DAY))

    assert (account["prepared"], account["sent"]) == (2, 2)
    assert smtp_server.recipients[-1] == newcomer.email
