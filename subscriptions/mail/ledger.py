"""The ledger's storage: a partition for each mailing, rows by COPY, counters that add up.

`outbox.py` moves the rows; nothing else writes them.
"""

import os
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Sum

from subscriptions.models import Delivery, Mailing, MailingCounter
from subscriptions.models.delivery import SUBSCRIBER_BITS

STATES = tuple(Delivery.State.values)
SLOTS = 64

# Providers whose many domains share one set of servers; every other domain is a route of its own.
_ROUTES = {
    "gmail.com": "google",
    "googlemail.com": "google",
    "outlook.com": "microsoft",
    "hotmail.com": "microsoft",
    "live.com": "microsoft",
    "msn.com": "microsoft",
    "yahoo.com": "yahoo",
    "ymail.com": "yahoo",
    "aol.com": "yahoo",
    "icloud.com": "apple",
    "me.com": "apple",
    "mac.com": "apple",
    "qq.com": "tencent",
    "foxmail.com": "tencent",
    "163.com": "netease",
    "126.com": "netease",
}


def route_of(address: str) -> str:
    """The recipient-domain group of an address: "google", else its domain."""
    domain = address.rpartition("@")[2].lower()
    return _ROUTES.get(domain, domain)[:100]


def slot() -> int:
    """This process's counter row: two processes rarely share one, and sharing only costs a wait."""
    return os.getpid() % SLOTS


@dataclass(frozen=True, slots=True)
class NewRow:
    """A delivery to be; `state` is due, or skipped with a reason."""

    subscriber_id: int
    email: str
    due_at: datetime
    state: str = Delivery.State.DUE
    reason: str = ""


def lock(name: str) -> None:
    """Hold a name until the transaction ends; whoever else asks for it waits, on any machine."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [name])


def keep_open(mailing_id: int) -> None:
    """Until the transaction ends the sweep does not complete this mailing. Call before rows become due."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM subscriptions_mailing WHERE id = %s FOR KEY SHARE", [mailing_id])


def open_mailing(*, kind: str, label: str, opened_at: datetime, closes_at: datetime) -> Mailing:
    """A new mailing with its own ledger partition. Call inside the transaction that uses it."""
    mailing = Mailing.objects.create(
        kind=kind, label=label, domain=settings.MAIL_DOMAIN, opened_at=opened_at, closes_at=closes_at
    )
    add_partition(Delivery._meta.db_table, mailing.pk)
    return mailing


def add_partition(table: str, mailing_id: int) -> None:
    """A partition of `table` for one mailing's key range.

    Created apart and then attached: CREATE … PARTITION OF would lock out every reader of the table.
    """
    partition = f"{table}_m{mailing_id}"
    first, end = mailing_id << SUBSCRIBER_BITS, (mailing_id + 1) << SUBSCRIBER_BITS
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE TABLE {partition} (LIKE {table} INCLUDING ALL)")
        cursor.execute(
            f"ALTER TABLE {table} ATTACH PARTITION {partition} FOR VALUES FROM ({first}) TO ({end})"
        )


def add(mailing_id: int, rows: Iterable[NewRow]) -> set[int]:
    """Write rows for readers who have none in this mailing; the subscriber ids that got one.

    One COPY and one INSERT, whatever the number. A reader who has a row keeps it: twice is once. Call in a
    transaction, together with what must exist for exactly these rows.
    """
    base = mailing_id << SUBSCRIBER_BITS
    with transaction.atomic(), connection.cursor() as cursor:
        keep_open(mailing_id)
        cursor.execute(
            "CREATE TEMPORARY TABLE IF NOT EXISTS new_delivery (LIKE subscriptions_delivery)"
            " ON COMMIT DELETE ROWS"
        )
        cursor.execute("TRUNCATE new_delivery")
        columns = (
            "id, mailing_id, subscriber_id, email, route, seq, state, reason, due_at, planned_at, attempts"
        )
        with cursor.copy(f"COPY new_delivery ({columns}) FROM STDIN") as copy:
            for seq, row in enumerate(rows):
                copy.write_row(
                    (
                        base + row.subscriber_id,
                        mailing_id,
                        row.subscriber_id,
                        row.email,
                        route_of(row.email),
                        seq,
                        str(row.state),
                        row.reason[:300],
                        row.due_at,
                        row.due_at,
                        0,
                    )
                )
        cursor.execute(
            f"""
            INSERT INTO subscriptions_delivery ({columns}, done_at)
            SELECT {columns}, CASE WHEN state = 'skipped' THEN clock_timestamp() END
            FROM new_delivery ORDER BY id
            ON CONFLICT (id) DO NOTHING
            RETURNING subscriber_id, state
            """
        )
        added = cursor.fetchall()
        states = Counter(state for _, state in added)
        count(mailing_id, states, prepared=len(added))
        if states[Delivery.State.DUE]:
            Mailing.objects.filter(pk=mailing_id, status=Mailing.Status.COMPLETE).update(
                status=Mailing.Status.OPEN, completed_at=None
            )
    return {subscriber_id for subscriber_id, _ in added}


def count(mailing_id: int, changes: Mapping[str, int], *, prepared: int = 0) -> None:
    """Add to this process's counters, in the transaction that moves the rows."""
    changes = {state: change for state, change in changes.items() if change}
    if not changes and not prepared:
        return
    values: dict[str, Any] = dict.fromkeys((*STATES, "prepared"), 0) | changes | {"prepared": prepared}
    names = list(values)
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            INSERT INTO subscriptions_mailingcounter AS c (mailing_id, slot, {", ".join(names)})
            VALUES (%s, %s, {", ".join(["%s"] * len(names))})
            ON CONFLICT (mailing_id, slot) DO UPDATE
            SET {", ".join(f"{name} = c.{name} + excluded.{name}" for name in names)}
            """,
            [mailing_id, slot(), *values.values()],
        )


def counts(mailing_id: int) -> dict[str, int]:
    """Rows by state, and `prepared`: summed from the counters, never counted in the ledger."""
    sums = MailingCounter.objects.filter(mailing_id=mailing_id).aggregate(
        **{f"sum_{name}": Sum(name, default=0) for name in ("prepared", *STATES)}
    )
    return {name.removeprefix("sum_"): value for name, value in sums.items()}
