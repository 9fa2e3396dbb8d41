"""What a reader could change in a filter so that it finds a paper that it did not find."""

import re
from collections.abc import Iterable, Iterator

from subscriptions.filters import Document, Filter, FilterError, matches, parse
from subscriptions.filters.account import Truth
from subscriptions.filters.tree import And, Node, Not, all_of, any_of, finds_something

_STOP = frozenset(
    (
        *(
            "a",
            "an",
            "and",
            "are",
            "as",
            "at",
            "be",
            "by",
            "can",
            "do",
            "does",
            "for",
            "from",
            "how",
            "in",
            "into",
        ),
        *("is", "it", "its", "of", "on", "or", "our", "over", "that", "the", "their", "this", "to", "toward"),
        *("towards", "under", "via", "we", "what", "when", "where", "which", "who", "why", "with", "without"),
    )
)
_LONGEST = 3  # words of a phrase
_NAME = re.compile(r"(.{2,30}?)(?:: |：)")  # where many titles name what they present


def cure(name: str, filter: Filter, truth: Truth, document: Document, keywords: Iterable[str] = ()) -> str:
    """ "take NOT survey out of the filter of Agents, or add OR "tool use" to it": in the imperative.

    Each change that is named was tried: with it the filter finds the paper. `name` is the topic's.
    """
    ways = []
    if without := _without(filter, truth, document):
        ways.append(f"take {' and '.join(without)} out of the filter of {name}")
    if not without or not all(text.startswith("NOT ") for text in without):
        fitting = (text for text in _terms(document, keywords) if _joins(filter, text, document))
        if text := next(fitting, ""):
            ways.append(f"add OR {text} to {'it' if ways else f'the filter of {name}'}")
    return ", or ".join(ways) or f"widen the filter of {name}"


def term(document: Document, keywords: Iterable[str] = ()) -> str:
    """A word or phrase of the paper's as a filter of its own; empty where it has none that can be one."""
    return next(_terms(document, keywords), "")


def _joins(filter: Filter, text: str, document: Document) -> bool:
    return _finds(any_of([filter.tree, parse(text).tree]), document)


def _without(filter: Filter, truth: Truth, document: Document) -> list[str]:
    """The parts of the outermost AND that alone keep the paper out; empty where leaving them is no help."""
    if not isinstance(truth.node, And):
        return []
    failing = [part for part in truth.parts if not part.holds]
    rest = [part.node for part in truth.parts if part.holds]
    excluded = all(isinstance(part.node, Not) for part in failing)
    if not rest or (len(failing) > 1 and not excluded) or not _finds(all_of(rest), document):
        return []
    return [
        f"({part.text})" if part.parts and not isinstance(part.node, Not) else part.text for part in failing
    ]


def _terms(document: Document, keywords: Iterable[str]) -> Iterator[str]:
    """Words of the paper as atoms of the language: its keywords, the name in its title, phrases of it."""
    candidates = [*keywords]
    if named := _NAME.match(document.title):
        candidates.append(named[1])
    candidates += sorted(_phrases(document.title), key=lambda phrase: -phrase.count(" "))
    for text in candidates:
        try:
            atom = parse(f'"{text}"')
        except FilterError:
            continue
        if matches(atom, document):
            yield atom.canonical


def _phrases(title: str) -> Iterator[str]:
    run: list[str] = []
    for word in [*re.findall(r"[^\W_]+(?:[-'][^\W_]+)*|[^\w\s]", title), "."]:
        if word.casefold() in _STOP or not word[0].isalnum() or len(run) == _LONGEST:
            if run:
                yield " ".join(run)
            run = [word] if word[0].isalnum() and word.casefold() not in _STOP else []
        else:
            run.append(word)


def _finds(tree: Node, document: Document) -> bool:
    if not finds_something(tree):
        return False
    try:
        return matches(parse(Filter(tree).canonical), document)
    except FilterError:  # too long, too many atoms
        return False
