"""A real SMTP server in a thread: scripted answers, every command and byte recorded.

    def test_something(smtp_server):
        smtp_server.answer("nobody@lab.example", "550 5.1.1 no such user")
        …
        assert smtp_server.recipients == ["reader@lab.example"]

The fixture points EMAIL_URL at it. Import it in the test module or its conftest:
`from tests.smtp_server import smtp_server`.
"""

import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage

import pytest

HANG_UP = "hang up"  # as an answer: close the connection without a word


@dataclass(frozen=True)
class Envelope:
    """One message that the server took, exactly as it came (after undoing dot-stuffing)."""

    mail_from: str
    rcpt_to: str
    content: bytes

    @property
    def message(self) -> EmailMessage:
        message = message_from_bytes(self.content, policy=policy.default)
        assert isinstance(message, EmailMessage)
        return message


@dataclass
class SmtpServer:
    """What tests see: `envelopes` taken, and `commands`, every line a client sent outside DATA."""

    port: int = 0
    envelopes: list[Envelope] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    connections: int = 0
    _answers: dict[str, list[str | Callable[[], str]]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}"

    @property
    def recipients(self) -> list[str]:
        return [envelope.rcpt_to for envelope in self.envelopes]

    @property
    def messages(self) -> list[EmailMessage]:
        return [envelope.message for envelope in self.envelopes]

    def answer(self, to: str, *replies: "str | Callable[[], str]") -> None:
        """Answer `to` with these replies in turn, the last one from then on.

        `to` is a recipient (answers its RCPT), a command ("MAIL", "DATA", "EHLO", "RSET", "CONNECT"), or "."
        for the end of DATA; ".someone@lab.example" for the end of DATA to that recipient. A reply is such as
        "451 4.3.0 later", or HANG_UP; "" is the usual success; a function is called and gives the reply.
        """
        self._answers[to.lower()] = list(replies)

    def reply_to(self, *names: str, default: str) -> str:
        with self._lock:
            for name in names:
                replies = self._answers.get(name.lower())
                if replies:
                    reply = replies.pop(0) if len(replies) > 1 else replies[0]
                    return (reply() if callable(reply) else reply) or default
        return default


class _HungUp(Exception):
    pass


class _Conversation(socketserver.StreamRequestHandler):
    server: "_Listener"
    timeout = 30

    def handle(self) -> None:
        script = self.server.script
        script.connections += 1
        mail_from, rcpt_to = "", ""
        try:
            self._say(script.reply_to("CONNECT", default="220 test.invalid ESMTP"))
            while line := self.rfile.readline():
                command = line.decode("utf-8", "replace").rstrip("\r\n")
                script.commands.append(command)
                verb = command.split(" ", 1)[0].upper()
                if verb == "EHLO":
                    self._say(
                        script.reply_to("EHLO", default="250-test.invalid\r\n250-PIPELINING\r\n250 8BITMIME")
                    )
                elif verb == "MAIL":
                    mail_from = _path(command)
                    self._say(script.reply_to("MAIL", default="250 2.1.0 ok"))
                elif verb == "RCPT":
                    rcpt_to = _path(command)
                    self._say(script.reply_to(rcpt_to, "RCPT", default="250 2.1.5 ok"))
                elif verb == "DATA":
                    reply = script.reply_to("DATA", default="354 go on")
                    self._say(reply)
                    if reply.startswith("354"):
                        content = self._content()
                        reply = script.reply_to(f".{rcpt_to}", ".", default="250 2.0.0 taken")
                        if reply.startswith("2"):
                            script.envelopes.append(Envelope(mail_from, rcpt_to, content))
                        self._say(reply)
                elif verb == "QUIT":
                    self._say("221 2.0.0 bye")
                    return
                elif verb in ("RSET", "NOOP", "HELO"):
                    self._say(script.reply_to(verb, default="250 2.0.0 ok"))
                else:
                    self._say("502 5.5.1 unknown command")
        except (_HungUp, ConnectionError, TimeoutError):
            return

    def _say(self, reply: str) -> None:
        if reply == HANG_UP:
            raise _HungUp
        self.wfile.write(reply.encode() + b"\r\n")

    def _content(self) -> bytes:
        lines = []
        while (line := self.rfile.readline()) != b".\r\n":
            if not line:
                raise _HungUp
            lines.append(line[1:] if line.startswith(b".") else line)
        return b"".join(lines)


def _path(command: str) -> str:
    return command[command.index("<") + 1 : command.index(">")]


class _Listener(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True

    def __init__(self) -> None:
        self.script = SmtpServer()
        super().__init__(("127.0.0.1", 0), _Conversation)
        self.script.port = self.server_address[1]


@contextmanager
def listening() -> Iterator[SmtpServer]:
    """A started server, stopped afterwards."""
    listener = _Listener()
    thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield listener.script
    finally:
        listener.shutdown()
        listener.server_close()
        thread.join()


@pytest.fixture
def smtp_server(settings) -> Iterator[SmtpServer]:
    """A listening server of this test's own; EMAIL_URL points at it."""
    with listening() as server:
        settings.EMAIL_URL = server.url
        yield server
