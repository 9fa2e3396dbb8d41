"""What a phrase finds, said again in another way: as one regular expression over plain text.

`plain` brings a text into the normal form by a chain of replacements, apart from `normal.fold`. `Oracle`
knows from a collection of texts in which ways each word is written there; a phrase becomes an expression that
lists them. Only `normal.stem` and `compounds.split` (words to words, with tests of their own) are shared with
what is tested; folding, cutting, hyphens, joined forms, neighbours and the index are not. English only.
"""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from itertools import pairwise, product

from subscriptions.filters import compounds, normal

SEAM = "\u00b7"  # where a word written in one piece may be cut: multi·agent
_GREEK_NAMES = """
    alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu
    nu xi omicron pi rho sigma tau upsilon phi chi psi omega
"""
_GREEK = _GREEK_NAMES.split()
_LETTERS = dict(zip("αβγδεζηθικλμνξοπρστυφχψω", _GREEK, strict=True))
_LETTERS |= dict(zip("ς∆øłđðıħ", ("sigma", "delta", *"oldd", *"ih"), strict=True))
_LETTERS |= {"þ": "th", "æ": "ae", "œ": "oe"}
_NAMES = {name: name for name in ("o", "l", "i", "j", "ss", "ae", "oe")}
_NAMES |= {
    spelling: letter
    for letter, name in _LETTERS.items()
    if name in _GREEK
    for spelling in (name, f"var{name}", name.capitalize())
}
_NAMES |= {"ell": "ℓ", "aa": "a", "AA": "a", "O": "o", "L": "l", "AE": "ae", "OE": "oe"}
_NAMES |= {"LaTeX": "latex", "TeX": "tex"}
_CITED = r"~?\\(?:cite\w*|ref|eqref|autoref|label|footnote)\*?(?:\[[^\]\n]{0,80}\]){0,2}\{[^{}]{0,400}\}"
_STYLE = r"(?:math(?:cal|bb|rm|bf|sf|it)|text(?:bf|it|tt|sc|sf|rm)|emph|operatorname)"
_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")
_LEFT, _RIGHT = r"(?<![^\W_])(?<![^\W_]')", r"(?![^\W_])(?!'[^\W_])"


def plain(text: str) -> str:
    """Lower case, no accents, no LaTeX, one kind of hyphen; ⟂ stands where a dash parts two clauses."""
    text = re.sub(_CITED, " ", text)
    text = re.sub(rf"(?<!\\){_STYLE}(?=\{{)", lambda match: "{" * len(match.group()), text)
    text = re.sub(r"\\['`\"^~=.](?=\{?\\?[a-zA-Z])", "", text)
    text = re.sub(r"\\([a-zA-Z]+)\*?(\{)?", _command, text)
    text = re.sub(r"\\([%&#_$@+])", r"\1", text)
    text = re.sub(r"\\.", " ", text, flags=re.DOTALL)
    text = re.sub(r"\}\s*\{", " ", text)
    text = re.sub(r"---+", " ⟂ ", text)
    text = text.replace("--", "-")
    text = re.sub(r"[—―]", " ⟂ ", text)
    text = re.sub(r"[‐‑‒–−﹣]", "-", text)
    text = re.sub(r"[’‘‛′´`ʼ]", "'", text)
    # An index belongs to its sign: x_0, 10^{25}; a name with an underscore keeps its seam.
    text = re.sub(r"(?<=[^\W_])([$\\{}]*)(?:\^|_(?=[({]|[^\W_](?![a-zA-Z0-9])))\(?", r"\1", text)
    text = re.sub(r"[$\\{}]", "", text).replace("~", " ")
    text = unicodedata.normalize("NFKC", text).casefold()
    text = "".join(_LETTERS.get(char, char) for char in text)
    text = unicodedata.normalize("NFD", text)
    text = "".join(
        "" if unicodedata.category(char) in ("Mn", "Cf") else _LETTERS.get(char, char) for char in text
    )
    text = unicodedata.normalize("NFC", text)
    text = re.sub(r"(?<![^\W_])c\+\+", "cplusplus", text)
    return re.sub(r"(?<![^\W_])([cf])#(?![^\W_])", r"\1sharp", text)


def _command(match: re.Match[str]) -> str:
    name, brace = match[1], match[2]
    if name in _NAMES:
        return _NAMES[name]
    if brace:
        return ""
    return " " if name in normal._SILENT else f" {name}"


def seamed(text: str) -> str:
    """The plain text, with a seam in each word that is known to have one."""

    def cut(match: re.Match[str]) -> str:
        parts = compounds.split(match.group())
        return SEAM.join(parts) if parts else match.group()

    return _WORD.sub(cut, plain(text))


def _runs(text: str) -> Iterable[list[str]]:
    """The words of a seamed text, those tied by a hyphen or a seam together, with the ties between them."""
    run: list[str] = []
    end = -1
    for match in _WORD.finditer(text):
        tie = text[end : match.start()] if end >= 0 else ""
        if run and tie in ("-", SEAM):
            run += [tie, match.group()]
        else:
            if run:
                yield run
            run = [match.group()]
        end = match.end()
    if run:
        yield run


def _may_join(words: list[str]) -> bool:
    return not any(left[-1].isdigit() and right[0].isdigit() for left, right in pairwise(words))


class Oracle:
    def __init__(self, texts: Iterable[str]) -> None:
        self.texts = [seamed(text) for text in texts]
        # Stem of a word, or of up to three tied ones in one piece → the ways it is written in the texts.
        self._written: dict[str, set[str]] = defaultdict(set)
        known: set[tuple[str, ...]] = set()
        for text in self.texts:
            known.update(map(tuple, _runs(text)))
        for run in known:
            words, ties = run[::2], (*run[1::2], "")
            for start, length in product(range(len(words)), (1, 2, 3)):
                part = list(words[start : start + length])
                if len(part) == length and (length == 1 or _may_join(part)):
                    surface = "".join(word + tie for word, tie in zip(part, ties[start:], strict=False))
                    if length < len(words) - start:
                        surface = surface[:-1]
                    self._written[normal.stem("".join(part))].add(surface)

    def find(self, phrase: str) -> list[int]:
        """Which texts hold the phrase, by one regular expression."""
        expression, beginnings = self._expression(phrase)
        pattern = re.compile(expression)
        return [
            at
            for at, text in enumerate(self.texts)
            if any(map(text.__contains__, beginnings)) and pattern.search(text)
        ]

    def _expression(self, phrase: str) -> tuple[str, list[str]]:
        """The expression, and the texts with one of which whatever it finds begins (looked for faster)."""
        text = seamed(phrase)
        units, gaps = [], []
        end = 0
        for match in _WORD.finditer(text):
            units.append(match.group())
            gaps.append(text[end : match.start()])
            end = match.end()

        def written(start: int, stop: int) -> list[str]:
            """How these units are written as one word in the texts; none if they cannot be."""
            words = units[start:stop]
            joined = "".join(words)
            if len(words) > 1:
                if not _may_join(words) or len(normal.stem(joined)) <= len(joined) - len(words[-1]):
                    return []
                for at in range(start + 1, stop):
                    near = {units[at - 1], units[at]}
                    if gaps[at] not in ("-", SEAM) and (gaps[at] != " " or near & normal._FUNCTION_WORDS):
                        return []
            return sorted(self._written.get(normal.stem(joined), ()), key=len, reverse=True)

        def ways(start: int) -> list[str]:
            if start == len(units):
                return [""]
            found = []
            for stop in range(start + 1, min(start + 3, len(units)) + 1):
                surfaces = "|".join(map(re.escape, written(start, stop)))
                if surfaces:
                    first = f"{_LEFT}(?:{surfaces}){_RIGHT}"
                    found += [first + (rf"[\W_]*{rest}" if rest else "") for rest in ways(stop)]
            return found

        beginnings = [surface for stop in (1, 2, 3) if stop <= len(units) for surface in written(0, stop)]
        return "|".join(ways(0)) or r"(?!)", beginnings
