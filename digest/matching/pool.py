"""Papers in several indexes, measured as one: a change in one of them costs that one, and little more."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from digest.matching import terms
from digest.matching.features import Counted, Papers
from digest.matching.index import DayIndex
from digest.matching.space import Floats, Space
from subscriptions.filters import Document


@dataclass(frozen=True, eq=False)
class Measured:
    """The papers of one index in a space. Make it with `of`; it stays good as long as the two do."""

    index: DayIndex
    space: Space
    new: tuple[str, ...]  # words that the space has never seen
    counts: sp.csr_matrix  # (papers × words of the space and after them the new ones), see terms.counts
    vectors: Floats

    @classmethod
    def of(cls, index: DayIndex, space: Space) -> "Measured":
        known = len(space.words)
        new: dict[str, int] = {}
        rows, columns, times = [], [], []
        for place, weight in (("title", terms.TITLE_WEIGHT), ("abstract", 1)):
            words, which, papers = index.occurrences(place)
            column_of = np.array([_column(word, space, new) for word in words], np.int64)
            found = column_of[which] if len(words) else which
            rows.append(papers[found >= 0])
            columns.append(found[found >= 0])
            times.append(np.full(len(rows[-1]), weight, np.float32))
        counts = sp.coo_matrix(
            (np.concatenate(times), (np.concatenate(rows), np.concatenate(columns))),
            shape=(len(index.documents), known + len(new)),
        ).tocsr()  # which adds up what stands twice
        return cls(index, space, tuple(new), counts, space.vectors(counts))


class Pool(Papers):
    """The papers of all parts, in their order, as one: `rank` does with them what it does with Papers."""

    def __init__(self, space: Space, parts: Sequence[Measured]) -> None:
        new: dict[str, int] = {}
        counts = []
        for part in parts:
            places = [new.setdefault(word, len(new)) for word in part.new]
            counts.append((part.counts, np.array(places, np.int32)))
        known = len(space.words)
        columns = space.columns | {word: known + number for word, number in new.items()}
        Counted.__init__(self, space, _stacked(counts, known, len(columns)), columns)
        self.index = JoinedIndex([part.index for part in parts])
        self._parts = parts

    @cached_property
    def vectors(self) -> Floats:
        parts = [part.vectors for part in self._parts]
        return np.vstack(parts) if parts else np.zeros((0, self.space.dimensions), np.float32)


class JoinedIndex(DayIndex):
    """Several indexes, asked where words stand; positions are those in all of them together.

    Filters are not evaluated over it: their hits are kept by part.
    """

    def __init__(self, parts: Sequence[DayIndex]) -> None:
        self.documents: tuple[Document, ...] = tuple(one for part in parts for one in part.documents)
        ends = np.cumsum([len(part.documents) for part in parts], dtype=np.int64)
        self._starts = [0, *ends.tolist()][: len(parts)]
        self._indexes = parts

    def standing(self, words: str, place: str) -> npt.NDArray[np.int64]:
        found = [
            part.standing(words, place) + start
            for part, start in zip(self._indexes, self._starts, strict=True)
        ]
        return np.concatenate(found) if found else np.empty(0, np.int64)

    def as_written(self, words: str, place: str, position: int) -> str | None:
        part = int(np.searchsorted(self._starts, position, side="right")) - 1
        return self._indexes[part].as_written(words, place, position - self._starts[part])

    def stems(self, place: str) -> Iterator[tuple[str, npt.NDArray[np.int64]]]:
        for part, start in zip(self._indexes, self._starts, strict=True):
            for stem, positions in part.stems(place):
                yield stem, positions + start


def _column(word: str, space: Space, new: dict[str, int]) -> int:
    """Its place in the space, or after it; -1 for a word that tells nothing."""
    column = space.columns.get(word)
    if column is None:
        column = len(space.words) + new.setdefault(word, len(new)) if terms.is_telling(word) else -1
    return column


def _stacked(
    parts: Sequence[tuple[sp.csr_matrix, npt.NDArray[np.int32]]], known: int, width: int
) -> sp.csr_matrix:
    """The rows of all parts, each with the places of the columns that it has after the known ones."""
    if not parts:
        return sp.csr_matrix((0, width), dtype=np.float32)
    columns = []
    for counts, places in parts:
        own = counts.indices >= known
        indices = counts.indices.copy()
        indices[own] = known + places[counts.indices[own] - known]
        columns.append(indices)
    lengths = np.concatenate([np.diff(counts.indptr) for counts, _ in parts])
    return sp.csr_matrix(
        (
            np.concatenate([counts.data for counts, _ in parts]),
            np.concatenate(columns),
            np.concatenate(([0], np.cumsum(lengths))),
        ),
        shape=(len(lengths), width),
    )
