import json
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from rich.console import Console
from rich.table import Table

from digest.management import arguments
from digest.matching import fitting
from digest.matching.evaluation import BadDataError, Labelled
from digest.matching.rank import Ranker


class Command(BaseCommand):
    help = (
        "Fit the matcher's constants on labelled papers, and print how good each kind of profile is when its "
        "constants come from other topics (cross-validation over topics). With --out FILE they are written; "
        "those in use stand in digest/matching/constants.json. Needs no database."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("folder", type=Path, metavar="DIR", help="As for evaluate_matching.")
        arguments.add_encoder(parser)
        parser.add_argument("--out", type=Path, metavar="FILE", help="Where to write the constants.")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            data = Labelled.read(options["folder"])
        except BadDataError as error:
            raise CommandError(str(error)) from error
        by_kind = fitting.samples(
            data, Ranker(encoder=arguments.encoder(options["encoder"])).fit(data.papers)
        )
        table = Table(title="Each kind of profile, with constants from other topics")
        table.add_column("Kind")
        for name in ("P@10", "lowest", "MAP", "ECE", "P ≥ 70 %"):
            table.add_column(name, justify="right")
        fits = {}
        for kind, samples in sorted(by_kind.items()):
            fits[kind] = fitting.fit(samples)
            checked = fitting.cross_validated(samples)
            table.add_row(
                kind,
                f"{checked.precision_at_10:.3f}",
                f"{checked.lowest_precision:.2f}",
                f"{checked.mean_average_precision:.3f}",
                "–" if checked.calibration_error is None else f"{checked.calibration_error:.3f}",
                "–" if checked.precision_at_70 is None else f"{checked.precision_at_70:.3f}",
            )
        console = Console(width=100, force_terminal=False)
        with console.capture() as printed:
            console.print(table)
        self.stdout.write(printed.get())
        if options["out"]:
            topics = {sample.topic for samples in by_kind.values() for sample in samples}
            constants = fitting.as_json(fits, papers=len(data.papers), topics=len(topics))
            options["out"].write_text(json.dumps(constants, indent=1) + "\n")
            self.stdout.write(f"Written to {options['out']}.")
