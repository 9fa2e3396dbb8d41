"""Who gets which papers: a million readers' topics taken in turns, all at once.

Pure. What editions.share.gather says of one reader whose topics are equally relevant to a paper: it stands
under the first of them; where there are more than the reader wants, the topics take turns. Held to the same
in plain Python by tests/digest/matching/test_gather.py.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from digest.matching.calibration import ALMOST_SURELY, HIGHEST_SHOWN, LOWEST_SHOWN, PROBABLY, STEP

Ints = npt.NDArray[np.int64]
Bits = npt.NDArray[np.uint64]

_AT_ONCE = 20_000  # readers; some 60 MB
_A_FEW_MORE = 4  # of a topic's papers that are looked at beyond those wanted, since others may have some


@dataclass(frozen=True, eq=False)
class Offers:
    """What topics offer, one after the other: topic n has `papers[ends[n]:ends[n + 1]]`, best first.

    Papers are positions in the day's list. A reader's least relevance makes a list of its own of a topic.
    """

    ends: Ints
    papers: npt.NDArray[np.int32]
    of: int  # how many papers the day has

    def __len__(self) -> int:
        return len(self.ends) - 1

    @cached_property
    def bits(self) -> Bits:
        """(topics × words of 64 papers)."""
        marks = np.zeros((len(self), -(-self.of // 64) * 64), np.bool_)
        marks[np.repeat(np.arange(len(self)), np.diff(self.ends)), self.papers] = True
        return np.packbits(marks, axis=1, bitorder="little").view(np.uint64)


@dataclass(frozen=True, eq=False)
class Readers:
    """Reader n follows `topics[ends[n]:ends[n + 1]]`, in their order."""

    ends: Ints
    topics: npt.NDArray[np.int32]
    caps: npt.NDArray[np.int32]  # by topic of a reader: the most papers; below 0: no cap of its own
    limits: npt.NDArray[np.int32]  # by reader: the most papers in a mail
    received: Bits | None = None  # (readers × words): papers that they have had

    def __len__(self) -> int:
        return len(self.ends) - 1


class Gathered(NamedTuple):
    """Of each followed topic, reader by reader: `papers[ends[n]:ends[n + 1]]`, in the topic's order.

    n counts the rows of `Readers.topics`. `found`: how many papers were left to the topic by those before it.
    """

    ends: Ints
    papers: npt.NDArray[np.int32]
    found: Ints


def gather(readers: Readers, offers: Offers) -> Gathered:
    """Each reader's papers, each once, under the topic where it stands. 2 µs a reader with five topics."""
    parts = [
        _gathered(readers, offers, first, min(first + _AT_ONCE, len(readers)))
        for first in range(0, len(readers), _AT_ONCE)
    ]
    if not parts:
        return Gathered(np.zeros(1, np.int64), np.empty(0, np.int32), np.empty(0, np.int64))
    taken = np.concatenate([taken for taken, _papers, _found in parts])
    return Gathered(
        np.concatenate(([0], np.cumsum(taken))),
        np.concatenate([papers for _taken, papers, _found in parts]),
        np.concatenate([found for _taken, _papers, found in parts]),
    )


def in_order(ends: Ints, papers: npt.NDArray[np.int32], probabilities: npt.NDArray[np.float32]) -> Ints:
    """The order in which topics offer their hits: by band of relevance, then by place in the day's list.

    An index into `papers`. Unknown probabilities (nan) are all in one band.
    """
    of = np.repeat(np.arange(len(ends) - 1), np.diff(ends))
    return np.lexsort((papers, bands(probabilities), of))


def bands(probabilities: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """0 almost surely, 1 probably, 2 perhaps, 3 nothing shown; as calibration.band says of one."""
    percent = np.minimum(np.round(100 * probabilities.astype(np.float64) / STEP) * STEP, HIGHEST_SHOWN)
    shown = probabilities >= LOWEST_SHOWN
    return np.where(shown, (percent < ALMOST_SURELY).astype(np.uint8) + (percent < PROBABLY), 3).astype(
        np.uint8
    )


def _gathered(
    readers: Readers, offers: Offers, first: int, last: int
) -> tuple[Ints, npt.NDArray[np.int32], Ints]:
    """How many papers each row takes, which, and how many it found."""
    begins = readers.ends[first:last] - readers.ends[first]
    own = slice(readers.ends[first], readers.ends[last])
    topics, counts = readers.topics[own], np.diff(readers.ends[first : last + 1])
    # What a reader has before each of their topics: had already, or found by a topic further up.
    had = np.empty((len(topics), offers.bits.shape[1]), np.uint64)
    found = np.zeros(len(topics), np.int64)
    before = (
        np.zeros((last - first, had.shape[1]), np.uint64)
        if readers.received is None
        else readers.received[first:last].copy()
    )
    for turn in range(int(counts.max(initial=0))):
        having = np.flatnonzero(counts > turn)
        rows = begins[having] + turn
        known = before[having]
        had[rows] = known
        offered = offers.bits[topics[rows]]
        found[rows] = np.bitwise_count(offered & ~known).sum(1)
        before[having] = known | offered
    caps = readers.caps[own]
    taken = _turns(
        np.where(caps < 0, found, np.minimum(found, caps)), begins, counts, readers.limits[first:last]
    )
    return taken, _first(taken, topics, had, offers), found


def _turns(most: Ints, begins: Ints, counts: Ints, limits: npt.NDArray[np.int32]) -> Ints:
    """How many papers each row takes, when the rows of a reader take turns until the limit is reached."""
    of = np.repeat(np.arange(len(counts)), counts)
    limit = limits.astype(np.int64)
    # The most whole turns that fit, by halving.
    low, high = np.zeros(len(counts), np.int64), limit.copy()
    while (low < high).any():
        middle = (low + high + 1) // 2
        fits = np.bincount(of, np.minimum(most, middle[of]), len(counts)) <= limit
        low, high = np.where(fits, middle, low), np.where(fits, high, middle - 1)
    taken = np.minimum(most, low[of])
    room = limit - np.bincount(of, taken, len(counts)).astype(np.int64)
    # What is left goes to the first rows that have more.
    more = most > taken
    place: Ints = np.concatenate(([0], np.cumsum(more)))
    return taken + (more & (place[:-1] - place[begins][of] < room[of]))


def _first(taken: Ints, topics: npt.NDArray[np.int32], had: Bits, offers: Offers) -> npt.NDArray[np.int32]:
    """Of each row as many papers as it takes, the first that the reader has not had."""
    ends = np.concatenate(([0], np.cumsum(taken)))
    papers = np.empty(ends[-1], np.int32)
    view = had.view(np.uint8)
    rows = np.flatnonzero(taken)
    offered = np.diff(offers.ends)
    look = np.minimum(taken[rows] + _A_FEW_MORE, offered[topics[rows]])
    while len(rows):
        of = np.repeat(np.arange(len(rows)), look)
        starts = np.cumsum(look) - look
        place = np.arange(len(of)) - starts[of] + offers.ends[topics[rows]][of]
        paper = offers.papers[place]
        is_new = view[rows[of], paper >> 3] >> (paper & 7).astype(np.uint8) & 1 == 0
        seen = np.cumsum(is_new)
        number = seen - np.where(starts > 0, seen[starts - 1], 0)[of]  # 1 for a row's first new paper
        enough = np.bincount(of, is_new, len(rows)) >= taken[rows]
        chosen = is_new & (number <= taken[rows][of]) & enough[of]
        papers[(ends[rows][of] + number - 1)[chosen]] = paper[chosen]
        rows = rows[~enough]
        look = np.minimum(look[~enough] * 2, offered[topics[rows]])
    return papers
