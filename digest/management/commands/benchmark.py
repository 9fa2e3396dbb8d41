"""Measure matching, composing, delivering, or a whole day, in a scratch database of its own."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from digest.operations import benchmarks


class Command(BaseCommand):
    help = "Measure matching, composing, delivering or a whole day, in a scratch database of its own."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("what", choices=sorted(benchmarks.BENCHMARKS))
        parser.add_argument("--subscribers", type=int, default=1_000)
        parser.add_argument("--papers", type=int, default=100)
        parser.add_argument("--smtp", metavar="HOST:PORT", help="Default: a null sink of its own.")
        parser.add_argument("--json", action="store_true", help="The figures as JSON in the last line.")

    def handle(self, *args: Any, **options: Any) -> None:
        with benchmarks.mail_server(options["smtp"]), benchmarks.scratch_database():
            measured = benchmarks.BENCHMARKS[options["what"]](
                subscribers=options["subscribers"], papers=options["papers"]
            ).as_json()
        if options["json"]:
            self.stdout.write(json.dumps(measured))
        else:
            for name, value in measured.items():
                self.stdout.write(f"{name:<12} {value}")
