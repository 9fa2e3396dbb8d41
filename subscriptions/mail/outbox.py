"""The delivery promise: nobody lost, nobody twice. Every move of a ledger row is made here.

    due → leased → handing → sent | deferred | failed      and: skipped, expired, uncertain

Each function is one transaction that moves rows and their counters together. A worker proves by its lease's
token that the rows are still its own: one that was frozen, declared dead and thaws finds its rows gone.
Leases and expiry use PostgreSQL's clock, since workers' clocks differ.
"""

import logging
import random
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.conf import settings
from django.db import InterfaceError, OperationalError, connection, transaction

from subscriptions.mail import ledger, limits, smtp
from subscriptions.mail.letters import Assemble, Letter, Recipient
from subscriptions.models import Delivery, Mailing
from subscriptions.models.delivery import SUBSCRIBER_BITS

log = logging.getLogger(__name__)

State = Delivery.State

LEASE_ROWS = 500
GROUP_ROWS = 50  # what one connection may leave uncertain when it breaks
# A lease outlasts ten groups at a slow server's pace; a group's `handing` outlasts one message and what a
# database that restarts takes to record it.
LEASE = timedelta(minutes=8)
HANDING = timedelta(minutes=5)
CONVERSATION_LIMIT = timedelta(seconds=smtp.MESSAGE_SECONDS + 5)
RECORD_WITHIN_SECONDS = 90.0  # the server's answers are known to this process only
LEFT_ALONE = timedelta(seconds=30)  # a server that takes nothing
RESENDS = 3  # with UNCERTAIN_POLICY=resend: tries of one message in all
# A digest is news for a day after it was due.
STALE_AFTER = timedelta(hours=24)
RETRY_AFTER = tuple(timedelta(minutes=m) for m in (3, 10, 30, 60, 120, 240))

Suppress = Callable[[str, str], None]  # (address, evidence): the mailbox does not exist


@dataclass(frozen=True, slots=True)
class Lease:
    """Rows that one worker may hand over until its clock runs out."""

    token: int
    mailing_id: int
    delivery_ids: tuple[int, ...]
    last_route: str
    ends_at: float  # time.monotonic() of this process, on the safe side of the row's own expiry


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one row that was `handing`."""

    delivery_id: int
    state: str  # sent, deferred, failed, uncertain, or due: the final dot was not sent
    reason: str = ""
    retry_after: timedelta = timedelta(0)
    bad_mailbox: str = ""  # the address, where the server says that it does not exist
    tried: bool = True  # False: its turn did not come, so this was no attempt


@dataclass(slots=True)
class Delivered:
    """What one call of `deliver` did; `trouble` says why it stopped early, if it did."""

    states: Counter[str]
    trouble: str = ""


# --- claiming -----------------------------------------------------------------------------------


def claim(mailing_id: int, *, after_route: str = "", limit: int = LEASE_ROWS) -> Lease | None:
    """Lease up to `limit` due rows of an open mailing, in the order route, due_at, seq; None if none is due.

    `after_route` starts behind a route and so lets a worker go round the routes: none starves another.
    Rows that another worker is claiming are passed over, not waited for.
    """
    started = time.monotonic()
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            """
            WITH lease AS MATERIALIZED (SELECT nextval('subscriptions_lease_token') AS token),
            picked AS (
                SELECT d.id, d.state FROM subscriptions_delivery d
                WHERE d.id >= %(first)s AND d.id < %(end)s AND d.mailing_id = %(mailing)s
                  AND d.state IN ('due', 'deferred') AND d.due_at <= clock_timestamp()
                  AND d.route > %(after)s
                  AND EXISTS (SELECT 1 FROM subscriptions_mailing m
                              WHERE m.id = %(mailing)s AND m.status = 'open')
                ORDER BY d.mailing_id, d.route, d.due_at, d.seq LIMIT %(limit)s
                FOR UPDATE OF d SKIP LOCKED
            )
            UPDATE subscriptions_delivery d
            SET state = 'leased', lease_token = lease.token, lease_expires_at = clock_timestamp() + %(lease)s
            FROM picked, lease WHERE d.id = picked.id
            RETURNING d.id, picked.state, lease.token, d.route, d.due_at, d.seq
            """,
            _range(mailing_id) | {"after": after_route, "limit": limit, "lease": LEASE},
        )
        rows = cursor.fetchall()
        if not rows:
            return None
        rows.sort(key=lambda row: (row[3], row[4], row[5]))
        was = Counter(row[1] for row in rows)
        ledger.count(mailing_id, {**{state: -n for state, n in was.items()}, State.LEASED: len(rows)})
    return Lease(
        token=rows[0][2],
        mailing_id=mailing_id,
        delivery_ids=tuple(row[0] for row in rows),
        last_route=rows[-1][3],
        ends_at=started + LEASE.total_seconds(),
    )


def hand(lease: Lease, delivery_ids: Sequence[int]) -> list[Recipient]:
    """Mark a group `handing` before any byte of it is sent; who is to get a letter, in the order given.

    Consent, pause, suppression and the address are read again in this very statement, so an unsubscribe
    takes effect in the middle of a run: such rows become `skipped`. Rows that are no longer this lease's,
    and all rows of a paused mailing, are left alone.
    """
    parameters: dict[str, Any] = {"ids": list(delivery_ids), "token": lease.token, "handing": HANDING}
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            """
            WITH mine AS (
                SELECT d.id, d.subscriber_id, m.domain, m.label FROM subscriptions_delivery d
                JOIN subscriptions_mailing m ON m.id = d.mailing_id AND m.status = 'open'
                WHERE d.id = ANY(%(ids)s) AND d.lease_token = %(token)s AND d.state = 'leased'
                  AND d.lease_expires_at > clock_timestamp()
                FOR UPDATE OF d
            ), judged AS (
                SELECT mine.*, s.email, s.language, s.unsubscribe_key,
                       CASE WHEN s.id IS NULL THEN 'erased'
                            WHEN x.id IS NOT NULL THEN 'suppressed'
                            WHEN s.status = 'active' THEN ''
                            WHEN s.status = 'paused' AND s.paused_until <= CURRENT_DATE THEN ''
                            ELSE s.status END AS reason
                FROM mine
                LEFT JOIN subscriptions_subscriber s ON s.id = mine.subscriber_id
                LEFT JOIN subscriptions_suppression x ON x.address = s.address AND x.lifted_at IS NULL
                     AND (x.expires_at IS NULL OR x.expires_at > clock_timestamp())
            )
            UPDATE subscriptions_delivery d
            SET state = CASE WHEN reason_now = '' THEN 'handing' ELSE 'skipped' END,
                reason = reason_now,
                email = COALESCE(NULLIF(j.email, ''), d.email),
                attempts = d.attempts + CASE WHEN reason_now = '' THEN 1 ELSE 0 END,
                dated_at = CASE WHEN reason_now = ''
                                THEN COALESCE(d.dated_at, date_trunc('second', clock_timestamp()))
                                ELSE d.dated_at END,
                lease_expires_at = CASE WHEN reason_now = '' THEN clock_timestamp() + %(handing)s END,
                done_at = CASE WHEN reason_now <> '' THEN clock_timestamp() END
            FROM (SELECT judged.*, judged.reason AS reason_now FROM judged) j
            WHERE d.id = j.id
            RETURNING d.id, d.state, d.subscriber_id, d.email, j.language, j.unsubscribe_key, d.dated_at,
                      j.domain, j.label, d.attempts
            """,
            parameters,
        )
        rows = cursor.fetchall()
        handing = {row[0]: row for row in rows if row[1] == State.HANDING}
        ledger.count(
            lease.mailing_id,
            {
                State.LEASED: -len(rows),
                State.HANDING: len(handing),
                State.SKIPPED: len(rows) - len(handing),
            },
        )
    return [
        Recipient(
            delivery_id=row[0],
            mailing_id=lease.mailing_id,
            subscriber_id=row[2],
            email=row[3],
            language=row[4],
            unsubscribe_key=row[5],
            dated_at=row[6],
            domain=row[7],
            label=row[8],
            attempt=row[9],
        )
        for row in (handing[pk] for pk in delivery_ids if pk in handing)
    ]


def record(lease: Lease, outcomes: Iterable[Outcome], *, suppress: Suppress) -> Counter[str]:
    """Write down what became of `handing` rows; how many rows took which state.

    Rows whose token is no longer the lease's stay as they are. One exception: a worker that was declared
    dead, so that its rows are `uncertain`, may still say `sent` of them, since it heard the 250 itself.
    """
    by_id = {outcome.delivery_id: outcome for outcome in outcomes}
    if not by_id:
        return Counter()
    values = list(by_id.values())
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            """
            WITH said AS (
                SELECT * FROM unnest(%(ids)s::bigint[], %(states)s::text[], %(reasons)s::text[],
                                     %(waits)s::interval[], %(tried)s::boolean[])
                              AS t(id, state, reason, wait, tried)
            ), mine AS (
                SELECT d.id, d.state AS old, said.state AS new, said.reason, said.wait, said.tried
                FROM subscriptions_delivery d JOIN said ON said.id = d.id
                WHERE d.id = ANY(%(ids)s) AND d.lease_token = %(token)s
                  AND (d.state = 'handing' OR (d.state = 'uncertain' AND said.state = 'sent'))
                FOR UPDATE OF d
            )
            UPDATE subscriptions_delivery d
            SET state = mine.new, reason = mine.reason, lease_expires_at = NULL,
                attempts = d.attempts - CASE WHEN mine.tried THEN 0 ELSE 1 END,
                lease_token = CASE WHEN mine.new = 'uncertain' THEN d.lease_token END,
                due_at = CASE WHEN mine.new IN ('deferred', 'due') THEN clock_timestamp() + mine.wait
                              ELSE d.due_at END,
                done_at = CASE WHEN mine.new IN ('deferred', 'due') THEN NULL ELSE clock_timestamp() END
            FROM mine WHERE d.id = mine.id
            RETURNING d.id, mine.old, mine.new
            """,
            {
                "ids": [o.delivery_id for o in values],
                "states": [str(o.state) for o in values],
                "reasons": [o.reason[:300] for o in values],
                "waits": [o.retry_after for o in values],
                "tried": [o.tried for o in values],
                "token": lease.token,
            },
        )
        rows = cursor.fetchall()
        _count_moves((lease.mailing_id, old, new) for _, old, new in rows)
        for delivery_id, _, _ in rows:
            if by_id[delivery_id].bad_mailbox:
                _suppress(by_id[delivery_id], suppress)
    return Counter(new for _, _, new in rows)


def _suppress(outcome: Outcome, suppress: Suppress) -> None:
    """Where that is impossible the row still says why it failed, and the other rows of its group stand."""
    try:
        with transaction.atomic():
            suppress(outcome.bad_mailbox, outcome.reason)
    except Exception:
        if not connection.is_usable():
            raise
        log.exception("Delivery %s: its address could not be suppressed.", outcome.delivery_id)


def _record_patiently(lease: Lease, outcomes: Iterable[Outcome], *, suppress: Suppress) -> Counter[str]:
    """`record`, again and again while the database is away: nobody else knows what the server said."""
    outcomes = list(outcomes)
    give_up_at = time.monotonic() + RECORD_WITHIN_SECONDS
    while True:
        try:
            return record(lease, outcomes, suppress=suppress)
        except (OperationalError, InterfaceError):
            if connection.in_atomic_block or time.monotonic() > give_up_at:
                raise
            log.warning("The answers to %d messages wait for the database.", len(outcomes), exc_info=True)
            connection.close()
            time.sleep(1)


def release(lease: Lease, *, wait: timedelta = timedelta(0)) -> int:
    """Give back what the lease still holds and has not handed over: leased → due."""
    return _move(
        """
        SELECT id, state FROM subscriptions_delivery
        WHERE id = ANY(%(ids)s) AND lease_token = %(token)s AND state = 'leased' FOR UPDATE
        """,
        f"state = 'due', {_NO_LEASE}, due_at = GREATEST(d.due_at, clock_timestamp() + %(wait)s)",
        {"ids": list(lease.delivery_ids), "token": lease.token, "wait": wait},
    )


# --- delivering ---------------------------------------------------------------------------------


def deliver(
    lease: Lease,
    *,
    assemble: Assemble,
    suppress: Suppress,
    retry_after: Sequence[timedelta] = RETRY_AFTER,
    left_alone: timedelta = LEFT_ALONE,
    stop: Callable[[], bool] = lambda: False,
) -> Delivered:
    """Hand a lease's rows to the mail server, group by group, and record each answer.

    Whatever happens, every row ends where the next worker or an operator finds it: rows not handed over
    are released, rows whose answer was lost are `uncertain`. `stop` is asked before each message (SIGTERM).
    A server that takes nothing is `left_alone` so long.
    `assemble` gives one letter for each recipient; a letter it cannot make fails that row alone.
    """

    def over(ends_at: float) -> bool:
        return stop() or _runs_out(ends_at)

    delivered = Delivered(Counter())
    try:
        with smtp.connect() as connected:
            for start in range(0, len(lease.delivery_ids), GROUP_ROWS):
                if over(lease.ends_at):
                    break
                recipients = hand(lease, lease.delivery_ids[start : start + GROUP_ROWS])
                ends_at = min(time.monotonic() + HANDING.total_seconds(), lease.ends_at)
                group = _Group(
                    recipients, retry_after, left_alone, is_session_proved=_is_proved(delivered.states)
                )
                try:
                    _hand_over(connected, group, assemble, partial(over, ends_at))
                finally:
                    # Also after Ctrl-C and at Celery's time limit: what the server said is known here only.
                    delivered.states += _record_patiently(lease, group.said.values(), suppress=suppress)
                if not connected.is_open:
                    delivered.trouble = group.trouble
                    break
    except smtp.ConnectionLost as error:
        delivered.trouble = str(error)
    finally:
        release(lease, wait=left_alone if delivered.trouble else timedelta(0))
        _note_trouble(lease.mailing_id, delivered)
    return delivered


def _is_proved(states: Counter[str]) -> bool:
    return bool(states[State.SENT] or states[State.FAILED])


class _Group:
    """Up to fifty rows in state `handing`, and what is known of each at any moment."""

    def __init__(
        self,
        recipients: Sequence[Recipient],
        retry_after: Sequence[timedelta],
        left_alone: timedelta,
        *,
        is_session_proved: bool,
    ) -> None:
        self.recipients = recipients
        self.trouble = ""
        self.said = {r.delivery_id: _not_tried(r.delivery_id) for r in recipients}
        self._left_alone = left_alone
        self._is_session_proved = is_session_proved
        self._waits = {r.delivery_id: retry_after[min(r.attempt, len(retry_after)) - 1] for r in recipients}

    def begin(self, letter: Letter) -> None:
        """Until more is known: the message may have arrived."""
        self._say(Outcome(letter.delivery_id, State.UNCERTAIN, "Interrupted before the server's answer."))

    def interrupted(self, letter: Letter, connected: smtp.Connection) -> None:
        if not connected.in_doubt:
            self._say(_not_tried(letter.delivery_id))

    def lost(self, letter: Letter, error: smtp.ConnectionLost) -> None:
        problem = str(error)[:280]
        if error.in_doubt:
            self._say(Outcome(letter.delivery_id, State.UNCERTAIN, f"No answer: {problem}"))
        else:
            wait = _jitter(self._waits[letter.delivery_id])
            self._say(Outcome(letter.delivery_id, State.DUE, problem, retry_after=wait))
        self._ended(problem, is_usual=self._is_session_proved and not error.in_doubt)

    def answered(self, letter: Letter, reply: smtp.Reply, connected: smtp.Connection) -> None:
        is_farewell = reply.code == 421 and reply.stage != "content"
        if is_farewell and self._is_session_proved:
            # "Enough for one session" says nothing of this message; the next session takes it.
            self._say(_not_tried(letter.delivery_id))
        else:
            self._say(_outcome(letter, reply, self._waits[letter.delivery_id]))
        if not connected.is_open:
            self._ended(str(reply), is_usual=self._is_session_proved)
        self._is_session_proved |= reply.accepted or reply.permanent

    def failed(self, recipient: Recipient, reason: str) -> None:
        self._say(Outcome(recipient.delivery_id, State.FAILED, reason, tried=False))

    def _ended(self, problem: str, *, is_usual: bool) -> None:
        """The session is over. `is_usual`: it did its work; the next one may begin at once."""
        if is_usual:
            return
        self.trouble = problem
        for outcome in [outcome for outcome in self.said.values() if not outcome.tried]:
            if outcome.state == State.DUE:
                self._say(replace(outcome, reason=problem, retry_after=self._left_alone))

    def _say(self, outcome: Outcome) -> None:
        self.said[outcome.delivery_id] = outcome


def _not_tried(delivery_id: int) -> Outcome:
    return Outcome(delivery_id, State.DUE, tried=False)


def _hand_over(
    connected: smtp.Connection, group: _Group, assemble: Assemble, stop: Callable[[], bool]
) -> None:
    for letter in _assemble_each(assemble, group):
        if stop():
            return
        limits.wait_for_turn()
        if stop():  # that wait may have been long
            return
        group.begin(letter)
        try:
            reply = connected.send(letter.envelope_from, letter.to, letter.content)
        except smtp.ConnectionLost as error:
            group.lost(letter, error)
            return
        except BaseException:
            group.interrupted(letter, connected)
            raise
        group.answered(letter, reply, connected)
        if not connected.is_open:
            return


def _outcome(letter: Letter, reply: smtp.Reply, wait: timedelta) -> Outcome:
    if reply.accepted:
        return Outcome(letter.delivery_id, State.SENT, str(reply))
    if reply.permanent:
        return Outcome(
            letter.delivery_id,
            State.FAILED,
            str(reply),
            bad_mailbox=letter.to if reply.bad_mailbox else "",
        )
    # 4yz means later, never done; an answer outside RFC 5321 is no "yes" either.
    return Outcome(letter.delivery_id, State.DEFERRED, str(reply), retry_after=_jitter(wait))


def _jitter(wait: timedelta) -> timedelta:
    return wait * random.uniform(0.8, 1.2)


def _runs_out(ends_at: float) -> bool:
    return time.monotonic() + CONVERSATION_LIMIT.total_seconds() > ends_at


def _assemble_each(assemble: Assemble, group: _Group) -> Sequence[Letter]:
    """The group's letters; where one cannot be made, that row alone fails and the others go."""
    if not group.recipients:
        return []
    try:
        return assemble(group.recipients)
    except (OperationalError, InterfaceError):  # the database is away: no letter's fault
        raise
    except Exception:  # whatever a template, a record or a cache may raise
        log.warning("A group could not be assembled; one by one instead.", exc_info=True)
    letters: list[Letter] = []
    for recipient in group.recipients:
        try:
            letters.extend(assemble([recipient]))
        except (OperationalError, InterfaceError):
            raise
        except Exception as error:
            log.exception("Digest %s could not be assembled.", recipient.delivery_id)
            reason = f"Paperboy could not assemble this digest: {type(error).__name__}: {error}"
            group.failed(recipient, reason)
    return letters


def _note_trouble(mailing_id: int, delivered: Delivered) -> None:
    if delivered.trouble:
        log.warning("Mailing %s: %s", mailing_id, delivered.trouble)
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE subscriptions_mailing SET trouble = %s, trouble_at = clock_timestamp() WHERE id = %s",
                [delivered.trouble, mailing_id],
            )
    elif delivered.states:
        Mailing.objects.filter(pk=mailing_id).exclude(trouble="").update(trouble="", trouble_at=None)


# --- healing ------------------------------------------------------------------------------------


def sweep() -> Counter[str]:
    """Heal what is stuck, expire what is stale, complete what balances. Run by beat; safe at any moment.

    Gives how many rows moved to which state. With UNCERTAIN_POLICY=resend, uncertain rows are due again
    and go out with the same Message-ID, which many mailboxes drop as a repeat; three times, then they are
    held: a message that breaks every session must not go out all day.
    """
    moved: Counter[str] = Counter()
    moved[State.DUE] += _move(
        """
        SELECT id, state FROM subscriptions_delivery
        WHERE state = 'leased' AND lease_expires_at <= clock_timestamp() FOR UPDATE SKIP LOCKED
        """,
        f"state = 'due', {_NO_LEASE}",
    )
    moved[State.UNCERTAIN] += _move(
        """
        SELECT id, state FROM subscriptions_delivery
        WHERE state = 'handing' AND lease_expires_at <= clock_timestamp() FOR UPDATE SKIP LOCKED
        """,
        # The token stays: a worker that thaws and heard a 250 may still say so.
        """state = 'uncertain', lease_expires_at = NULL, done_at = clock_timestamp(),
           reason = 'The worker stopped before the server''s answer was recorded.'""",
    )
    for mailing in Mailing.objects.exclude(status=Mailing.Status.COMPLETE):
        if settings.UNCERTAIN_POLICY == "resend":
            moved[State.DUE] += _again(mailing.pk, State.UNCERTAIN, State.DUE, None, tries=RESENDS)
        moved[State.EXPIRED] += _expire(mailing.pk)
    _complete()
    return moved


def _expire(mailing_id: int) -> int:
    return _move(
        """
        SELECT id, state FROM subscriptions_delivery
        WHERE id >= %(first)s AND id < %(end)s AND mailing_id = %(mailing)s
          AND state IN ('due', 'deferred') AND planned_at <= clock_timestamp() - %(stale)s
        FOR UPDATE SKIP LOCKED
        """,
        """state = 'expired', lease_token = NULL, done_at = clock_timestamp(),
           reason = left('Not delivered within a day. ' || d.reason, 300)""",
        _range(mailing_id) | {"stale": STALE_AFTER},
    )


def _complete() -> None:
    # Locked in a statement before the one that sums: whoever adds rows holds the mailing, and what they
    # added is seen once they are done.
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT id FROM subscriptions_mailing
            WHERE status = 'open' AND closes_at <= clock_timestamp() FOR UPDATE SKIP LOCKED
            """
        )
        cursor.execute(
            """
            UPDATE subscriptions_mailing m SET status = 'complete', completed_at = clock_timestamp()
            WHERE m.id = ANY(%s) AND NOT EXISTS (
                SELECT 1 FROM subscriptions_mailingcounter c WHERE c.mailing_id = m.id
                HAVING sum(c.due + c.leased + c.handing + c.deferred) <> 0)
            """,
            [[row[0] for row in cursor.fetchall()]],
        )


# --- what an operator may do --------------------------------------------------------------------


def pause(mailing_id: int, *, reason: str, now: datetime) -> bool:
    """Lease nothing more of this mailing; groups under way finish. False if it was not open."""
    return (
        Mailing.objects.filter(pk=mailing_id, status=Mailing.Status.OPEN).update(
            status=Mailing.Status.PAUSED, paused_at=now, pause_reason=reason
        )
        == 1
    )


def resume(mailing_id: int) -> bool:
    """Let a paused mailing go on; False if it was not paused."""
    return (
        Mailing.objects.filter(pk=mailing_id, status=Mailing.Status.PAUSED).update(
            status=Mailing.Status.OPEN, paused_at=None, pause_reason=""
        )
        == 1
    )


def hasten(mailing_id: int) -> int:
    """Everybody now: rows that wait for their hour or their next try are due at once, and none is stale."""
    return _move(
        """
        SELECT id, state FROM subscriptions_delivery
        WHERE id >= %(first)s AND id < %(end)s AND mailing_id = %(mailing)s
          AND state IN ('due', 'deferred')
          AND (due_at > clock_timestamp() OR planned_at <= clock_timestamp() - %(stale)s / 2)
        FOR UPDATE SKIP LOCKED
        """,
        "due_at = LEAST(d.due_at, clock_timestamp()), planned_at = clock_timestamp()",
        _range(mailing_id) | {"stale": STALE_AFTER},
    )


def retry_failed(mailing_id: int, *, delivery_ids: Sequence[int] | None = None) -> int:
    """failed → due, for all rows of a mailing or for those given; a new day to arrive in."""
    return _again(mailing_id, State.FAILED, State.DUE, delivery_ids)


def settle_uncertain(mailing_id: int, *, to: str, delivery_ids: Sequence[int] | None = None) -> int:
    """uncertain → sent, due or failed, as an operator (or UNCERTAIN_POLICY) decides."""
    if to not in (State.SENT, State.DUE, State.FAILED):
        raise ValueError(f"An uncertain delivery becomes sent, due or failed, not {to!r}.")
    return _again(mailing_id, State.UNCERTAIN, to, delivery_ids)


def _again(
    mailing_id: int, old: str, new: str, delivery_ids: Sequence[int] | None, *, tries: int | None = None
) -> int:
    with transaction.atomic():
        ledger.keep_open(mailing_id)
        moved = _move(
            """
            SELECT id, state FROM subscriptions_delivery
            WHERE id >= %(first)s AND id < %(end)s AND mailing_id = %(mailing)s AND state = %(old)s
              AND (%(ids)s::bigint[] IS NULL OR id = ANY(%(ids)s))
              AND (%(tries)s::int IS NULL OR attempts < %(tries)s) FOR UPDATE
            """,
            """state = %(new)s, lease_token = NULL,
               due_at = CASE WHEN %(new)s = 'due' THEN clock_timestamp() ELSE d.due_at END,
               planned_at = CASE WHEN %(new)s = 'due' THEN clock_timestamp() ELSE d.planned_at END,
               done_at = CASE WHEN %(new)s = 'due' THEN NULL ELSE clock_timestamp() END""",
            _range(mailing_id)
            | {
                "old": str(old),
                "new": str(new),
                "ids": None if delivery_ids is None else list(delivery_ids),
                "tries": tries,
            },
        )
        if moved and new == State.DUE:
            Mailing.objects.filter(pk=mailing_id, status=Mailing.Status.COMPLETE).update(
                status=Mailing.Status.OPEN, completed_at=None
            )
    return moved


def skip(mailing_id: int, delivery_ids: Sequence[int], *, reason: str) -> list[int]:
    """due, leased, deferred → skipped; the ids that were. Rows already handed over stay."""
    moved: list[int] = []
    _move(
        """
        SELECT id, state FROM subscriptions_delivery
        WHERE id = ANY(%(ids)s) AND state IN ('due', 'leased', 'deferred') FOR UPDATE
        """,
        f"state = 'skipped', reason = %(reason)s, {_NO_LEASE}, done_at = clock_timestamp()",
        {"ids": list(delivery_ids), "reason": reason},
        moved,
    )
    return moved


# --- the one way to move rows -------------------------------------------------------------------

_NO_LEASE = "lease_token = NULL, lease_expires_at = NULL"


def _range(mailing_id: int) -> dict[str, Any]:
    return {
        "mailing": mailing_id,
        "first": mailing_id << SUBSCRIBER_BITS,
        "end": (mailing_id + 1) << SUBSCRIBER_BITS,
    }


def _move(
    picked: str, change: str, parameters: dict[str, Any] | None = None, ids: list[int] | None = None
) -> int:
    """Lock the rows of `picked` (a SELECT of id, state), apply `change`, count; how many moved."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            f"""
            WITH picked AS ({picked})
            UPDATE subscriptions_delivery d SET {change} FROM picked WHERE d.id = picked.id
            RETURNING d.mailing_id, picked.state, d.state, d.id
            """,
            parameters or {},
        )
        rows = cursor.fetchall()
        _count_moves((mailing_id, old, new) for mailing_id, old, new, _ in rows)
    if ids is not None:
        ids.extend(row[3] for row in rows)
    return len(rows)


def _count_moves(moves: Iterable[tuple[int, str, str]]) -> None:
    changes: dict[int, Counter[str]] = defaultdict(Counter)
    for mailing_id, old, new in moves:
        changes[mailing_id][old] -= 1
        changes[mailing_id][new] += 1
    for mailing_id, change in sorted(changes.items()):
        ledger.count(mailing_id, change)
