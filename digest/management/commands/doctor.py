"""Look at everything that Paperboy needs, and say how to mend what is wrong."""

import json
import sys
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone

from digest.operations import doctor

_MARKS = {doctor.GOOD: "ok  ", doctor.HINT: "hint", doctor.WARN: "look", doctor.BAD: "BAD "}


class Command(BaseCommand):
    help = "Look at settings, services, sources, mail server and clock; each finding with its cure."
    requires_system_checks: list[str] = []  # their findings are among those printed

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="The findings as JSON in the last line.")

    def handle(self, *args: Any, **options: Any) -> None:
        findings = []
        for finding in doctor.examine(now=timezone.now()):
            findings.append(finding)
            if not options["json"]:
                self.stdout.write(f"{_MARKS[finding.state]}  {finding.subject}: {finding.fact}")
                if finding.cure:
                    self.stdout.write(f"      {finding.cure}")
        is_well = all(finding.state != doctor.BAD for finding in findings)
        if options["json"]:
            self.stdout.write(json.dumps({"ok": is_well, "findings": [asdict(f) for f in findings]}))
        if not is_well:
            sys.exit(1)
