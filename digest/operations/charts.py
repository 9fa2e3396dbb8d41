"""Drawings as numbers: what the overview needs to draw a chart as inline SVG.

The SVG stretches with its box while labels are HTML placed by percentages, so text never shrinks. Bars start
at zero and every scale is linear. Pure functions, no Django.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

_STEPS = (1, 2, 5)


@dataclass(frozen=True)
class Tick:
    percent: str  # "50.0%": from the left for x, from below for y
    label: str
    shift: str = "0"  # share of its own width by which an x label moves left


@dataclass(frozen=True)
class Line:
    """One unit of width a value; 100 units high, y downwards."""

    width: int
    path: str
    grid: str
    last_x: str
    last_y: str
    y_ticks: tuple[Tick, ...]
    x_ticks: tuple[Tick, ...]


@dataclass(frozen=True)
class Bar:
    x: str
    y: str
    height: str


@dataclass(frozen=True)
class Bars:
    """One unit of width a day; what comes stands above the line at y = 0, what goes hangs below it."""

    width: int
    top: int
    height: int
    up: tuple[Bar, ...]
    down: tuple[Bar, ...]
    y_ticks: tuple[Tick, ...]
    x_ticks: tuple[Tick, ...]


def line(values: Sequence[int], labels: Sequence[str]) -> Line:
    """A line through one value a day, the last one dotted. `labels` are spread evenly below it."""
    low, high, step = _scale(min(values), max(values))
    span = high - low
    points = [
        f"{index + 0.5:.1f},{100 - (value - low) / span * 100:.1f}" for index, value in enumerate(values)
    ]
    marks = range(low, high + 1, step)
    return Line(
        width=len(values),
        path="M" + "L".join(points),
        grid="".join(f"M0 {100 - (mark - low) / span * 100:.1f}H{len(values)}" for mark in marks),
        last_x=_percent((len(values) - 0.5) / len(values)),
        last_y=_percent((values[-1] - low) / span),
        y_ticks=tuple(Tick(_percent((mark - low) / span), f"{mark:,}") for mark in marks),
        x_ticks=_spread(labels),
    )


def bars(up: Sequence[int], down: Sequence[int], labels: Sequence[str]) -> Bars:
    """Two counts a day on one linear scale, around a common zero."""
    top, bottom = max((1, *up)), max((0, *down))
    height = top + bottom
    ticks = [Tick(_percent(1.0), f"{top:,}"), Tick(_percent(bottom / height), "0")]
    if bottom and bottom / height > 0.12:  # else its label would stand on the zero's
        ticks.append(Tick(_percent(0.0), f"{bottom:,}"))
    return Bars(
        width=len(up),
        top=-top,
        height=height,
        up=tuple(Bar(f"{day + 0.15:.2f}", str(-count), str(count)) for day, count in enumerate(up) if count),
        down=tuple(Bar(f"{day + 0.15:.2f}", "0", str(count)) for day, count in enumerate(down) if count),
        y_ticks=tuple(ticks),
        x_ticks=_spread(labels),
    )


def _scale(lowest: int, highest: int) -> tuple[int, int, int]:
    """Ends and step of an axis around these values: round numbers, two to four steps."""
    step = next(
        step
        for power in range(20)
        for step in (factor * 10**power for factor in _STEPS)
        if math.ceil(highest / step) - lowest // step <= 4
    )
    low, high = lowest // step * step, math.ceil(highest / step) * step
    return low, max(high, low + 2 * step) if high - low < step else high, step


def _spread(labels: Sequence[str]) -> tuple[Tick, ...]:
    last = max(1, len(labels) - 1)
    return tuple(Tick(_percent(i / last), label, f"{i / last:g}") for i, label in enumerate(labels))


def _percent(share: float) -> str:
    return f"{share * 100:.1f}%"
