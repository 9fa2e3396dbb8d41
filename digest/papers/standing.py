"""Where a paper's votes stand among those of its field this week: "top 5 % this week".

A field is the primary category; where fewer than 20 of its papers have known votes, its archive ("cs"), and
where that has too few as well, all papers. With fewer than 20 in all nothing is said: the first of ten is
"the top 10 %" by chance. A paper without a category stands among all.

The papers of a week are those that some source lists under one of its seven days, whenever they were
written: age counts from the listing day. Only papers whose votes are known are counted, on either side, and
of a paper whose votes are unknown nothing is said. The place is that by votes, which is the same as that by
their logarithm.

Papers with equal votes share the middle of their places, so that the figure is neither the best nor the worst
that each could have. A paper without a single vote is never at the top, though most of its field have none.
"""

import math
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable
from datetime import date, timedelta

from digest.models import Paper
from digest.papers import categories

DAYS = 7
FEWEST = 20  # papers with votes that make a field: the first of 20 is the top 5 %
SHOWN = (1, 5, 10, 25)  # percent; what is further down is no distinction


def top_percents(last: date) -> dict[int, int]:
    """Paper id → 1, 5, 10 or 25, of the papers listed in the seven days up to `last`. One query.

    25 is: among the quarter of its field with the most votes. Papers further down, or of which nothing can be
    said, are left out.
    """
    voted = (
        Paper.objects.listed_between(last - timedelta(days=DAYS - 1), last)
        .filter(kind=Paper.Kind.PAPER)
        .exclude(votes=None)
        .values_list("pk", "primary_category", "votes")
    )
    known = percents((pk, category, votes) for pk, category, votes in voted if votes is not None)
    return {pk: top for pk, percent in known.items() if (top := shown(percent)) is not None}


def percents(voted: Iterable[tuple[int, str, int]]) -> dict[int, int]:
    """(id, primary category, votes) of a week's papers → id: place in whole percent from the top, 1 to 100.

    Rounded up, so that nobody is said to be higher than they are.
    """
    voted = [(pk, categories.canonical(category), votes) for pk, category, votes in voted]
    circles: dict[str, list[int]] = defaultdict(list)
    for _pk, category, votes in voted:
        for circle in _circles(category):
            circles[circle].append(votes)
    for known in circles.values():
        known.sort()
    found: dict[int, int] = {}
    for pk, category, votes in voted:
        wide_enough = [one for one in _circles(category) if len(circles[one]) >= FEWEST]
        if votes and wide_enough:
            found[pk] = _percent(votes, circles[wide_enough[0]])
    return found


def shown(percent: int | None) -> int | None:
    """The least of 1, 5, 10 and 25 that holds; None where none does."""
    return next((top for top in SHOWN if percent is not None and percent <= top), None)


def _circles(category: str) -> tuple[str, ...]:
    """Narrow to wide; the widest has no name, and an archive without subjects is its own category."""
    return tuple(dict.fromkeys((category, category.partition(".")[0], "")))


def _percent(votes: int, known: list[int]) -> int:
    """`known` in rising order, `votes` among them."""
    not_above, below = bisect_right(known, votes), bisect_left(known, votes)
    middle = len(known) - not_above + (not_above - below + 1) / 2
    return math.ceil(100 * middle / len(known))
