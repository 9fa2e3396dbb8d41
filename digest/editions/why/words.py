"""How an answer speaks of days, editions and lists of things."""

from collections.abc import Sequence
from datetime import UTC, date, datetime

from digest.editions import prose
from digest.models import Edition

_LISTED = 4


def moment(at: datetime) -> str:
    """ "on 20 August 2026 at 12:00 UTC"."""
    at = at.astimezone(UTC)
    return f"on {prose.day_month_year(at.date())} at {at:%H:%M} UTC"


def edition_of(kind: str, day: date) -> str:
    if kind == Edition.Kind.WEEKLY:
        return f"the weekly edition of the week from {prose.day_month_year(day)}"
    return f"the daily edition of {prose.day_month_year(day)}"


def edition(one: Edition) -> str:
    return edition_of(one.kind, one.date)


def some(parts: Sequence[str], *, at_most: int = _LISTED) -> str:
    """Parts of a sentence, the first few of many: "a; b; and 3 more"."""
    more = len(parts) - at_most
    return "; ".join(parts[:at_most]) + (f"; and {prose.number(more)} more" if more > 0 else "")


def titles(shown: Sequence[str], number: int) -> str:
    """ "“A”, “B” and 3 more" of `number` papers."""
    quoted = [f"“{title}”" for title in shown]
    more = number - len(quoted)
    return prose.listing([*quoted, f"{prose.number(more)} more"] if more > 0 else quoted)
