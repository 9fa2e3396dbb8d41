import functools
import json
import logging
import sys
from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone
from rich.progress import Progress

from digest.management import arguments
from digest.models import Source
from digest.papers import fetch
from digest.papers.ingest import Ingested
from digest.papers.readers import huggingface
from digest.sources.http import Client, SourceError
from digest.sources.registry import KINDS

NUMBERS = ("declared", "parsed", "new", "updated", "cross", "rejected")

logger = logging.getLogger(__name__)


class Command(BaseCommand):
    help = (
        "Fetch the papers of a listing day and store them. Without --date: what may have changed since. "
        "Sources with one list for everything, such as feeds, are read once, whatever the day. Entries that "
        "were set aside are accounted for; only a source that could not be read is a failure, and it does "
        "not keep the others from being read."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--source", metavar="NAME", help="Only this source (default: all that are enabled)."
        )
        parser.add_argument("--date", type=arguments.day, metavar="D", help="Listing day YYYY-MM-DD.")
        parser.add_argument(
            "--days", type=_number, metavar="N", help="Also the days before it, N days in all."
        )
        parser.add_argument("--json", action="store_true", help="Print one JSON object as the last line.")

    def handle(self, *args: Any, **options: Any) -> None:
        now = timezone.now()
        try:
            sources = fetch.sources(options["source"])
        except fetch.UnknownSource as error:
            raise CommandError(str(error)) from error
        report: dict[str, dict[str, Any]] = {}
        failed = False
        for source in sources:
            totals: dict[str, Any] = {**dict.fromkeys(NUMBERS, 0), "errors": []}
            report[source.slug] = totals
            client = Client()
            days = _days(source, date=options["date"], count=options["days"], now=now)
            for day, say in self._with_progress(source.name, days):
                at = f"{day}: " if day else ""
                try:
                    done = fetch.fetch_day(source, day, now=now, client=client)
                except SourceError as error:
                    problem = str(error)
                except Exception as error:  # a source that we read wrongly must not cost the others
                    logger.exception("%s, %s", source, day)
                    problem = fetch.mistake(error)
                else:
                    for name in NUMBERS:
                        totals[name] += getattr(done, name)
                    totals["errors"] += [f"{at}{error}" for error in (*done.errors, *done.unread)]
                    failed = failed or bool(done.unread)
                    said = "; ".join((in_words(done), *done.unread))
                    say(f"{source.name}{f' {day}' if day else ''}: {said}")
                    continue
                failed = True
                totals["errors"].append(f"{at}{problem}")
                say(f"{source.name}{f' {day}' if day else ''}: {problem}")
        if options["json"]:
            self.stdout.write(json.dumps({"sources": report}, ensure_ascii=False))
        if failed:
            sys.exit(1)

    def _with_progress(
        self, label: str, days: list[date | None]
    ) -> Iterator[tuple[date | None, Callable[[str], Any]]]:
        """Each day with the way to speak of it: on a terminal, above a bar if there are several."""
        if len(days) == 1 or not self.stdout.isatty():
            yield from ((day, self.stdout.write) for day in days)
            return
        with Progress(transient=True) as progress:
            say = functools.partial(progress.console.print, markup=False, highlight=False, soft_wrap=True)
            for day in progress.track(days, description=label):
                yield day, say


def _days(source: Source, *, date: date | None, count: int | None, now: datetime) -> list[date | None]:
    """The listing days to read, oldest first; [None] for a source with one list for everything."""
    if not KINDS[source.kind].by_day:
        return [None]
    if date is None and count is None and source.kind != Source.Kind.HUGGINGFACE:
        return list(reversed(fetch.reader_of(source).days_to_read(source, now=now)))
    last = date or now.date()
    length = count or (1 if date else 1 + huggingface.REREAD_DAYS)
    return [last - timedelta(days=age) for age in reversed(range(length))]


def in_words(done: Ingested) -> str:
    entries = "1 entry" if done.declared == 1 else f"{done.declared} entries"
    parts = [f"{done.new} new", f"{done.updated} updated"]
    if done.cross:
        parts.append(f"{done.cross} cross-listed")
    if done.rejected:
        parts.append(f"{done.rejected} set aside")
    return f"{entries}, {', '.join(parts)}"


def _number(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= 1000:
        raise CommandError(f"--days {text}: give a number of days from 1 to 1000.")
    return int(text)
