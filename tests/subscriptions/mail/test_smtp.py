"""Mail servers that misbehave: a message that may have arrived is never said to have been refused."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from subscriptions.mail import smtp

MESSAGE = b"Subject: papers\r\n\r\nHello\r\n"
Answers = dict[str, bytes | Callable[[socket.socket], None]]


@contextlib.contextmanager
def server(settings, **answers: bytes | Callable[[socket.socket], None]) -> Iterator[list[str]]:
    """One session that answers each command with these bytes; "DOT" is the end of the content.

    A function is given the socket and answers itself. Yields the commands as they come.
    """
    usual: Answers = {
        **dict.fromkeys(("EHLO", "MAIL", "RCPT", "RSET"), b"250 ok\r\n"),
        "CONNECT": b"220 test ESMTP\r\n",
        "DATA": b"354 go on\r\n",
        "DOT": b"250 2.0.0 taken\r\n",
        "QUIT": b"221 bye\r\n",
    }
    script = usual | answers
    commands: list[str] = []
    listener = socket.create_server(("127.0.0.1", 0))
    settings.EMAIL_URL = f"smtp://127.0.0.1:{listener.getsockname()[1]}"

    def say(client: socket.socket, name: str) -> None:
        answer = script[name]
        if callable(answer):
            answer(client)
        else:
            client.sendall(answer)

    def converse() -> None:
        with contextlib.suppress(OSError), listener.accept()[0] as client, client.makefile("rb") as lines:
            say(client, "CONNECT")
            for line in lines:
                verb = line[:4].decode().strip().upper()
                commands.append(verb)
                say(client, verb)
                if verb == "DATA" and script["DATA"] == usual["DATA"]:
                    while lines.readline() not in (b".\r\n", b""):
                        pass
                    say(client, "DOT")

    thread = threading.Thread(target=converse, daemon=True)
    thread.start()
    try:
        yield commands
    finally:
        listener.close()
        thread.join(5)


def send() -> smtp.Reply:
    with smtp.connect() as connection:
        return connection.send("bounces@paperboy.example", "ada@lab.example", MESSAGE)


def drip(client: socket.socket) -> None:
    with contextlib.suppress(OSError):
        for _ in range(100):
            client.sendall(b"2")
            time.sleep(0.1)


def flood(client: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while True:
            client.sendall(b"250-more\r\n" * 1000)


class TestAnswers:
    def test_of_several_lines_and_of_eight_bits_are_read(self, settings):
        with server(settings, DOT="250-2.0.0 d\u00e9j\u00e0\r\n250 2.0.0 vu\r\n".encode("latin-1")):
            reply = send()
        assert reply.accepted
        assert reply.enhanced == "2.0.0"
        assert str(reply) == "250 2.0.0 d\ufffdj\ufffd 2.0.0 vu"

    @pytest.mark.parametrize("nonsense", [b"what?\r\n", b"\r\n", b"354 go on\r\n", b"999 no\r\n", b"25\r\n"])
    def test_nonsense_after_the_final_dot_leaves_in_doubt(self, settings, nonsense):
        with server(settings, DOT=nonsense), pytest.raises(smtp.ConnectionLost) as lost:
            send()
        assert lost.value.in_doubt

    @pytest.mark.parametrize("command", ["MAIL", "RCPT", "DATA"])
    def test_nonsense_before_the_content_is_no_acceptance_and_ends_the_session(self, settings, command):
        with server(settings, **{command: b"what?\r\n"}), smtp.connect() as connection:
            reply = connection.send("bounces@paperboy.example", "ada@lab.example", MESSAGE)
            assert not reply.accepted
            assert not reply.permanent
            assert not connection.is_open

    def test_a_session_that_is_out_of_step_is_ended(self, settings):
        # Two answers to one command: from here on each would be taken for the next command's.
        with server(settings, RCPT=b"250 ok\r\n250 ok\r\n"), smtp.connect() as connection:
            reply = connection.send("bounces@paperboy.example", "ada@lab.example", MESSAGE)
            assert not reply.accepted
            assert not connection.is_open

    def test_a_refused_reset_ends_the_session(self, settings):
        answers = {"RCPT": b"550 5.1.1 nobody\r\n", "RSET": b"503 no\r\n"}
        with server(settings, **answers), smtp.connect() as connection:
            reply = connection.send("bounces@paperboy.example", "ada@lab.example", MESSAGE)
            assert reply.bad_mailbox
            assert not connection.is_open


class TestTime:
    @pytest.mark.parametrize(("stage", "in_doubt"), [("RCPT", False), ("DOT", True)])
    def test_a_server_that_drips_is_left_when_the_message_has_had_its_time(
        self, settings, monkeypatch, stage, in_doubt
    ):
        monkeypatch.setattr(smtp, "MESSAGE_SECONDS", 0.5)
        began = time.monotonic()
        with server(settings, **{stage: drip}), pytest.raises(smtp.ConnectionLost) as lost:
            send()
        assert time.monotonic() - began < 3
        assert lost.value.in_doubt is in_doubt

    def test_a_server_that_drips_its_greeting_is_left_too(self, settings, monkeypatch):
        monkeypatch.setattr(smtp, "CONNECT_SECONDS", 0.5)
        began = time.monotonic()
        with server(settings, CONNECT=drip), pytest.raises(smtp.ConnectionLost, match="cannot be used"):
            send()
        assert time.monotonic() - began < 3

    def test_a_server_that_hangs_at_goodbye_is_not_waited_for(self, settings, monkeypatch):
        monkeypatch.setattr(smtp, "QUIT_SECONDS", 0.2)
        began = time.monotonic()
        with server(settings, QUIT=lambda client: time.sleep(2)):
            assert send().accepted
            assert time.monotonic() - began < 1.5

    def test_an_answer_without_end_is_not_read_for_ever(self, settings):
        began = time.monotonic()
        with server(settings, RCPT=flood), pytest.raises(smtp.ConnectionLost) as lost:
            send()
        assert time.monotonic() - began < 5
        assert not lost.value.in_doubt
