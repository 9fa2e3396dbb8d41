from datetime import UTC, datetime
from email.message import EmailMessage

import pytest
from django.urls import reverse

from digest.operations import inbox, mailbox

NOON = datetime(2026, 8, 21, 12, tzinfo=UTC)
HTML = '<!doctype html><html><HEAD><title>x</title></HEAD><body style="color:#111"><a href="http://x/">go</a></body>'

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def own_inbox(settings, tmp_path):
    settings.VAR_DIR = tmp_path


def store(settings, to="mira@lab.example", *, subject="Seven papers, naïvely sorted", html=HTML):
    message = EmailMessage()
    message["Subject"] = subject
    message["From"] = "Paperboy <paperboy@lab.example>"
    message["To"] = to
    message.set_content("Confirm: http://127.0.0.1:8000/confirm/abc/\n")
    if html:
        message.add_alternative(html, subtype="html")
    content = message.as_bytes()
    return mailbox.store(settings.VAR_DIR, content, sender="b@x.example", recipients=[to], now=NOON), content


class TestIndex:
    def test_lists_subject_address_and_time(self, client, settings):
        message_id, _ = store(settings)

        page = client.get("/inbox/").content.decode()

        assert "Seven papers, naïvely sorted" in page
        assert "mira@lab.example" in page
        assert f'href="/inbox/{message_id}/"' in page
        assert "1 message<" in page

    def test_searches_by_address_and_says_when_nothing_is_there(self, client, settings):
        store(settings)

        assert "Seven papers" in client.get("/inbox/", {"to": "MIRA"}).content.decode()
        assert "No message to or from “noor”" in client.get("/inbox/", {"to": "noor"}).content.decode()

    def test_begins_empty_with_the_next_step(self, client):
        assert "No mail yet." in client.get("/inbox/").content.decode()

    def test_escapes_what_a_message_says(self, client, settings):
        store(settings, subject="<script>alert(1)</script>")

        assert b"<script>alert" not in client.get("/inbox/").content


class TestMessage:
    def test_shows_both_parts_and_the_headers(self, client, settings):
        message_id, _ = store(settings)

        page = client.get(reverse("inbox-message", args=[message_id])).content.decode()

        assert f'src="/inbox/{message_id}/html/"' in page
        assert '<a href="http://127.0.0.1:8000/confirm/abc/"' in page
        assert "Paperboy &lt;paperboy@lab.example&gt;" in page

    def test_frames_html_without_scripts_and_with_links_opening_elsewhere(self, client, settings):
        message_id, _ = store(settings)

        page = client.get(reverse("inbox-message", args=[message_id]))
        framed = client.get(reverse("inbox-html", args=[message_id]))

        assert "frame-src 'self'" in page["Content-Security-Policy"]
        policy = framed["Content-Security-Policy"]
        assert f"sandbox {inbox.SANDBOX}" in policy
        assert "allow-scripts" not in inbox.SANDBOX
        assert "default-src 'none'" in policy
        assert framed["X-Frame-Options"] == "SAMEORIGIN"
        assert '<HEAD><base target="_blank"><title>' in framed.content.decode()

    def test_without_html_shows_the_text_alone(self, client, settings):
        message_id, _ = store(settings, html="")

        assert b"<iframe" not in client.get(reverse("inbox-message", args=[message_id])).content
        assert client.get(reverse("inbox-html", args=[message_id])).status_code == 404

    def test_is_downloaded_byte_for_byte(self, client, settings):
        message_id, content = store(settings)

        answer = client.get(reverse("inbox-raw", args=[message_id]))

        assert answer.content == content
        assert answer["Content-Disposition"] == f'attachment; filename="{message_id}.eml"'

    def test_that_is_not_there_is_not_found(self, client):
        assert client.get("/inbox/20260821T120000000000-1-000001/").status_code == 404

    def test_survives_an_unknown_charset(self, client, settings):
        content = b"Subject: x\r\nContent-Type: text/plain; charset=klingon\r\n\r\nqapla\xff\r\n"
        message_id = mailbox.store(settings.VAR_DIR, content, sender="", recipients=["a@x.example"], now=NOON)

        assert "qapla\ufffd" in client.get(reverse("inbox-message", args=[message_id])).content.decode()
