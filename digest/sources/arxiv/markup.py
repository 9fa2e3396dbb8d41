"""XML taken apart within bounds: no DTD, no entities of its own, no document without end.

What a broken answer costs is kept small. Characters that XML does not know (NUL, half a surrogate, bytes that
are no UTF-8) would cost the whole document, so they are taken out or replaced first, and noted. Where the
markup itself breaks in the middle, the entries before that place are whole and are kept; `problem` says why
the rest is not there.
"""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from html.entities import html5
from xml.etree.ElementTree import Element, ParseError, tostring

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import iterparse

from digest.sources.records import NotAList

LARGEST = 30_000_000  # bytes; 2,500 records of OAI-PMH are some 6 MB
DEEPEST = 40
MOST_ELEMENTS = 600_000  # a full page with five thousand authors on some papers has a third of that

_PIECE = 262_144  # characters
_LONGEST_RAW = 20_000
_NAMESPACES = frozenset(
    {
        "",
        "www.w3.org/2005/Atom",
        "arxiv.org/schemas/atom",
        "purl.org/dc/elements/1.1",
        "a9.com/-/spec/opensearch/1.1",
        "www.openarchives.org/OAI/2.0",
        "www.openarchives.org/OAI/2.0/oai_dc",
        "arxiv.org/OAI/arXiv",
        "arxiv.org/OAI/arXivRaw",
    }
)
_DECLARED = re.compile(rb"<\?xml[^>]{0,100}encoding\s*=\s*[\"']([A-Za-z0-9._:-]{1,40})[\"']")
_ENCODINGS = {
    "utf-8": "utf-8",
    "utf8": "utf-8",
    "us-ascii": "utf-8",
    "ascii": "utf-8",
    "iso-8859-1": "cp1252",  # what is called Latin-1 on the web is this
    "latin-1": "cp1252",
    "latin1": "cp1252",
    "windows-1252": "cp1252",
    "cp1252": "cp1252",
    "iso-8859-15": "iso-8859-15",
}
_BYTE_ORDER_MARKS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
# Characters that no XML 1.0 document may hold: https://www.w3.org/TR/xml/#charsets
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_NUMBERED = re.compile(r"&#(?:x(?P<hex>[0-9A-Fa-f]+)|(?P<decimal>[0-9]+));")
_STRAY = re.compile(
    r"&(?!(?:amp|lt|gt|quot|apos);|#)(?:(?P<name>[A-Za-z][A-Za-z0-9]{1,31});)?|&#(?!x?[0-9A-Fa-f]+;)"
)


@dataclass(frozen=True, kw_only=True)
class Document:
    """`root` still holds its entries. `problem` ends a sentence, such as "its XML breaks at line 3, …"."""

    root: Element
    entries: tuple[Element, ...]
    problem: str = ""
    notes: tuple[str, ...] = ()


def read(body: bytes, *, entries: Collection[str], at_most: int) -> Document:
    """The document, its entries being the elements of these local names that stand in no other entry.

    Raises NotAList for what is no XML, has a DTD, or is too large.
    """
    if len(body) > LARGEST:
        raise NotAList(f"too large to be a list ({len(body):,} bytes; {LARGEST:,} are read)")
    text, notes = _characters(body, entries)
    depth = 0
    root: Element | None = None
    found: list[Element] = []
    entry: Element | None = None
    elements = 0
    problem = ""
    try:
        for event, element in iterparse(_Pieces(text), events=("start", "end"), forbid_dtd=True):
            if event == "start":
                root = element if root is None else root
                depth += 1
                elements += 1
                if depth > DEEPEST:
                    problem = f"its elements stand more than {DEEPEST} deep in each other"
                    break
                if elements > MOST_ELEMENTS:
                    problem = f"it has more than {MOST_ELEMENTS:,} elements"
                    break
                if entry is None and depth > 1 and local_name(element) in entries:
                    entry = element
                continue
            depth -= 1
            if entry is not None and element is entry:
                if len(found) == at_most:
                    problem = f"it has more than {at_most:,} entries"
                    break
                found.append(entry)
                entry = None
    except ParseError as error:
        line, column = error.position
        problem = f"its XML breaks at line {line}, column {column} ({str(error).partition(':')[0]})"
    except DefusedXmlException as error:
        raise NotAList(f"XML with a DTD or entities of its own, which is not read ({error})") from error
    if root is None:
        raise NotAList(f"not XML; it begins {beginning(text)}")
    return Document(root=root, entries=tuple(found), problem=problem, notes=tuple(notes))


class _Pieces:
    """A text as a file, in pieces so large that one long value is not gone through a thousand times."""

    def __init__(self, text: str) -> None:
        self._pieces: Iterator[str] = (text[at : at + _PIECE] for at in range(0, len(text), _PIECE))

    def read(self, _size: int = -1) -> str:
        return next(self._pieces, "")


# --- characters ---------------------------------------------------------------------------------------------


def _characters(body: bytes, entries: Collection[str]) -> tuple[str, list[str]]:
    notes = []
    text, replaced = _decoded(body)
    if replaced:
        where = _place(text, text.find("\ufffd"), entries)
        notes.append(
            f"{_count(replaced, 'byte is', 'bytes are')} not in the encoding it names, first {where}."
        )
    if forbidden := _FORBIDDEN.search(text):
        where = _place(text, forbidden.start(), entries)
        text, count = _FORBIDDEN.subn("", text)
        notes.append(f"{_count(count, 'character', 'characters')} that XML forbids left out, first {where}.")
    # One at a time: there may be millions.
    first = next((match for match in _NUMBERED.finditer(text) if not _is_allowed(match)), None)
    if first is not None:
        where = _place(text, first.start(), entries)
        spoiled = 0

        def replaced_if_spoiled(reference: re.Match[str]) -> str:
            nonlocal spoiled
            if _is_allowed(reference):
                return reference[0]
            spoiled += 1
            return "\ufffd"

        text = _NUMBERED.sub(replaced_if_spoiled, text)
        notes.append(
            f"{_count(spoiled, 'reference', 'references')} to characters that XML forbids replaced, "
            f"first {where}."
        )
    return _STRAY.sub(_unescaped, text).lstrip("\ufeff \t\r\n"), notes


def _decoded(body: bytes) -> tuple[str, int]:
    """The text, and how many bytes in it were none."""
    encoding = next((name for mark, name in _BYTE_ORDER_MARKS if body.startswith(mark)), "")
    if not encoding:
        declared = _DECLARED.search(body[:200])
        encoding = _ENCODINGS.get(declared[1].decode("ascii").lower(), "utf-8") if declared else "utf-8"
    try:
        return body.decode(encoding), 0
    except UnicodeDecodeError:
        text = body.decode(encoding, errors="replace")
    return text, max(text.count("\ufffd") - body.count(b"\xef\xbf\xbd"), 1)


def _is_allowed(reference: re.Match[str]) -> bool:
    digits = (reference["hex"] or reference["decimal"]).lstrip("0")
    if not 1 <= len(digits) <= 7:
        return False
    number = int(digits, 16 if reference["hex"] else 10)
    return number <= 0x10FFFF and not _FORBIDDEN.match(chr(number))


def _unescaped(stray: re.Match[str]) -> str:
    """An `&` that begins no reference of XML: HTML's `&nbsp;` is its character, anything else just itself."""
    if stray["name"]:
        character = html5.get(stray["name"] + ";")
        if character:
            return {"<": "&lt;", "&": "&amp;"}.get(character, character)
    return "&amp;" + stray[0][1:]


def _place(text: str, at: int, entries: Collection[str]) -> str:
    opened = len(re.findall("|".join(rf"<(?:\w+:)?{re.escape(name)}[\s>]" for name in entries), text[:at]))
    return f"in entry {opened - 1}" if opened else "before the first entry"


def _count(number: int, one: str, several: str) -> str:
    return f"1 {one}" if number == 1 else f"{number:,} {several}"


# --- elements -----------------------------------------------------------------------------------------------


def local_name(element: Element) -> str:
    """`title` of `{http://www.w3.org/2005/Atom}title`. Comments and the like have none."""
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""


def children(element: Element) -> dict[str, list[Element]]:
    """The element's children by local name; those of namespaces that mean something else left out."""
    found: dict[str, list[Element]] = {}
    for child in element:
        if isinstance(child.tag, str) and _is_known(child.tag):
            found.setdefault(local_name(child), []).append(child)
    return found


def _is_known(tag: str) -> bool:
    namespace = tag.rpartition("}")[0].removeprefix("{")
    return namespace.removeprefix("https://").removeprefix("http://").rstrip("/") in _NAMESPACES


def text_of(found: dict[str, list[Element]], *names: str) -> str:
    """The text of the first of these children that has one, markup inside it left out. Empty if none has."""
    for name in names:
        for element in found.get(name, ()):
            if text := "".join(element.itertext()).strip():
                return text
    return ""


def texts_of(found: dict[str, list[Element]], name: str) -> list[str]:
    texts = ("".join(element.itertext()).strip() for element in found.get(name, ()))
    return [text for text in texts if text]


def as_received(element: Element) -> str:
    """The entry as text, cut at 20,000 characters: what a person needs to see what was wrong with it."""
    return tostring(element, encoding="unicode")[:_LONGEST_RAW]


def beginning(text: str) -> str:
    return repr(text[:500].strip()[:200])
