"""Why a reader got a paper or did not, stage by stage."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from digest.editions import schedule, why
from digest.management import arguments
from digest.models import Edition
from subscriptions.models import Subscriber, normalise_address


class Command(BaseCommand):
    help = "Why a subscriber got a paper or did not: each stage between the source's list and the inbox."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("paper", help="arXiv id or address, DOI, the address of its page here, or p42.")
        parser.add_argument("--subscriber", metavar="EMAIL", required=True)
        parser.add_argument(
            "--date",
            type=arguments.day,
            help="Of this edition (default: the one that brought it or might have).",
        )
        parser.add_argument("--kind", choices=Edition.Kind.values, default=Edition.Kind.DAILY)
        parser.add_argument("--json", action="store_true", help="Last line: everything, as JSON.")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            subscriber = Subscriber.objects.get(address=normalise_address(options["subscriber"]))
        except Subscriber.DoesNotExist as error:
            raise CommandError(f"Nobody has subscribed as {options['subscriber']}.") from error
        account = why.why(subscriber, options["paper"], now=timezone.now(), edition=_edition(options))
        title = f"“{account.paper.title}” ({account.paper.public_id})" if account.paper else options["paper"]
        self.stdout.write(f"What {subscriber} may be told of {title}:\n\n{account.sentence}\n")
        if account.cure:
            self.stdout.write(f"To get it next time: {account.cure}.\n")
        for line in _lines(account) if account.paper else ():
            self.stdout.write(f"{line}\n")
        if options["json"]:
            self.stdout.write(json.dumps(account.as_json(), ensure_ascii=False))


def _edition(options: Mapping[str, Any]) -> Edition | None:
    if options["date"] is None:
        return None
    day = schedule.span(options["kind"], options["date"]).first
    edition = Edition.objects.filter(kind=options["kind"], date=day).select_related("mailing").first()
    if edition is None:
        raise CommandError(f"There is no {options['kind']} edition of {day}.")
    return edition


def _lines(account: why.Account) -> Iterator[str]:
    yield from _stages("The paper", account.before)
    for topic in account.topics:
        yield from _stages(f"Topic {topic.name}: {topic.filter}", topic.stages)
        for line in topic.tree:
            yield f"{'':28}{line}"
    yield from _stages("The mail", account.after)


def _stages(heading: str, stages: Sequence[why.Stage]) -> Iterator[str]:
    yield f"\n{heading}"
    for stage in stages:
        yield f"  {stage.outcome.value:15}{stage.name:11}{stage.words}"
