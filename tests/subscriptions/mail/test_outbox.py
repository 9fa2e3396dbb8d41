"""Delivering through a real SMTP server: what it answers is what the ledger says."""

import threading
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta

import pytest
from django.db import OperationalError, connection, transaction

from subscriptions.mail import ledger, outbox, smtp
from subscriptions.mail.letters import Letter, Recipient
from subscriptions.models import Delivery, Mailing, Subscriber, Suppression
from tests.factories import MORNING_AFTER, NOON, SubscriberFactory, open_mailing
from tests.smtp_server import HANG_UP, smtp_server

__all__ = ["smtp_server"]

pytestmark = pytest.mark.django_db


def assemble(recipients: Sequence[Recipient]) -> list[Letter]:
    return [
        Letter(
            r.delivery_id,
            "bounces@paperboy.example",
            r.email,
            f"Subject: {r.delivery_id}\r\n\r\n.a dot at the start of a line\r\n".encode(),
        )
        for r in recipients
    ]


def mailing_for(*emails: str, status: str = "active") -> Mailing:
    mailing = open_mailing()
    readers = [SubscriberFactory(email=email, status=status) for email in emails]
    ledger.add(mailing.pk, [ledger.NewRow(r.pk, r.email, MORNING_AFTER) for r in readers])
    with connection.cursor() as cursor:
        cursor.execute("UPDATE subscriptions_delivery SET planned_at = clock_timestamp()")
    return mailing


def deliver(mailing: Mailing, **options) -> outbox.Delivered:
    options = {"assemble": assemble, "suppress": lambda address, evidence: None} | options
    lease = outbox.claim(mailing.pk)
    assert lease is not None
    return outbox.deliver(lease, **options)


def states(mailing: Mailing) -> dict[str, str]:
    return dict(Delivery.objects.of_mailing(mailing.pk).values_list("email", "state"))


class TestDeliver:
    def test_what_the_server_took_is_sent_and_arrives_unchanged(self, smtp_server):
        mailing = mailing_for("a@lab.example", "b@lab.example")

        delivered = deliver(mailing)

        assert delivered.states == Counter(sent=2)
        assert states(mailing) == {"a@lab.example": "sent", "b@lab.example": "sent"}
        assert [e.rcpt_to for e in smtp_server.envelopes] == ["a@lab.example", "b@lab.example"]
        assert smtp_server.envelopes[0].content.endswith(b"\r\n.a dot at the start of a line\r\n")
        assert outbox.claim(mailing.pk) is None

    @pytest.mark.parametrize(
        ("reply", "state", "is_suppressed"),
        [
            ("550 5.1.1 no such user", "failed", True),
            ("550 no such user", "failed", True),
            ("550 5.7.1 we do not like your policy", "failed", False),
            ("552 5.2.2 mailbox full", "failed", False),
            ("451 4.7.1 greylisted", "deferred", False),
            ("421 4.3.2 closing", "deferred", False),
        ],
    )
    def test_a_refused_recipient(self, smtp_server, reply, state, is_suppressed):
        mailing = mailing_for("a@lab.example")
        smtp_server.answer("a@lab.example", reply)
        suppressed = []

        deliver(mailing, suppress=lambda address, evidence: suppressed.append((address, evidence)))

        row = Delivery.objects.of_mailing(mailing.pk).get()
        assert (row.state, row.reason) == (state, reply)
        assert bool(suppressed) is is_suppressed

    def test_one_refusal_does_not_stop_the_others(self, smtp_server):
        mailing = mailing_for("a@lab.example", "b@lab.example", "c@lab.example")
        smtp_server.answer("b@lab.example", "550 5.1.1 no such user")

        deliver(mailing)

        assert list(states(mailing).values()) == ["sent", "failed", "sent"]

    def test_greylisting_succeeds_at_the_second_try_with_the_same_date(self, smtp_server):
        mailing = mailing_for("a@lab.example")
        smtp_server.answer("a@lab.example", "451 4.7.1 greylisted", "")
        deliver(mailing, retry_after=[timedelta(0)])
        dated_at = Delivery.objects.of_mailing(mailing.pk).get().dated_at

        deliver(mailing)

        row = Delivery.objects.of_mailing(mailing.pk).get()
        assert (row.state, row.attempts, row.dated_at) == ("sent", 2, dated_at)

    def test_a_line_lost_after_the_final_dot_is_uncertain_and_not_tried_again(self, smtp_server):
        mailing = mailing_for("a@lab.example", "b@lab.example", "c@lab.example")
        smtp_server.answer(".b@lab.example", HANG_UP)

        deliver(mailing)

        assert list(states(mailing).values()) == ["sent", "uncertain", "due"]
        with connection.cursor() as cursor:
            cursor.execute("UPDATE subscriptions_delivery SET due_at = clock_timestamp()")
        deliver(mailing)
        assert list(states(mailing).values()) == ["sent", "uncertain", "sent"]

    def test_a_line_lost_before_data_is_due_again(self, smtp_server):
        mailing = mailing_for("a@lab.example", "b@lab.example")
        smtp_server.answer("DATA", HANG_UP, "")

        delivered = deliver(mailing)

        assert list(states(mailing).values()) == ["due", "due"]
        assert delivered.trouble
        mailing.refresh_from_db()
        assert mailing.trouble == delivered.trouble

    def test_a_server_that_cannot_be_reached_loses_nothing(self, settings):
        settings.EMAIL_URL = "smtp://127.0.0.1:9"
        mailing = mailing_for("a@lab.example")

        delivered = deliver(mailing)

        assert "127.0.0.1:9 cannot be used" in delivered.trouble
        assert states(mailing) == {"a@lab.example": "due"}
        assert outbox.claim(mailing.pk) is None  # not at once: in half a minute

    def test_who_unsubscribed_after_compose_gets_nothing(self, smtp_server):
        mailing = mailing_for("a@lab.example", "b@lab.example")
        Subscriber.objects.filter(email="a@lab.example").update(status="unsubscribed")

        deliver(mailing)

        row = Delivery.objects.of_mailing(mailing.pk).get(email="a@lab.example")
        assert (row.state, row.reason) == ("skipped", "unsubscribed")
        assert smtp_server.recipients == ["b@lab.example"]

    def test_who_unsubscribes_between_two_groups_gets_nothing(self, smtp_server, monkeypatch):
        monkeypatch.setattr(outbox, "GROUP_ROWS", 1)
        mailing = mailing_for("a@lab.example", "b@lab.example")

        def leave() -> str:
            Subscriber.objects.filter(email="b@lab.example").update(status="unsubscribed")
            return ""

        def assemble_and_leave(recipients):
            leave()
            return assemble(recipients)

        deliver(mailing, assemble=assemble_and_leave)

        assert smtp_server.recipients == ["a@lab.example"]

    def test_a_suppressed_address_gets_nothing(self, smtp_server):
        mailing = mailing_for("a@lab.example")
        Suppression.objects.create(address="a@lab.example", reason="complaint", created_at=NOON)

        deliver(mailing)

        assert smtp_server.recipients == []
        assert Delivery.objects.of_mailing(mailing.pk).get().reason == "suppressed"

    def test_a_changed_address_is_the_one_written_to(self, smtp_server):
        mailing = mailing_for("old@lab.example")
        Subscriber.objects.update(email="new@lab.example", address="new@lab.example")

        deliver(mailing)

        assert smtp_server.recipients == ["new@lab.example"]
        assert states(mailing) == {"new@lab.example": "sent"}

    def test_a_letter_that_cannot_be_made_fails_alone(self, smtp_server):
        mailing = mailing_for("a@lab.example", "b@lab.example")

        def assemble_most(recipients):
            if any(r.email == "a@lab.example" for r in recipients):
                raise KeyError("card 7")
            return assemble(recipients)

        deliver(mailing, assemble=assemble_most)

        row = Delivery.objects.of_mailing(mailing.pk).get(email="a@lab.example")
        assert row.state == "failed"
        assert "could not assemble this digest: KeyError" in row.reason
        assert smtp_server.recipients == ["b@lab.example"]

    def test_stops_between_two_messages_when_told_to(self, smtp_server):
        mailing = mailing_for("a@lab.example", "b@lab.example", "c@lab.example")

        deliver(mailing, stop=lambda: len(smtp_server.envelopes) >= 1)

        assert Counter(states(mailing).values()) == {"sent": 1, "due": 2}

    def test_a_paused_mailing_hands_over_nothing_more(self, smtp_server, monkeypatch):
        monkeypatch.setattr(outbox, "GROUP_ROWS", 1)
        mailing = mailing_for("a@lab.example", "b@lab.example")

        def assemble_and_pause(recipients):
            outbox.pause(mailing.pk, reason="a test", now=NOON)
            return assemble(recipients)

        deliver(mailing, assemble=assemble_and_pause)

        assert Counter(states(mailing).values()) == {"sent": 1, "due": 1}
        assert outbox.claim(mailing.pk) is None
        outbox.resume(mailing.pk)
        deliver(mailing)
        assert Counter(states(mailing).values()) == {"sent": 2}


class TestClaim:
    def test_goes_round_the_routes(self):
        mailing = mailing_for("a@x.example", "b@y.example", "c@x.example", "d@googlemail.com", "e@gmail.com")

        lease = outbox.claim(mailing.pk, limit=2)
        assert lease.last_route == "google"
        behind = outbox.claim(mailing.pk, after_route="google", limit=2)
        assert behind.last_route == "x.example"

    def test_two_workers_never_hold_the_same_row(self):
        mailing = mailing_for("a@lab.example", "b@lab.example")

        first, second = outbox.claim(mailing.pk, limit=1), outbox.claim(mailing.pk)

        assert set(first.delivery_ids).isdisjoint(second.delivery_ids)
        assert first.token != second.token

    def test_what_is_not_due_yet_stays(self):
        mailing = open_mailing()
        reader = SubscriberFactory()
        ledger.add(mailing.pk, [ledger.NewRow(reader.pk, reader.email, MORNING_AFTER + timedelta(days=3650))])

        assert outbox.claim(mailing.pk) is None


class TestUncertain:
    def test_resend_policy_makes_them_due_with_the_same_key(self, smtp_server, settings):
        mailing = mailing_for("a@lab.example")
        smtp_server.answer(".a@lab.example", HANG_UP, "")
        deliver(mailing)
        outbox.sweep()
        assert states(mailing) == {"a@lab.example": "uncertain"}  # held

        settings.UNCERTAIN_POLICY = "resend"
        outbox.sweep()
        deliver(mailing)

        assert states(mailing) == {"a@lab.example": "sent"}

    def test_resend_policy_gives_up_after_three_tries(self, smtp_server, settings):
        settings.UNCERTAIN_POLICY = "resend"
        mailing = mailing_for("a@lab.example")
        smtp_server.answer(".a@lab.example", HANG_UP)

        for _ in range(5):
            if lease := outbox.claim(mailing.pk):
                outbox.deliver(lease, assemble=assemble, suppress=lambda address, evidence: None)
            outbox.sweep()

        assert states(mailing) == {"a@lab.example": "uncertain"}
        assert smtp_server.commands.count("data") == 3


class TestInterrupted:
    def test_what_the_server_said_is_recorded_and_the_rest_is_due(self, smtp_server):
        mailing = mailing_for(*(f"{name}@lab.example" for name in "abcde"))

        def stop() -> bool:
            if len(smtp_server.envelopes) == 2:
                raise KeyboardInterrupt  # Ctrl-C; Celery's soft time limit comes the same way
            return False

        with pytest.raises(KeyboardInterrupt):
            deliver(mailing, stop=stop)

        assert list(states(mailing).values()) == ["sent", "sent", "due", "due", "due"]
        assert ledger.counts(mailing.pk)["due"] == 3

    @pytest.mark.parametrize(("in_doubt", "state"), [(True, "uncertain"), (False, "due")])
    def test_in_the_middle_of_a_message_its_stage_decides(self, smtp_server, monkeypatch, in_doubt, state):
        mailing = mailing_for("a@lab.example", "b@lab.example", "c@lab.example")
        send = smtp.Connection.send

        def interrupted(self, envelope_from, to, content):
            if to == "b@lab.example":
                self.in_doubt = in_doubt
                raise KeyboardInterrupt
            return send(self, envelope_from, to, content)

        monkeypatch.setattr(smtp.Connection, "send", interrupted)
        with pytest.raises(KeyboardInterrupt):
            deliver(mailing)

        assert list(states(mailing).values()) == ["sent", state, "due"]

    @pytest.mark.django_db(transaction=True, serialized_rollback=True)
    def test_answers_wait_for_a_database_that_is_away(self, smtp_server, monkeypatch):
        mailing = mailing_for("a@lab.example", "b@lab.example")
        record, away = outbox.record, [True, True]

        def recording(*arguments, **options):
            if away:
                away.pop()
                raise OperationalError("the connection was lost")
            return record(*arguments, **options)

        monkeypatch.setattr(outbox, "record", recording)
        monkeypatch.setattr(outbox.time, "sleep", lambda seconds: None)
        deliver(mailing)

        assert list(states(mailing).values()) == ["sent", "sent"]

    @pytest.mark.django_db(transaction=True, serialized_rollback=True)
    def test_a_database_that_is_away_while_letters_are_made_fails_no_letter(self, smtp_server):
        mailing = mailing_for("a@lab.example", "b@lab.example")

        def assemble_without_database(recipients):
            raise OperationalError("the connection was lost")

        with pytest.raises(OperationalError):
            deliver(mailing, assemble=assemble_without_database)

        assert list(states(mailing).values()) == ["due", "due"]

    def test_a_suppression_that_fails_does_not_lose_the_others_answers(self, smtp_server):
        mailing = mailing_for("a@lab.example", "b@lab.example")
        smtp_server.answer("b@lab.example", "550 5.1.1 no such user")

        def suppress(address: str, evidence: str) -> None:
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1 / 0")

        deliver(mailing, suppress=suppress)

        assert list(states(mailing).values()) == ["sent", "failed"]


class TestSessions:
    def test_a_server_that_ends_each_session_after_some_messages_gets_them_all(self, smtp_server):
        mailing = mailing_for(*(f"r{number}@lab.example" for number in range(7)))
        smtp_server.answer("MAIL", *["250 ok", "250 ok", "421 4.7.0 enough for one session"] * 4)

        while lease := outbox.claim(mailing.pk):
            delivered = outbox.deliver(lease, assemble=assemble, suppress=lambda address, evidence: None)
            assert not delivered.trouble

        assert set(states(mailing).values()) == {"sent"}
        assert smtp_server.connections == 4

    def test_a_server_that_takes_nothing_is_left_alone_for_a_while(self, smtp_server):
        mailing = mailing_for(*(f"r{number}@lab.example" for number in range(3)))
        smtp_server.answer("MAIL", "421 4.3.2 closing")

        delivered = deliver(mailing)

        assert delivered.trouble == "421 4.3.2 closing"
        assert list(states(mailing).values()) == ["deferred", "due", "due"]
        assert outbox.claim(mailing.pk) is None

    def test_only_tries_count_as_tries(self, smtp_server):
        mailing = mailing_for("a@lab.example", "b@lab.example")
        smtp_server.answer("MAIL", "421 4.3.2 closing")

        deliver(mailing)

        attempts = Delivery.objects.of_mailing(mailing.pk).order_by("pk").values_list("attempts", flat=True)
        assert list(attempts) == [1, 0]


class TestComplete:
    @pytest.mark.django_db(transaction=True, serialized_rollback=True)
    def test_waits_for_rows_that_are_being_added(self):
        """A mailing that completes beside a row being added would leave that row due for ever."""
        mailing = open_mailing(closes_at=NOON)
        reader = SubscriberFactory()

        with transaction.atomic():
            ledger.add(mailing.pk, [ledger.NewRow(reader.pk, reader.email, MORNING_AFTER)])
            beside = threading.Thread(target=sweep_in_a_connection_of_its_own)
            beside.start()
            beside.join(2)
        beside.join(10)

        mailing.refresh_from_db()
        assert mailing.status == "open"


def sweep_in_a_connection_of_its_own() -> None:
    try:
        outbox.sweep()
    finally:
        connection.close()
