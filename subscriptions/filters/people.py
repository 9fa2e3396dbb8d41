"""Names of authors: Yann LeCun, LeCun Y., yann lecun and Y. LeCun are one person here."""

import re
from collections.abc import Iterable
from functools import lru_cache

from subscriptions.filters import normal

# Le Cun is LeCun, van den Oord is VandenOord.
_PARTICLE_LIST = "al bin da de del della den der di do dos du el ibn la le mac mc san st te ten van von"
_PARTICLES = frozenset(_PARTICLE_LIST.split())
_NAME_WORD = re.compile(r"[^\W_]+(?:['-]+[^\W_]+)*")


@lru_cache(maxsize=65_536)
def forms(name: str) -> tuple[tuple[str, ...], ...]:
    """The words of a name, folded; with hyphens, apostrophes or particles, once split and once joined."""
    folded = normal.fold(name).text
    words = _NAME_WORD.findall(folded)
    split = tuple(part for word in words for part in re.split(r"['-]+", word))
    joined = tuple(re.sub(r"['-]+", "", word) for word in words)
    return tuple(dict.fromkeys((split, joined, _with_particles(joined))))


def _with_particles(words: Iterable[str]) -> tuple[str, ...]:
    result: list[str] = []
    before = ""
    for word in words:
        before += word
        if word not in _PARTICLES:
            result.append(before)
            before = ""
    return (*result, before) if before else tuple(result)


def can_identify(name: str) -> bool:
    """Whether a name says more than initials; a single Chinese character is a surname."""
    return any(len(word) > 1 or normal.is_cjk(word) for form in forms(name) for word in form)


def same(wanted: str, name: str) -> bool:
    """Whether each word of `wanted` is a word of `name`, in any order; an initial stands for a word.

    At least one word must be there in full, so that "Y. L." is nobody. Chinese names match as substrings.
    """
    for wanted_form in forms(wanted):
        for name_form in forms(name):
            if _covers(wanted_form, name_form) or "".join(wanted_form) == "".join(name_form):
                return True
    return False


def _covers(wanted: tuple[str, ...], name: tuple[str, ...]) -> bool:
    left = list(name)
    initials = []
    in_full = False
    for word in wanted:
        found = next(
            (other for other in left if other == word or (normal.is_cjk(word) and word in other)), None
        )
        if found is None:
            initials.append(word)
        else:
            left.remove(found)
            in_full = in_full or len(word) > 1 or normal.is_cjk(word)
    if not in_full:
        return False
    for word in initials:
        found = next((other for other in left if _is_initial(word, other) or _is_initial(other, word)), None)
        if found is None:
            return False
        left.remove(found)
    return True


def _is_initial(short: str, word: str) -> bool:
    return len(short) == 1 and word.startswith(short) and not normal.is_cjk(short)


def begins(prefix: str, name: str) -> bool:
    """Whether a word of the name begins like that; a prefix of several words must end in such a one."""
    for form in forms(name):
        for wanted in forms(prefix):
            *before, last = wanted
            if all(word in form for word in before) and any(word.startswith(last) for word in form):
                return True
    return False


def stands_in(text: str, name: str) -> bool:
    """Whether the text stands in the name as it is, in this order."""
    return next(normal.find_exact(text, normal.fold(name).text), None) is not None
