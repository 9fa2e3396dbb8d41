"""What several commands take on the command line."""

from datetime import date

from django.core.management.base import CommandError


def day(text: str) -> date:
    """The value of --date. Raises CommandError, which says how a day is written."""
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise CommandError(
            f"--date {text}: not a day. Write it as YYYY-MM-DD, such as 2026-07-28."
        ) from error
