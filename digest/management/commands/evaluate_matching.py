import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from rich.console import Console
from rich.progress import track
from rich.table import Table

from digest.management import arguments
from digest.matching import evaluation
from digest.matching.evaluation import MODES, BadDataError, Labelled, Quality, WordsOnly
from digest.matching.rank import Ranker


class Command(BaseCommand):
    help = (
        "How good the matcher is on labelled papers: precision, average precision, how honest its percents "
        "are, and what it gains over plain words (BM25), topic by topic. Needs no database. docs/matching.md "
        "explains the figures and the form of the data."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "folder", type=Path, metavar="DIR", help="Holds papers.jsonl.gz, topics.jsonl, qrels.tsv."
        )
        parser.add_argument(
            "--modes", default=",".join(MODES), help=f"What a profile says: {', '.join(MODES)}."
        )
        parser.add_argument("--kind", default="list,seed", help="Kinds of topics; empty: all (list,seed).")
        parser.add_argument("--draws", type=int, default=3, metavar="N", help="Sets of liked papers (3).")
        arguments.add_encoder(parser)
        parser.add_argument("--json", action="store_true", help="Print one JSON object as the last line.")

    def handle(self, *args: Any, **options: Any) -> None:
        modes = [mode for mode in options["modes"].split(",") if mode]
        kinds = tuple(kind for kind in options["kind"].split(",") if kind)
        if unknown := set(modes) - set(MODES):
            raise CommandError(f"--modes {', '.join(sorted(unknown))}: choose from {', '.join(MODES)}.")
        if options["draws"] < 1:
            raise CommandError(f"--draws {options['draws']}: a number from 1 on.")
        try:
            data = Labelled.read(options["folder"])
        except BadDataError as error:
            raise CommandError(str(error)) from error
        console = Console(stderr=True)
        ours = Ranker(encoder=arguments.encoder(options["encoder"])).fit(data.papers)
        words = WordsOnly(ours)
        found: dict[str, tuple[Quality, Quality]] = {}
        for mode in track(modes, "Asking", console=console, disable=not console.is_terminal):
            ask = {"kinds": kinds, "draws": options["draws"]}
            if next(iter(evaluation.cases(data, mode, **ask)), None) is None:
                self.stderr.write(f"{mode}: no topic has what it needs; left out.")
                continue
            found[mode] = (
                evaluation.quality(ours, data, mode, **ask),
                evaluation.quality(words, data, mode, **ask),
            )
        self._print(data, found)
        if options["json"]:
            self.stdout.write(json.dumps({"papers": len(data.papers), "modes": _as_json(found)}))

    def _print(self, data: Labelled, found: dict[str, tuple[Quality, Quality]]) -> None:
        table = Table(title=f"Matching on {len(data.papers):,} labelled papers")
        table.add_column("Mode")
        for name in (
            "topics",
            "P@10",
            "lowest",
            "R@20",
            "nDCG@10",
            "MAP",
            "gain over BM25",
            "ECE",
            "P ≥ 70 %",
        ):
            table.add_column(name, justify="right")
        for mode, (ours, words) in found.items():
            gain, low, high = evaluation.compared(ours, words)
            table.add_row(
                mode,
                str(ours.topics),
                f"{ours.precision_at_10:.3f}",
                f"{ours.lowest_precision:.2f}",
                f"{ours.recall_at_20:.3f}",
                f"{ours.ndcg_at_10:.3f}",
                f"{ours.mean_average_precision:.3f}",
                f"{gain:+.3f} [{low:+.3f}, {high:+.3f}]",
                _figure(ours.calibration_error),
                _figure(ours.precision_at_70),
            )
        console = Console(width=120, force_terminal=False)
        with console.capture() as printed:
            console.print(table)
        self.stdout.write(printed.get())


def _as_json(found: dict[str, tuple[Quality, Quality]]) -> dict[str, Any]:
    return {
        mode: {**asdict(ours), "gain_over_words": evaluation.compared(ours, words), "words": asdict(words)}
        for mode, (ours, words) in found.items()
    }


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
