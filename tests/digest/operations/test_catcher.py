import smtplib

import pytest

from digest import embedded
from digest.operations import mailbox
from tests import processes

# What a mail server must not touch: dots at line starts, bytes beyond ASCII, trailing blanks.
AWKWARD = (
    b"From: a@lab.example\r\nTo: b@lab.example\r\nSubject: =?utf-8?q?caf=C3=A9?=\r\n"
    b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
    b".\r\n..two dots\r\n.one dot\r\ntrailing  \r\n\r\ncaf\xc3\xa9 \xff\r\n" + b"x" * 990 + b"\r\n\r\n"
)


def send(var_dir, content, *, to=("b@lab.example",)):
    port = embedded.catcher_port(var_dir)
    assert port is not None
    with smtplib.SMTP("127.0.0.1", port, timeout=10) as client:
        client.ehlo()
        client.mail("a@lab.example")
        for recipient in to:
            client.rcpt(recipient)
        return client.data(content)


@pytest.mark.faults
class TestCatcher:
    def test_keeps_each_byte_and_the_envelope(self, var_dir):
        with embedded.hold(var_dir, {embedded.CATCHER}):
            code, answer = send(var_dir, AWKWARD, to=("b@lab.example", "bounce+1=c@lab.example"))

            [caught] = mailbox.messages(var_dir)

        assert code == 250
        assert caught.id in answer.decode()
        assert caught.raw() == AWKWARD
        assert (caught.sender, caught.recipients) == (
            "a@lab.example",
            ("b@lab.example", "bounce+1=c@lab.example"),
        )
        assert caught.path.stat().st_mode & 0o077 == 0
        assert processes.of(var_dir) == {}

    def test_takes_the_same_port_at_the_next_start(self, var_dir):
        with embedded.hold(var_dir, {embedded.CATCHER}):
            first = embedded.catcher_port(var_dir)
        with embedded.hold(var_dir, {embedded.CATCHER}):
            assert embedded.catcher_port(var_dir) == first

    def test_refuses_a_line_that_no_mail_server_takes(self, var_dir):
        with embedded.hold(var_dir, {embedded.CATCHER}):
            code, _ = send(var_dir, b"Subject: x\r\n\r\n" + b"y" * 1200 + b"\r\n")

            assert code == 500
            assert list(mailbox.messages(var_dir)) == []
