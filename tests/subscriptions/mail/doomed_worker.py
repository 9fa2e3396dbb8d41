"""A delivery worker in a process of its own, which a test kills at a chosen point.

    python -m tests.subscriptions.mail.doomed_worker MAILING POINT

POINT: `claimed` (a lease, nothing else), `handing` (the group is marked, no byte of DATA), `recorded` (every
reply heard, none written down), or `never`. In the middle of a message the mail server of the test kills it.
"""

import os
import signal
import sys
from collections.abc import Sequence

import django

django.setup()

from subscriptions.mail import outbox  # noqa: E402
from subscriptions.mail.letters import Letter, Recipient  # noqa: E402


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def main(mailing_id: int, point: str) -> None:
    def assemble(recipients: Sequence[Recipient]) -> list[Letter]:
        if point == "handing" and len(groups) == 1:
            die()
        groups.append(len(recipients))
        return [
            Letter(r.delivery_id, "bounces@paperboy.example", r.email, b"Subject: papers\r\n\r\nHello\r\n")
            for r in recipients
        ]

    groups: list[int] = []
    record = outbox.record

    def record_unless_dead(*args: object, **options: object) -> object:
        if point == "recorded" and len(groups) == 2:
            die()
        return record(*args, **options)  # type: ignore[arg-type]

    outbox.record = record_unless_dead  # type: ignore[assignment]
    while lease := outbox.claim(mailing_id):
        if point == "claimed":
            die()
        outbox.deliver(lease, assemble=assemble, suppress=lambda address, evidence: None)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
