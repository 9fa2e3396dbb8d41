"""Workers killed with -9 at five points: nobody is lost, nobody gets it twice, the undecidable is listed."""

import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection

from digest import embedded
from subscriptions.mail import ledger, outbox
from subscriptions.models import Delivery, Mailing
from tests.factories import MORNING_AFTER, SubscriberFactory, open_mailing
from tests.smtp_server import SmtpServer, smtp_server

__all__ = ["smtp_server"]

READERS = 120  # three groups
REPOSITORY = Path(__file__).resolve().parents[3]


def start_worker(mailing: Mailing, point: str, server: SmtpServer) -> subprocess.Popen[bytes]:
    bundled = embedded.database_url(settings.VAR_DIR)
    environment = os.environ | {
        "DJANGO_SETTINGS_MODULE": "digest.settings",
        "DATABASE_URL": f"{bundled.rpartition('/')[0]}/{connection.settings_dict['NAME']}",
        "EMAIL_URL": server.url,
    }
    return subprocess.Popen(
        [sys.executable, "-m", "tests.subscriptions.mail.doomed_worker", str(mailing.pk), point],
        cwd=REPOSITORY,
        env=environment,
    )


def time_passes() -> None:
    """Leases run out and half-minute waits are over; eight minutes in one statement."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE subscriptions_delivery SET lease_expires_at = now() WHERE lease_token IS NOT NULL"
            " AND lease_expires_at IS NOT NULL"
        )
        outbox.sweep()
        cursor.execute("UPDATE subscriptions_delivery SET due_at = now() WHERE state = 'due'")


@pytest.fixture
def mailing(transactional_db, django_db_serialized_rollback) -> Mailing:
    mailing = open_mailing()
    readers = [SubscriberFactory(email=f"r{n:03}@lab.example") for n in range(READERS)]
    ledger.add(mailing.pk, [ledger.NewRow(r.pk, r.email, MORNING_AFTER) for r in readers])
    with connection.cursor() as cursor:
        cursor.execute("UPDATE subscriptions_delivery SET planned_at = clock_timestamp()")
    return mailing


def run_to_the_end(mailing: Mailing, server: SmtpServer, point: str, *, expect_killed: bool = True) -> None:
    worker = start_worker(mailing, point, server)
    assert worker.wait(60) == (-signal.SIGKILL if expect_killed else 0)
    time_passes()
    successor = start_worker(mailing, "never", server)
    assert successor.wait(60) == 0


def account(mailing: Mailing, server: SmtpServer) -> tuple[Counter[str], set[str]]:
    """The states at the end, and the addresses that are `uncertain`; checks what must hold at every point."""
    rows = dict(Delivery.objects.of_mailing(mailing.pk).values_list("email", "state"))
    states = Counter(rows.values())
    counts = ledger.counts(mailing.pk)
    assert counts.pop("prepared") == READERS == len(rows)
    assert {state: n for state, n in counts.items() if n} == states
    copies = Counter(server.recipients)
    assert all(n == 1 for n in copies.values()), "somebody got it twice"
    uncertain = {email for email, state in rows.items() if state == "uncertain"}
    assert len(uncertain) <= outbox.GROUP_ROWS
    sent = {email for email, state in rows.items() if state == "sent"}
    assert sent <= copies.keys(), "said sent, and the server never saw it"
    assert copies.keys() - sent <= uncertain
    assert set(rows) == sent | uncertain, "somebody was lost"
    return states, uncertain


@pytest.mark.faults
class TestKill9:
    def test_after_the_lease(self, mailing, smtp_server):
        run_to_the_end(mailing, smtp_server, "claimed")
        states, _ = account(mailing, smtp_server)
        assert states == Counter(sent=READERS)

    def test_after_handing_was_committed_and_before_any_data(self, mailing, smtp_server):
        run_to_the_end(mailing, smtp_server, "handing")
        states, uncertain = account(mailing, smtp_server)
        assert states == Counter(sent=READERS - 50, uncertain=50)
        assert uncertain.isdisjoint(smtp_server.recipients)

    def test_in_the_middle_of_a_message(self, mailing, smtp_server):
        self._kill_on(smtp_server, "DATA", message=53)
        run_to_the_end(mailing, smtp_server, "never")
        states, uncertain = account(mailing, smtp_server)
        assert states == Counter(sent=READERS - 50, uncertain=50)
        assert len(uncertain & set(smtp_server.recipients)) == 2  # those whose reply was not recorded

    def test_between_the_final_dot_and_the_reply(self, mailing, smtp_server):
        self._kill_on(smtp_server, ".", message=53)
        run_to_the_end(mailing, smtp_server, "never")
        states, uncertain = account(mailing, smtp_server)
        assert states == Counter(sent=READERS - 50, uncertain=50)
        assert len(uncertain & set(smtp_server.recipients)) == 3

    def test_after_the_replies_and_before_they_were_recorded(self, mailing, smtp_server):
        run_to_the_end(mailing, smtp_server, "recorded")
        states, uncertain = account(mailing, smtp_server)
        assert states == Counter(sent=READERS - 50, uncertain=50)
        assert uncertain <= set(smtp_server.recipients)

    def test_a_worker_that_nobody_kills_sends_all(self, mailing, smtp_server):
        run_to_the_end(mailing, smtp_server, "never", expect_killed=False)
        states, _ = account(mailing, smtp_server)
        assert states == Counter(sent=READERS)

    def _kill_on(self, server: SmtpServer, command: str, *, message: int) -> None:
        """The server kills the client at this command of the nth message."""
        seen = 0
        lock = threading.Lock()

        def kill() -> str:
            nonlocal seen
            with lock:
                seen += 1
                if seen == message:
                    os.kill(self._client_pid(server), signal.SIGKILL)
            return ""

        server.answer(command, kill)

    def _client_pid(self, server: SmtpServer) -> int:
        """The one doomed worker that runs: a child of this process."""
        children = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()
        for pid in children:
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
            if b"doomed_worker" in command:
                return int(pid)
        raise AssertionError("no worker runs")
