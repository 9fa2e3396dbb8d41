"""Many filters as numbers, so that a day evaluates a million of them without reading one again.

Pure. Parsing a filter takes 0.2 ms and its text never changes: it is compiled once, when it is saved, and
kept. Each distinct atom is looked up once for the day; filters of one shape are then set operations over
whole arrays. The meaning is that of index.DayIndex (tests/digest/matching/test_compiled.py).
"""

import io
import json
from array import array
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from digest.matching.batch import Bits, as_bits, collection_paused
from digest.matching.index import DayIndex
from subscriptions.filters import Filter
from subscriptions.filters.tree import And, Atom, Compare, Exact, Node, Not, Or, Phrase, Value, Word

# A shape is a filter in postfix without its atoms; a group of n members is 2n for AND, 2n + 1 for OR.
_ATOM, _NOT = -1, -2
Shape = tuple[int, ...]

_KINDS: dict[str, type[Atom]] = {kind.__name__: kind for kind in (Word, Phrase, Exact, Value, Compare)}
_ASKED_AT_ONCE = 5_000  # atoms, before the index lets go of them


class BadCompiledError(ValueError):
    """The bytes are no compiled filters."""


class Compiled:
    """Filters by number, in the order in which they were added."""

    def __init__(self, trees: Iterable[Node] = ()) -> None:
        self._atoms: dict[Atom, int] = {}
        self._shapes: dict[Shape, int] = {}
        self._shape_of = array("i")
        self._atoms_of = array("i")  # one filter after the other
        self._ends = array("q", [0])
        for tree in trees:
            self.add(tree)

    def __len__(self) -> int:
        return len(self._shape_of)

    @property
    def atoms(self) -> int:
        """How many different ones the filters have."""
        return len(self._atoms)

    def add(self, tree: Node) -> int:
        """The number that the filter has from now on; 10 µs."""
        shape: list[int] = []
        self._write(tree, shape)
        self._shape_of.append(self._shapes.setdefault(tuple(shape), len(self._shapes)))
        self._ends.append(len(self._atoms_of))
        return len(self) - 1

    def _write(self, node: Node, shape: list[int]) -> None:
        match node:
            case And(children) | Or(children):
                for child in children:
                    self._write(child, shape)
                shape.append(2 * len(children) + isinstance(node, Or))
            case Not(child):
                self._write(child, shape)
                shape.append(_NOT)
            case _:
                self._atoms_of.append(self._atoms.setdefault(node, len(self._atoms)))
                shape.append(_ATOM)

    def asked(self, index: DayIndex) -> "Asked":
        """Every atom looked up in the index, some 30 µs each."""
        with collection_paused():
            return self._asked(index)

    def _asked(self, index: DayIndex) -> "Asked":
        papers = len(index.documents)
        found = []
        atoms = list(self._atoms)
        for first in range(0, len(atoms), _ASKED_AT_ONCE):
            some = atoms[first : first + _ASKED_AT_ONCE]
            found.append(as_bits([index.evaluate(Filter(atom)).bits for atom in some], papers))
            index.forget()
        return Asked(self, np.vstack(found) if found else as_bits([], papers), papers)

    def to_bytes(self) -> bytes:
        """For storage: some 12 bytes a filter, and its atoms."""
        written = io.BytesIO()
        atoms = [[type(atom).__name__, *_fields(atom)] for atom in self._atoms]
        head = json.dumps({"atoms": atoms, "shapes": [list(shape) for shape in self._shapes]})
        np.savez_compressed(
            written,
            head=np.frombuffer(head.encode(), np.uint8),
            shape_of=np.frombuffer(self._shape_of, np.int32),
            atoms_of=np.frombuffer(self._atoms_of, np.int32),
            lengths=np.diff(np.frombuffer(self._ends, np.int64)).astype(np.uint8),  # tree.MAX_ATOMS is 50
        )
        return written.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> "Compiled":
        """What `to_bytes` wrote. Raises BadCompiledError."""
        compiled = cls()
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as kept:
                head = json.loads(kept["head"].tobytes())
                atoms = [_KINDS[name](*fields) for name, *fields in head["atoms"]]
                compiled._atoms = {atom: number for number, atom in enumerate(atoms)}
                compiled._shapes = {tuple(shape): number for number, shape in enumerate(head["shapes"])}
                compiled._shape_of = array("i", kept["shape_of"].tobytes())
                compiled._atoms_of = array("i", kept["atoms_of"].tobytes())
                ends = np.cumsum(np.concatenate(([0], kept["lengths"])), dtype=np.int64)
                compiled._ends = array("q", ends.tobytes())
        except (OSError, ValueError, KeyError, TypeError, EOFError) as error:
            raise BadCompiledError(f"These bytes are no compiled filters: {error}") from error
        return compiled


class Asked:
    """Compiled filters, whose atoms are known for a day's papers."""

    def __init__(self, compiled: Compiled, atoms: Bits, papers: int) -> None:
        self._atoms = atoms
        self._everything = as_bits([(1 << papers) - 1], papers)[0]
        self._shapes = list(compiled._shapes)
        self._shape_of = np.frombuffer(compiled._shape_of, np.int32)
        self._atoms_of = np.frombuffer(compiled._atoms_of, np.int32)
        self._ends = np.frombuffer(compiled._ends, np.int64)

    def hits(self, first: int, last: int) -> Bits:
        """(filters × words): the papers that the filters from number `first` up to `last` find."""
        hits = np.empty((last - first, self._atoms.shape[1]), np.uint64)
        shapes = self._shape_of[first:last]
        order = np.argsort(shapes, kind="stable")
        numbers, begins = np.unique(shapes[order], return_index=True)
        for number, rows in zip(numbers.tolist(), np.split(order, begins[1:]), strict=True):
            hits[rows] = self._evaluated(self._shapes[number], self._ends[:-1][rows + first])
        return hits & self._everything

    def _evaluated(self, shape: Shape, at: npt.NDArray[np.int64]) -> Bits:
        """Filters of one shape; `at`: where their atoms begin. Bits beyond the papers may be set."""
        waiting: list[Bits] = []
        used = 0
        for step in shape:
            if step == _ATOM:
                waiting.append(self._atoms[self._atoms_of[at + used]])
                used += 1
            elif step == _NOT:
                np.invert(waiting[-1], out=waiting[-1])
            else:
                size, is_or = divmod(step, 2)
                members = waiting[len(waiting) - size :]
                del waiting[len(waiting) - size :]
                whole = np.zeros((len(at), self._atoms.shape[1]), np.uint64) if is_or else None
                if whole is None:
                    whole = np.full((len(at), self._atoms.shape[1]), ~np.uint64(0))
                for member in members:
                    (np.bitwise_or if is_or else np.bitwise_and)(whole, member, out=whole)
                waiting.append(whole)
        return waiting[0]


def _fields(atom: Atom) -> tuple[object, ...]:
    match atom:
        case Word(text, field, prefix):
            return text, field, prefix
        case Phrase(text, field) | Exact(text, field):
            return text, field
        case Value(field, value):
            return field, value
        case Compare(name, operator, number):
            return name, operator, number
