"""The papers of an edition, indexed once, so that each distinct filter costs a few set operations.

A set of papers is a Python int with one bit a paper, by position: AND, OR and NOT are &, | and &~ over all
papers at once. Each atom is looked up once, however many filters share it. What filters mean is defined,
slowly, in `subscriptions.filters.evaluate`; this module must say the same (tests/digest/matching).
"""

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from digest.matching.explain import Reason, strongest_first
from subscriptions.filters import evaluate, normal, people
from subscriptions.filters.document import Document
from subscriptions.filters.evaluate import PLACES, Found, is_author, names_of, where
from subscriptions.filters.tree import (
    And,
    Atom,
    Compare,
    Exact,
    Filter,
    Node,
    Not,
    Or,
    TextAtom,
    Value,
    Word,
)

# An occurrence of a word is one integer: row, node before it, node after it (normal.MAX_WORDS < 2**20).
_NODE_BITS = 20
_NODE = (1 << _NODE_BITS) - 1
_Span = tuple[int, int]  # in the array of all occurrences: from, to
# Atoms whose papers are kept, some 6 KB each over 1,000 papers. A preview asks for new ones at every key.
MAX_REMEMBERED = 10_000


class DayIndex:
    """Answers filters over `documents`. Build it once (about 1 ms a paper), ask it from any thread."""

    def __init__(self, documents: Sequence[Document]) -> None:
        self.documents = tuple(documents)
        self._everything = (1 << len(self.documents)) - 1
        rows = list(enumerate(self.documents))
        self._texts = {
            "title": _TextIndex([(at, document.title) for at, document in rows]),
            "abstract": _TextIndex([(at, document.abstract) for at, document in rows]),
            "organization": _TextIndex(
                [(at, name) for at, document in rows for name in names_of(document.org)]
            ),
        }
        self._authors = _AuthorIndex(self.documents)
        self._atoms: dict[Atom, _AtomHits] = {}
        self._patterns: dict[tuple[str, normal.Pattern], _Places] = {}

    def evaluate(self, filter: Filter) -> "Hits":
        """The papers that `filter` finds, with reasons on demand."""
        return Hits(self, filter, self._bits(filter.tree))

    def standing(self, words: str, place: str) -> "npt.NDArray[np.int64]":
        """Positions of the papers in whose "title" or "abstract" these words stand as a phrase, ascending."""
        return self._texts[place].having(normal.pattern(words))

    def as_written(self, words: str, place: str, position: int) -> str | None:
        """These words as they stand in one paper's title or abstract: "agents" for "agent"."""
        return self._texts[place].find(normal.pattern(words)).get(position)

    def stems(self, place: str) -> "Iterator[tuple[str, npt.NDArray[np.int64]]]":
        """Every word of all titles or abstracts without its inflection, compounds as parts and joined, with
        the positions of the papers in which it stands, one for each occurrence."""
        return self._texts[place].stems()

    def occurrences(self, place: str) -> "Occurrences":
        """The same as `stems`, all at once."""
        return self._texts[place].occurrences()

    def forget(self) -> None:
        """Let go of what was asked so far, which may be much; the papers stay indexed."""
        self._atoms = {}
        self._patterns = {}

    def _bits(self, node: Node) -> int:
        match node:
            case And(children):
                bits = self._everything
                for child in children:
                    bits &= self._bits(child)
                    if not bits:
                        break
                return bits
            case Or(children):
                bits = 0
                for child in children:
                    bits |= self._bits(child)
                return bits
            case Not(child):
                return self._everything & ~self._bits(child)
        return self._atom(node).bits

    def _atom(self, atom: Atom) -> "_AtomHits":
        hits = self._atoms.get(atom)
        if hits is None:
            if len(self._atoms) >= MAX_REMEMBERED:
                self._atoms.clear()
                self._patterns.clear()
            hits = self._atoms[atom] = _AtomHits(self._look_up(atom))
        return hits

    def _look_up(self, atom: Atom) -> list[tuple[str, "_Places"]]:
        match atom:
            case Value() | Compare():
                found: dict[str, dict[int, str]] = {}
                for at, document in enumerate(self.documents):
                    for place, text in where(atom, document):
                        found.setdefault(place, {})[at] = text
                return [(place, _Written(papers)) for place, papers in found.items()]
        return [(place, self._in_place(atom, place)) for place in PLACES[atom.field]]

    def _in_place(self, atom: TextAtom, place: str) -> "_Places":
        if place == "author":
            return _Written(self._authors.find(atom))
        if place == "category":
            wanted = atom.text.casefold()
            return _Written(
                {
                    at: name
                    for at, document in enumerate(self.documents)
                    for name in document.categories
                    if name.casefold() == wanted
                }
            )
        ways = [self._way(way, place) for way in evaluate.ways(atom)]
        return ways[0] if len(ways) == 1 else _Either(ways)

    def _way(self, way: Exact | normal.Pattern, place: str) -> "_Places":
        texts = self._texts[place]
        if isinstance(way, Exact):
            return _Written(texts.find_exact(way.text))
        # LLM, llm and LLMs are three atoms and one pattern.
        key = (place, way)
        found = self._patterns.get(key)
        if found is None:
            found = self._patterns[key] = _Matched(texts, way)
        return found

    def _found(self, node: Node, at: int) -> Iterator[Found]:
        """What made the node hold for the paper at this position; the node does hold."""
        match node:
            case And(children):
                for child in children:
                    yield from self._found(child, at)
            case Or(children):
                for child in children:
                    if self._bits(child) >> at & 1:
                        yield from self._found(child, at)
            case Not():
                return
            case _:
                found = self._atom(node).strongest(at)
                if found is not None:
                    yield found


class Occurrences(NamedTuple):
    """Where words stand in a field of all papers: the n-th is `words[which[n]]`, in `papers[n]`."""

    words: Sequence[str]  # without their inflection
    which: "npt.NDArray[np.int64]"
    papers: "npt.NDArray[np.int64]"  # positions


@dataclass(frozen=True)
class Hits:
    """The papers one filter finds: iterates over their positions in `DayIndex.documents`, ascending."""

    index: DayIndex
    filter: Filter
    bits: int  # bit n: the paper at position n

    def __iter__(self) -> Iterator[int]:
        bits = self.bits
        while bits:
            lowest = bits & -bits
            yield lowest.bit_length() - 1
            bits ^= lowest

    def __len__(self) -> int:
        return self.bits.bit_count()

    def __contains__(self, position: object) -> bool:
        return isinstance(position, int) and position >= 0 and bool(self.bits >> position & 1)

    @property
    def documents(self) -> list[Document]:
        return [self.index.documents[at] for at in self]

    def reasons(self, position: int) -> list[Reason]:
        """Why the paper at `position` is a hit: the words that hold, the strongest first, no word twice.

        One reason for each atom, from the strongest place. Words left out with NOT are no reason, nor are
        those of an OR branch that does not hold as a whole. Empty for a paper that is no hit.
        """
        if position not in self:
            return []
        return strongest_first(self.index._found(self.filter.tree, position))


class _AtomHits:
    """Where one atom holds."""

    def __init__(self, places: list[tuple[str, "_Places"]]) -> None:
        self._places = places
        self.bits = 0
        for _, papers in places:
            self.bits |= papers.bits

    def strongest(self, at: int) -> Found | None:
        for place, papers in self._places:
            if papers.bits >> at & 1:
                return Found(place, papers.texts[at])
        return None


class _Places(Protocol):
    """Papers in one field of which an atom holds; `texts`: position of the paper → words in the paper."""

    @property
    def bits(self) -> int: ...
    @property
    def texts(self) -> dict[int, str]: ...


class _Written:
    """Known with its words from the start."""

    def __init__(self, texts: dict[int, str]) -> None:
        self.texts = texts
        self.bits = _as_bits(texts)


class _Either:
    """A Chinese word and the English ones that the glossary gives for it."""

    def __init__(self, ways: "Sequence[_Places]") -> None:
        self._ways = ways
        self.bits = 0
        for papers in ways:
            self.bits |= papers.bits

    @cached_property
    def texts(self) -> dict[int, str]:
        """The words of the first way that holds."""
        return {at: text for papers in reversed(self._ways) for at, text in papers.texts.items()}


class _Matched:
    """Of a pattern: which papers is known at once, in which words is read where somebody asks why."""

    def __init__(self, index: "_TextIndex", pattern: normal.Pattern) -> None:
        self.bits = _as_bits(index.having(pattern).tolist())
        self._index, self._pattern = index, pattern

    @cached_property
    def texts(self) -> dict[int, str]:
        return self._index.find(self._pattern)


def _as_bits(positions: Iterable[int]) -> int:
    marks = bytearray()
    for at in positions:
        byte = at >> 3
        if byte >= len(marks):
            marks.extend(bytes(byte + 1 - len(marks)))
        marks[byte] |= 1 << (at & 7)
    return int.from_bytes(marks, "little")


class _TextIndex:
    """One field of all papers, by word. A row is one text: a title, or one name of an organisation."""

    def __init__(self, rows: Sequence[tuple[int, str]]) -> None:
        self._papers = [paper for paper, _ in rows]
        self._originals = [text for _, text in rows]
        self._folded: list[normal.Folded] = []
        self._starts: list[array[int]] = []
        self._ends: list[array[int]] = []
        by_word: dict[str, array[int]] = {}
        for row, (_, text) in enumerate(rows):
            read = normal.lattice(text)
            self._folded.append(read.folded)
            self._starts.append(array("i", read.starts))
            self._ends.append(array("i", read.ends))
            row_bits = row << 2 * _NODE_BITS
            for word, start, end in read.edges:
                occurrences = by_word.get(word)
                if occurrences is None:
                    occurrences = by_word[word] = array("Q")
                occurrences.append(row_bits | start << _NODE_BITS | end)
        by_stem: dict[str, list[str]] = {}
        for word in by_word:
            by_stem.setdefault(normal.stem(word), []).append(word)
        # All in one array, words of one stem side by side: an array for each word would be a hundred thousand
        # things that Python's garbage collector looks at again and again.
        self._occurrences = np.frombuffer(
            b"".join(by_word[word] for words in by_stem.values() for word in words), np.uint64
        )
        self._words: dict[str, _Span] = {}
        self._stems: dict[str, _Span] = {}
        end = 0
        for stem, words in by_stem.items():
            start = end
            for word in words:
                self._words[word] = (end, end + len(by_word[word]))
                end += len(by_word[word])
            self._stems[stem] = (start, end)
        self._rows_by_stem: dict[str, int] = {}  # of those that were asked for

    @cached_property
    def _sorted_words(self) -> list[str]:
        return sorted(self._words)

    def having(self, pattern: normal.Pattern) -> "npt.NDArray[np.int64]":
        """The papers in which the pattern stands, ascending: as `find`, a hundred times faster."""
        if not self._may_have(pattern):
            return np.empty(0, np.int64)
        if pattern.is_single and not pattern.steps[0].is_prefix:
            begin, end = self._stems[pattern.steps[0].word]
            rows = (self._occurrences[begin:end] >> 2 * _NODE_BITS).astype(np.int64)
            return np.unique(self._papers_of_rows[rows])
        # reached[n]: the nodes (each with its row) that lie after the first n units.
        reached: list[list[npt.NDArray[np.uint64]]] = [[] for _ in range(len(pattern.units) + 1)]
        for step in pattern.steps:
            before = reached[step.start]
            if step.start and not before:
                continue
            for begin, end in self._spans_of(step):
                occurrences = self._occurrences[begin:end]
                if step.start:
                    starts = occurrences >> _NODE_BITS
                    if len(before) > 1:
                        before[:] = [np.unique(np.concatenate(before))]
                    at = np.minimum(np.searchsorted(before[0], starts), len(before[0]) - 1)
                    occurrences = occurrences[before[0][at] == starts]
                if len(occurrences):
                    reached[step.end].append(
                        np.unique(occurrences >> 2 * _NODE_BITS << _NODE_BITS | occurrences & _NODE)
                    )
        if not reached[-1]:
            return np.empty(0, np.int64)
        rows = np.unique(np.concatenate(reached[-1]) >> _NODE_BITS).astype(np.int64)
        return np.unique(self._papers_of_rows[rows])

    def _may_have(self, pattern: normal.Pattern) -> bool:
        """Whether some text has all of the pattern's words, alone or joined, in whatever order."""
        reached = [0] * (len(pattern.units) + 1)  # after so many units: rows, a bit each
        reached[0] = -1
        for step in pattern.steps:
            if before := reached[step.start]:
                reached[step.end] |= before if step.is_prefix else before & self._rows_with(step.word)
        return reached[-1] != 0

    def _rows_with(self, stem: str) -> int:
        rows = self._rows_by_stem.get(stem)
        if rows is None:
            rows = 0
            if stem in self._stems:
                begin, end = self._stems[stem]
                marks = np.zeros(len(self._papers), np.bool_)
                marks[(self._occurrences[begin:end] >> 2 * _NODE_BITS).astype(np.int64)] = True
                rows = int.from_bytes(np.packbits(marks, bitorder="little").tobytes(), "little")
                self._rows_by_stem[stem] = rows
        return rows

    @cached_property
    def _papers_of_rows(self) -> "npt.NDArray[np.int64]":
        return np.asarray(self._papers, np.int64)

    def find(self, pattern: normal.Pattern) -> dict[int, str]:
        """The papers in which the pattern stands, with its words at the first place."""
        # reached[n]: node (with its row) that lies after the first n units → node at which they began.
        reached: list[dict[int, int]] = [{} for _ in range(len(pattern.units) + 1)]
        for step in pattern.steps:
            before, after = reached[step.start], reached[step.end]
            if step.start and not before:
                continue
            for occurrence in self._occurrences_of(step):
                start = occurrence >> _NODE_BITS
                key = start & ~_NODE | occurrence & _NODE
                if step.start == 0:
                    began = start & _NODE
                elif start in before:
                    began = before[start]
                else:
                    continue
                if began < after.get(key, _NODE):
                    after[key] = began
        best: dict[int, tuple[int, int]] = {}  # row → first start, then the longest way: (start, -end)
        for key, began in reached[-1].items():
            row, end = key >> _NODE_BITS, key & _NODE
            candidate = (began, -end)
            if row not in best or candidate < best[row]:
                best[row] = candidate
        found: dict[int, str] = {}
        for row in sorted(best):
            start, minus_end = best[row]
            text = self._originals[row][self._starts[row][start] : self._ends[row][-minus_end - 1]]
            found.setdefault(self._papers[row], text)
        return found

    def stems(self) -> "Iterator[tuple[str, npt.NDArray[np.int64]]]":
        papers = self._papers_of_occurrences
        for stem, (begin, end) in self._stems.items():
            yield stem, papers[begin:end]

    def occurrences(self) -> Occurrences:
        lengths = [end - begin for begin, end in self._stems.values()]
        which = np.repeat(np.arange(len(lengths)), lengths)
        return Occurrences(list(self._stems), which, self._papers_of_occurrences)

    @property
    def _papers_of_occurrences(self) -> "npt.NDArray[np.int64]":
        return self._papers_of_rows[(self._occurrences >> 2 * _NODE_BITS).astype(np.int64)]

    def _occurrences_of(self, step: normal.Step) -> Iterator[int]:
        for begin, end in self._spans_of(step):
            yield from self._occurrences[begin:end].tolist()

    def _spans_of(self, step: normal.Step) -> "Iterator[_Span]":
        if step.is_prefix:
            words = self._sorted_words
            at = bisect_left(words, step.word)
            while at < len(words) and words[at].startswith(step.word):
                yield self._words[words[at]]
                at += 1
        elif step.word in self._stems:
            yield self._stems[step.word]

    def find_exact(self, text: str) -> dict[int, str]:
        found: dict[int, str] = {}
        for row, folded in enumerate(self._folded):
            place = next(normal.find_exact(text, folded.text), None)
            if place is not None:
                start, end = place
                words = self._originals[row][folded.starts[start] : folded.ends[end - 1]]
                found.setdefault(self._papers[row], words)
        return found


class _AuthorIndex:
    """The authors of all papers, each name once, found by any of its words."""

    def __init__(self, documents: Sequence[Document]) -> None:
        self._papers: dict[str, list[int]] = {}
        for at, document in enumerate(documents):
            for name in document.authors:
                papers = self._papers.setdefault(name, [])
                if not papers or papers[-1] != at:
                    papers.append(at)
        self._documents = documents

    @cached_property
    def _by_word(self) -> dict[str, set[str]]:
        """Names by each of their words, and by the whole name written in one piece."""
        by_word: dict[str, set[str]] = {}
        for name in self._papers:
            for form in people.forms(name):
                for word in (*form, "".join(form)):
                    by_word.setdefault(word, set()).add(name)
        return by_word

    def find(self, atom: TextAtom) -> dict[int, str]:
        """The papers with such an author, with the name of the first."""
        names = {name for name in self._candidates(atom) if is_author(atom, name)}
        papers = sorted({at for name in names for at in self._papers[name]})
        return {at: next(name for name in self._documents[at].authors if name in names) for at in papers}

    def _candidates(self, atom: TextAtom) -> Iterable[str]:
        """The names worth a closer look: those that share a whole word with what is wanted."""
        match atom:
            case Exact() | Word(prefix=True):
                return self._papers
        wanted = [word for form in people.forms(atom.text) for word in (*form, "".join(form))]
        if any(normal.is_cjk(word) for word in wanted):
            return self._papers
        return set().union(*(self._by_word.get(word, ()) for word in wanted))
