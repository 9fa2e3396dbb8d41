"""When arXiv announces: which listing days have a list, when it turns over, and when it is late.

A listing day D is the day that the announcement feed names: its papers were announced at 20:00 New York time
of the evening before, and the feed turns over to them at midnight. No announcements are made on Friday and
Saturday evenings, so Saturdays and Sundays have no list.
Source: https://info.arxiv.org/help/availability.html

The holidays name days on which a mailing is deferred. Whether that is the list of the day itself or of the
morning after is not said, so after a holiday, too, an empty list is nothing to worry about, and a list with
papers is as welcome as on any day.
"""

from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo

NEW_YORK = ZoneInfo("America/New_York")
DUE = time(5, 30, tzinfo=UTC)  # New York's midnight is 04:00 or 05:00 UTC; then caches need a while
LATE_AFTER = timedelta(hours=3)
GIVEN_UP_AFTER = timedelta(hours=6, minutes=30)  # 12:00 UTC: time to ask another door

_PUBLISHED = {
    2026: ((1, 1), (1, 19), (6, 19), (7, 3), (9, 7), (11, 26), (12, 25), (12, 29), (12, 31)),
}


def today(now: datetime) -> date:
    """The day whose list the feed shows, or is about to show: New York's date."""
    return now.astimezone(NEW_YORK).date()


def turns_over_at(day: date) -> datetime:
    """When the feed begins to show the list of this day (UTC)."""
    return datetime.combine(day, time(), tzinfo=NEW_YORK).astimezone(UTC)


def due_at(day: date) -> datetime:
    """From when on the list is asked for."""
    return datetime.combine(day, DUE)


def late_at(day: date) -> datetime:
    return due_at(day) + LATE_AFTER


def given_up_at(day: date) -> datetime:
    """When a feed that still shows an older day is not waited for any longer."""
    return due_at(day) + GIVEN_UP_AFTER


def is_weekend(day: date) -> bool:
    return day.weekday() >= 5


def is_expected(day: date) -> bool:
    """Whether a list without papers would be a surprise: no weekend, no holiday, not the day after one."""
    return not is_weekend(day) and not ({day, day - timedelta(days=1)} & holidays(day.year))


@cache
def holidays(year: int) -> frozenset[date]:
    """The year's holidays, and New Year's Eve of the year before; those usual in other years where arXiv's
    own list is not known here.
    """
    known = _PUBLISHED.get(year)
    own = {date(year, month, day) for month, day in known} if known else _usual(year)
    return frozenset(own | {date(year - 1, 12, 31)})


def _usual(year: int) -> set[date]:
    return {
        date(year, 1, 1),
        _weekday_of(year, 1, weekday=0, number=3),  # Martin Luther King's
        date(year, 6, 19),
        _observed(date(year, 7, 4)),
        _weekday_of(year, 9, weekday=0, number=1),  # Labor Day
        _weekday_of(year, 11, weekday=3, number=4),  # Thanksgiving
        date(year, 12, 25),
    }


def _weekday_of(year: int, month: int, *, weekday: int, number: int) -> date:
    first = date(year, month, 1)
    return first + timedelta(days=(weekday - first.weekday()) % 7 + 7 * (number - 1))


def _observed(day: date) -> date:
    return day + timedelta(days={5: -1, 6: 1}.get(day.weekday(), 0))
