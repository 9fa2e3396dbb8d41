"""Open or top up an edition, compose it and deliver it, in this process."""

import contextlib
import json
import signal
import threading
from collections.abc import Callable, Iterator
from datetime import date, datetime
from types import FrameType
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from digest.editions import run, schedule
from digest.management import arguments
from digest.models import Edition


class Command(BaseCommand):
    help = "Open or top up an edition, compose and deliver it in this process. Twice sends nothing new."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--kind", choices=Edition.Kind.values, default=Edition.Kind.DAILY)
        parser.add_argument(
            "--date", type=arguments.day, help="Listing day (default: the latest that has papers)."
        )
        parser.add_argument(
            "--now", action="store_true", help="Everybody now: no waiting for hours, batches or staleness."
        )
        parser.add_argument("--json", action="store_true", help="The account as JSON in the last line.")

    def handle(self, *args: Any, **options: Any) -> None:
        now = timezone.now()
        kind = options["kind"]
        day = options["date"] or _latest(kind, now=now, at_once=options["now"])
        if day is None:
            raise CommandError("There are no papers yet. Fetch some first: manage.py fetch_papers --days 14")
        try:
            with self._stoppable() as stop:
                ran = run.run(kind, day, now=now, at_once=options["now"], stop=stop, report=self._say)
                is_stopped = stop()
        except run.NotYet as error:
            raise CommandError(str(error)) from error
        if ran is None:
            raise CommandError(
                f"No source listed papers for the {kind} edition of {schedule.span(kind, day).first}. "
                f"Fetch them first: manage.py fetch_papers --date {day}"
            )
        account = ran.as_json()
        if options["json"]:
            self.stdout.write(json.dumps(account))
        else:
            self.stdout.write(
                f"{account['edition']}: {account['prepared']} prepared = "
                + " + ".join(
                    f"{account[state]} {state}"
                    for state in ("sent", "due", "deferred", "failed", "skipped", "expired", "uncertain")
                )
                + f", {account['seconds']} s"
            )
        if ran.trouble:
            raise CommandError(ran.trouble)
        if is_stopped:
            raise CommandError("Stopped. What was not handed over stays due; run it again to go on.")

    @contextlib.contextmanager
    def _stoppable(self) -> Iterator[Callable[[], bool]]:
        """Ctrl-C and SIGTERM end the run between two messages; the second time at once."""
        stopped = threading.Event()

        def stop(number: int, frame: FrameType | None) -> None:
            stopped.set()
            signal.signal(number, before[signal.Signals(number)])

        if threading.current_thread() is not threading.main_thread():  # only there signals can be caught
            yield stopped.is_set
            return
        before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield stopped.is_set
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _say(self, line: str) -> None:
        self.stderr.write(line)


def _latest(kind: str, *, now: datetime, at_once: bool) -> date | None:
    """The latest listing day that has papers; where its edition may not open yet, the one that is open."""
    day = schedule.latest_day()
    if day is None or at_once or schedule.may_open(kind, day, now=now):
        return day
    current = schedule.current(kind, now=now)
    return current.date if current is not None else day
