"""Who got what: the ledger rows of one edition as JSON lines."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from digest.editions import schedule
from digest.management import arguments
from digest.models import Edition
from subscriptions.mail.message import message_id
from subscriptions.models import Delivery


class Command(BaseCommand):
    help = "The deliveries of one edition as JSON lines: email, message_id, state, reason."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--date", type=arguments.day, required=True)
        parser.add_argument("--kind", choices=Edition.Kind.values, default=Edition.Kind.DAILY)
        parser.add_argument("--state", choices=Delivery.State.values)
        parser.add_argument("--json", action="store_true", help="As ever: each line is one JSON object.")

    def handle(self, *args: Any, **options: Any) -> None:
        day = schedule.span(options["kind"], options["date"]).first
        edition = Edition.objects.filter(kind=options["kind"], date=day).select_related("mailing").first()
        if edition is None:
            raise CommandError(f"There is no {options['kind']} edition of {day}.")
        rows = Delivery.objects.of_mailing(edition.mailing_id).order_by("pk")
        if options["state"]:
            rows = rows.filter(state=options["state"])
        for row in rows.iterator(chunk_size=5_000):
            self.stdout.write(
                json.dumps(
                    {
                        "email": row.email,
                        "message_id": message_id(row.pk, edition.mailing.domain),
                        "state": row.state,
                        "reason": row.reason,
                    },
                    ensure_ascii=False,
                )
            )
