import gzip
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from digest.matching.index import DayIndex
from digest.matching.space import Space
from subscriptions.filters import Document

DIMENSIONS = 300
IN_PAPERS = 5  # a rarer word is not worth its place in what ships


class Command(BaseCommand):
    help = (
        "Train the space of words that ships with Paperboy (digest/matching/starter.npz) on titles and "
        "abstracts in JSON lines, packed with gzip: id, title, abstract. Half a minute for 25,000 papers; no "
        "database needed. Which papers it was trained on stands in docs/matching.md."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "files", nargs="+", type=Path, metavar="FILE[:N]", help="N: every N-th paper only."
        )
        parser.add_argument("--without", type=Path, metavar="FILE", help="Papers that are left out, by id.")
        parser.add_argument("--out", type=Path, required=True, metavar="FILE")

    def handle(self, *args: Any, **options: Any) -> None:
        left_out = {paper["id"] for paper in _read(options["without"])} if options["without"] else set()
        documents = [
            Document(id=paper["id"], title=paper["title"], abstract=paper["abstract"])
            for named in options["files"]
            for at, paper in enumerate(_read(Path(str(named).partition(":")[0])))
            if at % int(str(named).partition(":")[2] or 1) == 0 and paper["id"] not in left_out
        ]
        self.stdout.write(f"Indexing {len(documents):,} papers")
        index = DayIndex(documents)
        try:
            space = Space.trained(index, dimensions=DIMENSIONS, in_papers=IN_PAPERS)
        except ValueError as error:
            raise CommandError(str(error)) from error
        # Its references are nobody's: they stay without names.
        written = replace(space, ids=()).to_bytes()
        options["out"].write_bytes(written)
        self.stdout.write(
            f"{len(space.words):,} words, {space.dimensions} dimensions, {len(written) / 1e6:.1f} MB: "
            f"{options['out']}"
        )


def _read(file: Path) -> list[dict[str, Any]]:
    try:
        with gzip.open(file, "rt", encoding="utf-8") as lines:
            return [json.loads(line) for line in lines]
    except (OSError, ValueError) as error:
        raise CommandError(f"{file} cannot be read as gzip-packed JSON lines: {error}") from error
