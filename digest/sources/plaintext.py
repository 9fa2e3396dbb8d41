"""HTML written by strangers as what a reader reads of it: paragraphs of text, and where its links lead.

Nothing of the markup comes through, so there is nothing left to make harmless: no tag, no attribute, no
address but http and https. What a browser would not show (scripts, styles, comments, hidden parts) and what
only counts readers (pictures of a pixel, frames) is left out. Time and memory are bounded by LONGEST.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import unescape
from urllib.parse import urljoin, urlsplit

from lxml import etree

LONGEST = 100_000  # characters of HTML that are looked at: a post of 15,000 words
MOST_LINKS = 200
LONGEST_ADDRESS = 1_000

# What stands between two of these is a paragraph of its own.
_BLOCKS = """
    address article aside blockquote body br caption center dd div dl dt fieldset figcaption figure footer h1
    h2 h3 h4 h5 h6 header hr html legend li main ol p pre section summary table tbody td tfoot th thead tr ul
"""
_NOT_SHOWN = """
    annotation annotation-xml applet area audio base button canvas datalist embed form frame frameset head
    iframe input link map meta noembed noframes noscript object option param picture script select source
    style svg template textarea title track video xmp
"""
_BLOCK_NAMES = frozenset(_BLOCKS.split())
_HIDDEN_NAMES = frozenset(_NOT_SHOWN.split())
_HIDDEN = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)
# Names of tags that are markup wherever they stand; `vector<int>` and "a<b" are not.
_TAG = re.compile(
    r"</?(?:a|abbr|b|big|blockquote|br|cite|code|del|div|em|embed|font|h[1-6]|hr|i|iframe|img|input|ins|kbd"
    r"|li|link|mark|meta|object|ol|p|pre|q|s|samp|script|small|span|strike|strong|style|sub|sup|svg|table"
    r"|td|th|tr|tt|u|ul|var|video)(?=[\s/>])[^<>]*>|<!--",
    re.IGNORECASE,
)
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")
_DECLARATION = re.compile(r"^\s*<\?xml[^>]*>")
_SPELLED_OUT = re.compile(r"https?://[^\s<>\"'\x00-\x1f\ud800-\udfff]{4,500}", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class PlainText:
    """`paragraphs` in order, none empty. `links` are absolute http(s) addresses in order, once each."""

    paragraphs: tuple[str, ...] = ()
    links: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        return " ".join(self.paragraphs)


def of_html(markup: str, *, base: str = "") -> PlainText:
    """The paragraphs and links of a piece of HTML, whatever its state. Relative links resolve against `base`.

    Never raises. Of more than LONGEST characters only those are looked at.
    """
    tree = tree_of(markup)
    if tree is None:
        return PlainText()
    paragraphs: list[str] = []
    links: dict[str, None] = {}
    pieces: list[str] = []

    def end() -> None:
        if text := " ".join("".join(pieces).split()):
            paragraphs.append(text)
        pieces.clear()

    walk = etree.iterwalk(tree, events=("start", "end", "comment", "pi"))
    for event, element in walk:
        if event in ("comment", "pi"):
            pieces.append(element.tail or "")
            continue
        name = str(element.tag).lower()
        is_shown = name not in _HIDDEN_NAMES and not _is_hidden(element)
        if event == "start":
            if not is_shown:
                walk.skip_subtree()
                continue
            if name in _BLOCK_NAMES:
                end()
            href = element.get("href") if name == "a" and len(links) < MOST_LINKS else None
            if href and (address := absolute(href, base=base)):
                links.setdefault(address)
            pieces.append(element.text or "")
        else:
            if name in _BLOCK_NAMES:
                end()
            pieces.append(element.tail or "")
    end()
    for address in spelled_out(" ".join(paragraphs)):
        if len(links) < MOST_LINKS:
            links.setdefault(address)
    return PlainText(paragraphs=tuple(paragraphs), links=tuple(links))


def of_text(text: str) -> PlainText:
    """The same of text that holds no markup."""
    lines = (" ".join(line.split()) for line in _FORBIDDEN.sub(" ", text[:LONGEST]).split("\n\n"))
    paragraphs = tuple(line for line in lines if line)
    return PlainText(
        paragraphs=paragraphs, links=tuple(dict.fromkeys(spelled_out(" ".join(paragraphs))))[:MOST_LINKS]
    )


def of_any(text: str, *, base: str = "") -> PlainText:
    """The same of text that may be HTML or not, which many feeds do not say."""
    # Tags may be escaped once more than they should be.
    if not has_markup(text) and has_markup(unescaped := unescape(text[:LONGEST])):
        text = unescaped
    return of_html(text, base=base) if has_markup(text) or "&" in text else of_text(text)


def has_markup(text: str) -> bool:
    return _TAG.search(text[:LONGEST]) is not None


def tree_of(markup: str, *, longest: int = LONGEST) -> etree._Element | None:
    """The HTML as libxml2 mends it; None where nothing is left. Never fetches anything."""
    # A parser each time: one that has met an error may keep it.
    parser = etree.HTMLParser(
        recover=True, no_network=True, remove_pis=True, huge_tree=False, encoding="utf-8"
    )
    cut = _DECLARATION.sub("", _FORBIDDEN.sub(" ", markup[:longest])).strip()
    if not cut:
        return None
    try:
        return etree.fromstring(cut.encode(), parser)
    except etree.XMLSyntaxError:  # nothing but a comment, say
        return None


def absolute(address: str, *, base: str = "") -> str:
    """An http or https address with a host, in one piece; empty for every other one. Never raises."""
    # Blanks and controls in the middle are how javascript: gets past those who look for it.
    given = "".join(character for character in address.strip()[:LONGEST_ADDRESS] if character > "\x1f")
    if not given:
        return ""
    try:
        joined = urljoin(base, given)
        parts = urlsplit(joined)
        is_web = parts.scheme.lower() in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return ""
    if not is_web or re.search(r"[\s<>\"\x7f-\x9f\ud800-\udfff]", joined) or len(joined) > LONGEST_ADDRESS:
        return ""
    return joined


def spelled_out(text: str) -> Iterator[str]:
    """The addresses that stand in a text as they are, without what ends the sentence."""
    for match in _SPELLED_OUT.finditer(text):
        if address := absolute(match.group().rstrip(".,;:!?)]}…»”’")):
            yield address


def _is_hidden(element: etree._Element) -> bool:
    return (
        element.get("hidden") is not None
        or element.get("aria-hidden") == "true"
        or bool(_HIDDEN.search(element.get("style") or ""))
    )
