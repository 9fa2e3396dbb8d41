"""Write all readers to a CSV file that import_subscribers reads."""

import json
import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from subscriptions import lists


class Command(BaseCommand):
    help = (
        "Export active and paused readers as CSV, to standard output or a file. Cells that a spreadsheet "
        "would take for a formula begin with an apostrophe, which the import takes away."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--out", type=Path, metavar="FILE.csv", help="Write there (default: standard output)."
        )
        parser.add_argument("--json", action="store_true", help="Print one JSON object as the last line.")

    def handle(self, *args: Any, **options: Any) -> None:
        out: Path | None = options["out"]
        if out is None:
            number = lists.write(getattr(self.stdout, "_out", sys.stdout))
        else:
            try:
                with out.open("w", encoding="utf-8", newline="") as file:
                    number = lists.write(file)
            except OSError as error:
                raise CommandError(f"{out}: {error}") from error
        if options["json"]:
            self.stdout.write(json.dumps({"exported": number}))
        elif out is not None:
            self.stdout.write(f"{number} readers written to {out}.")
