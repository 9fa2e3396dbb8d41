"""Editions, papers and sources in the admin; previews and tests; the policy that keeps requests at home."""

import re

import pytest
from django.contrib.auth.models import User

from digest.models import (
    AiText,
    Alarm,
    Batch,
    Digest,
    Edition,
    EditionMatch,
    Merge,
    Paper,
    SetAside,
    Source,
)
from digest.operations import testmail
from subscriptions import topics
from subscriptions.mail import ledger
from subscriptions.models import Delivery, Notice, Subscriber, Suppression
from tests.factories import (
    DAY,
    NOON,
    FilterRevisionFactory,
    PaperFactory,
    SubscribedTopicFactory,
    SubscriberFactory,
    TopicFactory,
    listed_paper,
    open_mailing,
)
from tests.operator import admin_client
from tests.smtp_server import SmtpServer, smtp_server

__all__ = ["admin_client", "smtp_server"]

EDITIONS = "/admin/digest/edition/"
PREVIEW = f"{EDITIONS}preview/"
TEST = f"{EDITIONS}test/"

pytestmark = pytest.mark.django_db


def an_edition() -> Edition:
    return Edition.objects.create(
        kind="daily", date=DAY, mailing=open_mailing(), opened_at=NOON, composed_at=NOON
    )


def with_deliveries(edition: Edition, state: str, number: int = 2) -> None:
    readers = SubscriberFactory.create_batch(number)
    ledger.add(edition.mailing_id, [ledger.NewRow(r.pk, r.email, NOON) for r in readers])
    Delivery.objects.of_mailing(edition.mailing_id).update(state=state)
    ledger.count(edition.mailing_id, {"due": -number, state: number})


def a_reader(text: str = "agent", **values: object) -> Subscriber:
    reader = SubscriberFactory(**values)
    topic = TopicFactory(filter=topics.filter_revision(text, now=NOON))
    SubscribedTopicFactory(subscriber=reader, topic=topic)
    return reader


class TestLists:
    LISTS = [
        ("digest/edition", "2026-08-20"),
        ("digest/paper", "Kites"),
        ("digest/source", "hugging"),
        ("digest/batch", "hugging"),
        ("digest/setaside", "no id"),
        ("digest/alarm", "late"),
        ("digest/merge", "Kites"),
        ("digest/aitext", "Kites"),
        ("subscriptions/subscriber", "reader"),
        ("subscriptions/delivery", "reader@lab.example"),
        ("subscriptions/topic", "training"),
        ("subscriptions/suppression", "gone"),
        ("subscriptions/notice", "reader"),
        ("auth/user", "admin"),
        ("auth/group", "x"),
    ]

    @pytest.fixture(autouse=True)
    def _something_in_each(self):
        listed_paper(title="Kites that learn")
        SetAside.objects.create(
            batch=Batch.objects.get(), position=0, problem="no id", raw="{}", seen_at=NOON
        )
        paper = Paper.objects.get()
        Alarm.objects.create(
            key="late:x", kind="late", source=Source.objects.first(), message="Is late.", raised_at=NOON
        )
        other = PaperFactory(title="The same")
        Merge.objects.create(
            duplicate=other, original=paper, how="doi", certainty=1, evidence="DOI", merged_at=NOON
        )
        AiText.objects.create(paper=paper, language="en", kind="summary", due_at=NOON)
        edition = an_edition()
        EditionMatch.objects.create(edition=edition, filter=FilterRevisionFactory(), problem="too deep")
        reader = SubscriberFactory(email="reader@lab.example")
        ledger.add(edition.mailing_id, [ledger.NewRow(reader.pk, reader.email, NOON)])
        Suppression.objects.create(address="gone@lab.example", reason="complaint", created_at=NOON)
        Notice.objects.create(
            key="confirm:1:1", kind="confirm", to="reader@lab.example", created_at=NOON, due_at=NOON
        )

    @pytest.mark.parametrize(("path", "word"), LISTS)
    def test_each_opens_and_finds(self, admin_client, path, word):
        page = admin_client.get(f"/admin/{path}/")
        found = admin_client.get(f"/admin/{path}/", {"q": word})
        missed = admin_client.get(f"/admin/{path}/", {"q": "zzzz-nothing"})

        assert page.status_code == found.status_code == missed.status_code == 200
        if path != "auth/group":
            assert len(found.context["cl"].result_list) > 0
        assert len(missed.context["cl"].result_list) == 0

    @pytest.mark.parametrize(
        "model",
        [Edition, Paper, Source, Batch, SetAside, Alarm, Merge, AiText, Delivery, Notice, Suppression],
    )
    def test_each_row_has_a_page(self, admin_client, model):
        row = model.objects.first()
        path = f"{model._meta.app_label}/{model._meta.model_name}"

        assert admin_client.get(f"/admin/{path}/{row.pk}/change/").status_code == 200

    @pytest.mark.parametrize("model", [Edition, Paper, Batch, SetAside, Alarm, Merge, AiText])
    def test_what_the_machinery_made_cannot_be_edited_or_deleted(self, admin_client, model):
        row = model.objects.first()
        url = f"/admin/digest/{model._meta.model_name}/{row.pk}"

        assert admin_client.post(f"{url}/change/", {}).status_code == 403
        assert admin_client.post(f"{url}/delete/", {"post": "yes"}).status_code == 403

    def test_the_sidebar_leads_to_all_of_them_in_order(self, admin_client):
        page = admin_client.get("/admin/").content.decode()
        names = (
            "Overview Editions Deliveries Subscribers Topics Papers Merges AItexts AIspending Sources Alarms"
        )
        names += " Batches Setaside Suppressions Notices Users"
        sidebar = re.sub(r"\s+", "", page.partition('id="nav-sidebar-apps"')[2])
        places = [sidebar.index(f"{name}</span>") for name in names.split()]

        assert places == sorted(places)

    def test_strangers_are_sent_to_the_login(self, client):
        for path in ("/admin/", PREVIEW, TEST):
            assert client.get(path)["Location"].startswith("/admin/login/")


class TestEditions:
    def test_the_page_shows_its_account(self, admin_client):
        edition = an_edition()
        with_deliveries(edition, "failed")

        page = admin_client.get(f"{EDITIONS}{edition.pk}/change/").content.decode()

        assert "2 = 2, balances" in page
        assert f"{EDITIONS}{edition.pk}/retry/" in page

    def test_the_list_says_where_the_ledger_is_off(self, admin_client):
        edition = an_edition()
        ledger.count(edition.mailing_id, {"sent": 3}, prepared=5)

        assert "2 rows off" in admin_client.get(EDITIONS).content.decode()

    def test_pausing_asks_then_pauses_and_resuming_goes_on(self, admin_client):
        edition = an_edition()
        url = f"{EDITIONS}{edition.pk}"

        asked = admin_client.get(f"{url}/pause/").content.decode()
        edition.mailing.refresh_from_db()
        assert "Pause this edition?" in asked
        assert edition.mailing.status == "open"

        admin_client.post(f"{url}/pause/", {"note": "The logo is wrong"})
        edition.mailing.refresh_from_db()
        assert (edition.mailing.status, edition.mailing.pause_reason) == ("paused", "The logo is wrong")

        admin_client.get(f"{url}/resume/")
        edition.mailing.refresh_from_db()
        assert edition.mailing.status == "paused"

        admin_client.post(f"{url}/resume/")
        edition.mailing.refresh_from_db()
        assert edition.mailing.status == "open"

    @pytest.mark.parametrize(
        ("before", "act", "after"),
        [("failed", "retry", "due"), ("uncertain", "resend", "due"), ("uncertain", "count-as-sent", "sent")],
    )
    def test_all_rows_of_a_state_are_moved_at_once(self, admin_client, before, act, after):
        edition = an_edition()
        with_deliveries(edition, before)

        page = admin_client.post(f"{EDITIONS}{edition.pk}/{act}/", follow=True).content.decode()

        assert ledger.counts(edition.mailing_id)[after] == 2
        assert f"2 {before} digests" in page

    def test_who_may_not_change_editions_cannot_pause(self, client):
        edition = an_edition()
        client.force_login(User.objects.create(username="looker", is_staff=True))

        assert client.post(f"{EDITIONS}{edition.pk}/pause/").status_code == 403


class TestPreview:
    def test_shows_subject_html_and_text_and_records_nothing(self, admin_client):
        listed_paper(title="Kites that learn", abstract="An agent flies.")
        reader = a_reader(email="ada@lab.example")

        response = admin_client.get(PREVIEW, {"subscriber": reader.pk})

        page = response.content.decode()
        assert "Kites that learn" in response.context["letter"].subject
        assert "Kites that learn" in response.context["letter"].text
        assert '<iframe class="letter" sandbox title=' in page
        assert "srcdoc=" in page
        assert (Edition.objects.count(), Digest.objects.count(), Delivery.objects.count()) == (0, 0, 0)

    def test_an_address_is_posted_and_stays_out_of_the_address_bar(self, admin_client):
        reader = a_reader(email="Ada@lab.example")

        response = admin_client.post(PREVIEW, {"reader": " ada@LAB.example "})

        assert response["Location"] == f"{PREVIEW}?subscriber={reader.pk}"

    def test_says_why_there_is_nothing_to_show(self, admin_client):
        listed_paper()
        reader = a_reader("zeppelin")

        page = admin_client.get(PREVIEW, {"subscriber": reader.pk}).content.decode()

        assert "Nothing to show." in page
        assert "None of the 1 papers" in page

    def test_an_unknown_address_is_said(self, admin_client):
        page = admin_client.post(PREVIEW, {"reader": "nobody@lab.example"}).content.decode()

        assert "No reader has the address nobody@lab.example." in page

    @pytest.mark.parametrize("number", ["999999", "x"])
    def test_an_unknown_number_is_not_found(self, admin_client, number):
        assert admin_client.get(PREVIEW, {"subscriber": number}).status_code == 404

    def test_the_reader_s_page_leads_there(self, admin_client):
        reader = a_reader()

        page = admin_client.get(f"/admin/subscriptions/subscriber/{reader.pk}/change/").content.decode()

        assert f'href="{PREVIEW}?subscriber={reader.pk}"' in page


class TestSendATest:
    @pytest.fixture(autouse=True)
    def _a_paper(self):
        listed_paper(title="Kites that learn", abstract="An agent flies.")

    def test_sends_one_real_mail_and_records_nothing(self, admin_client, smtp_server: SmtpServer):
        a_reader(email="ada@lab.example")

        page = admin_client.post(
            TEST, {"to": "operator@example.org", "reader": "ada@lab.example"}, follow=True
        ).content.decode()

        (envelope,) = smtp_server.envelopes
        message = envelope.message
        assert envelope.rcpt_to == "operator@example.org"
        assert message["Subject"].startswith("Test: Kites that learn")
        assert message["To"] == "operator@example.org"
        assert message["List-Unsubscribe"] is None
        assert "ada@lab.example" not in str(message["To"])
        assert "Sent to operator@example.org." in page
        assert (Edition.objects.count(), Delivery.objects.count()) == (0, 0)

    def test_makes_a_digest_of_chosen_topics(self, admin_client, smtp_server: SmtpServer):
        topic = TopicFactory(name="Flying", filter=topics.filter_revision("kite", now=NOON))

        admin_client.post(TEST, {"to": "operator@example.org", "topics": [topic.pk]})

        assert smtp_server.recipients == ["operator@example.org"]

    @pytest.mark.parametrize(
        ("data", "words"),
        [
            ({"to": "operator@example.org"}, "Name a reader, or choose topics"),
            ({"to": "operator@"}, "nothing after the @"),
            ({"to": "operator@example.org", "reader": "nobody@lab.example"}, "No reader has the address"),
        ],
    )
    def test_says_what_is_missing(self, admin_client, smtp_server: SmtpServer, data, words):
        page = admin_client.post(TEST, data).content.decode()

        assert words in page
        assert smtp_server.envelopes == []

    def test_a_refusal_is_shown_in_the_server_s_words(self, admin_client, smtp_server: SmtpServer):
        a_reader(email="ada@lab.example")
        smtp_server.answer("operator@example.org", "550 5.7.1 not from you")

        page = admin_client.post(
            TEST, {"to": "operator@example.org", "reader": "ada@lab.example"}
        ).content.decode()

        assert "The mail server refused the test: 550 5.7.1 not from you" in page

    def test_no_server_is_said(self, admin_client, settings):
        settings.EMAIL_URL = "smtp://127.0.0.1:9"
        a_reader(email="ada@lab.example")

        page = admin_client.post(
            TEST, {"to": "operator@example.org", "reader": "ada@lab.example"}
        ).content.decode()

        assert "The test was not sent." in page
        assert "Check EMAIL_URL" in page


class TestAsTest:
    CONTENT = (
        b"From: Paperboy <p@example.org>\r\nTo: ada@lab.example\r\nSubject: =?utf-8?q?Caf=C3=A9?=\r\n"
        b" and 7 more\r\nMessage-ID: <1.2@example.org>\r\nList-Unsubscribe: <https://x.example/u>\r\n"
        b"List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\nMIME-Version: 1.0\r\n\r\n"
        b"To: body\r\n\r\nmore\r\n"
    )

    def test_changes_the_head_and_no_byte_of_the_body(self):
        head, _, body = testmail.as_test(self.CONTENT, to="o@example.org").partition(b"\r\n\r\n")

        assert body == b"To: body\r\n\r\nmore\r\n"
        assert b"Unsubscribe" not in head
        assert b"<1.2@example.org>" not in head
        assert b"To: o@example.org" in head
        assert head.isascii()

    def test_no_header_can_be_slipped_in(self):
        message = testmail.as_test(self.CONTENT, to="o@example.org\r\nBcc: all@example.org")

        assert b"\r\nBcc:" not in message


class TestContentSecurityPolicy:
    def directives(self, response) -> dict[str, str]:
        parts = (part.strip().partition(" ") for part in response["Content-Security-Policy"].split(";"))
        return {name: value for name, _, value in parts}

    def test_the_admin_may_run_unfold_and_nothing_from_elsewhere(self, admin_client):
        policy = self.directives(admin_client.get("/admin/"))

        assert policy["script-src"] == "'self' 'unsafe-eval'"
        assert policy["style-src"] == "'self' 'unsafe-inline'"
        assert policy["frame-ancestors"] == "'none'"
        assert not any("http" in value or "*" in value for value in policy.values())

    def test_public_pages_keep_the_strict_one(self, client):
        policy = self.directives(client.get("/papers/"))

        assert "unsafe" not in " ".join(policy.values())

    def test_the_login_is_under_the_admin_s_own(self, client):
        assert "'unsafe-eval'" in self.directives(client.get("/admin/login/"))["script-src"]

    def test_own_forms_send_their_origin(self, client):
        # With no-referrer, browsers send "Origin: null" and every POST fails the CSRF check.
        assert client.get("/admin/login/")["Referrer-Policy"] == "same-origin"
