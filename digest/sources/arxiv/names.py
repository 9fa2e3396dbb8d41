"""One string with all authors, as arXiv's feed and OAI-PMH give it, as names and institutions.

What authors write there follows a custom rather than a grammar:

    Ada Lovelace (Analytical Society), Charles Babbage (1 and 2) ((1) Cambridge, (2) Royal Society)
    G. Aad, B. Abbott for the ATLAS Collaboration
    John W. Smith, Jr., María Pérez and 山田 太郎

So: commas, semicolons and a single "and" part names where they stand outside parentheses; what stands in
parentheses is an institution, the number of one, or a collaboration; a legend of numbered institutions may
end the string. TeX accents are left as they are: texts are made readable where they are stored. Nothing here
raises, and time grows with the length of the string, whatever is in it.
"""

import re
from dataclasses import dataclass

LONGEST = 300_000  # characters
MOST_NAMES = 6_000  # the largest collaborations sign with some five thousand
MOST_AFFILIATIONS = 500

_LONGEST_NAME = 200
_LONGEST_AFFILIATION = 300
_LONGEST_PIECE = 2_000  # between two separators; no name is a tenth of that

_OPEN = {"(": ")", "（": "）"}
_CLOSE = {")", "）"}
_SEPARATORS = frozenset(",;，；、")
_AND = re.compile(r"\s+(?:and|&)\s+|\s*\\&\s*")
_LEADING_AND = re.compile(r"^(?:and|&)\s+")
_SUFFIX = re.compile(r"(?:Jr|Sr|II|III|IV|Ph\.?\s?D|M\.?D|Esq)\.?", re.IGNORECASE)
_ET_AL = re.compile(r"\bet\.?\s+al\b\.?\s*$", re.IGNORECASE)
# "J. Smith for the ATLAS Collaboration", "on behalf of the LIGO and Virgo Collaborations"
_FOR = re.compile(r"(?:^|\s)\(?(?:for|on\s+behalf\s+of|representing)\s+(?:the\s+)?", re.IGNORECASE)
_GROUP = re.compile(r"\b(?:collaborations?|team|consortium|group|project)\b", re.IGNORECASE)
_COLLABORATION = re.compile(r"\b(?:collaborations?|consortium)\b", re.IGNORECASE)
_THE = re.compile(r"the\s+", re.IGNORECASE)
# A reference to a numbered institution: "1", "1,2", "1 and 3", "a, b", "*"
_MARK = re.compile(
    r"(?:\d{1,3}|[a-z]|[*†‡§¶#]+)(?:(?:\s*[,;&+-]\s*|\s+and\s+|\s+)(?:\d{1,3}|[a-z]|[*†‡§¶#]+))*"
)
_LEGEND_KEY = re.compile(r"[(\[]\s*(?:\d{1,3}|[a-z])\s*[)\]]")
_LEGEND = re.compile(r"\s*[(\[]\s*(?:\d{1,3}|[a-z])\s*[)\]]\s*(?=[^\s,;()\[\]])")
# "Ada Lovelace$^{1,2}$", "Ada Lovelace^1", "Ada Lovelace[1]", "Ada Lovelace*"
_RAISED = re.compile(
    r"\$?\s?\^\s?(?:\{[\d,\s*†‡§a-z]{0,20}\}|[\d*†‡§])\s?\$?|\[[\d,\s]{1,20}\]|[*†‡§]+(?=\s?(?:[,;，；(（]|$))"
)


@dataclass(frozen=True, kw_only=True)
class Names:
    """Names in order, institutions in order and once each, and what had to be left out."""

    authors: tuple[str, ...]
    affiliations: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def split(text: str) -> Names:
    """The authors of a string and where they work. An empty string has none."""
    notes = []
    if len(text) > LONGEST:
        notes.append(f"the names were cut at {LONGEST:,} characters")
        text = text[:LONGEST]
    text = _RAISED.sub("", " ".join(text.split()))
    # One stray parenthesis must not make a single name of all that follow.
    parts, is_balanced = _parts(text)
    if not is_balanced:
        text = " ".join(re.sub("[()（）]", " ", text).split())
        parts, _ = _parts(text)
    names: list[str] = []
    institutions: list[str] = []
    for number, part in enumerate(parts):
        if _LEGEND.match(part.text) or (part.is_bracket and _LEGEND.match(part.inside)):
            rest = text[part.start :]
            institutions += _legend(rest)
            break
        if part.is_bracket:
            _read_bracket(part.inside, names, institutions)
            continue
        if number and _SUFFIX.fullmatch(part.text) and names:
            names[-1] = f"{names[-1]} {part.text}"
            continue
        names += _names_in(part.text)
    return _bounded(names, institutions, notes)


def joined(*, given: str, family: str, suffix: str = "") -> str:
    """A name in reading order from its parts."""
    return " ".join(part for part in (*given.split(), *family.split(), *suffix.split()) if part)


def turned(name: str) -> str:
    """ "Lovelace, Ada" → "Ada Lovelace"; "Smith, John, Jr." → "John Smith Jr."; others as they are."""
    family, *rest = (part.strip() for part in name.split(","))
    return joined(given=rest[0], family=family, suffix=" ".join(rest[1:])) if rest else family


def bounded(authors: list[str], affiliations: list[str]) -> Names:
    """Names that came one by one, within the same limits as those of a string."""
    return _bounded([" ".join(name.split()) for name in authors], affiliations, [])


# --- taking apart -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Part:
    """A piece between separators outside parentheses, or the inside of a pair of them."""

    text: str
    start: int
    is_bracket: bool = False

    @property
    def inside(self) -> str:
        return self.text[1:-1].strip()


def _parts(text: str) -> tuple[list[_Part], bool]:
    """The parts in order, and whether every parenthesis has its other half."""
    parts: list[_Part] = []
    depth = 0
    begin = 0

    def close(end: int, *, is_bracket: bool = False) -> None:
        piece = text[begin:end].strip()
        if piece:
            offset = len(text[begin:end]) - len(text[begin:end].lstrip())
            parts.append(_Part(piece, begin + offset, is_bracket))

    for at, character in enumerate(text):
        if character in _OPEN:
            if depth == 0:
                close(at)
                begin = at
            depth += 1
        elif character in _CLOSE:
            if depth == 0:
                return parts, False
            depth -= 1
            if depth == 0:
                close(at + 1, is_bracket=True)
                begin = at + 1
        elif depth == 0 and character in _SEPARATORS:
            close(at)
            begin = at + 1
    close(len(text))
    return _with_legend_keys(parts), depth == 0


def _with_legend_keys(parts: list[_Part]) -> list[_Part]:
    """A number in parentheses with text behind it, "(1) Cambridge", is the beginning of the legend.

    Where the numbers that belong to names stand, a separator or the end follows.
    """
    found: list[_Part] = []
    for number, part in enumerate(parts):
        after = parts[number + 1] if number + 1 < len(parts) else None
        is_key = part.is_bracket and _LEGEND_KEY.fullmatch(part.text)
        if is_key and after and not after.is_bracket and after.start <= part.start + len(part.text) + 1:
            is_first = number == 0
            name_before = not is_first and not parts[number - 1].is_bracket
            touches = name_before and parts[number - 1].start + len(parts[number - 1].text) + 1 >= part.start
            # "Ada Lovelace (1) Charles Babbage (2)" has no separators, and no legend either.
            if not touches and not _AND.match(f" {after.text} "):
                return [*found, _Part(f"{part.text} {after.text}", part.start)]
        found.append(part)
    return found


def _names_in(piece: str) -> list[str]:
    names: list[str] = []
    collaborations: list[str] = []
    piece = piece[:_LONGEST_PIECE]
    if (match := _FOR.search(piece)) and _GROUP.search(piece, match.end()):
        piece, behalf = piece[: match.start()], piece[match.end() :]
        collaborations = [_collaboration(behalf)]
    for name in _AND.split(piece) if not _is_collaborations(piece) else [piece]:
        name = _ET_AL.sub("", _LEADING_AND.sub("", name.strip())).strip(" .:-" if ":" in name else " ")
        before, colon, after = name.partition(":")
        if colon and _COLLABORATION.search(before):  # "ATLAS Collaboration: G. Aad"
            names += [_collaboration(before), after.strip()]
        elif name:
            names.append(_collaboration(name) if _COLLABORATION.search(name) else name)
    return [name for name in (*names, *collaborations) if any(letter.isalnum() for letter in name)]


def _is_collaborations(piece: str) -> bool:
    """ "LIGO and Virgo Collaborations" is one signature."""
    return bool(re.search(r"\bcollaborations\b", piece, re.IGNORECASE))


def _collaboration(text: str) -> str:
    return _THE.sub("", text.strip(" ()"), count=1) if _THE.match(text.strip(" ()")) else text.strip(" ()")


def _read_bracket(inside: str, names: list[str], institutions: list[str]) -> None:
    if not inside or _MARK.fullmatch(inside):
        return
    if (match := _FOR.match(inside)) and _GROUP.search(inside, match.end()):
        names.append(_collaboration(inside[match.end() :]))
    elif _COLLABORATION.search(inside):
        names.append(_collaboration(inside))
    elif _SUFFIX.fullmatch(inside) and names:
        names[-1] = f"{names[-1]} {inside}"
    else:
        institutions += [one.strip() for one in inside.split(";")]


def _legend(text: str) -> list[str]:
    """ "((1) Cambridge, (2) Royal Society, London)" → "Cambridge", "Royal Society, London"."""
    if text.startswith(("((", "([", "（（")):
        text = text[1:].rstrip(" ").removesuffix(")").removesuffix("）")
    return [one.strip(" ,;.") for one in _LEGEND_KEY.split(text)]


def _bounded(names: list[str], institutions: list[str], notes: list[str]) -> Names:
    if len(names) > MOST_NAMES:
        notes.append(f"of {len(names):,} names the first {MOST_NAMES:,} are kept")
    if any(len(name) > _LONGEST_NAME for name in names):
        notes.append(f"a name of more than {_LONGEST_NAME} characters was cut")
    distinct = dict.fromkeys(one[:_LONGEST_AFFILIATION].strip() for one in institutions if one.strip())
    return Names(
        authors=tuple(name[:_LONGEST_NAME].strip() for name in names[:MOST_NAMES]),
        affiliations=tuple(distinct)[:MOST_AFFILIATIONS],
        notes=tuple(notes),
    )
