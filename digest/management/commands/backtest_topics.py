import json
import random
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from digest.matching import backtest_tree
from digest.matching.backtest_tree import Measured, Report
from digest.papers.text import spelled_out
from subscriptions.models import Topic


class Command(BaseCommand):
    help = (
        "What each topic of the catalogue would have found: papers a day, topics that find nearly the same "
        "papers, that find none or too many. Over the stored papers, or those of a file. Changes nothing."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--days", type=int, default=30, metavar="N", help="Stored papers of the last N days (default 30)."
        )
        parser.add_argument(
            "--papers",
            type=Path,
            metavar="FILE",
            help="Papers of a file instead: JSON Lines, also .gz, with id, title, abstract, authors, "
            "categories and listed.",
        )
        parser.add_argument(
            "--topic", action="append", default=[], metavar="SLUG", help="These topics only; may be repeated."
        )
        parser.add_argument(
            "--titles", type=int, default=0, metavar="N", help="Show N titles of each topic, drawn by lot."
        )
        parser.add_argument("--json", action="store_true", help="Print one JSON object as the last line.")

    def handle(self, *args: Any, **options: Any) -> None:
        catalogue = list(Topic.objects.catalogue())
        unknown = set(options["topic"]) - {topic.slug for topic in catalogue}
        if unknown:
            raise CommandError(
                f"--topic {sorted(unknown)[0]}: there is no such topic. Topics have slugs: agents."
            )
        if options["days"] < 1:
            raise CommandError(f"--days {options['days']}: a number from 1 on.")
        papers = self._papers(options["papers"], options["days"])
        report = backtest_tree.backtest(
            [topic for topic in catalogue if not options["topic"] or topic.slug in options["topic"]], papers
        )
        console = Console(width=110, force_terminal=False)
        with console.capture() as printed:
            console.print(_table(report, options["titles"]))
            console.print(_summary(report), highlight=False, markup=False)
        self.stdout.write(printed.get())
        if options["json"]:
            self.stdout.write(json.dumps(_as_json(report)))

    def _papers(self, path: Path | None, days: int) -> backtest_tree.Papers:
        if path is None:
            papers = backtest_tree.stored(days=days)
            if not papers.documents:
                raise CommandError(
                    "There are no stored papers. Read some first: manage.py fetch_papers --days 7"
                )
            return papers
        try:
            return backtest_tree.recorded(path)
        except (OSError, EOFError, ValueError) as error:
            raise CommandError(f"--papers: {error}") from error


def _table(report: Report, titles: int) -> Table:
    table = Table(
        title=f"{len(report.measured)} topics over {report.papers:,} papers of {report.days} listing days"
    )
    table.add_column("Topic", overflow="fold")
    for name in ("papers", "a day", "of all"):
        table.add_column(name, justify="right")
    table.add_column("")
    lots = random.Random(7)
    for one in report.measured:
        table.add_row(
            f"{'  ' * one.depth}{one.topic.slug}",
            f"{one.found:,}",
            f"{one.a_day:.1f}",
            f"{one.share:.1%}",
            _remark(one),
        )
        for document in lots.sample(one.hits.documents, min(titles, one.found)):
            table.add_row(f"{'  ' * one.depth}  [dim]·[/] {escape(spelled_out(document.title))}")
    return table


def _remark(one: Measured) -> str:
    if not one.found:
        return "finds nothing"
    if one.share > backtest_tree.MOST_SHARE:
        return f"more than {backtest_tree.MOST_SHARE:.0%} of everything"
    return f"more than {backtest_tree.MANY_A_DAY} a day" if one.a_day > backtest_tree.MANY_A_DAY else ""


def _summary(report: Report) -> str:
    subjects = [one for one in report.measured if not one.is_category]
    lines = [
        f"{len(subjects)} subjects, {sum(not one.found for one in subjects)} of them without hits; "
        f"{len(report.measured) - len(subjects)} categories and archives of arXiv. {report.seconds:.0f} s.",
        f"Find nearly the same, and neither is part of the other (Jaccard over {backtest_tree.ALIKE}): "
        + (
            ", ".join(f"{pair.one.slug} and {pair.other.slug} {pair.jaccard:.2f}" for pair in report.alike)
            or "none."
        ),
    ]
    if report.same:
        pairs = ", ".join(f"{one.slug} and {other.slug}" for one, other in report.same)
        lines.append(f"One filter under two names: {pairs}.")
    return "\n".join(lines)


def _as_json(report: Report) -> dict[str, Any]:
    return {
        "papers": report.papers,
        "days": report.days,
        "topics": [
            {
                "slug": one.topic.slug,
                "depth": one.depth,
                "papers": one.found,
                "a_day": round(one.a_day, 2),
                "share": round(one.share, 4),
            }
            for one in report.measured
        ],
        "without_hits": [one.topic.slug for one in report.without_hits],
        "many": [one.topic.slug for one in report.with_many],
        "broad": [one.topic.slug for one in report.broad],
        "alike": [
            {"topics": [pair.one.slug, pair.other.slug], "jaccard": round(pair.jaccard, 3)}
            for pair in report.alike
        ],
        "same": [[one.slug, other.slug] for one, other in report.same],
        "seconds": round(report.seconds, 1),
    }
