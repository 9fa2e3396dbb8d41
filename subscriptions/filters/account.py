"""Why a filter finds a paper or not, part by part: its tree with the truth of each part, and the faults.

`evaluate` says whether an atom holds; this answers a reader's question: which word is missing, and which NOT
leaves the paper out.
"""

from collections.abc import Iterator, Sequence
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
_WORDS_SHOWN = 4


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
    """One part that keeps the paper out: an atom that does not hold, or a NOT around something that does.

    `words`: "“tool use” is not in its title". Of an atom that looks for something somewhere, that is `what`
    ("“tool use”") and `where` ("in its title"); else both are empty.
    """

    part: Truth
    words: str
    what: str = ""
    where: str = ""

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
    return [_fault(part, document) for part in dict.fromkeys(_at_fault(truth))]


def in_words(found: Sequence[Fault]) -> list[str]:
    """The faults, those of one place together: "neither “agents” nor “tool use” is in its title"."""
    said: dict[str, list[Fault]] = {}
    for fault in found:
        said.setdefault(fault.where or fault.words, []).append(fault)
    return [_together(of_one_place) for of_one_place in said.values()]


def distance(truth: Truth) -> int:
    """How many atoms or NOTs would have to be otherwise, at least, for the filter to find the paper."""
    if truth.holds:
        return 0
    match truth.node:
        case And():
            return sum(distance(part) for part in truth.parts)
        case Or():
            return min(distance(part) for part in truth.parts)
    return 1


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


def _fault(part: Truth, document: Document) -> Fault:
    if not isinstance(part.node, Not):
        assert not isinstance(part.node, And | Or)
        return _missing(part, part.node, document)
    there = next(holding(part.parts[0]), None)
    if there is None:  # nothing but NOTs in its brackets
        return Fault(part, f"{part.text} leaves it out")
    return Fault(part, f"{part.text} leaves it out: {_said(there.found[0])}")


def _together(of_one_place: Sequence[Fault]) -> str:
    first, *others = of_one_place
    if not others:
        return first.words
    if len(of_one_place) == 2:
        return f"neither {first.what} nor {others[0].what} is {first.where}"
    more = len(of_one_place) - _WORDS_SHOWN
    named = [fault.what for fault in of_one_place[:_WORDS_SHOWN]]
    last = f"{more} more" if more > 0 else named.pop()
    return f"none of {', '.join(named)} and {last} is {first.where}"


def _said(found: Found) -> str:
    """ "“survey” is in its title", "it has 12 votes"."""
    if found.field in _COUNTED:
        return f"it has {found.text} {_COUNTED[found.field]}"
    return f"“{' '.join(found.text.split())}” is {_PLACE_IN_WORDS[found.field]}"


def _missing(part: Truth, atom: Atom, document: Document) -> Fault:
    match atom:
        case Compare(name, sign, number):
            known, counted = getattr(document, name), _COUNTED[name]
            if known is None:
                return Fault(part, f"how many {counted} it has is not known, so it cannot be {sign} {number}")
            return Fault(part, f"it has {known} {counted}, not {sign} {number}")
        case Value("kind", value):
            return Fault(part, f"it is a {document.kind}, not {value}")
        case Value("lang", value):
            return Fault(part, f"its language is {document.lang}, not {value}")
        case Value("has", value):
            return Fault(part, f"no {value} of it is known")
        case Value("id", value):
            return Fault(part, f"its identifier is {fields.identifier(document.id)}, not {value}")
        case Value(_, value):
            what = value
        case Word(text, prefix=True):
            what = f"“{text}*”"
        case _:
            what = f"“{atom.text}”"
    where = _place_in_words(atom, document)
    return Fault(part, f"{what} is not {where}", what, where)


def _place_in_words(atom: Atom, document: Document) -> str:
    assert not isinstance(atom, Compare)
    match atom.field:
        case "author":
            return "among its authors" + _known(document.authors, "their names are")
        case "org":
            return "among its organisations" + _known(evaluate.names_of(document.org), "their names are")
        case "cat":
            return "among its categories" + _known(document.categories, "they are")
        case "primary":
            return "its primary category" + _known([document.primary] if document.primary else [], "it is")
        case "source":
            return "among its sources" + _known(sorted(document.sources), "they are")
    exactly = "exactly " if isinstance(atom, Exact) else ""
    return f"{exactly}in its {_PLACES_IN_WORDS[atom.field]}"


def _known(names: Sequence[str], verb: str) -> str:
    """ " (they are cs.AI, cs.LG and 3 more)"."""
    if not names:
        return " (none is known)"
    more = len(names) - _NAMES_SHOWN
    return f" ({verb} {', '.join(names[:_NAMES_SHOWN])}{f' and {more} more' if more > 0 else ''})"
