"""Why a filter finds a paper or not, part by part: its tree with the truth of each part, and the faults.

`evaluate` says whether an atom holds; this answers a reader's question: which word is missing, and which NOT
leaves the paper out.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from subscriptions.filters import evaluate, fields
from subscriptions.filters.document import Document
from subscriptions.filters.evaluate import Found
from subscriptions.filters.tree import (
    And,
    Atom,
    Compare,
    Exact,
    Filter,
    Node,
    Not,
    Or,
    Value,
    Word,
    canonical,
)

_PLACES_IN_WORDS = {
    None: "title or abstract",
    "title": "title",
    "abstract": "abstract",
    "all": "title, abstract, authors, categories or organisations",
}
_PLACE_IN_WORDS = {
    "title": "in its title",
    "abstract": "in its abstract",
    "author": "among its authors",
    "category": "among its categories",
    "organization": "among its organisations",
    "source": "as its source",
    "kind": "as its kind",
    "language": "as its language",
    "id": "as its identifier",
    "has": "among what it has",
    "upvotes": "votes",
    "stars": "stars",
    "comments": "comments",
}
_COUNTED = {"upvotes": "votes", "stars": "stars", "comments": "comments"}
_NAMES_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Truth:
    """One part of a filter, in its canonical words, and whether it holds for a paper.

    `found`: where an atom holds, the strongest place first. `parts`: of a group or a NOT, what is inside.
    """

    node: Node
    text: str
    holds: bool
    found: tuple[Found, ...] = ()
    parts: tuple["Truth", ...] = ()

    def as_json(self) -> dict[str, object]:
        plain: dict[str, object] = {"text": self.text, "holds": self.holds}
        if self.found:
            plain["found"] = [list(one) for one in self.found]
        if self.parts:
            plain["parts"] = [part.as_json() for part in self.parts]
        return plain


@dataclass(frozen=True, slots=True)
class Fault:
    """One part that keeps the paper out: an atom that does not hold, or a NOT around something that does."""

    part: Truth
    words: str  # "“tool use” is not in its title or abstract"

    @property
    def is_exclusion(self) -> bool:
        return isinstance(self.part.node, Not)


def account(filter: Filter, document: Document) -> Truth:
    """The filter's tree with the truth of each part; `account(f, d).holds == matches(f, d)`."""
    return _truth(filter.tree, document)


def faults(truth: Truth, document: Document) -> list[Fault]:
    """Everything that must change for the paper to be found, from left to right; of an OR, any one is enough.

    Empty where the filter holds.
    """
    return [Fault(part, _in_words(part, document)) for part in dict.fromkeys(_at_fault(truth))]


def _truth(node: Node, document: Document) -> Truth:
    match node:
        case And(children) | Or(children):
            parts = tuple(_truth(child, document) for child in children)
            together = all if isinstance(node, And) else any
            return Truth(node, canonical(node), together(part.holds for part in parts), parts=parts)
        case Not(child):
            part = _truth(child, document)
            return Truth(node, canonical(node), not part.holds, parts=(part,))
    found = tuple(evaluate.where(node, document))
    return Truth(node, canonical(node), bool(found), found)


def _at_fault(truth: Truth) -> Iterator[Truth]:
    if truth.holds:
        return
    if isinstance(truth.node, And | Or):
        for part in truth.parts:
            yield from _at_fault(part)
    else:
        yield truth


def holding(truth: Truth) -> Iterator[Truth]:
    """The atoms that make a part hold, from left to right: the reasons, NOTs left out."""
    if not truth.holds or isinstance(truth.node, Not):
        return
    if truth.parts:
        for part in truth.parts:
            yield from holding(part)
    else:
        yield truth


# --- in words -----------------------------------------------------------------------------------------------


def _in_words(part: Truth, document: Document) -> str:
    if isinstance(part.node, Not):
        there = next(holding(part.parts[0]), None)
        if there is None:  # a NOT around a NOT in a group
            return f"{part.text} leaves it out"
        return f"{part.text} leaves it out: {_said(there.found[0])}"
    assert not isinstance(part.node, And | Or)
    return _missing(part.node, document)


def _said(found: Found) -> str:
    """ "“survey” is in its title", "it has 12 votes"."""
    if found.field in _COUNTED:
        return f"it has {found.text} {_COUNTED[found.field]}"
    return f"“{' '.join(found.text.split())}” is {_PLACE_IN_WORDS[found.field]}"


def _missing(atom: Atom, document: Document) -> str:
    match atom:
        case Compare(name, sign, number):
            known = getattr(document, name)
            counted = _COUNTED[name]
            if known is None:
                return f"how many {counted} it has is not known, so it cannot have {sign} {number}"
            return f"it has {known} {counted}, not {sign} {number}"
        case Value():
            return _other_value(atom, document)
    text = f"{atom.text}*" if isinstance(atom, Word) and atom.prefix else atom.text
    if atom.field == "author":
        return f"“{text}” is not among its authors" + _known(document.authors, "their names are")
    if atom.field == "org":
        names = evaluate.names_of(document.org)
        return f"“{text}” is not among its organisations" + _known(names, "their names are")
    form = "exactly " if isinstance(atom, Exact) else ""
    return f"“{text}” is not {form}in its {_PLACES_IN_WORDS[atom.field]}"


def _other_value(atom: Value, document: Document) -> str:
    value = atom.value
    match atom.field:
        case "cat":
            return f"{value} is not among its categories" + _known(document.categories, "they are")
        case "primary":
            primary = [document.primary] if document.primary else []
            return f"{value} is not its primary category" + _known(primary, "it is")
        case "source":
            return f"{value} is not among its sources" + _known(sorted(document.sources), "they are")
        case "kind":
            return f"it is a {document.kind}, not {value}"
        case "lang":
            return f"its language is {document.lang}, not {value}"
        case "has":
            return f"no {value} of it is known"
        case "id":
            return f"its identifier is {fields.identifier(document.id)}, not {value}"
    return f"{atom.field}:{value} does not hold"


def _known(names: "list[str] | tuple[str, ...]", verb: str) -> str:
    """ "; they are cs.AI, cs.LG" or ", which are not known"."""
    if not names:
        return " (none is known)"
    more = len(names) - _NAMES_SHOWN
    return f" ({verb} {', '.join(names[:_NAMES_SHOWN])}{f' and {more} more' if more > 0 else ''})"
