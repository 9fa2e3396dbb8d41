"""What a filter finds, slowly and plainly: the meaning of the language.

`digest.matching.index` answers the same for a whole day at once; tests hold the two together.
"""

import operator
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import NamedTuple

from subscriptions.filters import fields, normal, people
from subscriptions.filters.document import Document
from subscriptions.filters.tree import (
    And,
    Atom,
    Compare,
    Exact,
    Filter,
    Node,
    Not,
    Or,
    Phrase,
    TextAtom,
    Value,
    Word,
    english,
)

OPERATORS: dict[str, Callable[[int, int], bool]] = {
    ">=": operator.ge,
    ">": operator.gt,
    "<=": operator.le,
    "<": operator.lt,
    "=": operator.eq,
}
# Where an atom looks, in the order in which places count as reasons.
PLACES: dict[str | None, tuple[str, ...]] = {
    None: ("title", "abstract"),
    "title": ("title",),
    "abstract": ("abstract",),
    "author": ("author",),
    "org": ("organization",),
    "all": ("title", "abstract", "author", "category", "organization"),
}


class Found(NamedTuple):
    """An atom that holds: where ("title", "abstract", "author", …) and in which words of the paper."""

    field: str
    text: str


def matches(filter: Filter, document: Document) -> bool:
    return _holds(filter.tree, document)


def _holds(node: Node, document: Document) -> bool:
    match node:
        case And(children):
            return all(_holds(child, document) for child in children)
        case Or(children):
            return any(_holds(child, document) for child in children)
        case Not(child):
            return not _holds(child, document)
    return next(where(node, document), None) is not None


def where(atom: Atom, document: Document) -> Iterator[Found]:
    """Each place in which the atom holds, once, the strongest first; nothing if it does not hold."""
    match atom:
        case Value():
            yield from _fact(atom, document)
        case Compare(name, sign, number):
            known = getattr(document, name)
            if known is not None and OPERATORS[sign](known, number):
                yield Found(name, str(known))
        case _:
            for place in PLACES[atom.field]:
                text = _in_place(atom, place, document)
                if text is not None:
                    yield Found(place, text)


def _in_place(atom: TextAtom, place: str, document: Document) -> str | None:
    """The words of one place of the paper that fulfil the atom."""
    match place:
        case "title" | "abstract":
            return _in_texts(atom, [getattr(document, place)])
        case "organization":
            return _in_texts(atom, names_of(document.org))
        case "author":
            return next((name for name in document.authors if is_author(atom, name)), None)
    return next((name for name in document.categories if name.casefold() == atom.text.casefold()), None)


def _in_texts(atom: TextAtom, texts: list[str]) -> str | None:
    for way in ways(atom):
        for text in texts:
            found = _spans(way, text)
            if found:
                start, end = found[0]
                return text[start:end]
    return None


def names_of(org: str) -> list[str]:
    return [name for name in org.split("; ") if name]


def is_author(atom: TextAtom, name: str) -> bool:
    match atom:
        case Exact(text):
            return people.stands_in(text, name)
        case Word(text, prefix=True):
            return people.begins(text, name)
    return people.same(atom.text, name)


def ways(atom: TextAtom) -> list[Exact | normal.Pattern]:
    """What to look for in a text, any of which will do: as typed first, then the English of the glossary."""
    match atom:
        case Exact():
            return [atom]
        case Word(text, prefix=prefix):
            typed = normal.pattern(text, prefix=prefix)
        case Phrase(text):
            typed = normal.pattern(text)
    return [typed, *(normal.pattern(phrase) for phrase in english(atom))]


def spans(atom: TextAtom, text: str) -> list[tuple[int, int]]:
    """Where in `text` the atom's words stand, as (start, end) of characters, in order."""
    return sorted({span for way in ways(atom) for span in _spans(way, text)})


def _spans(way: Exact | normal.Pattern, text: str) -> list[tuple[int, int]]:
    read = _lattice(text)
    if isinstance(way, Exact):
        folded = read.folded
        return [
            (folded.starts[start], folded.ends[end - 1])
            for start, end in normal.find_exact(way.text, folded.text)
        ]
    return [read.span(start, end) for start, end in normal.find(way, read)]


@lru_cache(maxsize=4096)
def _lattice(text: str) -> normal.Lattice:
    return normal.lattice(text)


def _fact(atom: Value, document: Document) -> Iterator[Found]:
    value = atom.value
    match atom.field:
        case "cat":
            for name in document.categories:
                if fields.in_category(value, name):
                    yield Found("category", name)
                    return
        case "primary":
            if document.primary and fields.in_category(value, document.primary):
                yield Found("category", document.primary)
        case "source":
            if value in {name.casefold() for name in document.sources}:
                yield Found("source", value)
        case "kind":
            if document.kind == value or (value == "media" and document.kind in fields.MEDIA_KINDS):
                yield Found("kind", document.kind)
        case "lang":
            if document.lang.casefold().split("-")[0] == value:
                yield Found("language", document.lang)
        case "id":
            if fields.identifier(document.id) == value:
                yield Found("id", document.id)
        case "has":
            if value in document.has:
                yield Found("has", value)
