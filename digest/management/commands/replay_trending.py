import json
from datetime import date
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from rich.console import Console
from rich.table import Table

from digest.management import arguments
from digest.models import Source
from digest.papers import replay


class Command(BaseCommand):
    help = (
        "Compare the order of stored days with the order in which the source itself listed them: rank "
        "correlation (Spearman's rho) of our ranking, of ours with all papers in one field, and of votes, "
        "comments and stars alone. 1 is the same order, 0 no relation. Changes nothing."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--date", type=arguments.day, metavar="D", help="The last listing day, YYYY-MM-DD."
        )
        parser.add_argument("--days", type=int, default=25, metavar="N", help="Days in all (default 25).")
        parser.add_argument(
            "--source",
            default=Source.Kind.HUGGINGFACE.value,
            metavar="NAME",
            help="Whose order (huggingface).",
        )
        parser.add_argument("--json", action="store_true", help="Print one JSON object as the last line.")

    def handle(self, *args: Any, **options: Any) -> None:
        source = Source.objects.filter(slug=options["source"]).first()
        if source is None:
            raise CommandError(f"--source {options['source']}: there is no such source.")
        if options["days"] < 1:
            raise CommandError(f"--days {options['days']}: a number from 1 on.")
        until = options["date"] or date.max
        days = [
            replay.replayed(source, day) for day in replay.days_of(source, until=until, limit=options["days"])
        ]
        if not days:
            raise CommandError(
                f"{source.name} has no stored list with votes. Read some first: "
                f"manage.py fetch_papers --source {source.slug} --days {options['days']}"
            )
        means = {
            name: {order: replay.mean([getattr(day, name)[order] for day in days]) for order in replay.ORDERS}
            for name in ("spearman", "kendall")
        }
        self._print(source, days, means)
        if options["json"]:
            report = {
                "source": source.slug,
                "days": [
                    {
                        "date": day.date.isoformat(),
                        "papers": day.papers,
                        "spearman": day.spearman,
                        "kendall": day.kendall,
                        "first_five": day.first,
                    }
                    for day in days
                ],
                "mean": means,
            }
            self.stdout.write(json.dumps(report))

    def _print(
        self, source: Source, days: list[replay.Day], means: dict[str, dict[str, float | None]]
    ) -> None:
        table = Table(title=f"Rank correlation with the order of {source.name}")
        table.add_column("Day")
        for name in ("papers", *replay.ORDERS, "ours, tau", "first 5"):
            table.add_column(name, justify="right")
        for day in days:
            table.add_row(
                day.date.isoformat(),
                str(day.papers),
                *(_figure(day.spearman[name]) for name in replay.ORDERS),
                _figure(day.kendall["ours"]),
                f"{day.first} of {min(replay.FIRST, day.papers)}",
            )
        table.add_section()
        table.add_row(
            "mean",
            str(sum(day.papers for day in days)),
            *(_figure(means["spearman"][name]) for name in replay.ORDERS),
            _figure(means["kendall"]["ours"]),
            f"{sum(day.first for day in days) / len(days):.1f}",
        )
        console = Console(width=100, force_terminal=False)
        with console.capture() as printed:
            console.print(table)
        self.stdout.write(printed.get())


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
