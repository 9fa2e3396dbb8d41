"""What the operator's pages are put together from: links, notes, lamps, and words for times and numbers.

All times are UTC, as everywhere in the admin.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta


@dataclass(frozen=True)
class Link:
    text: str
    url: str


@dataclass(frozen=True)
class Note:
    """Cause, effect, next step. `weight` is warn, bad or empty."""

    weight: str
    lead: str
    text: str
    links: tuple[Link, ...] = ()


@dataclass(frozen=True)
class Lamp:
    """One thing that works or not: `light` is good, warn, bad or off; the figure says what it means.

    `act` is the one thing to do about it, where there is one: it leads to a page that asks.
    """

    name: str
    light: str
    figure: str
    url: str = ""
    act: Link | None = None


def clock(at: datetime | None, now: datetime) -> str:
    """10:12 for today, 20 Aug 10:12 for another day, nothing for never. UTC."""
    if at is None:
        return ""
    at = at.astimezone(UTC)
    return f"{at:%H:%M}" if at.date() == now.astimezone(UTC).date() else f"{at.day} {at:%b %H:%M}"


def short_day(day: date) -> str:
    """20 Aug."""
    return f"{day.day} {day:%b}"


def ago(age: timedelta) -> str:
    """12 s, 4 min, 3 h, 2 days: cut, never rounded up."""
    seconds = int(age.total_seconds())
    if seconds < 120:
        return f"{seconds} s"
    if seconds < 2 * 3600:
        return f"{seconds // 60} min"
    if seconds < 48 * 3600:
        return f"{seconds // 3600} h"
    return f"{seconds // 86400} days"


def counted(number: int, noun: str, plural: str = "") -> str:
    """1 digest, 2,400 digests, 3 entries."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"
