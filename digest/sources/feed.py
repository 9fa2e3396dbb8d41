"""Feeds as they are found in the wild (RSS 0.9x, 1.0, 2.0, Atom, JSON Feed) as records. Pure, no network.

Text first, then XML, then a feed:

1. The bytes become characters by their mark, by what they say they are, or by what they can only be: a text
   that is valid UTF-8 and not ASCII is UTF-8, whatever it says.
2. A DTD is refused before anything reads it: no feed of today needs one, and every bomb does.
3. What is nearly XML (a lone &, &nbsp;, a forbidden character, a tag that does not close) is mended.
4. feedparser knows the formats, element by namespace. It is given bytes that are well-formed and hold no
   entity, so it never comes to its own repairs, and nothing that it could take for an address to fetch.

Each step is bounded: 5 MB, 10,000 entries, 300,000 elements, 200 levels, a million pieces of text;
attributes, namespaces, names and tags too, since feedparser takes the square of their number or length.
"""

import io
import logging
import re
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE, BOM_UTF32_BE, BOM_UTF32_LE
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from email.utils import parsedate_to_datetime
from html.entities import html5
from typing import Any
from xml.sax import SAXException, SAXParseException
from xml.sax.handler import ContentHandler, feature_external_ges, feature_namespaces
from xml.sax.xmlreader import AttributesNSImpl

import feedparser
from defusedxml import DefusedXmlException
from defusedxml.expatreader import create_parser
from lxml import etree

from digest.sources import jsonfeed, plaintext
from digest.sources.posts import MOST_COUNTED, MOST_ENTRIES, Post, account, raw_of
from digest.sources.records import NotAList, Parsed, Rejected

LARGEST = 5_000_000  # bytes
DEEPEST = 200
MOST_ELEMENTS = 300_000
MOST_PIECES = 1_000_000  # of text: each &lt; is one
MOST_ATTRIBUTES = 200  # of one element
MOST_NAMESPACES = 200  # declarations in all; a feed has ten
LONGEST_NAME = 500  # characters of an author or a tag, all that stands inside included
MOST_TAGS = 500  # of one entry

# Elements in which feedparser looks for mail addresses, and those that it takes for tags.
_TAGS = frozenset({"category", "subject", "keywords"})
_NAMES = _TAGS | {
    *("author", "creator", "contributor", "publisher", "managingeditor", "webmaster", "owner", "credit"),
    *("name", "email"),
}
_ROOTS = frozenset({"rss", "rdf", "feed", "channel"})
_MARKS = (  # the longer first: UTF-32's begins like UTF-16's
    (BOM_UTF32_LE, "utf-32"),
    (BOM_UTF32_BE, "utf-32"),
    (BOM_UTF8, "utf-8-sig"),
    (BOM_UTF16_LE, "utf-16"),
    (BOM_UTF16_BE, "utf-16"),
)
_UNMARKED = (  # "<?" or "<r" of a document without a mark
    (b"<\0\0\0", "utf-32-le"),
    (b"\0\0\0<", "utf-32-be"),
    (b"<\0", "utf-16-le"),
    (b"\0<", "utf-16-be"),
)
# What the web calls by these names is the larger set: https://encoding.spec.whatwg.org/#names-and-labels
_MEANT = {
    "ascii": "cp1252",
    "us-ascii": "cp1252",
    "iso-8859-1": "cp1252",
    "latin-1": "cp1252",
    "latin1": "cp1252",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "shift_jis": "cp932",
    "ks_c_5601-1987": "cp949",
    "euc-kr": "cp949",
    "iso-8859-9": "cp1254",
}
_READ = frozenset(
    {"utf-8", "utf8", "utf-16", "utf-16le", "utf-16be", "cp1252", "gb18030", "cp932", "cp949", "cp1254"}
    | {"big5", "big5hkscs", "euc-jp", "iso-2022-jp", "koi8-r", "koi8-u", "iso-8859-15", "windows-1252"}
    | {f"windows-125{digit}" for digit in range(9)}
    | {f"iso-8859-{number}" for number in range(2, 17) if number != 12}
)
_DECLARED = re.compile(rb"^\s*<\?xml[^>]{0,200}?encoding\s*=\s*[\"']\s*([A-Za-z0-9._:-]{1,40})", re.DOTALL)
_DECLARATION = re.compile(r"<\?xml\b[^>]*\?>", re.IGNORECASE)
# Characters that no XML document may hold: https://www.w3.org/TR/xml/#charsets
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_NUMBERED = re.compile(r"&#(?:[xX](?P<hex>[0-9A-Fa-f]{1,100})|(?P<decimal>[0-9]{1,100}));")
_BEFORE_ROOT = re.compile(r"\s+|<\?(?:(?!\?>).)*\?>|<!--(?:(?!-->).)*-->", re.DOTALL)
# The only DTD that a feed format ever asked for. Without a part of its own it says nothing.
_NETSCAPE = re.compile(
    r"<!DOCTYPE\s+rss\s+PUBLIC\s+\"-//Netscape[^\"<>\[]*\"(?:\s+\"[^\"<>\[]*\")?\s*>", re.I
)
_AMPERSAND = re.compile(r"&(?:(?P<name>[A-Za-z][A-Za-z0-9]{1,31});|(?P<number>#[xX]?[0-9A-Fa-f]{1,8};))?")
_XML_NAMES = frozenset({"amp", "lt", "gt", "quot", "apos"})
_PREFIX = re.compile(r"[</\s](?P<prefix>[A-Za-z_][\w.-]{0,40}):[A-Za-z_]")
_MAIL = re.compile(r"[^\s()<>]+@[^\s()<>]+")
_BESIDE_MAIL = re.compile(r"[()<>]|mailto:")
_ROOT_TAG = re.compile(r"<[A-Za-z_][\w.:-]*")
_USUAL_PREFIXES = {
    "content": "http://purl.org/rss/1.0/modules/content/",
    "dc": "http://purl.org/dc/elements/1.1/",
    "atom": "http://www.w3.org/2005/Atom",
    "media": "http://search.yahoo.com/mrss/",
    "slash": "http://purl.org/rss/1.0/modules/slash/",
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "itunes": "http://www.itunes.com/dtds/podcast-1.0.dtd",
}

_AROUND = {
    "item": (b'<rss version="2.0"><channel>', b"</channel></rss>"),
    "entry": (b'<feed xmlns="http://www.w3.org/2005/Atom">', b"</feed>"),
}
_LONGEST_RAW = 20_000

logger = logging.getLogger(__name__)


def parse(body: bytes, day: date) -> Parsed:
    """The feed's entries as records, in its order. `day` (UTC) is today: that of entries without a date.

    Raises NotAList for what is no feed: an HTML page, XML with a DTD, more than is read of a feed.
    """
    if len(body) > LARGEST:
        raise NotAList(f"too large for a feed ({len(body):,} bytes; {LARGEST:,} are read)")
    if _is_json(body):
        return jsonfeed.parse(body, day)
    found = _found(body)
    base = plaintext.absolute(_text(found.channel, "link"))
    language = _text(found.channel, "language")
    parsed = account(
        [_post(entry, position, language) for position, entry in found.entries],
        day=day,
        base=base,
        notes=found.notes,
    )
    return replace(
        parsed,
        declared=parsed.declared + len(found.rejected),
        rejected=(*parsed.rejected, *found.rejected),
    )


@dataclass(frozen=True, kw_only=True)
class About:
    """What a feed says of itself, in its own words."""

    title: str
    is_forum: bool  # forum software made it


def about(body: bytes) -> About:
    """What a feed that can be parsed says of itself. Raises NotAList."""
    if _is_json(body):
        return About(title=plaintext.of_any(jsonfeed.title(body)).text, is_forum=False)
    found = _found(body)
    by = _text(found.channel, "generator").lower()
    is_discourse = any(name.startswith("discourse_") for _at, entry in found.entries for name in entry)
    is_forum = is_discourse or any(name in by for name in ("discourse", "phpbb", "vbulletin", "flarum"))
    return About(title=plaintext.of_any(_text(found.channel, "title")).text[:200], is_forum=is_forum)


def _is_json(body: bytes) -> bool:
    return body.lstrip(BOM_UTF8 + b" \t\r\n")[:1] in (b"{", b"[")


@dataclass(frozen=True, kw_only=True)
class _Found:
    """What feedparser finds: entries by their place, those it stumbles over, what had to be done before."""

    channel: dict[str, Any]
    entries: list[tuple[int, dict[str, Any]]]
    rejected: list[Rejected] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def _found(body: bytes) -> _Found:
    text, notes = text_of(body)
    xml, mended = _well_formed(text)
    found = _read(xml)
    return replace(found, notes=[*notes, *mended, *found.notes])


# --- bytes to characters ------------------------------------------------------------------------------------


def text_of(body: bytes) -> tuple[str, list[str]]:
    """The characters of a document, and what is to be said about them."""
    for mark, encoding in _MARKS:
        if body.startswith(mark):
            return body.decode(encoding, "replace"), []
    for start, encoding in _UNMARKED:
        if body.startswith(start):
            return body.decode(encoding, "replace"), []
    match = _DECLARED.match(body[:400])
    declared = match[1].decode("ascii").lower() if match else ""
    if body.isascii():
        # Encodings that write everything in ASCII exist.
        return body.decode("iso-2022-jp" if declared == "iso-2022-jp" else "ascii", "replace"), []
    with suppress(UnicodeDecodeError):
        return body.decode("utf-8"), []
    with suppress(UnicodeDecodeError):
        # Halves of characters, as programs of 16 bits write them: two make one, one alone is none.
        halves = body.decode("utf-8", "surrogatepass").encode("utf-16-le", "surrogatepass")
        return halves.decode("utf-16-le", "replace"), []
    encoding = _MEANT.get(declared, declared)
    if encoding in _READ and encoding not in ("utf-8", "utf8"):
        try:
            return body.decode(encoding), []
        except UnicodeDecodeError:
            return body.decode(encoding, "replace"), [
                f"Some of its bytes are no {declared}, which it says it is."
            ]
    # Mostly UTF-8 with a few bytes spoilt, or an old page in Western European letters: what loses less.
    spoilt = body.decode("utf-8", "replace")
    broken = spoilt.count("\ufffd")
    if declared in ("utf-8", "utf8", "") and broken * 20 < sum(byte > 127 for byte in body):
        return spoilt, [f"Some bytes, in {broken} of its places, are no UTF-8."]
    said = f"Its encoding is not {declared}, as it says" if declared else "It does not say its encoding"
    return body.decode("cp1252", "replace"), [f"{said}; read as Windows-1252."]


# --- characters to well-formed XML --------------------------------------------------------------------------


class _Census(ContentHandler):
    """Counts what a document holds, and stops where it is too much."""

    def __init__(self) -> None:
        super().__init__()
        self.root = ""
        self.elements = 0
        self.entries = 0
        self.depth = 0
        self.pieces = 0
        self.namespaces = 0
        self.has_long_names = False  # or too many tags
        self._inside_name = 0  # levels
        self._name = 0  # characters of the name that is being read
        self._tags = 0  # of the entry that is being read

    def startPrefixMapping(self, prefix: str | None, uri: str) -> None:  # noqa: N802  SAX calls it so
        self.namespaces += 1
        if self.namespaces > MOST_NAMESPACES:
            raise NotAList(f"more than {MOST_NAMESPACES} namespaces, too much for a feed")

    def startElementNS(  # noqa: N802
        self, name: tuple[str | None, str], qname: str | None, attributes: AttributesNSImpl
    ) -> None:
        local = name[1].lower()
        self.root = self.root or local
        self.elements += 1
        self.depth += 1
        if local in ("item", "entry"):
            self.entries += 1
            self._tags = 0
        if local in _TAGS:
            self._tags += 1
            self.has_long_names = self.has_long_names or self._tags > MOST_TAGS
        if self._inside_name or local in _NAMES:
            self._name = self._name if self._inside_name else 0
            self._inside_name += 1
        if self.depth > DEEPEST:
            raise NotAList(f"XML of more than {DEEPEST} levels, where a feed has ten")
        if self.elements > MOST_ELEMENTS:
            raise NotAList(f"more than {MOST_ELEMENTS:,} elements, too much for a feed")
        if len(attributes) > MOST_ATTRIBUTES:
            raise NotAList(f"an element with more than {MOST_ATTRIBUTES} attributes")
        if self.entries > MOST_COUNTED:
            raise NotAList(f"more than {MOST_COUNTED:,} entries, too much for a feed")

    def characters(self, content: str) -> None:
        self.pieces += 1
        if self.pieces > MOST_PIECES:
            raise NotAList(f"more than {MOST_PIECES:,} pieces of text, too much for a feed")
        if self._inside_name:
            self._name += len(content)
            self.has_long_names = self.has_long_names or self._name > LONGEST_NAME

    def endElementNS(self, name: tuple[str | None, str], qname: str | None) -> None:  # noqa: N802
        self.depth -= 1
        self._inside_name = max(self._inside_name - 1, 0)


def _well_formed(text: str) -> tuple[bytes, list[str]]:
    """The document as UTF-8 that any XML parser takes, and a note on what was mended. Raises NotAList."""
    text = _without_prolog(_FORBIDDEN.sub("", text))
    if text.count("&") > MOST_PIECES:  # each may become a piece of text of its own
        raise NotAList(f"more than {MOST_PIECES:,} ampersands, too much for a feed")
    text = _NUMBERED.sub(_allowed, text)
    xml = text.encode()
    try:
        return _with_short_names(xml, _judge(xml))
    except SAXException as error:
        problem = _in_words(error)
    ways = ((_mended, "was mended"), (_forced, "was mended by force; entries may be missing"))
    for mend, done in ways:
        mended = mend(text)
        try:
            short, notes = _with_short_names(mended, _judge(mended))
        except SAXException:
            continue
        return short, [f"Its XML is not well-formed ({problem}) and {done}.", *notes]
    raise NotAList(f"XML that cannot be mended ({problem}); it begins {text[:100]!a}")


def _judge(xml: bytes) -> _Census:
    """What it holds. Raises SAXException for what is no XML, and NotAList for XML that is no feed."""
    census = _Census()
    parser = create_parser(forbid_dtd=True, forbid_entities=True, forbid_external=True)
    parser.setFeature(feature_namespaces, True)
    parser.setFeature(feature_external_ges, False)
    parser.setContentHandler(census)
    try:
        parser.parse(io.BytesIO(xml))
    except DefusedXmlException as error:
        raise NotAList(
            f"XML with a DTD or entities of its own ({type(error).__name__}), which are refused"
        ) from error
    if census.root not in _ROOTS:
        raise NotAList(_other(census.root))
    return census


def _with_short_names(xml: bytes, census: _Census) -> tuple[bytes, list[str]]:
    """The document without the rest of names and tags that no reader needs, and a note on them.

    feedparser looks for a mail address in each author, which takes the square of its length, and compares
    each tag of an entry with all before it.
    """
    if not census.has_long_names:
        return xml, []
    try:
        root = etree.fromstring(
            xml, etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=False)
        )
    except etree.XMLSyntaxError as error:
        raise NotAList("a feed that cannot be read") from error
    tags = 0
    for element in list(root.iter("*")):
        local = etree.QName(element).localname.lower()
        if local in ("item", "entry"):
            tags = 0
        tags += local in _TAGS
        parent = element.getparent()
        if local in _TAGS and tags > MOST_TAGS and parent is not None:
            parent.remove(element)
        elif local in _NAMES and sum(map(len, element.itertext())) > LONGEST_NAME:
            whole = "".join(element.itertext("*"))[:LONGEST_NAME]
            del element[:]
            element.text = whole
    note = (
        f"Names of more than {LONGEST_NAME} characters, or more than {MOST_TAGS} tags of an entry, were cut."
    )
    return etree.tostring(root), [note]


def _without_prolog(text: str) -> str:
    """From the root on. A DTD is refused: it is where bombs are, and files of this machine are asked for."""
    start = max(text.find("<"), 0)  # blank lines, or a program's warning, before the document
    while match := _BEFORE_ROOT.match(text, start):
        start = match.end()
    netscape = _NETSCAPE.match(text, start)
    if netscape:
        start = netscape.end()
        while match := _BEFORE_ROOT.match(text, start):
            start = match.end()
    head = text[start : start + 200].lower()
    if head.startswith(("<!doctype html", "<html")):
        raise NotAList(_other("html"))
    if head.startswith("<!"):
        raise NotAList("XML with a DTD or entities of its own, which are refused")
    if not head.startswith("<"):
        raise NotAList(f"neither XML nor JSON; it begins {text[:100].strip()!a}")
    return _DECLARATION.sub("", text[start:], count=1) if head.startswith("<?") else text[start:]


def _other(root: str) -> str:
    if root == "html":
        return "an HTML page where a feed belongs"
    return f"XML of another kind: its outermost element is {root[:60]!a}, not rss, feed or RDF"


def _allowed(reference: re.Match[str]) -> str:
    """A character by number, where XML may hold it; else nothing."""
    number = int(reference["hex"], 16) if reference["hex"] else int(reference["decimal"])
    if number > 0x10FFFF or _FORBIDDEN.match(chr(number)):
        return ""
    return reference.group()


def _mended(text: str) -> bytes:
    """What is wrong most often: & by itself, HTML's entities, prefixes that nobody declared."""
    parts = []
    start = 0
    while (opens := text.find("<![CDATA[", start)) >= 0 and (closes := text.find("]]>", opens)) >= 0:
        parts += [_AMPERSAND.sub(_spelled, text[start:opens]), text[opens : closes + 3]]
        start = closes + 3
    parts.append(_AMPERSAND.sub(_spelled, text[start:]))
    return _declared_prefixes("".join(parts)).encode()


def _spelled(ampersand: re.Match[str]) -> str:
    if ampersand["number"] or ampersand["name"] in _XML_NAMES:
        return ampersand.group()
    character = html5.get(f"{ampersand['name']};", "") if ampersand["name"] else ""
    return character if character and character not in "<>&" else f"&amp;{ampersand.group()[1:]}"


def _declared_prefixes(text: str) -> str:
    used = dict.fromkeys(match["prefix"] for match in _PREFIX.finditer(text))
    missing = [
        prefix
        for prefix in list(used)[:100]
        if prefix not in ("xml", "xmlns") and f"xmlns:{prefix}" not in text
    ]
    root = _ROOT_TAG.match(text)
    if root is None or not missing:
        return text
    declarations = "".join(
        f' xmlns:{prefix}="{_USUAL_PREFIXES.get(prefix, f"urn:undeclared:{prefix}")}"' for prefix in missing
    )
    return text[: root.end()] + declarations + text[root.end() :]


def _forced(text: str) -> bytes:
    """What libxml2 makes of it: tags closed, the unreadable left out."""
    parser = etree.XMLParser(
        recover=True,
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_pis=True,
    )
    try:
        root = etree.fromstring(_mended(text), parser)
    except etree.XMLSyntaxError:
        return b""
    if root is None:
        return b""
    etree.strip_tags(root, etree.Entity)
    return _declared_prefixes(etree.tostring(root, encoding="unicode")).encode()


def _in_words(error: SAXException) -> str:
    if isinstance(error, SAXParseException):
        return f"{error.getMessage()} in line {error.getLineNumber()}"
    return error.getMessage()[:200]


# --- XML to posts -------------------------------------------------------------------------------------------


def _read(xml: bytes) -> _Found:
    try:
        found = _by_library(xml)
    except Exception as error:  # a library over hostile input stumbles over anything
        logger.info("feedparser stumbled (%s); entries are read one by one.", type(error).__name__)
        return _one_by_one(xml)
    return _Found(channel=found["feed"], entries=list(enumerate(found["entries"])))


def _by_library(xml: bytes) -> dict[str, Any]:
    # A stream: a text might be taken for an address, and asked.
    return feedparser.parse(
        io.BytesIO(b'<?xml version="1.0" encoding="utf-8"?>' + xml),
        sanitize_html=False,
        resolve_relative_uris=False,
    )


def _one_by_one(xml: bytes) -> _Found:
    """Each entry in a feed of its own, so that one which the library cannot read costs no other."""
    try:
        tree = etree.fromstring(
            xml, etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=False)
        )
    except etree.XMLSyntaxError as error:
        raise NotAList("a feed that cannot be read") from error
    elements = list(tree.iter("{*}item", "{*}entry"))
    notes = [f"Of {len(elements)} entries the first {MOST_ENTRIES} were looked at."]
    notes = notes if len(elements) > MOST_ENTRIES else []
    elements = elements[:MOST_ENTRIES]
    entries: list[tuple[int, dict[str, Any]]] = []
    rejected: list[Rejected] = []
    for position, element in enumerate(elements):
        element.tail = None
        alone = etree.tostring(element)
        before, after = _AROUND[etree.QName(element).localname]
        try:
            found = _by_library(before + alone + after)["entries"]
        except Exception as error:  # as above
            problem = f"Entry {position} cannot be read ({type(error).__name__})."
            rejected.append(Rejected(position=position, problem=problem, raw=alone.decode()[:_LONGEST_RAW]))
            continue
        entries += [(position, entry) for entry in found[:1]]
    for element in elements:
        if (parent := element.getparent()) is not None:
            parent.remove(element)
    try:
        channel = _by_library(etree.tostring(tree))["feed"]
    except Exception:  # as above; without it only relative addresses and the language are unknown
        channel = {}
    return _Found(channel=channel, entries=entries, rejected=rejected, notes=notes)


def _post(entry: dict[str, Any], position: int, language: str) -> Post:
    contents = [
        text
        for content in _dicts(entry, "content")
        if (text := _text(content, "value")) and "text" in _text(content, "type", "text") + "html"
    ]
    links = [
        href
        for link in _dicts(entry, "links")
        if _text(link, "rel", "alternate") == "alternate" and (href := _text(link, "href"))
    ]
    comments = _text(entry, "slash_comments") or _text(entry, "thr_total")
    return Post(
        position=position,
        guid=_text(entry, "id"),
        # FeedBurner's own links only count readers.
        addresses=tuple(
            one for one in (_text(entry, "feedburner_origlink"), _text(entry, "link"), *links) if one
        ),
        title=_text(entry, "title"),
        texts=tuple(one for one in (*contents, _text(entry, "summary")) if one),
        dates=tuple(_dates(entry)),
        authors=tuple(_authors(entry)),
        keywords=tuple(term for tag in _dicts(entry, "tags") if (term := _text(tag, "term"))),
        language=_text(dict.get(entry, "title_detail"), "language") or language,
        comments=int(comments) if comments.isdecimal() and len(comments) < 8 else None,
        raw=raw_of(entry),
    )


def _authors(entry: dict[str, Any]) -> list[str]:
    names = [name for author in _dicts(entry, "authors") if (name := _text(author, "name"))]
    whole = _text(entry, "author")[:500]
    if len(names) <= 1 and "@" in whole:
        # RSS: "ada@lab.institute (Ada Lovelace)". feedparser cuts it where it thinks the address ends.
        return [_BESIDE_MAIL.sub(" ", _MAIL.sub(" ", whole)).strip()]
    return names or [whole]


def _dates(entry: dict[str, Any]) -> list[datetime | None]:
    """Published, else updated, else created: None for one that stands there and cannot be read."""
    dates: list[datetime | None] = []
    for name in ("published", "updated", "created"):
        given = dict.get(entry, f"{name}_parsed")
        text = _text(entry, name)
        if given:
            try:
                year, month, day, hour, minute, second = given[:6]
                dates.append(datetime(year, month, day, hour, minute, min(second, 59), tzinfo=UTC))
                continue
            except (ValueError, TypeError):
                pass
        if text:
            dates.append(jsonfeed.instant(text) or _rfc_822(text))
    return dates


def _rfc_822(text: str) -> datetime | None:
    try:
        given = parsedate_to_datetime(text[:100])
        return (given if given.tzinfo else given.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


# feedparser's dictionaries answer for other keys than those asked for, with a warning: dict's own do not.


def _text(values: Any, key: str, default: str = "") -> str:
    value = dict.get(values, key, default) if isinstance(values, dict) else default
    return value if isinstance(value, str) else default


def _dicts(values: dict[str, Any], key: str) -> list[dict[str, Any]]:
    found = dict.get(values, key)
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
