"""Many prepared profiles scored against a day's papers at once, each only for what its filter finds.

What rank.log_odds says of one profile, to within rounding (tests/digest/matching/test_batch.py). The score is
linear in features: the vectors of all profiles meet those of all papers in one product of matrices, each word
is looked up in the papers once for the day, and only what is not linear is done hit by hit.
"""

import contextlib
import gc
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from digest.matching import features
from digest.matching.features import FEATURES, Papers
from digest.matching.packing import Profiles
from digest.matching.rank import constants_of
from digest.matching.sense import Sensed
from digest.matching.space import Floats

BLOCK = 10_000  # profiles to read and score at a time: some 100 MB at 20 hits each
_AT_ONCE = 512  # profiles whose scores for all papers stay in the processor's cache
_FEW = 40  # hits up to which single products are faster than one with all papers
_PRODUCTS = 1_000  # at once: their vectors stay in the processor's cache
_MOST_PHRASES = 300_000  # remembered, some 200 bytes each

Bits = npt.NDArray[np.uint64]  # (rows × words of 64 papers): bit n % 64 of word n // 64 is the paper at n
_MEANING, _FEEDBACK, _WORDS, _TITLE, _ABSTRACT, _NAME, _BEST, _THREE, _SENTENCE, _NEAREST, _DISLIKED = range(
    len(FEATURES)
)


class Scored(NamedTuple):
    """The hits of profiles, one after the other: the n-th has those from `ends[n]` to `ends[n + 1]`."""

    ends: npt.NDArray[np.int64]  # (profiles + 1), from 0
    positions: npt.NDArray[np.int32]  # of papers, ascending for each profile
    log_odds: Floats

    def of(self, profile: int) -> tuple[npt.NDArray[np.int32], Floats]:
        """Positions and log-odds of one profile's hits."""
        own = slice(self.ends[profile], self.ends[profile + 1])
        return self.positions[own], self.log_odds[own]


class Scorer:
    """Scores profiles against the papers of a day, block by block; what it learns of words it keeps."""

    def __init__(self, papers: Papers, sensed: Sensed | None = None) -> None:
        """`sensed`: the same papers as an encoder sees them, for the profiles that were prepared with it."""
        self._papers = papers
        self._sensed = sensed
        self._words = _Words(papers)
        self._phrases = _Phrases(papers)

    def score(self, profiles: Profiles, hits: Bits) -> Scored:
        """`hits`: (profiles × words), the papers that each profile's filter finds, see `as_bits`."""
        with collection_paused():
            return self._score(profiles, hits)

    def _score(self, profiles: Profiles, hits: Bits) -> Scored:
        of, positions = _pairs(hits)
        ends = np.concatenate(([0], np.cumsum(np.bincount(of, minlength=len(profiles)))))
        log_odds = np.empty(len(positions), np.float32)
        block = _Block(profiles, self._words, self._phrases, self._sensed.name if self._sensed else "")
        counts = np.diff(ends)
        rows = np.flatnonzero(counts)
        for first in range(0, len(rows), _AT_ONCE):
            some = rows[first : first + _AT_ONCE]
            own = slice(ends[some[0]], ends[some[-1] + 1])
            log_odds[own] = self._scored(
                block, some, np.repeat(np.arange(len(some)), counts[some]), positions[own]
            )
        return Scored(ends, positions, log_odds)

    def _scored(
        self,
        block: "_Block",
        rows: npt.NDArray[np.int64],
        of: npt.NDArray[np.int64],
        at: npt.NDArray[np.int32],
    ) -> Floats:
        """The log-odds of pairs: of the profile rows[of[n]] and the paper at[n]; each has at least one."""
        papers = self._papers
        width = len(papers)
        weights = block.constants[rows]
        vectors = block.profiles.vectors[rows].astype(np.float32)
        pulls = weights[:, _MEANING, None] * vectors[:, 0] + weights[:, _FEEDBACK, None] * vectors[:, 1]
        total = _products(pulls, papers.vectors, of, at) + block.intercepts[rows][of]
        total += (block.words[rows] @ self._words.spoken).ravel()[of * width + at]

        title, once, twice = (bits.at(of, at) for bits in block.phrases(rows))
        total += weights[of, _TITLE] * title + weights[of, _ABSTRACT] * 0.5 * (once + twice)

        slots, groups = block.groups_of(rows)

        # One more row, of what a profile does not have: as if nothing of it stood in any paper.
        covers = np.full((groups.shape[0] + 1, width), -np.inf, np.float32)
        covers[:-1] = groups @ self._words.logs
        flat = covers.ravel()

        def cover(slot: int) -> Floats:
            return np.exp(flat[slots[of, slot] * width + at])

        total += weights[of, _NAME] * cover(0) + weights[of, _SENTENCE] * cover(1)
        best = np.zeros((3, len(of)), np.float32)
        for slot in range(2, slots.shape[1]):
            one = cover(slot)
            for rank in range(3):
                best[rank], one = np.maximum(best[rank], one), np.minimum(best[rank], one)
        counted = np.clip(block.keywords[rows], 1, 3).astype(np.float32)
        total += weights[of, _BEST] * best[0] + (weights[:, _THREE] / counted)[of] * best.sum(0)

        for number, row in enumerate(rows.tolist()):
            if row in block.profiles.examples or row in block.senses:
                own = slice(*np.searchsorted(of, (number, number + 1)))
                total[own] += self._of_examples(block, row, at[own])
        return total

    def _of_examples(self, block: "_Block", row: int, at: npt.NDArray[np.int32]) -> Floats:
        added = np.zeros(len(at), np.float32)
        weights = block.constants[row]
        if row in block.profiles.examples:
            liked, disliked = block.profiles.examples[row]
            vectors = self._papers.vectors[at]
            nearest = (vectors @ liked.T).max(1) if len(liked) else added
            if len(disliked):
                bad = (vectors @ disliked.T).max(1)
                added = weights[_DISLIKED] * features.too_near(bad, nearest)
            added = added + weights[_NEAREST] * nearest
        if self._sensed and row in block.senses:
            added = added + self._sensed.measured(block.senses[row])[at] @ weights[len(FEATURES) :]
        return added


class _Block:
    """Profiles with their words, phrases and constants looked up for a day."""

    def __init__(self, profiles: Profiles, words: "_Words", phrases: "_Phrases", encoder: str) -> None:
        self.profiles = profiles
        self.senses = profiles.senses if encoder else {}
        kinds: list[str | tuple[str, str]] = list(profiles.kinds)
        for row in self.senses:
            kinds[row] = profiles.kinds[row], encoder
        numbers = {kind: number for number, kind in enumerate(dict.fromkeys(kinds))}
        of = np.fromiter([numbers[kind] for kind in kinds], np.int64, len(kinds))
        constants = [constants_of(kind) if isinstance(kind, str) else constants_of(*kind) for kind in numbers]
        table = np.zeros((len(constants), max(len(one.weights) for one in constants)), np.float32)
        for row, one in enumerate(constants):
            table[row, : len(one.weights)] = one.weights
        self.constants: Floats = table[of]
        self.intercepts: Floats = np.array([one.intercept for one in constants], np.float32)[of]

        places = words.rows_of(profiles.stems)
        width = len(words.logs)
        self.words = _mean(profiles.weights, places, profiles.words, width, self.constants[:, _WORDS])
        capped = np.minimum(profiles.weights[profiles.members], features.MOST_RARE)
        self._groups = _mean(capped, places[profiles.members], profiles.group_sizes, width)
        self._first_group = np.concatenate(([0], np.cumsum(profiles.groups)))
        self.keywords = profiles.groups - profiles.has_name - profiles.has_sentence

        standing = phrases.rows_of(profiles.phrases)
        self._phrases = phrases
        self._standing = standing
        self._first_phrase = np.concatenate(([0], np.cumsum(profiles.phrase_counts)))

    def groups_of(self, rows: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], sp.csr_matrix]:
        """(rows × slots): which group is the name's, the sentence's, each keyword's; and (groups × words).

        The number after the last group stands for one that a profile does not have.
        """
        counts = self.profiles.groups[rows]
        groups = _ranges(self._first_group[rows], counts)
        own = np.cumsum(counts) - counts
        has_name, has_sentence = self.profiles.has_name[rows], self.profiles.has_sentence[rows]
        keywords = self.keywords[rows]
        slots = np.full((len(rows), 2 + int(keywords.max())), len(groups))
        slots[has_name, 0] = own[has_name]
        slots[has_sentence, 1] = (own + counts)[has_sentence] - 1
        number = np.arange(slots.shape[1] - 2)
        slots[:, 2:] = np.where(number < keywords[:, None], (own + has_name)[:, None] + number, len(groups))
        return slots, self._groups[groups]

    def phrases(self, rows: npt.NDArray[np.int64]) -> tuple["_Marks", "_Marks", "_Marks"]:
        """(rows × words): papers with a phrase in the title, in the abstract, with two in the abstract."""
        counts = self.profiles.phrase_counts[rows]
        shape = len(rows), self._phrases.titles.shape[1]
        title, once, twice = (np.zeros(shape, np.uint64) for _ in range(3))
        for number in range(int(counts.max())):
            having = np.flatnonzero(counts > number)
            place = self._standing[self._first_phrase[rows[having]] + number]
            title[having] |= self._phrases.titles[place]
            abstract = self._phrases.abstracts[place]
            twice[having] |= once[having] & abstract
            once[having] |= abstract
        return _Marks(title), _Marks(once), _Marks(twice)


class _Marks(NamedTuple):
    bits: Bits

    def at(self, of: npt.NDArray[np.int64], positions: npt.NDArray[np.int32]) -> npt.NDArray[np.uint8]:
        """1 where the bit is set, for pairs of row and position."""
        view = self.bits.view(np.uint8)
        return view[of, positions >> 3] >> (positions & 7).astype(np.uint8) & 1


class _Words:
    """How much each paper speaks of each word that was asked for, (rows × papers). Row 0: of unknown ones."""

    def __init__(self, papers: Papers) -> None:
        self._papers = papers
        self._rows: dict[str, int] = {}
        # Room for all words that can be told apart; memory is taken only by rows that are written.
        shape = len(papers.columns) + 1, len(papers)
        self.logs: Floats = np.empty(shape, np.float32)  # of what is spoken of it, or of what is near it
        self.spoken: Floats = np.empty(shape, np.float32)  # of itself
        self.logs[0], self.spoken[0] = np.log(features.LOWEST), 0

    def rows_of(self, stems: Sequence[str]) -> npt.NDArray[np.int32]:
        new = sorted((set(stems) & self._papers.columns.keys()) - self._rows.keys())
        for first in range(0, len(new), 1_000):
            some = new[first : first + 1_000]
            place = slice(len(self._rows) + 1, len(self._rows) + 1 + len(some))
            self.logs[place] = np.log(self._papers.touched(some) + features.LOWEST)
            self.spoken[place] = self._papers.spoken(some)
            self._rows.update(zip(some, range(place.start, place.stop), strict=True))
        get = self._rows.get
        return np.fromiter([get(stem, 0) for stem in stems], np.int32, len(stems))


class _Phrases:
    """In which titles and abstracts each phrase stands that was asked for. Row 0: in none."""

    def __init__(self, papers: Papers) -> None:
        self._papers = papers
        self._forget()

    def _forget(self) -> None:
        self._rows: dict[str, int] = {}
        self._used = 1
        shape = 256, _words_of(len(self._papers))
        self.titles, self.abstracts = np.zeros(shape, np.uint64), np.zeros(shape, np.uint64)

    def rows_of(self, phrases: Sequence[str]) -> npt.NDArray[np.int32]:
        """Rows of the tables as they are until the next call."""
        new = set(phrases) - self._rows.keys()
        if len(self._rows) + len(new) > _MOST_PHRASES:
            self._forget()
            new = set(phrases)
        for phrase in sorted(new):
            title = self._papers.standing(phrase, "title")
            abstract = self._papers.standing(phrase, "abstract")
            self._rows[phrase] = 0
            if len(title) or len(abstract):
                self._rows[phrase] = row = self._used
                self._used += 1
                if row >= len(self.titles):
                    self.titles, self.abstracts = _doubled(self.titles), _doubled(self.abstracts)
                self.titles[row] = _row_of(title, len(self._papers))
                self.abstracts[row] = _row_of(abstract, len(self._papers))
        get = self._rows.__getitem__
        return np.fromiter([get(phrase) for phrase in phrases], np.int32, len(phrases))


# --- products -----------------------------------------------------------------------------------------------


def _products(pulls: Floats, vectors: Floats, of: npt.NDArray[np.int64], at: npt.NDArray[np.int32]) -> Floats:
    """Of each pair, the product of pulls[of] and vectors[at]."""
    products = np.empty(len(of), np.float32)
    has_many = np.bincount(of, minlength=len(pulls)) > _FEW
    is_one_of_many = has_many[of]
    place = np.cumsum(has_many) - 1
    table = pulls[has_many] @ vectors.T
    products[is_one_of_many] = table[place[of[is_one_of_many]], at[is_one_of_many]]
    few = np.flatnonzero(~is_one_of_many)
    for first in range(0, len(few), _PRODUCTS):
        some = few[first : first + _PRODUCTS]
        products[some] = np.einsum("ij,ij->i", pulls[of[some]], vectors[at[some]])
    return products


@contextlib.contextmanager
def collection_paused() -> Iterator[None]:
    """For work that makes many lasting objects and no cycles: Python's garbage collector would look at all of
    them again and again, which takes three times as long as the work itself."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


# --- bits ---------------------------------------------------------------------------------------------------


def as_bits(sets: Sequence[int], papers: int) -> Bits:
    """(sets × words) of sets of papers as ints with one bit a paper, such as `Hits.bits`."""
    size = _words_of(papers) * 8
    joined = b"".join([bits.to_bytes(size, "little") for bits in sets])
    return np.frombuffer(joined, "<u8").reshape(len(sets), size // 8).astype(np.uint64, copy=False)


def _words_of(papers: int) -> int:
    return -(-papers // 64)


def _row_of(positions: npt.NDArray[np.int64], papers: int) -> Bits:
    marks = np.zeros(_words_of(papers) * 64, np.uint8)
    marks[positions] = 1
    return np.packbits(marks, bitorder="little").view(np.uint64)


def _doubled(table: Bits) -> Bits:
    return np.vstack([table, np.zeros_like(table)])


def _pairs(hits: Bits) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]:
    """Row and position of each bit, row by row, ascending."""
    octets = np.ascontiguousarray(hits).view(np.uint8)
    rows, columns = np.nonzero(octets)
    which, bit = np.nonzero(np.unpackbits(octets[rows, columns][:, None], axis=1, bitorder="little"))
    return rows[which], (columns[which] * 8 + bit).astype(np.int32)


def _ranges(begins: npt.NDArray[np.int64], counts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """begin, begin + 1, … for each, one after the other."""
    before = np.cumsum(counts) - counts
    return np.repeat(begins - before, counts) + np.arange(counts.sum())


def _mean(
    weights: Floats,
    columns: npt.NDArray[np.int32],
    counts: npt.NDArray[np.int64],
    width: int,
    times: Floats | None = None,
) -> sp.csr_matrix:
    """(rows × width): a product with it gives the weighted means of each row's columns, `times` a factor."""
    ends = np.concatenate(([0], np.cumsum(counts)))
    sums = np.bincount(np.repeat(np.arange(len(counts)), counts), weights, len(counts))
    factor = (1 if times is None else times) / np.where(sums == 0, 1, sums)
    data = weights * np.repeat(factor, counts)
    return sp.csr_matrix((data.astype(np.float32), columns, ends), shape=(len(counts), width))
