"""The form of an email: headers, quoted-printable lines, styles put inline. Templates say what it says.

Digests are joined from fragments that were encoded once (digest/editions), notices are rendered whole; both
get their headers and their frame here. The standard library's email package is the judge of it in the tests.
"""

import binascii
import functools
import hashlib
import hmac
import logging
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.header import Header
from email.headerregistry import Address
from email.utils import format_datetime, formataddr, parseaddr
from typing import Any

import premailer
from django.conf import settings
from django.template.loader import render_to_string
from django.utils import translation

MAX_LINE = 76  # of a quoted-printable line, RFC 2045 section 6.7
LANGUAGE_TAGS = {"zh-hans": "zh-Hans"}  # what stands in <html lang>, where it differs from Django's code

# "=_" cannot occur in quoted-printable text, so this stands in no part (RFC 2045 section 6.7).
_BOUNDARY = b"=_paperboy"
_MIME = b'MIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary="%s"\r\n\r\n' % _BOUNDARY
_PART = (
    b"--%s\r\nContent-Type: text/%%s; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
)
_TEXT = (_PART % _BOUNDARY) % b"plain"
_HTML = b"\r\n" + (_PART % _BOUNDARY) % b"html"
_END = b"\r\n--%s--\r\n" % _BOUNDARY

# Controls, overrides of the writing direction, noncharacters: nothing that a mail needs, all of it trouble.
_UNWANTED = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufdd0-\ufdef\ufeff\ufffe\uffff]"
)
_SURROGATE = re.compile("[\ud800-\udfff]")
_LINE_ENDS = re.compile("\r\n|[\r\x85\u2028\u2029]")
_TAG = re.compile(r"<[A-Za-z][^<>]*>")  # lxml leaves no bare < or > in text and attributes
_STYLE = re.compile(r""" style=("[^"]*"|'[^']*')""")
_PLAIN_ADDRESS = re.compile(r"[\w!#$%&'*+/=?^`{|}~-]+(\.[\w!#$%&'*+/=?^`{|}~-]+)*@[A-Za-z0-9.-]+", re.ASCII)
_UNSAFE_LINE = re.compile(rb"^(?:\..*|From .*|.{%d,})$" % (MAX_LINE + 1), re.MULTILINE)
_ENVELOPE = re.compile(r"bounce-([0-9a-f]{1,16})-([0-9a-f]{16})@", re.IGNORECASE)


# --- text --------------------------------------------------------------------------------------


def clean(text: str) -> str:
    """Text that any mail program can show: no controls but line feed and tab, no lone surrogates."""
    if text.isascii() and text.isprintable():
        return text
    return _UNWANTED.sub("", _SURROGATE.sub("\ufffd", _LINE_ENDS.sub("\n", text)))


def one_line(text: str) -> str:
    """`clean`, with every run of blanks and line ends as one blank: fit for a header."""
    return " ".join(clean(text).split())


def qp(text: str) -> bytes:
    """The text as whole quoted-printable lines ending in CRLF, so that results can be joined at any place.

    Text that does not end in a line feed ends in a soft line break: what is joined next continues its line.
    No line is longer than 76, starts with a dot (nothing to stuff in SMTP) or with "From " (mbox files).
    """
    if not text:
        return b""
    data = _LINE_ENDS.sub("\n", text).encode(errors="replace")
    lines = binascii.b2a_qp(data, istext=True)
    if not lines.endswith(b"\n"):
        lines += b"=\n"
    return _UNSAFE_LINE.sub(_safe_line, lines).replace(b"\n", b"\r\n")


def _safe_line(match: re.Match[bytes]) -> bytes:
    rest = match[0]
    done: list[bytes] = []
    while True:
        if rest.startswith((b".", b"From ")):
            rest = b"=%02X%b" % (rest[0], rest[1:])
        if len(rest) <= MAX_LINE:
            return b"".join((*done, rest))
        cut = MAX_LINE - 1  # room for the "=" of a soft line break; never inside an escape such as =E2
        if (escape := rest.rfind(b"=", cut - 2, cut)) >= 0:
            cut = escape
        done.append(rest[:cut] + b"=\n")
        rest = rest[cut:]


def inline(html: str) -> str:
    """A whole document with the rules of its first style block written into the elements.

    A second block marked `data-premailer="ignore"` (media rules) stays as it is. The doctype is put back,
    since mail programs without one guess at line heights.
    """
    inlined = premailer.Premailer(
        strip_important=False,
        allow_network=False,
        disable_validation=True,
        # Written in the templates where Outlook needs them; everywhere else they only make the mail longer.
        disable_basic_attributes=["align", "valign", "bgcolor", "width", "height"],
        cssutils_logging_level=logging.CRITICAL,
    ).transform(html, pretty_print=False)
    tight = _TAG.sub(lambda tag: _STYLE.sub(_tightened, tag[0]), inlined)
    return "<!doctype html>\n" + tight.removeprefix("<!DOCTYPE html>").lstrip()


def _tightened(style: re.Match[str]) -> str:
    return style[0].replace("; ", ";").replace(", ", ",")


# --- headers -----------------------------------------------------------------------------------


@functools.lru_cache(maxsize=4096)
def header(name: str, text: str) -> bytes:
    """One header of free text, such as Subject: folded, and encoded by RFC 2047 where that is needed."""
    line = one_line(text)
    charset = "us-ascii" if line.isascii() and "=?" not in line else "utf-8"
    value = Header(line, charset, header_name=name, maxlinelen=MAX_LINE).encode(linesep="\r\n")
    return f"{name}: {value}\r\n".encode("ascii")


def address(email: str) -> str:
    """The address as it is written on the wire: the domain in ASCII, blanks and controls gone.

    What is no address comes back without what could break a header: one bad row must not hold up the others
    of its group; the server refuses it, and the ledger says so.
    """
    if _PLAIN_ADDRESS.fullmatch(email):
        return email
    bare = re.sub(r"[\s<>,;()\\]", "", clean(email))
    local, at, domain = bare.rpartition("@")
    if not at:
        return bare
    try:
        return Address(username=local, domain=domain.encode("idna").decode("ascii")).addr_spec
    except ValueError:  # no host name
        return bare


@functools.cache
def sender(from_email: str) -> bytes:
    """The From header of an address such as `Paperboy <papers@lab.example>`."""
    name, email = parseaddr(one_line(from_email))
    return _line("From", formataddr((name, address(email)), charset="utf-8"))


def headers(
    *,
    to: str,
    subject: str,
    message_id: str,
    date: datetime,
    unsubscribe_url: str | None = None,
    more: Mapping[str, str] | None = None,
) -> bytes:
    """All headers but those of MIME, each ending in CRLF. `more`: ASCII values written by us."""
    lines = [
        sender(settings.DEFAULT_FROM_EMAIL),
        _line("To", address(to)),
        header("Subject", subject),
        _line("Date", format_datetime(date.astimezone(UTC))),
        _line("Message-ID", message_id),
    ]
    if unsubscribe_url is not None:
        lines += [
            _line("List-Unsubscribe", f"<{unsubscribe_url}>"),
            b"List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n",
        ]
    lines += [_line(name, value) for name, value in (more or {}).items()]
    return b"".join(lines)


def _line(name: str, value: str) -> bytes:
    # Never folded: mailbox providers want List-Unsubscribe whole, and 998 characters are far away.
    return f"{name}: {one_line(value)}\r\n".encode()


def joined(headers: bytes, text: bytes, html: bytes) -> bytes:
    """The whole message from its headers and the two encoded parts."""
    return b"".join((headers, _MIME, _TEXT, text, _HTML, html, _END))


# --- who is meant, and where bounces go ------------------------------------------------------------


def message_id(delivery_id: int, domain: str) -> str:
    """The Message-ID of a delivery: the same at every try."""
    return f"<{delivery_id:x}.digest@{domain}>"


def envelope_from(delivery_id: int, domain: str) -> str:
    """The envelope sender of a delivery (VERP): a bounce names it, and nobody can forge one."""
    return f"bounce-{delivery_id:x}-{_envelope_mac(settings.SECRET_KEY, delivery_id)}@{domain}"


def bounced_delivery(envelope_to: str) -> int | None:
    """The delivery that a bounce to this address is about; None where the address is not one of ours."""
    match = _ENVELOPE.match(envelope_to)
    if match is None:
        return None
    number = int(match[1], 16)
    macs = (_envelope_mac(key, number) for key in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS))
    return number if any(hmac.compare_digest(mac, match[2].lower()) for mac in macs) else None


def _envelope_mac(secret: str, number: int) -> str:
    return hmac.digest(_envelope_key(secret), b"%x" % number, "sha256")[:8].hex()


@functools.lru_cache(maxsize=16)
def _envelope_key(secret: str) -> bytes:
    return hashlib.sha256(f"paperboy.envelope\0{secret}".encode()).digest()


# --- notices -----------------------------------------------------------------------------------


def notice(
    kind: str,
    *,
    to: str,
    language: str,
    context: Mapping[str, Any],
    message_id: str,
    date: datetime,
    unsubscribe_url: str | None = None,
) -> bytes:
    """A complete single mail from templates/email/<kind>/; mail/notices.py lists what each kind needs."""
    values = {
        "email": to,
        "site_url": settings.SITE_URL,
        "postal_address": settings.POSTAL_ADDRESS,
        **{name: _cleaned(value) for name, value in context.items()},
        "lang": LANGUAGE_TAGS.get(language, language),
    }
    with translation.override(language):
        subject = one_line(render_to_string(f"email/{kind}/subject.txt", values))
        values["subject"] = subject
        text = render_to_string(f"email/{kind}/body.txt", values)
        html = inline(render_to_string(f"email/{kind}/body.html", values))
    lines = headers(
        to=to,
        subject=subject,
        message_id=message_id,
        date=date,
        unsubscribe_url=unsubscribe_url,
        more={"Auto-Submitted": "auto-generated"},
    )
    return joined(lines, qp(text.strip("\n") + "\n"), qp(html.rstrip("\n") + "\n"))


def _cleaned(value: Any) -> Any:
    match value:
        case str():
            return clean(value)
        case list() | tuple():
            return [_cleaned(item) for item in value]
    return value
