"""Encoding, headers and the single mails, each read back by the standard library."""

import email
import quopri
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from subscriptions.mail import message
from tests import mail

NOON = datetime(2026, 8, 21, 12, tzinfo=UTC)
HTTPS = "https://paperboy.example"
NOTICES: dict[str, dict[str, Any]] = {
    "confirm": {
        "confirm_url": f"{HTTPS}/confirm/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA/",
        "expires_at": NOON + timedelta(days=7),
        "topics": ["Agents", "World models"],
        "filter": 'harness -survey author:"Yann LeCun"',
        "when": "Weekdays at 13:00, Berlin",
    },
    "link": {
        "url": f"{HTTPS}/preferences/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA/",
        "expires_at": NOON + timedelta(minutes=15),
        "purpose": "preferences",
    },
    "goodbye": {"undo_url": f"{HTTPS}/unsubscribe/AAAAAAAAAAAAAAAAAAAAAA/"},
}
SPAM = b"""\
From: "CASH PRIZE" <winner@free-money-now.biz>
To: undisclosed-recipients:;
Subject: CONGRATULATIONS!!! YOU HAVE WON $1,000,000 DOLLARS!!!
Content-Type: text/html

<html><body><font size=7 color=red>VIAGRA CIALIS no prescription needed!!! CLICK HERE NOW
<a href="http://192.168.3.4/x">http://www.bank.com</a> 100% free, act now, make money fast, dear friend,
million dollars, this is not spam, lowest price, order now, risk free, weight loss, nigerian prince</font>
<img src="http://192.168.3.4/a.gif"></body></html>
"""


@pytest.fixture
def site(settings):
    settings.SITE_URL = HTTPS
    settings.DEFAULT_FROM_EMAIL = "Paperboy <papers@paperboy.example>"
    settings.POSTAL_ADDRESS = "Example Institute, 1 Library Lane, 1000 Exampleton"


def notice(kind: str, *, to: str = "mira@lab.example", **changes: object) -> bytes:
    return message.notice(
        kind,
        to=to,
        language="en",
        context=NOTICES[kind] | changes,
        message_id="<0123456789abcdef01234567.notice@paperboy.example>",
        date=NOON,
    )


class TestQuotedPrintable:
    @given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=200), max_size=4))
    @example(["." * 200])
    @example(["a" * 75 + "."])
    @example(["From me", "From you", "\nFrom them"])
    @example(["é" * 80 + " ", "\t", "= =20"])
    @example(["x" * 76, "y" * 75, "z" * 74 + "\n"])
    def test_joined_lines_decode_to_the_joined_text(self, texts):
        encoded = b"".join(message.qp(text) for text in texts) + message.qp("\n")

        # Each text is normalised on its own: a CR at the end of one is a line end before the next begins.
        expected = "".join(message._LINE_ENDS.sub("\n", text) for text in texts) + "\n"
        assert quopri.decodestring(encoded).replace(b"\r\n", b"\n").decode() == expected
        lines = encoded.split(b"\r\n")
        assert lines.pop() == b""
        assert all(len(line) <= 76 for line in lines)
        assert not any(line.startswith((b".", b"From ")) or line.endswith((b" ", b"\t")) for line in lines)
        assert encoded.isascii()

    def test_a_lone_surrogate_does_not_raise(self):
        assert message.qp("a\ud800b\n") == b"a?b\r\n"

    def test_every_piece_is_whole_lines(self):
        assert message.qp("Hello") == b"Hello=\r\n"
        assert message.qp("") == b""


class TestHeader:
    @given(st.text(max_size=300))
    @example("=?utf-8?q?forged?=")
    @example("a\r\nBcc: everybody@example.org")
    @example("line\u2028separator \ud800 \x00")
    @example("Σ" * 100 + " 🦉 אבג")
    def test_a_subject_comes_back_as_one_line(self, text):
        raw = message.header("Subject", text)

        parsed = email.message_from_bytes(raw + b"\r\n", policy=email.policy.default)
        assert parsed.keys() == ["Subject"]
        assert " ".join(parsed["Subject"].split()) == message.one_line(text)
        assert max(map(len, raw.split(b"\r\n"))) <= 998

    def test_a_sender_with_any_name_is_one_address(self):
        for name in ("Zoë Müller", "Papers, daily", 'The "Lab"', "日报"):
            raw = message.sender(f"{email.utils.formataddr((name, 'papers@lab.example'))}")

            (address,) = email.message_from_bytes(raw + b"\r\n", policy=email.policy.default)[
                "From"
            ].addresses
            assert (address.display_name, address.addr_spec) == (name, "papers@lab.example")

    @pytest.mark.parametrize(
        ("typed", "written"),
        [
            ("mira@lab.example", "mira@lab.example"),
            ("mira+papers@lab.example", "mira+papers@lab.example"),
            ("mira@bücher.example", "mira@xn--bcher-kva.example"),
            ("mira..@lab.example", "mira..@lab.example"),  # Japanese carriers gave out such addresses
            ("mira@lab.example\r\nBcc: all@lab.example", '"mira@lab.exampleBcc:all"@lab.example'),
            ("no address", "noaddress"),
        ],
    )
    def test_an_address_stays_on_its_line(self, typed, written):
        assert message.address(typed) == written


class TestEnvelope:
    def test_a_bounce_names_its_delivery_whatever_the_case(self):
        sender = message.envelope_from(7 << 32 | 5, "paperboy.example")

        assert message.bounced_delivery(sender) == 7 << 32 | 5
        assert message.bounced_delivery(sender.upper()) == 7 << 32 | 5
        assert len(sender.partition("@")[0]) <= 64  # RFC 5321 section 4.5.3.1.1

    def test_a_made_up_one_names_none(self, settings):
        sender = message.envelope_from(5, "paperboy.example")
        other = message.envelope_from(6, "paperboy.example")
        forged = sender.replace("-5-", "-6-")

        assert message.bounced_delivery(forged) is None
        assert message.bounced_delivery("mira@lab.example") is None
        settings.SECRET_KEY = "another"
        assert message.bounced_delivery(other) is None
        settings.SECRET_KEY_FALLBACKS = ["yet another"]
        assert message.bounced_delivery(other) is None

    def test_an_old_key_is_still_read(self, settings):
        sender, old = message.envelope_from(5, "paperboy.example"), settings.SECRET_KEY

        settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "new", [old]

        assert message.bounced_delivery(sender) == 5

    def test_a_message_id_is_the_deliverys_own(self):
        assert message.message_id(255, "paperboy.example") == "<ff.digest@paperboy.example>"


@pytest.mark.usefixtures("site")
class TestNotice:
    @pytest.mark.parametrize("kind", NOTICES)
    def test_keeps_the_contract(self, kind):
        read = mail.check(notice(kind), is_list=False)

        assert read["To"] == "mira@lab.example"
        assert read["From"] == "Paperboy <papers@paperboy.example>"
        assert read["Date"].datetime == NOON
        assert read["Message-ID"] == "<0123456789abcdef01234567.notice@paperboy.example>"

    @pytest.mark.parametrize(
        ("kind", "link"), [("confirm", "confirm_url"), ("link", "url"), ("goodbye", "undo_url")]
    )
    def test_says_the_same_in_both_parts(self, kind, link):
        read = mail.parsed(notice(kind))

        for subtype in ("plain", "html"):
            content = mail.part(read, subtype)
            assert NOTICES[kind][link] in content
            assert "Example Institute, 1 Library Lane" in content
            assert "mira@lab.example" in content

    def test_a_confirmation_lists_what_was_asked_for_and_how_long_it_works(self):
        text = mail.part(mail.parsed(notice("confirm")), "plain")

        for words in (
            "Agents, World models",
            'harness -survey author:"Yann LeCun"',
            "Weekdays at 13:00, Berlin",
        ):
            assert words in text
        assert "It works until Friday 28 August, 12:00 UTC." in text

    def test_a_change_of_address_says_so(self):
        read = mail.parsed(notice("confirm", change_of_address=True))

        assert read["Subject"] == "Confirm your new address for Paperboy"
        assert "Yes, send them here" in mail.part(read, "html")

    @pytest.mark.parametrize(
        ("changes", "subject"),
        [
            ({"purpose": "change-address"}, "Change the address for your papers"),
            ({"purpose": "export"}, "Your data at Paperboy"),
            ({"purpose": "erase"}, "Erase your data at Paperboy"),
            ({"already_subscribed": True}, "You already get Paperboy at this address"),
            ({}, "Your preferences at Paperboy"),
        ],
    )
    def test_a_link_says_what_it_is_good_for(self, changes, subject):
        assert mail.check(notice("link", **changes), is_list=False)["Subject"] == subject

    def test_what_people_typed_is_text_and_nothing_else(self):
        content = notice(
            "confirm", filter="<script>x</script>\r\n.\x00\ud800 a&b", topics=["<b>", "A\u202eB"]
        )

        read = mail.parsed(content)
        assert "<script" not in mail.part(read, "html")
        assert "&lt;script&gt;x&lt;/script&gt;" in mail.part(read, "html")
        assert "\x00" not in mail.part(read, "plain")
        assert "<b>, AB" in mail.part(read, "plain")

    def test_an_unsubscribe_link_is_a_header_only_where_given(self):
        content = message.notice(
            "goodbye",
            to="mira@lab.example",
            language="en",
            context=NOTICES["goodbye"],
            message_id="<1@paperboy.example>",
            date=NOON,
            unsubscribe_url=f"{HTTPS}/unsubscribe/AAAAAAAAAAAAAAAAAAAAAA/",
        )

        read = mail.parsed(content)
        assert read["List-Unsubscribe"] == f"<{HTTPS}/unsubscribe/AAAAAAAAAAAAAAAAAAAAAA/>"
        assert read["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"

    @pytest.mark.parametrize("kind", NOTICES)
    def test_is_no_spam(self, kind):
        assert mail.spam_score(notice(kind)) < 1.0

    def test_real_spam_would_be_noticed(self):
        assert mail.spam_score(SPAM) > 5.0
