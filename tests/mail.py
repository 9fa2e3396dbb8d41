"""What every mail of ours must keep to, read back by the standard library's parser."""

import email
import email.policy
import os
import re
import shutil
import subprocess
from email.message import EmailMessage
from urllib.parse import urlsplit

import lxml.html  # type: ignore[import-untyped]
import pytest

FORBIDDEN_TAGS = ("script", "form", "input", "svg", "link", "img", "iframe", "object", "video")
_SCORE = re.compile(r"score=(-?[\d.]+)")


def parsed(content: bytes) -> EmailMessage:
    message = email.message_from_bytes(content, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    return message


def part(message: EmailMessage, subtype: str) -> str:
    body = message.get_body((subtype,))
    assert body is not None
    return body.get_content().replace("\r\n", "\n")


def check(content: bytes, *, is_list: bool) -> EmailMessage:
    """Assert everything that the contract asks of a message; the parsed message."""
    assert re.search(rb"(?<!\r)\n|\r(?!\n)", content) is None, "all line ends are CRLF"
    head, _, body = content.partition(b"\r\n\r\n")
    assert max(map(len, head.split(b"\r\n"))) <= 998
    lines = body.split(b"\r\n")
    assert max(map(len, lines)) <= 76
    assert not any(line.startswith((b".", b"From ")) for line in lines)
    assert not any(line.endswith((b" ", b"\t")) for line in lines)
    assert body.isascii()

    message = parsed(content)
    assert not message.defects
    assert message.get_content_type() == "multipart/alternative"
    parts = list(message.iter_parts())
    assert [one.get_content_type() for one in parts] == ["text/plain", "text/html"]
    for one in parts:
        assert not one.defects
        assert one["Content-Transfer-Encoding"] == "quoted-printable"
        assert one.get_content_charset() == "utf-8"
        assert "\ufffd" not in one.get_content()
    for name in ("From", "To", "Subject", "Date", "Message-ID", "MIME-Version"):
        assert len(message.get_all(name, [])) == 1, name
        assert not message[name].defects, name
    _check_list_headers(message, is_list=is_list)
    _check_html(part(message, "html"))
    return message


def _check_list_headers(message: EmailMessage, *, is_list: bool) -> None:
    expected = 1 if is_list else 0
    for name in ("List-Unsubscribe", "List-Unsubscribe-Post", "List-Id", "Feedback-ID"):
        assert len(message.get_all(name, [])) == expected, name
    assert (message["Auto-Submitted"] == "auto-generated") is not is_list
    if is_list:
        assert re.fullmatch(r"<https?://[^<>\s@]+>", message["List-Unsubscribe"])
        assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"


def _check_html(html: str) -> None:
    assert html.startswith("<!doctype html>")
    size = len(html.replace("\n", "\r\n").encode())
    assert size <= 81_920
    root = lxml.html.document_fromstring(html)
    assert root.get("lang")
    assert len(root.findall(".//h1")) == 1
    bare = re.sub(r"<!--.*?-->|<style.*?</style>", "", html, flags=re.DOTALL)
    for tag in (
        "table",
        "tr",
        "td",
        "div",
        "p",
        "h2",
        "h3",
        "a",
        "span",
        "b",
    ):  # parsers mend what is missing
        assert len(re.findall(rf"<{tag}[\s>]", bare)) == bare.count(f"</{tag}>"), tag
    for tag in FORBIDDEN_TAGS:
        assert root.find(f".//{tag}") is None, tag
    for link in root.iter("a"):
        address = urlsplit(link.get("href", ""))
        assert address.scheme in ("http", "https"), link.get("href")
        assert address.netloc
        assert not address.fragment
    assert not [name for element in root.iter() for name in element.keys() if name.startswith("on")]  # noqa: SIM118
    styles = [element.text or "" for element in root.iter("style")]
    styles += [element.get("style", "") for element in root.iter() if isinstance(element.tag, str)]
    for style in styles:
        assert not re.search(r"url\(|position\s*:|@import|display\s*:\s*(flex|grid)", style), style


def spam_score(content: bytes) -> float:
    """SpamAssassin's verdict, without the network. Skips where it is not installed; under CI that fails."""
    program = shutil.which("spamassassin")
    if program is None:
        assert not os.environ.get("CI"), "spamassassin is not installed"
        pytest.skip("not run: no spamassassin found")
    answer = subprocess.run([program, "-L", "-t"], input=content, capture_output=True, check=True, timeout=60)
    # In the header, which may be folded, and never in what the mail itself says.
    head = answer.stdout.partition(b"\n\n")[0].decode("utf-8", "replace")
    status = next(line for line in re.split(r"\n(?=\S)", head) if line.startswith("X-Spam-Status:"))
    found = _SCORE.search(status)
    assert found is not None, status
    return float(found[1])
