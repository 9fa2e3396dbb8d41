"""Take a CSV file of subscribers with recorded consent."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from subscriptions import lists


class Command(BaseCommand):
    help = (
        "Import subscribers from a CSV file with the columns email, filter, frequency, consent_at, "
        "consent_source and optionally topics, language, timezone, hour. Rows without consent are rejected; "
        "who unsubscribed, is suppressed or was erased stays so. Importing a file twice changes nothing."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, metavar="FILE.csv")
        parser.add_argument("--json", action="store_true", help="Print one JSON object as the last line.")

    def handle(self, *args: Any, **options: Any) -> None:
        path: Path = options["file"]
        try:
            with path.open(encoding="utf-8-sig", newline="") as file:
                done = lists.read(file, now=timezone.now(), report=self._report)
        except (OSError, lists.BadFile) as error:
            raise CommandError(f"{path}: {error}") from error
        if options["json"]:
            self.stdout.write(json.dumps(asdict(done)))
        else:
            self.stdout.write(
                f"{done.created} created, {done.updated} updated, {done.rejected} rejected, "
                f"{done.suppressed} left alone (unsubscribed, suppressed or erased)."
            )

    def _report(self, line: int, reason: str) -> None:
        self.stderr.write(f"line {line}: {reason}")
