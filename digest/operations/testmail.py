"""A digest sent to an operator's own address, to see how it arrives."""

import re
from collections.abc import Iterator
from email.header import Header, decode_header, make_header
from email.utils import make_msgid, parseaddr

from django.conf import settings

from subscriptions.mail import smtp

_NEXT_HEADER = re.compile(rb"\r\n(?![ \t])")
# A press on the mailbox's own unsubscribe button would unsubscribe the reader who is imitated.
_LEFT_OUT = {"list-unsubscribe", "list-unsubscribe-post"}


class TestRefused(Exception):
    """The mail server did not take the test. The message says what it answered and what to look at."""

    __test__ = False  # its name is not meant for pytest


def send(content: bytes, *, to: str) -> smtp.Reply:
    """Send a digest as a test: the subject says so, the address is `to`, nothing is recorded.

    Raises TestRefused with the server's words.
    """
    sender = parseaddr(settings.DEFAULT_FROM_EMAIL)[1]
    try:
        with smtp.connect() as connection:
            reply = connection.send(sender, to, as_test(content, to=to))
    except OSError as error:
        raise TestRefused(f"The test was not sent. {error}") from error
    if not reply.accepted:
        raise TestRefused(f"The mail server refused the test: {reply}. Its log and EMAIL_URL say more.")
    return reply


def as_test(content: bytes, *, to: str) -> bytes:
    """The same message with "Test:" before its subject, another addressee and a Message-ID of its own."""
    head, blank, body = content.partition(b"\r\n\r\n")
    return b"\r\n".join(_headers(head, to)) + blank + body


def _headers(head: bytes, to: str) -> Iterator[bytes]:
    for line in _NEXT_HEADER.split(head):
        name, _, value = line.partition(b":")
        match name.decode("ascii").lower():
            case "subject":
                subject = str(make_header(decode_header(value.decode("ascii").strip())))
                yield _line("Subject", f"Test: {subject}")
            case "to":
                yield _line("To", to)
            case "message-id":
                yield _line("Message-ID", make_msgid("test", settings.MAIL_DOMAIN))
            case left_out if left_out in _LEFT_OUT:
                continue
            case _:
                yield line


def _line(name: str, text: str) -> bytes:
    # One line of printable characters: Header folds and encodes it, and no newline gets through.
    plain = " ".join(text.split())
    encoded = Header(plain, None if plain.isascii() else "utf-8", maxlinelen=76, header_name=name)
    return f"{name}: {encoded.encode(linesep=chr(13) + chr(10))}".encode("ascii")
