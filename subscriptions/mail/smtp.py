"""One conversation with a mail server, and exact words for how it ended.

The standard library's smtplib speaks the protocol; this module keeps apart what smtplib's own `sendmail`
mixes up: whether the server may have taken a message whose answer was lost (RFC 1047).
"""

import contextlib
import io
import re
import smtplib
import socket
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from subscriptions.mail import catcher_address

# EMAIL_TIMEOUT bounds each wait for a byte; these bound what a server that drips can make of it, in seconds.
CONNECT_SECONDS = 45.0  # greeting, TLS and login
MESSAGE_SECONDS = 60.0  # one message from MAIL to the answer to its final dot
QUIT_SECONDS = 2.0
_LONGEST_ANSWER = 65_536  # bytes, all lines of it

_ENHANCED = re.compile(r"^([245])\.(\d{1,3})\.(\d{1,3})\b")
_SCHEMES = {"smtp": 25, "smtp+tls": 587, "smtp+ssl": 465}
_DOT_AT_LINE_START = re.compile(rb"(?m)^\.")


class ConnectionLost(OSError):
    """The conversation broke. `in_doubt`: the final dot went out, so the server may have the message."""

    def __init__(self, message: str, *, in_doubt: bool) -> None:
        super().__init__(message)
        self.in_doubt = in_doubt


@dataclass(frozen=True, slots=True)
class Reply:
    """The server's last word on one message: RFC 5321 code, RFC 3463 enhanced code, text.

    `stage` is the command that was answered: mail, rcpt, data (before the content) or content.
    """

    code: int
    text: str
    stage: str

    @property
    def accepted(self) -> bool:
        return self.stage == "content" and 200 <= self.code < 300

    @property
    def temporary(self) -> bool:
        return 400 <= self.code < 500

    @property
    def permanent(self) -> bool:
        return 500 <= self.code < 600

    @property
    def enhanced(self) -> str:
        """Such as "5.1.1"; empty where the server gave none."""
        match = _ENHANCED.match(self.text)
        return match[0] if match else ""

    @property
    def bad_mailbox(self) -> bool:
        """The address does not exist, or not any more: RFC 3463 x.1.1, x.1.2, x.1.3, x.1.6, x.1.10, x.2.1.

        Without an enhanced code only 550, 551 and 553 to RCPT count. Everything else (policy,
        authentication, reputation, size) says something about us, never about the reader.
        """
        if not self.permanent:
            return False
        if self.enhanced:
            return self.enhanced in {"5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10", "5.2.1"}
        return self.stage == "rcpt" and self.code in (550, 551, 553)

    def __str__(self) -> str:
        return f"{self.code} {self.text}"


class _Answers(io.RawIOBase):
    """What the server says, read until the client's deadline and no longer than an answer may be."""

    def __init__(self, client: "_Bounded") -> None:
        super().__init__()
        self._client = client

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        client = self._client
        if client.sock is None:
            return 0
        client.sock.settimeout(client.left_seconds())
        got = client.sock.recv_into(buffer)
        client.heard += got
        if client.heard > _LONGEST_ANSWER:
            raise OSError(f"its answer is longer than {_LONGEST_ANSWER:,} bytes")
        return got


class _Bounded:
    """Mixed into smtplib's clients: no answer takes them past a deadline."""

    sock: socket.socket | None
    file: io.BufferedReader | None
    heard = 0  # bytes of the answer that is being read

    def __init__(self, *args: Any, longest_wait: float, **options: Any) -> None:
        self.allow(CONNECT_SECONDS, longest_wait=longest_wait)
        super().__init__(*args, timeout=longest_wait, **options)  # type: ignore[call-arg]

    def allow(self, seconds: float, *, longest_wait: float) -> None:
        """From now on: so long for all that comes, and so long for each byte of it."""
        self._ends_at, self._longest_wait = time.monotonic() + seconds, longest_wait

    def left_seconds(self) -> float:
        left = self._ends_at - time.monotonic()
        if left <= 0:
            raise TimeoutError("the server is too slow")
        return min(left, self._longest_wait)

    def getreply(self) -> tuple[int, bytes]:
        self.heard = 0
        if self.file is None:  # after connecting, and again after STARTTLS
            self.file = io.BufferedReader(_Answers(self))
        answer: tuple[int, bytes] = super().getreply()  # type: ignore[misc]
        return answer


class _Plain(_Bounded, smtplib.SMTP):
    pass


class _Encrypted(_Bounded, smtplib.SMTP_SSL):
    pass


class Connection:
    """An open session; `send` may be called for many messages in turn. Use `connect()`.

    `in_doubt`: the final dot of the last message went out, and its answer has not been returned. It tells
    what became of a message whose `send` was interrupted (Ctrl-C, a task's time limit).
    """

    def __init__(self, client: "_Plain | _Encrypted", longest_wait: float) -> None:
        self._client = client
        self._longest_wait = longest_wait
        self.in_doubt = False

    def send(self, envelope_from: str, to: str, content: bytes) -> Reply:
        """Hand over one message; the server's answer, whatever it is.

        `content` is the whole message with CRLF line ends; dots at line starts are doubled here. Raises
        ConnectionLost when there is no answer; the connection is of no use then.
        """
        options = []
        if not (envelope_from.isascii() and to.isascii()):
            if not self._client.has_extn("smtputf8"):
                return Reply(553, "5.6.7 this server cannot take addresses outside ASCII", "rcpt")
            options = ["SMTPUTF8"]
        self.in_doubt = False
        self._client.allow(MESSAGE_SECONDS, longest_wait=self._longest_wait)
        try:
            code, text = self._client.mail(envelope_from, options)
            stage = "mail"
            if code == 250:
                code, text = self._client.rcpt(to)
                stage = "rcpt"
            if stage == "rcpt" and code in (250, 251):
                self._client.putcmd("data")
                code, text = self._client.getreply()
                stage = "data"
            if stage == "data" and code == 354:
                self._send(_DOT_AT_LINE_START.sub(b"..", content))
                if not content.endswith(b"\r\n"):
                    self._send(b"\r\n")
                # From here on the server may have the message, whatever we hear.
                self.in_doubt = True
                self._send(b".\r\n")
                code, text = self._client.getreply()
                stage = "content"
                if not (200 <= code < 300 or 400 <= code < 600):
                    raise smtplib.SMTPResponseException(code, b"no answer to a message: " + text)
        except (OSError, smtplib.SMTPException) as error:
            self._client.close()
            raise ConnectionLost(f"{type(error).__name__}: {error}", in_doubt=self.in_doubt) from error
        reply = Reply(code, _decode(text), stage)
        if stage != "content":
            self._reset(reply)
        elif code == 421:
            self._client.close()
        return reply

    def _send(self, data: bytes) -> None:
        sock = self._client.sock
        if sock is None:
            raise smtplib.SMTPServerDisconnected("the connection is closed")
        sock.settimeout(self._client.left_seconds())
        sock.sendall(data)

    def _reset(self, reply: Reply) -> None:
        """Be ready for the next message. Where that is in question, the session ends: a new one is cheap."""
        # The message has its answer already: a connection that breaks here only needs replacing.
        try:
            if reply.code != 421 and (reply.temporary or reply.permanent):
                self._client.putcmd("rset")
                if self._client.getreply()[0] == 250:
                    return
        except (OSError, smtplib.SMTPException):
            pass
        self._client.close()

    @property
    def is_open(self) -> bool:
        return self._client.sock is not None

    def close(self) -> None:
        with contextlib.suppress(OSError, smtplib.SMTPException):
            if self.is_open:
                self._client.allow(QUIT_SECONDS, longest_wait=QUIT_SECONDS)
                self._client.quit()
        self._client.close()


@contextlib.contextmanager
def connect() -> Iterator[Connection]:
    """A session with the mail server of EMAIL_URL, or with the local mail catcher where that is unset.

    Each step waits at most EMAIL_TIMEOUT seconds. Raises ConnectionLost (never in doubt) when the server
    cannot be reached or refuses us, ImproperlyConfigured for an address that makes no sense.
    """
    connection = _open(settings.EMAIL_URL or catcher_address.smtp_url(settings.VAR_DIR))
    try:
        yield connection
    finally:
        connection.close()


def _open(url: str) -> Connection:
    parts = urlsplit(url)
    if parts.scheme not in _SCHEMES or not parts.hostname:
        raise ImproperlyConfigured(
            f"EMAIL_URL is {_without_password(url)!r}: Paperboy speaks smtp://host:port, "
            "smtp+tls://user:password@host:port and smtp+ssl://user:password@host:port."
        )
    host, port = parts.hostname, parts.port or _SCHEMES[parts.scheme]
    longest_wait = float(parse_qs(parts.query).get("timeout", [settings.EMAIL_TIMEOUT])[0])
    local_name = settings.MAIL_DOMAIN or socket.gethostname()
    try:
        client: _Plain | _Encrypted
        if parts.scheme == "smtp+ssl":
            client = _Encrypted(
                host, port, local_name, longest_wait=longest_wait, context=ssl.create_default_context()
            )
        else:
            client = _Plain(host, port, local_name, longest_wait=longest_wait)
        if parts.scheme == "smtp+tls":
            client.starttls(context=ssl.create_default_context())
        client.ehlo_or_helo_if_needed()
        if client.sock is not None:
            # Short commands go out at once: otherwise each message waits 40 ms for a delayed ACK.
            client.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if parts.username:
            client.login(unquote(parts.username), unquote(parts.password or ""))
    except (OSError, smtplib.SMTPException) as error:
        raise ConnectionLost(
            f"The mail server {host}:{port} cannot be used: {error}. Check EMAIL_URL and that it runs.",
            in_doubt=False,
        ) from error
    return Connection(client, longest_wait)


def _without_password(url: str) -> str:
    return re.sub(r"://([^:/@]*):[^@]*@", r"://\1:***@", url)


def _decode(text: bytes | str) -> str:
    plain = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    return " ".join(plain.replace("\x00", "").split())[:280]
