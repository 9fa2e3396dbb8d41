"""One edition from opening to the last reply, in one call: what the command and the tasks share."""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial

from digest.editions import compose, schedule, send
from digest.models import Edition
from subscriptions.mail import ledger, outbox

# `--now`: the operator waits at the terminal, so "later" is tried again within half a minute.
QUICK_RETRIES = tuple(timedelta(seconds=s) for s in (2, 5, 10))
QUICK_LEFT_ALONE = timedelta(seconds=5)  # a mail server that takes nothing
QUICK_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Ran:
    """The edition's account after a run: `counts` by state (summed from the counters) and what went wrong."""

    edition: Edition
    counts: dict[str, int]
    seconds: float
    trouble: str = ""

    def as_json(self) -> dict[str, object]:
        under_way = self.counts["due"] + self.counts["leased"] + self.counts["handing"]
        return {
            "edition": str(self.edition),
            "prepared": self.counts["prepared"],
            "sent": self.counts["sent"],
            "due": under_way,
            **{
                state: self.counts[state]
                for state in ("deferred", "failed", "skipped", "expired", "uncertain")
            },
            "seconds": round(self.seconds, 3),
        }


def run(
    kind: str,
    day: date,
    *,
    now: datetime,
    at_once: bool = False,
    stop: Callable[[], bool] = lambda: False,
    report: Callable[[str], None] = lambda line: None,
) -> Ran | None:
    """Open or top up the edition of `day`, compose, and deliver what is due; None without papers that day.

    `at_once`: everybody now, without waiting for hours, batches or staleness. Run again, it sends nothing
    twice: readers who have a row keep it. `stop` is asked before each message; what is left stays due.
    """
    started = time.monotonic()
    if not at_once and not schedule.may_open(kind, day, now=now):
        opens = schedule.opening(kind, day)
        raise NotYet(
            f"The {kind} edition of {day} opens at {opens:%Y-%m-%d %H:%M} UTC. Use --now to send it."
        )
    edition = schedule.open_edition(kind, day, now=now)
    if edition is None:
        return None
    added = compose.compose(edition, now=now, at_once=at_once)
    report(f"Composed {added} new rows.")
    if at_once:
        outbox.hasten(edition.mailing_id)
    trouble = _deliver(edition, at_once=at_once, stop=stop, report=report)
    outbox.sweep()
    return Ran(edition, ledger.counts(edition.mailing_id), time.monotonic() - started, trouble)


class NotYet(Exception):
    """The edition may not open before its hour."""


def _deliver(
    edition: Edition, *, at_once: bool, stop: Callable[[], bool], report: Callable[[str], None]
) -> str:
    """What kept mail from being handed over at the last; empty where nothing did."""

    def say(states: Counter[str]) -> None:
        report(", ".join(f"{count} {state}" for state, count in sorted(states.items())) + " in this run.")

    send_due = partial(
        send.send_due,
        edition,
        retry_after=QUICK_RETRIES if at_once else outbox.RETRY_AFTER,
        left_alone=QUICK_LEFT_ALONE if at_once else outbox.LEFT_ALONE,
        stop=stop,
        report=say,
    )
    trouble = send_due(seconds=6 * 3600).trouble
    give_up_at = time.monotonic() + QUICK_SECONDS
    while at_once and not stop() and time.monotonic() < give_up_at and _waits(edition):
        time.sleep(1)
        progress = send_due(seconds=max(1.0, give_up_at - time.monotonic()))
        if progress.trouble or progress.states:
            trouble = progress.trouble
    return trouble


def _waits(edition: Edition) -> bool:
    """Whether there is anything to deliver still, here or in the hands of another worker."""
    counts = ledger.counts(edition.mailing_id)
    return any(counts[state] for state in ("due", "leased", "handing", "deferred"))
