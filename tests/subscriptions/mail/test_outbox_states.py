"""The ledger as a state machine on the real database: every move of design.md section 4, and no other."""

from collections import Counter
from datetime import timedelta

import pytest
from django.db import connection, transaction
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from subscriptions.mail import ledger, outbox
from subscriptions.models import Delivery, Mailing, Subscriber
from tests.factories import MORNING_AFTER, SubscriberFactory, open_mailing

READERS = 5
MOVES = {
    ("due", "leased"),
    ("deferred", "leased"),
    ("leased", "due"),
    ("due", "skipped"),
    ("leased", "skipped"),
    ("deferred", "skipped"),
    ("leased", "handing"),
    ("handing", "sent"),
    ("handing", "deferred"),
    ("handing", "failed"),
    ("handing", "due"),
    ("handing", "uncertain"),
    ("uncertain", "sent"),
    ("uncertain", "due"),
    ("uncertain", "failed"),
    ("failed", "due"),
    ("due", "expired"),
    ("deferred", "expired"),
}
END_STATES = {"sent", "failed", "skipped", "expired", "uncertain"}

# An observer that knows nothing of our code: the database itself notes each change of state.
OBSERVE = """
    CREATE TEMPORARY TABLE seen_move (old text, new text);
    CREATE FUNCTION pg_temp.note_move() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF old.state <> new.state THEN INSERT INTO seen_move VALUES (old.state, new.state); END IF;
        RETURN NULL;
    END $$;
    CREATE TRIGGER note_move AFTER UPDATE ON {partition} FOR EACH ROW EXECUTE FUNCTION pg_temp.note_move();
"""

which = st.integers(min_value=0, max_value=READERS - 1)
some = st.lists(which, min_size=1, max_size=2, unique=True)
outcomes = st.sampled_from(["uncertain", "deferred", "failed", "due", "sent"])
said_of_each = st.lists(outcomes, min_size=READERS, max_size=READERS)


class Ledger(RuleBasedStateMachine):
    """What each row should be, beside what the database says. Leases stay known after they are lost."""

    @initialize(said=said_of_each, first_try=st.booleans())
    def begin(self, said: list[str], *, first_try: bool) -> None:
        self.savepoint = transaction.atomic()
        self.savepoint.__enter__()
        self.mailing = open_mailing()
        self.readers = [SubscriberFactory(email=f"r{n}@lab{n % 2}.example") for n in range(READERS)]
        ledger.add(
            self.mailing.pk,
            [ledger.NewRow(reader.pk, reader.email, MORNING_AFTER) for reader in self.readers],
        )
        with connection.cursor() as cursor:
            cursor.execute("UPDATE subscriptions_delivery SET planned_at = clock_timestamp()")
            cursor.execute(OBSERVE.format(partition=f"subscriptions_delivery_m{self.mailing.pk}"))
        self.keys = [(self.mailing.pk << 32) + reader.pk for reader in self.readers]
        self.state = dict.fromkeys(self.keys, "due")
        self.token: dict[int, int | None] = dict.fromkeys(self.keys)
        self.leases: list[outbox.Lease] = []
        self.away: set[int] = set()  # rows whose reader may not be written to
        self.waiting: set[int] = set()  # rows whose due_at lies ahead
        self.paused = False
        if not first_try:
            self.deliver(said)

    def teardown(self) -> None:
        if not hasattr(self, "mailing"):
            return
        with connection.cursor() as cursor:
            cursor.execute("SELECT DISTINCT old, new FROM seen_move")
            self.moves = set(cursor.fetchall())
            cursor.execute("DROP FUNCTION pg_temp.note_move CASCADE; DROP TABLE seen_move")
        transaction.set_rollback(True)
        self.savepoint.__exit__(None, None, None)
        assert self.moves <= MOVES

    @rule(limit=st.integers(min_value=1, max_value=READERS))
    def claim(self, limit: int) -> None:
        ready = {k for k, s in self.state.items() if s in ("due", "deferred") and k not in self.waiting}
        lease = outbox.claim(self.mailing.pk, limit=limit)
        if self.paused or not ready:
            assert lease is None
            return
        assert lease is not None
        assert set(lease.delivery_ids) <= ready
        assert len(lease.delivery_ids) == min(limit, len(ready))
        self.leases.append(lease)
        for key in lease.delivery_ids:
            self.state[key], self.token[key] = "leased", lease.token

    @precondition(lambda self: self.leases)
    @rule(data=st.data())
    def hand(self, data: st.DataObject) -> None:
        self._hand(data.draw(st.sampled_from(self.leases)))

    def _hand(self, lease: outbox.Lease) -> None:
        recipients = outbox.hand(lease, lease.delivery_ids)
        expected = []
        for key in lease.delivery_ids:
            if self.state[key] == "leased" and self.token[key] == lease.token and not self.paused:
                self.state[key] = "skipped" if key in self.away else "handing"
                if key not in self.away:
                    expected.append(key)
        assert [recipient.delivery_id for recipient in recipients] == expected

    @precondition(lambda self: self.leases)
    @rule(data=st.data(), said=said_of_each)
    def record(self, data: st.DataObject, said: list[str]) -> None:
        self._record(data.draw(st.sampled_from(self.leases)), said)

    def _record(self, lease: outbox.Lease, said: list[str]) -> None:
        heard = dict(zip(lease.delivery_ids, said, strict=False))
        wait = timedelta(hours=1)
        outbox.record(
            lease,
            [outbox.Outcome(key, state, "as scripted", retry_after=wait) for key, state in heard.items()],
            suppress=lambda address, evidence: None,
        )
        for key, state in heard.items():
            mine = self.token[key] == lease.token
            thawed = self.state[key] == "uncertain" and state == "sent"
            if mine and (self.state[key] == "handing" or thawed):
                self.state[key] = state
                if state != "uncertain":
                    self.token[key] = None
                if state in ("deferred", "due"):
                    self.waiting.add(key)

    @rule(said=said_of_each)
    def deliver(self, said: list[str]) -> None:
        """What a worker does when all goes well: the three steps in a row."""
        before = len(self.leases)
        self.claim(READERS)
        if len(self.leases) > before:
            self._hand(self.leases[-1])
            self._record(self.leases[-1], said)

    @precondition(lambda self: self.leases)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        self._release(data.draw(st.sampled_from(self.leases)))

    def release_all(self) -> None:
        for lease in self.leases:
            self._release(lease)

    def _release(self, lease: outbox.Lease) -> None:
        outbox.release(lease)
        for key in lease.delivery_ids:
            if self.state[key] == "leased" and self.token[key] == lease.token:
                self.state[key], self.token[key] = "due", None

    @rule(numbers=some)
    def worker_dies_and_time_passes(self, numbers: list[int]) -> None:
        self._sql(
            "lease_expires_at = now() - interval '1 hour'", numbers, only="lease_expires_at IS NOT NULL"
        )
        outbox.sweep()
        for key in (self.keys[n] for n in numbers):
            if self.state[key] == "leased":
                self.state[key], self.token[key] = "due", None
            elif self.state[key] == "handing":
                self.state[key] = "uncertain"

    @rule(numbers=some)
    def a_day_passes(self, numbers: list[int]) -> None:
        self._sql("planned_at = now() - interval '25 hours'", numbers, only="state IN ('due', 'deferred')")
        outbox.sweep()
        for key in (self.keys[n] for n in numbers):
            if self.state[key] in ("due", "deferred"):
                self.state[key] = "expired"

    @rule(numbers=some)
    def their_wait_is_over(self, numbers: list[int]) -> None:
        self._sql("due_at = now() - interval '1 second'", numbers)
        self.waiting -= {self.keys[n] for n in numbers}

    @rule()
    def hasten(self) -> None:
        outbox.hasten(self.mailing.pk)
        self.waiting -= {k for k, s in self.state.items() if s in ("due", "deferred")}

    @rule(numbers=some)
    def skip(self, numbers: list[int]) -> None:
        chosen = [self.keys[n] for n in numbers]
        moved = outbox.skip(self.mailing.pk, chosen, reason="folded")
        expected = {key for key in chosen if self.state[key] in ("due", "leased", "deferred")}
        assert set(moved) == expected
        for key in expected:
            self.state[key], self.token[key] = "skipped", None

    @precondition(lambda self: "uncertain" in self.state.values())
    @rule(to=st.sampled_from(["sent", "due", "failed"]))
    def settle(self, to: str) -> None:
        outbox.settle_uncertain(self.mailing.pk, to=to)
        self._all("uncertain", to)

    @precondition(lambda self: "failed" in self.state.values())
    @rule()
    def retry_failed(self) -> None:
        outbox.retry_failed(self.mailing.pk)
        self._all("failed", "due")

    @rule(number=which)
    def unsubscribe(self, number: int) -> None:
        Subscriber.objects.filter(pk=self.readers[number].pk).update(status="unsubscribed")
        self.away.add(self.keys[number])

    @rule()
    def all_come_back(self) -> None:
        Subscriber.objects.update(status="active")
        self.away.clear()

    @precondition(lambda self: not self.paused)
    @rule()
    def pause(self) -> None:
        assert outbox.pause(self.mailing.pk, reason="a test", now=MORNING_AFTER)
        self.paused = True

    @precondition(lambda self: self.paused)
    @rule()
    def resume(self) -> None:
        assert outbox.resume(self.mailing.pk)
        self.paused = False

    @rule()
    def compose_again(self) -> None:
        """A second compose for the same readers: twice is once."""
        again = [ledger.NewRow(reader.pk, reader.email, MORNING_AFTER) for reader in self.readers]
        assert ledger.add(self.mailing.pk, again) == set()

    @invariant()
    def the_database_agrees(self) -> None:
        if hasattr(self, "mailing"):
            rows = dict(Delivery.objects.of_mailing(self.mailing.pk).values_list("pk", "state"))
            assert rows == self.state

    @invariant()
    def the_counters_add_up(self) -> None:
        if hasattr(self, "mailing"):
            counts = ledger.counts(self.mailing.pk)
            assert counts.pop("prepared") == READERS
            assert {state: n for state, n in counts.items() if n} == Counter(self.state.values())

    def _all(self, old: str, new: str) -> None:
        for key, state in self.state.items():
            if state == old:
                self.state[key], self.token[key] = new, None
                self.waiting.discard(key)

    def _sql(self, change: str, numbers: list[int], only: str = "true") -> None:
        with connection.cursor() as cursor:
            cursor.execute(
                f"UPDATE subscriptions_delivery SET {change} WHERE id = ANY(%s) AND {only}",
                [[self.keys[n] for n in numbers]],
            )


@pytest.mark.django_db
def test_no_history_makes_a_move_outside_the_table():
    run_state_machine_as_test(
        Ledger,
        settings=settings(
            max_examples=50,
            stateful_step_count=40,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.django_db
def test_every_move_of_the_table_can_be_made():
    everyone = list(range(READERS))
    walk = Ledger()
    walk.begin(["uncertain", "uncertain", "failed", "deferred", "due"], first_try=False)
    walk.settle("sent")
    walk.retry_failed()
    walk.their_wait_is_over(everyone)
    walk.deliver(["uncertain"] * READERS)
    walk.settle("due")
    walk.deliver(["uncertain"] * READERS)
    walk.settle("failed")
    walk.retry_failed()
    walk.deliver(["deferred"] * READERS)
    walk.a_day_passes([1])
    walk.skip([3])
    walk.skip([4])
    walk.teardown()
    first = walk.moves

    walk = Ledger()
    walk.begin([], first_try=True)
    walk.claim(2)
    walk.release_all()
    walk.claim(2)
    walk.worker_dies_and_time_passes(everyone)
    walk.skip([0])
    walk.a_day_passes([1])
    walk.claim(1)
    walk.skip([n for n in everyone if walk.state[walk.keys[n]] == "leased"])
    walk.unsubscribe(3)
    walk.deliver(["sent"] * READERS)
    walk.teardown()

    assert first | walk.moves == MOVES


@pytest.mark.django_db
class TestCompletion:
    def test_a_mailing_completes_when_it_is_closed_and_every_row_has_an_end_state(self):
        mailing = open_mailing(closes_at=MORNING_AFTER)
        reader = SubscriberFactory()
        ledger.add(mailing.pk, [ledger.NewRow(reader.pk, reader.email, MORNING_AFTER)])
        with connection.cursor() as cursor:
            cursor.execute("UPDATE subscriptions_delivery SET planned_at = clock_timestamp()")

        outbox.sweep()
        mailing.refresh_from_db()
        assert mailing.status == Mailing.Status.OPEN

        lease = outbox.claim(mailing.pk)
        outbox.hand(lease, lease.delivery_ids)
        outbox.record(
            lease, [outbox.Outcome(lease.delivery_ids[0], "sent")], suppress=lambda address, evidence: None
        )
        outbox.sweep()
        mailing.refresh_from_db()
        assert mailing.status == Mailing.Status.COMPLETE

    def test_a_row_added_later_opens_it_again(self):
        mailing = open_mailing(closes_at=MORNING_AFTER)
        outbox.sweep()
        reader = SubscriberFactory()

        ledger.add(mailing.pk, [ledger.NewRow(reader.pk, reader.email, MORNING_AFTER)])

        mailing.refresh_from_db()
        assert mailing.status == Mailing.Status.OPEN
