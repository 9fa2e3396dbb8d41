"""A filter as a tree, and the one way to write each tree."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeAlias

from subscriptions.filters import glossary

MAX_CHARACTERS = 1000
MAX_ATOMS = 50
MAX_DEPTH = 10

OPERATORS = frozenset({"AND", "OR", "NOT", "ANDNOT"})
NUMBERS = ("upvotes", "stars", "comments")

# What may stand bare: anything the reader of a filter would not take for something else.
_NOT_BARE = re.compile(r"""[\s()"*|]|^[-=<>≤≥+!&]|^[A-Za-z_]+:|^[A-Za-z_]+[<>=≤≥]""")


@dataclass(frozen=True, slots=True)
class Word:
    """One word, or words tied by hyphens, in `field` (None: title, abstract); with `prefix`, any ending."""

    text: str
    field: str | None = None
    prefix: bool = False


@dataclass(frozen=True, slots=True)
class Phrase:
    """Words next to each other, in this order, inside one field."""

    text: str
    field: str | None = None


@dataclass(frozen=True, slots=True)
class Exact:
    """The text as it stands: no other inflection, no other spelling of a compound."""

    text: str
    field: str | None = None


@dataclass(frozen=True, slots=True)
class Value:
    """A fact about the paper: cat, primary, source, kind, lang, id, has."""

    field: str
    value: str


@dataclass(frozen=True, slots=True)
class Compare:
    name: str
    operator: str
    number: int


@dataclass(frozen=True, slots=True)
class And:
    children: "tuple[Node, ...]"


@dataclass(frozen=True, slots=True)
class Or:
    children: "tuple[Node, ...]"


@dataclass(frozen=True, slots=True)
class Not:
    child: "Node"


TextAtom: TypeAlias = Word | Phrase | Exact
Atom: TypeAlias = Word | Phrase | Exact | Value | Compare
Node: TypeAlias = Word | Phrase | Exact | Value | Compare | And | Or | Not


# The constructors to use: they keep a tree in its one normal shape (no And inside And, no group of one, no
# double negation, no member twice), so that equal filters are equal trees.


def all_of(nodes: Iterable[Node]) -> Node:
    return _group(And, nodes)


def any_of(nodes: Iterable[Node]) -> Node:
    return _group(Or, nodes)


def _group(kind: type[And] | type[Or], nodes: Iterable[Node]) -> Node:
    flat: dict[Node, None] = {}
    for node in nodes:
        for member in node.children if isinstance(node, kind) else (node,):
            flat.setdefault(member)
    if len(flat) == 1:
        return next(iter(flat))
    return kind(tuple(flat))


def negated(node: Node) -> Node:
    return node.child if isinstance(node, Not) else Not(node)


def words(text: str, field: str | None = None) -> Word | Phrase:
    """The atom for `text` (already clean, see grammar): a Word wherever it can be written without quotes."""
    return Word(text, field) if is_bare(text) else Phrase(text, field)


def is_bare(text: str) -> bool:
    return text not in OPERATORS and not _NOT_BARE.search(text)


def atoms(node: Node) -> Iterator[Atom]:
    """Every atom, left to right, negated ones included; one that stands twice comes twice."""
    match node:
        case And(children) | Or(children):
            for child in children:
                yield from atoms(child)
        case Not(child):
            yield from atoms(child)
        case _:
            yield node


def english(atom: Atom) -> tuple[str, ...]:
    """The English phrases that a Chinese word or phrase also means, by the glossary; none for other atoms.

    Only where the whole of it is in the glossary, without * and ="…"; names of authors are not translated.
    """
    match atom:
        case Word(text, field, prefix=False) | Phrase(text, field) if field != "author":
            return glossary.meaning(text)
    return ()


def positive_atoms(node: Node) -> Iterator[Atom]:
    """The atoms that can be a reason for a hit: those outside every NOT."""
    match node:
        case And(children) | Or(children):
            for child in children:
                yield from positive_atoms(child)
        case Not():
            return
        case _:
            yield node


def finds_something(node: Node, *, negative: bool = False) -> bool:
    """Whether every way to satisfy the node has an atom that must hold, not only atoms that must not."""
    match node:
        case And(children):
            return (all if negative else any)(finds_something(c, negative=negative) for c in children)
        case Or(children):
            return (any if negative else all)(finds_something(c, negative=negative) for c in children)
        case Not(child):
            return finds_something(child, negative=not negative)
    return not negative


def depth(node: Node) -> int:
    """How many groups stand inside each other: 0 for an atom, 1 for a AND b."""
    match node:
        case And(children) | Or(children):
            return 1 + max(depth(child) for child in children)
        case Not(child):
            return depth(child)
    return 0


# Writing


def canonical(node: Node) -> str:
    """The one text of a tree; parsing it gives the tree back.

    Spelled out with AND, NOT and a bracket round every inner group, as a reader checks it most easily. Where
    that would break the limits which the reader's own text kept, the shorter ways of writing are taken.
    """
    if depth(node) <= MAX_DEPTH:
        text = _Writer(brackets_all=True, explicit=True).write(node)
        if len(text) <= MAX_CHARACTERS:
            return text
    text = _Writer(brackets_all=False, explicit=True).write(node)
    if len(text) <= MAX_CHARACTERS:
        return text
    return compact(node)


def compact(node: Node) -> str:
    """The shortest way to write a node, as people type it: agents -survey."""
    return _Writer(brackets_all=False, explicit=False).write(node)


@dataclass(frozen=True)
class _Writer:
    brackets_all: bool
    explicit: bool

    def write(self, node: Node) -> str:
        shared = self._shared_field(node)
        if shared is not None:
            return f"{shared}:({self._node(node, scope=shared)})"
        return self._node(node, scope=None)

    def _node(self, node: Node, *, scope: str | None) -> str:
        match node:
            case And(children):
                glue = " AND " if self.explicit else " "
                return glue.join(self._inside(child, isinstance(child, Or), scope) for child in children)
            case Or(children):
                bracket = self.brackets_all
                return " OR ".join(
                    self._inside(child, bracket and isinstance(child, And), scope) for child in children
                )
            case Not(child):
                sign = "NOT " if self.explicit else "-"
                return sign + self._inside(child, isinstance(child, And | Or), scope)
        return self._atom(node, scope=scope)

    def _inside(self, node: Node, bracket: bool, scope: str | None) -> str:
        if not bracket:
            return self._node(node, scope=scope)
        shared = self._shared_field(node) if scope is None else None
        if shared is not None:
            return f"{shared}:({self._node(node, scope=shared)})"
        return f"({self._node(node, scope=scope)})"

    def _shared_field(self, node: Node) -> str | None:
        """The field that all atoms of a group name, so that it can be written once in front."""
        if not self.brackets_all or not isinstance(node, And | Or):
            return None
        names = {None if isinstance(atom, Compare) else atom.field for atom in atoms(node)}
        return next(iter(names)) if len(names) == 1 else None

    def _atom(self, atom: Atom, *, scope: str | None) -> str:
        match atom:
            case Compare(name, operator, number):
                return f"{name}{operator}{number}"
            case Value(name, value):
                text = value if is_bare(value) else f'"{value}"'
            case Word(text, name, prefix):
                text = f"{text}*" if prefix else text
            case Phrase(text, name):
                text = f'"{text}"'
            case Exact(text, name):
                text = f'="{text}"'
        return text if name == scope else f"{name}:{text}"


@dataclass(frozen=True)
class Filter:
    """A parsed filter. Two filters are equal when their trees are, however they were typed."""

    tree: Node
    text: str = field(default="", compare=False)  # as typed
    hints: tuple[str, ...] = field(default=(), compare=False)  # what the reader may have meant otherwise

    @cached_property
    def canonical(self) -> str:
        """The filter as stored and shown back. parse(filter.canonical) == filter."""
        return canonical(self.tree)

    def atoms(self) -> tuple[Atom, ...]:
        """Its distinct atoms in order of appearance, negated ones included."""
        return tuple(dict.fromkeys(atoms(self.tree)))

    def positive_atoms(self) -> tuple[Atom, ...]:
        """The atoms that can be a reason for a hit."""
        return tuple(dict.fromkeys(positive_atoms(self.tree)))

    @cached_property
    def also(self) -> tuple[str, ...]:
        """What its Chinese words also mean, shown beside the canonical text: "后训练, also post-training"."""
        meanings = {
            atom.text: found
            for atom in self.atoms()
            if isinstance(atom, Word | Phrase) and (found := english(atom))
        }
        return tuple(f"{text}, also {' or '.join(found)}" for text, found in meanings.items())

    def __str__(self) -> str:
        return self.canonical
