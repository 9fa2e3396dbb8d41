"""One request at a time, and not too often, for services that count all machines of an installation as one.

arXiv asks for one request every three seconds over one connection. Workers are many processes, there may be
two deployments on one database, and Redis may be flushed at any moment; so the clock is a PostgreSQL row
(`UpstreamClock`) under a session-wide advisory lock, on a database connection of its own:

- the lock is held while the request runs: never two at once;
- the row says when the last one started, by the database's clock, and is committed before it starts: the next
  one keeps its distance even when this process is killed, whose lock PostgreSQL frees with its connection;
- `closed_until` says that the service wants to be left alone, whoever was told so.

The distance holds for servers on this machine too, so that a test sees what arXiv would see. A pooler between
us and PostgreSQL must work by session: by transaction it would hand the lock to others.
"""

import logging
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta

from django.db import OperationalError, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper
from psycopg import errors

from digest.models import UpstreamClock
from digest.sources.http import SourceError

# The tenth is for the way of a request whose process was killed before it could say when it had arrived.
SECONDS = 3.1
LONGEST_WAY_SECONDS = 1.0  # a request has arrived by then, whatever its answer takes
LONGEST_WAIT_SECONDS = 45.0  # a request of another process, and those that were waiting before us
RETRY_AFTER = timedelta(minutes=2)

_LOCKS = 0x70617065  # "pape", the first half of the advisory lock; the second is the clock's name

logger = logging.getLogger(__name__)


@contextmanager
def turn(
    name: str,
    *,
    seconds: float | None = None,
    longest_wait_seconds: float = LONGEST_WAIT_SECONDS,
    heeding: Sequence[str] = (),
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[None]:
    """Wait for our turn with a service, and hold it while the block runs.

    Blocks of one name never run at the same time and start at least `seconds` apart (SECONDS), in all
    processes that use this database. Raises SourceError with `retry_at` where the clock, or one of those in
    `heeding`, is closed, or where the turn does not come within `longest_wait_seconds`.
    """
    own = connections["default"].copy()
    with closing(own):
        _lock(own, name, longest_wait_seconds)
        # Closing the connection frees the lock, whatever happens; so does the death of this process.
        while (wait := _seconds_left(own, name, heeding, SECONDS if seconds is None else seconds)) > 0:
            sleep(wait)
        with own.cursor() as cursor:
            cursor.execute(
                f"INSERT INTO {_TABLE} (name, started_at, reason) VALUES (%s, clock_timestamp(), '')"
                " ON CONFLICT (name) DO UPDATE SET started_at = clock_timestamp()",
                [name],
            )
        try:
            yield
        finally:
            # What counts for the service is when a request arrives: after its start, and before its end.
            with own.cursor() as cursor:
                cursor.execute(
                    f"UPDATE {_TABLE} SET started_at ="
                    " least(clock_timestamp(), started_at + %s * interval '1 second') WHERE name = %s",
                    [LONGEST_WAY_SECONDS, name],
                )


def close(name: str, *, until: datetime, reason: str) -> None:
    """Let nobody ask before `until`; an earlier end than the one that stands changes nothing."""
    with _cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {_TABLE} AS clock (name, started_at, closed_until, reason)"
            " VALUES (%s, 'epoch', %s, %s) ON CONFLICT (name) DO UPDATE"
            " SET closed_until = EXCLUDED.closed_until, reason = EXCLUDED.reason"
            " WHERE clock.closed_until IS NULL OR clock.closed_until < EXCLUDED.closed_until",
            [name, until, reason],
        )
    logger.warning("%s is left alone until %s: %s", name, until, reason)


def close_for(name: str, first: timedelta, *, then: timedelta, reason: str) -> datetime:
    """Let nobody ask for the time `first`; where no answer has come since the last closing, for `then`.

    When the clock opens again, by the database's time.
    """
    with _cursor() as cursor:
        cursor.execute(
            "SELECT clock_timestamp(), EXISTS"
            f" (SELECT FROM {_TABLE} WHERE name = %s AND closed_until IS NOT NULL)",
            [name],
        )
        now, was_closed = cursor.fetchone()
    until = now + (then if was_closed else first)
    close(name, until=until, reason=reason)
    return until


def closed_until(*names: str) -> datetime | None:
    """When the last of these clocks opens that are closed now; None if none is."""
    with _cursor() as cursor:
        cursor.execute(
            f"SELECT max(closed_until) FROM {_TABLE}"
            " WHERE name = ANY(%s) AND closed_until > clock_timestamp()",
            [list(names)],
        )
        return cursor.fetchone()[0]


def reopen(*names: str) -> None:
    """The service answers: forget closings that are over, and why they were."""
    with _cursor() as cursor:
        cursor.execute(
            f"UPDATE {_TABLE} SET closed_until = NULL, reason = ''"
            " WHERE name = ANY(%s) AND closed_until <= clock_timestamp()",
            [list(names)],
        )


def now() -> datetime:
    """The database's time: what closings and starts are measured by."""
    with _cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        return cursor.fetchone()[0]


@contextmanager
def _cursor() -> Iterator[CursorWrapper]:
    """On a connection of its own: what a clock says is true at once, whatever becomes of our transaction."""
    with closing(connections["default"].copy()) as own, own.cursor() as cursor:
        yield cursor


_TABLE = UpstreamClock._meta.db_table


def _lock(own: BaseDatabaseWrapper, name: str, longest_wait_seconds: float) -> None:
    with own.cursor() as cursor:
        cursor.execute(
            "SELECT set_config('lock_timeout', %s, false)", [f"{longest_wait_seconds * 1000:.0f}ms"]
        )
        try:
            cursor.execute("SELECT pg_advisory_lock(%s, %s)", [_LOCKS, _signed(zlib.crc32(name.encode()))])
        except OperationalError as error:
            if not isinstance(error.__cause__, errors.LockNotAvailable):
                raise
            cursor.execute("SELECT clock_timestamp()")
            retry_at = cursor.fetchone()[0] + RETRY_AFTER
            raise SourceError(
                f"{name} was busy for {longest_wait_seconds:g} s with other requests of this installation, "
                f"which asks one after the other. Paperboy tries again at {retry_at:%H:%M:%S} UTC.",
                retry_at=retry_at,
            ) from error


def _seconds_left(own: BaseDatabaseWrapper, name: str, heeding: Sequence[str], seconds: float) -> float:
    """How long until the next request may start; raises SourceError where the clock is closed."""
    with own.cursor() as cursor:
        cursor.execute(
            f"SELECT name, clock_timestamp(), started_at, closed_until, reason FROM {_TABLE}"
            " WHERE name = ANY(%s)",
            [[name, *heeding]],
        )
        rows = cursor.fetchall()
    left = 0.0
    for row_name, now, started_at, closed_until, reason in rows:
        if closed_until is not None and closed_until > now:
            raise SourceError(
                f"{row_name} is not asked before {closed_until.astimezone(UTC):%Y-%m-%d %H:%M} UTC. {reason}",
                retry_at=closed_until,
            )
        if row_name == name:
            # A start in the future is a clock that was set back: nobody waits for hours because of it.
            left = min(seconds - (now - started_at).total_seconds(), seconds)
    return left


def _signed(number: int) -> int:
    """Advisory locks are named by two signed integers of 32 bits."""
    return number - 2**32 if number >= 2**31 else number
