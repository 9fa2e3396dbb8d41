"""Why a paper is a hit: the words of the paper that fulfilled the filter, and where they stand."""

from collections.abc import Iterable
from typing import NamedTuple

from subscriptions.filters import evaluate, normal
from subscriptions.filters.tree import Compare, Exact, Filter, Phrase, Value, Word

# A word in the title says more than one in the abstract; that a paper is in English says nearly nothing.
_STRENGTH = {
    name: rank
    for rank, name in enumerate(
        (
            "title",
            "author",
            "abstract",
            "organization",
            "category",
            "id",
            "source",
            "has",
            "upvotes",
            "stars",
            "comments",
            "kind",
            "language",
        )
    )
}


class Reason(NamedTuple):
    """`atom_text`: the words as they stand in the paper ("agents"); `field`: where ("title", "author", …)."""

    atom_text: str
    field: str


def strongest_first(found: Iterable[evaluate.Found]) -> list[Reason]:
    """One reason for each word and place, the strongest first, else in the order of the filter.

    Words that stand inside longer ones of the same place ("agents" in "LLM agents") say nothing more.
    """
    distinct: dict[tuple[str, str], Reason] = {}
    for field, text in found:
        plain = " ".join(text.split())
        distinct.setdefault((field, plain.casefold()), Reason(plain, field))
    telling = [
        reason
        for (field, plain), reason in distinct.items()
        if not any(
            other_field == field and other != plain and f" {plain} " in f" {other} "
            for other_field, other in distinct
        )
    ]
    return sorted(telling, key=lambda reason: _STRENGTH[reason.field])


def spans(filter: Filter, text: str, *, field: str) -> list[tuple[int, int]]:
    """Where the filter's words stand in a title or abstract: (start, end) in characters, in order, disjoint.

    `field` is "title", "abstract" or "organization". Words that the filter leaves out are not marked.
    """
    found: list[tuple[int, int]] = []
    for atom in filter.positive_atoms():
        match atom:
            case Word() | Phrase() | Exact():
                if field in evaluate.PLACES[atom.field]:
                    found.extend(evaluate.spans(atom, text))
            case Value() | Compare():
                pass
    return normal.merged(found)
