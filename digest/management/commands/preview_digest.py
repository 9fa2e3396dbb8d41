"""The exact message that a reader would get, without sending or recording it."""

import json
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from digest.editions import preview
from digest.management import arguments
from subscriptions.filters import FilterError
from subscriptions.models import Subscriber, normalise_address


class Command(BaseCommand):
    help = "Write the exact digest of a subscriber, or of somebody with these filters, as an .eml message."

    def add_arguments(self, parser: CommandParser) -> None:
        who = parser.add_mutually_exclusive_group(required=True)
        who.add_argument("--subscriber", metavar="EMAIL")
        who.add_argument("--filter", nargs="+", metavar="TEXT", help="One or more filters, quoted.")
        parser.add_argument("--date", type=arguments.day, help="Listing day (default: the latest).")
        parser.add_argument("--out", type=Path, metavar="FILE.eml", help="Default: standard output.")
        parser.add_argument("--json", action="store_true", help="Last line: what was made, as JSON.")

    def handle(self, *args: Any, **options: Any) -> None:
        now = timezone.now()
        try:
            if options["subscriber"]:
                subscriber = Subscriber.objects.get(address=normalise_address(options["subscriber"]))
                content = preview.for_subscriber(subscriber, now=now, day=options["date"])
            else:
                content = preview.for_filters(options["filter"], now=now, day=options["date"])
        except Subscriber.DoesNotExist as error:
            raise CommandError(f"Nobody has subscribed as {options['subscriber']}.") from error
        except (FilterError, preview.NoPapersError) as error:
            raise CommandError(str(error)) from error
        if options["out"]:
            try:
                options["out"].write_bytes(content)
            except OSError as error:
                raise CommandError(f"--out {options['out']} cannot be written: {error.strerror}.") from error
            self.stderr.write(f"Wrote {len(content):,} bytes to {options['out']}.")
        else:
            self.stdout.write(content.decode("ascii"), ending="")
        if options["json"]:
            out = str(options["out"]) if options["out"] else None
            self.stdout.write(json.dumps({"bytes": len(content), "out": out}))
