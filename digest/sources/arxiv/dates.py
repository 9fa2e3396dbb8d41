"""Dates as arXiv's answers write them: RFC 822 in feeds and versions, ISO 8601 in Atom and OAI-PMH."""

from datetime import UTC, date, datetime
from email.utils import parsedate_to_datetime

FIRST_YEAR = 1991  # arXiv's own
LAST_YEAR = 2090  # what lies beyond is a mistake


class NotADate(ValueError):
    """The message shows what was given instead."""


def instant(text: str) -> datetime:
    """The instant in its own offset; without one it is UTC. Raises NotADate, for 1970 and 2099 as well."""
    given = text[:100].strip()
    for read in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            found = read(given)
            found = found if found.tzinfo else found.replace(tzinfo=UTC)
            found.astimezone(UTC)  # an offset may lead beyond the calendar
        except (ValueError, TypeError, IndexError, OverflowError):
            continue
        if FIRST_YEAR <= found.year <= LAST_YEAR:
            return found
        break
    raise NotADate(ascii(given[:40]))


def day(text: str) -> date:
    """The day where the clock stood that wrote it. Raises NotADate."""
    return instant(text).date()
