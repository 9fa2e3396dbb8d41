"""arXiv's categories by code, as pages, mails and rankings speak of them."""

from collections.abc import Iterable

from digest.sources.arxiv.taxonomy import CATEGORIES

KNOWN = frozenset(CATEGORIES)


def name(code: str) -> str:
    """ "cs.CL" → "Computation and Language". A code that nobody knows is its own name."""
    category = CATEGORIES.get(code)
    return category.name if category else code


def group(code: str) -> str:
    """ "cs.CL" → "Computer Science". Empty for a code that nobody knows."""
    category = CATEGORIES.get(code)
    return category.group if category else ""


def labelled(code: str) -> str:
    """ "cs.CL" → "cs.CL, Computation and Language"; an unknown code stands alone."""
    category = CATEGORIES.get(code)
    return f"{code}, {category.name}" if category else code


def canonical(code: str) -> str:
    """One code of those that mean the same category, always the same one: "math.IT" → "cs.IT".

    The first of a pair in the order of the alphabet; a closed category's successor ("cmp-lg" → "cs.CL").
    """
    category = CATEGORIES.get(code)
    if category is None or not category.alias:
        return code
    if not category.is_active:
        return canonical(category.alias)
    other = CATEGORIES[category.alias]
    return min(code, other.code) if other.is_active else code


def names(code: str) -> frozenset[str]:
    """Every code that means the same category, this one included."""
    return _SAME.get(canonical(code), frozenset()) | {code}


def distinct(codes: Iterable[str]) -> tuple[str, ...]:
    """The codes in order, of two that mean the same only the first."""
    seen: dict[str, str] = {}
    for code in codes:
        seen.setdefault(canonical(code), code)
    return tuple(seen.values())


def _same() -> dict[str, frozenset[str]]:
    by_canonical: dict[str, set[str]] = {}
    for code in CATEGORIES:
        by_canonical.setdefault(canonical(code), set()).add(code)
    return {own: frozenset(codes) for own, codes in by_canonical.items()}


_SAME = _same()
