"""ROUGE, the usual measure of how much of a reference summary a text says (Lin 2004), in its plain form.

Words are runs of letters and digits in lower case; no stemming, nothing left out.
"""

import re
from collections import Counter
from collections.abc import Sequence

_WORD = re.compile(r"[^\W_]+")


def rouge_n(text: str, reference: str, n: int) -> float:
    """F1 of the n-grams that the two have in common, from 0 to 1."""
    said, wanted = _grams(_words(text), n), _grams(_words(reference), n)
    return _f1((said & wanted).total(), said.total(), wanted.total())


def rouge_l(text: str, reference: str) -> float:
    """F1 of the longest common subsequence of words, from 0 to 1."""
    said, wanted = _words(text), _words(reference)
    row = [0] * (len(wanted) + 1)
    for word in said:
        corner = 0
        for at, other in enumerate(wanted, start=1):
            above = row[at]
            row[at] = corner + 1 if word == other else max(above, row[at - 1])
            corner = above
    return _f1(row[-1], len(said), len(wanted))


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


def _grams(words: Sequence[str], n: int) -> Counter[tuple[str, ...]]:
    return Counter(tuple(words[at : at + n]) for at in range(len(words) - n + 1))


def _f1(common: int, said: int, wanted: int) -> float:
    return 2 * common / (said + wanted) if common else 0.0
