"""Drive an edition's deliveries: lease, hand over, go round the routes, until nothing is due."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from django.utils import timezone

from digest.editions.assemble import Assembler
from digest.models import Edition
from subscriptions import lifecycle
from subscriptions.mail import outbox
from subscriptions.models import Suppression


@dataclass(slots=True)
class Progress:
    """What one call sent; `trouble` says why it stopped before all was handed over."""

    states: Counter[str] = field(default_factory=Counter)
    trouble: str = ""


def send_due(
    edition: Edition,
    *,
    seconds: float,
    retry_after: Sequence[timedelta] = outbox.RETRY_AFTER,
    left_alone: timedelta = outbox.LEFT_ALONE,
    stop: Callable[[], bool] = lambda: False,
    report: Callable[[Counter[str]], None] = lambda states: None,
) -> Progress:
    """Hand over what is due now, for about `seconds` at most; safe beside any number of other workers.

    `report` is called with the states reached so far, after each lease.
    """
    progress = Progress()
    assemble = Assembler(edition)
    give_up_at = time.monotonic() + seconds
    route = ""

    def over() -> bool:
        return stop() or time.monotonic() > give_up_at

    while not over():
        lease = outbox.claim(edition.mailing_id, after_route=route)
        if lease is None:
            if not route:
                break
            route = ""  # round again: what came due meanwhile, and earlier routes
            continue
        delivered = outbox.deliver(
            lease,
            assemble=assemble,
            suppress=_suppress,
            retry_after=retry_after,
            left_alone=left_alone,
            stop=over,
        )
        progress.states += delivered.states
        report(progress.states)
        if delivered.trouble:
            progress.trouble = delivered.trouble
            break
        route = lease.last_route
    return progress


def _suppress(address: str, evidence: str) -> None:
    lifecycle.suppress(address, reason=Suppression.Reason.HARD_BOUNCE, evidence=evidence, now=timezone.now())
