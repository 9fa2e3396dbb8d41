"""What makes two mentions the same paper: arXiv id without version, else DOI, else canonical address.

The title's letters are only a hint (`title_key`): digest/papers/merging.py says what must come with it.
"""

import hashlib
import re
import unicodedata
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit

# https://info.arxiv.org/help/arxiv_identifier.html: YYMM.NNNNN since 2015, YYMM.NNNN since 2007-04, before
# that archive[.SC]/YYMMNNN. The month is checked, so that a date or a price is not read as an id.
_ARXIV_ID = re.compile(
    r"(?:arxiv:\s*)?"
    r"(?:(?P<new>\d{2}(?:0[1-9]|1[0-2])\.\d{4,5})|(?P<archive>[a-z]+(?:-[a-z]+)*)(?:\.[a-z]{2})?/(?P<number>\d{2}(?:0[1-9]|1[0-2])\d{3}))"
    r"(?P<version>v[1-9]\d*)?",
    re.IGNORECASE,
)
_LONGEST_ARXIV_ID = 20  # the longest archive names have eight letters: cond-mat/0408001
_ARXIV_HOSTS = {"arxiv.org", "www.arxiv.org", "export.arxiv.org", "alphaxiv.org", "www.alphaxiv.org"}
_ARXIV_PATH = re.compile(r"/(?:abs|pdf|html|format|src|e-print|overview)/(?P<id>.+?)(?:\.pdf)?/?$")
_HUGGINGFACE_PATH = re.compile(r"/papers/(?P<id>[^/]+?)(?:\.md)?/?$")
_ARXIV_DOI = re.compile(r"10\.48550/arxiv\.(?P<id>.+)$", re.IGNORECASE)

# DOI syntax: https://www.crossref.org/blog/dois-and-matching-regular-expressions/
_DOI = re.compile(r"10\.\d{4,9}/[^\s\x00-\x20\x7f-\x9f\ud800-\udfff]+$", re.IGNORECASE)
_DOI_PREFIX = re.compile(r"(?:https?://(?:dx\.|www\.)?doi\.org/|doi:\s*)", re.IGNORECASE)

# Says where a reader came from, not what the page is.
_TRACKING = re.compile(
    r"(?:utm_\w+|fbclid|gclid|mc_[ce]id|ref|ref_src|source|cmpid|igshid|_hs\w+)$", re.IGNORECASE
)
_DEFAULT_PORTS = {"http": 80, "https": 443}
# What no address holds, and no database takes; Python's own parser drops line breaks without a word.
_NOT_IN_AN_ADDRESS = re.compile(
    "[\\s\x00-\x20\x7f-\x9f\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ud800-\udfff]"
)

# Letters and digits. Shorter titles ("Introduction", "Editorial") are given to many works; of 43,249 arXiv
# papers 76 have one.
SHORTEST_TITLE_KEY = 15


class NotAnArxivId(ValueError):
    pass


class NotADoi(ValueError):
    pass


class NotAnAddress(ValueError):
    pass


class NoIdentity(ValueError):
    """Neither arXiv id nor DOI nor address: the message says what was given."""


@dataclass(frozen=True)
class Identity:
    """`key` is the paper's: `arxiv:2608.18565`, `doi:10.1000/xyz` or `url:https://…`."""

    key: str
    arxiv_id: str | None
    doi: str | None
    url: str  # where a reader finds it


def identify(*, arxiv_id: str = "", doi: str = "", url: str = "") -> Identity:
    """The identity of a paper by what a source says of it; an arXiv id also comes out of a DOI or an address.

    Raises NoIdentity.
    """
    found: str | None = None
    for text in (arxiv_id, doi, url):
        if text:
            try:
                found = canonical_arxiv_id(text)
                break
            except NotAnArxivId:
                continue
    try:
        own_doi = canonical_doi(doi) if doi else None
    except NotADoi:
        own_doi = None
    if own_doi and _ARXIV_DOI.match(own_doi):
        own_doi = None  # arXiv's own DOI says nothing that the id does not
    if found:
        return Identity(key=f"arxiv:{found}", arxiv_id=found, doi=own_doi, url=arxiv_url(found))
    try:
        address = canonical_url(url) if url else ""
    except NotAnAddress:
        address = ""
    if own_doi:
        return Identity(
            key=f"doi:{own_doi}",
            arxiv_id=None,
            doi=own_doi,
            url=address or f"https://doi.org/{quote(own_doi)}",
        )
    if address:
        return Identity(key=f"url:{address}", arxiv_id=None, doi=None, url=address)
    given = ", ".join(
        f"{name} {text!r}" for name, text in (("id", arxiv_id), ("DOI", doi), ("address", url)) if text
    )
    raise NoIdentity(
        f"not an arXiv id, DOI or address: {given}" if given else "neither arXiv id nor DOI nor address"
    )


def canonical_arxiv_id(text: str) -> str:
    """The arXiv id in an id, URL or DOI, without version and subject class: "2501.01234", "math/0309136".

    Also reads addresses of Hugging Face's and alphaXiv's pages. Ids are strings: 1001.1820 is not 1001.182.
    Raises NotAnArxivId. Source: https://info.arxiv.org/help/arxiv_identifier.html
    """
    candidate = unquote(text.strip())
    if "://" in candidate:
        try:
            parts = urlsplit(candidate)
            host = (parts.hostname or "").lower()
        except ValueError as error:
            raise NotAnArxivId(text) from error
        if host in _ARXIV_HOSTS:
            match = _ARXIV_PATH.match(parts.path)
        elif host == "huggingface.co":
            match = _HUGGINGFACE_PATH.match(parts.path)
        else:
            match = _ARXIV_DOI.search(parts.path) if host.endswith("doi.org") else None
        if match is None:
            raise NotAnArxivId(text)
        candidate = match["id"]
    elif doi := _ARXIV_DOI.search(candidate):
        candidate = doi["id"]
    match = _ARXIV_ID.fullmatch(candidate.removesuffix(".pdf"))
    if match is None:
        raise NotAnArxivId(text)
    if match["new"]:
        return match["new"]
    found = f"{match['archive'].lower()}/{match['number']}"
    if len(found) > _LONGEST_ARXIV_ID:
        raise NotAnArxivId(text)
    return found


def arxiv_url(arxiv_id: str) -> str:
    """arXiv's abstract page, without version: it shows the newest."""
    return f"https://arxiv.org/abs/{arxiv_id}"


def arxiv_pdf_url(arxiv_id: str) -> str:
    return f"https://arxiv.org/pdf/{arxiv_id}"


def huggingface_url(arxiv_id: str) -> str:
    """Hugging Face's page of the paper, with its comments. It exists for papers that were featured there."""
    return f"https://huggingface.co/papers/{arxiv_id}"


def canonical_doi(text: str) -> str:
    """A DOI without resolver and in lower case, since DOIs ignore case. Raises NotADoi."""
    candidate = _DOI_PREFIX.sub("", unquote(text.strip()), count=1).rstrip(".,;")
    if not _DOI.fullmatch(candidate) or len(candidate) > 300 or len(quote(candidate)) > 900:
        raise NotADoi(text)
    return candidate.lower()


def canonical_url(text: str) -> str:
    """The address without what does not matter: fragment, tracking parameters, default port, case of host.

    Kept apart on purpose: http and https become https (posts moved over the years), a trailing slash goes.
    Raises NotAnAddress for anything but http and https, for names and passwords in it, and above 590
    characters.
    """
    candidate = text.strip()
    try:
        parts = urlsplit(candidate)
        host = (parts.hostname or "").lower().rstrip(".")
        port = parts.port
    except ValueError as error:
        raise NotAnAddress(text) from error
    if (
        parts.scheme.lower() not in _DEFAULT_PORTS
        or not host
        or parts.username is not None
        or _NOT_IN_AN_ADDRESS.search(candidate)
    ):
        raise NotAnAddress(text)
    if ":" in host:
        host = f"[{host}]"
    if port is not None and port != _DEFAULT_PORTS[parts.scheme.lower()]:
        host = f"{host}:{port}"
    query = urlencode(
        [
            (name, value)
            for name, value in parse_qsl(parts.query, keep_blank_values=True)
            if not _TRACKING.match(name)
        ]
    )
    address = urlunsplit(
        ("https", host, quote(parts.path.rstrip("/"), safe="/%:@!$&'()*+,;=~-._"), query, "")
    )
    if len(address) > 590:
        raise NotAnAddress(text)
    return address


def title_key(title: str) -> str:
    """A hash of the title's lower-case letters and digits, in any script, accents taken off.

    Empty when there are fewer than 15 of them. Titles of one work differ between sources in blanks, dashes,
    quotes, dollar signs and accents (upstreams.md, section 7), and in nothing else.
    """
    parts = unicodedata.normalize("NFKD", title).casefold()
    letters = unicodedata.normalize("NFC", "".join(filter(str.isalnum, parts)))
    if len(letters) < SHORTEST_TITLE_KEY:
        return ""
    return hashlib.blake2b(letters.encode("utf-8", "replace"), digest_size=16).hexdigest()
