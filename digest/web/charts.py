"""Bars of days as numbers for inline SVG: linear, from zero, one unit of width a day.

The drawing stretches with its box; labels are HTML, placed in whole percent by `data-x` and `data-y`, see
scale.css.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from digest.web.present import a_day, short_day

_FILL = 0.78  # of a day's width; the rest is the gap


@dataclass(frozen=True)
class Bar:
    x: int
    y: float  # from above, in percent of the height
    height: float
    title: str
    is_last: bool


@dataclass(frozen=True)
class Tick:
    x: int  # percent from the left
    label: str
    place: str  # class: where its anchor is; "" left, "end" right


@dataclass(frozen=True)
class Bars:
    width: int
    bars: tuple[Bar, ...]
    ticks: tuple[Tick, ...]
    mean_y: float  # from above
    mean_at: int  # from below, whole percent
    mean: str
    most: int
    label: str  # the whole drawing in words


def bars(per_day: Sequence[tuple[date, int]], *, what: str) -> Bars:
    """The numbers of consecutive listing days, oldest first; the last bar is the current one."""
    numbers = [number for _, number in per_day]
    most, width = max(numbers, default=0), len(numbers)
    mean = sum(numbers) / width if width else 0.0
    share = 100 / most if most else 0.0
    drawn = tuple(
        Bar(
            place,
            round(100 - number * share, 1),
            round(number * share, 1),
            f"{short_day(day)}: {number}",
            place == width - 1,
        )
        for place, (day, number) in enumerate(per_day)
    )
    first, last = (per_day[0][0], per_day[-1][0]) if per_day else (None, None)
    ticks = []
    if first and last:
        ticks.append(Tick(0, short_day(first), ""))
        if width > 1:
            ticks.append(Tick(round(100 * (width - 1 + _FILL) / width), short_day(last), "end"))
    return Bars(
        width=width,
        bars=drawn,
        ticks=tuple(ticks),
        mean_y=round(100 - mean * share, 1),
        mean_at=round(mean * share),
        mean=a_day(mean),
        most=most,
        label=f"{what} on each of the last {width} listing days, mean {a_day(mean)} a day, most {most}",
    )
