import re

import pytest

from subscriptions import lifecycle
from subscriptions.models import Notice, Subscriber, Topic
from tests.factories import SubscriberFactory
from tests.subscriptions.web.conftest import confirm_path, snapshot

pytestmark = pytest.mark.django_db

GOOD = {
    "email": "mira@lab.example",
    "topic": ["our-agents"],
    "filter": "harness -survey",
    "frequency": "weekdays",
    "hour": "13",
    "timezone": "Europe/Berlin",
}

TIMES = {name: GOOD[name] for name in ("frequency", "hour", "timezone")}


def typed(html: str, name: str) -> str:
    match = re.search(rf'<input[^>]*name="{name}"[^>]*value="([^"]*)"', html)
    assert match, f"no field {name}"
    return match[1]


class TestPage:
    def test_offers_the_catalogue_as_checkboxes(self, client, agents):
        html = client.get("/").content.decode()

        assert re.search(r'<input type="checkbox" name="topic" value="our-agents">', html)
        assert re.search(r'<option value="7" selected>07:00</option>', html)
        assert '<option value="Asia/Tokyo">' in html

    def test_can_be_filled_in_by_a_link(self, client, agents):
        html = client.get("/", {"topic": "our-agents", "filter": "(harness"}).content.decode()

        assert 'value="our-agents" checked' in html
        assert typed(html, "filter") == "(harness"
        assert "Column 1: this bracket is never closed." in html

    def test_has_no_inline_script_or_style(self, client, agents):
        response = client.get("/")
        html = response.content.decode()

        assert "script-src 'self'" in response["Content-Security-Policy"]
        assert not re.search(r"<script(?![^>]*src=)", html)
        assert " style=" not in html
        assert not re.search(r"\son[a-z]+=", html)

    @pytest.mark.parametrize(
        ("accepts", "is_asked"),
        [
            ("", False),
            ("de-DE,de;q=0.9", False),
            ("en-GB,zh-CN;q=0.5", False),
            ("zh-CN,zh;q=0.9,en;q=0.8", True),
        ],
    )
    def test_asks_for_the_language_where_the_browser_speaks_chinese(self, client, accepts, is_asked):
        response = client.get("/", headers={"accept-language": accepts})

        html = response.content.decode()
        assert ("Language of the mail" in html) == is_asked
        assert ('name="language" value="zh-hans" checked' in html) == is_asked
        assert "Accept-Language" in response["Vary"]

    def test_works_for_who_has_javascript_and_who_has_not(self, client):
        html = client.get("/").content.decode()

        assert re.search(r'<button[^>]*name="do" value="preview"', html)
        assert 'hx-get="/preview/"' in html


class TestSubscribe:
    def test_asks_to_confirm_and_says_so(self, client, agents):
        response = client.post("/subscribe/", GOOD)

        assert response.status_code == 200
        assert "We have written to <b>mira@lab.example</b>" in response.content.decode()
        notice = Notice.objects.get()
        assert notice.context["topics"] == ["Our agents"]
        assert notice.context["filter"] == "harness AND NOT survey"
        assert notice.context["when"] == "Weekdays at 13:00, Berlin"

    @pytest.mark.parametrize(("chosen", "language"), [("zh-hans", "zh-hans"), ("en", "en"), (None, "en")])
    def test_the_mail_is_in_the_language_that_was_chosen(self, client, agents, chosen, language):
        data = GOOD if chosen is None else {**GOOD, "language": chosen}
        client.post("/subscribe/", data, headers={"accept-language": "zh-CN"})

        assert Subscriber.objects.get().language == Notice.objects.get().language == language

    def test_a_language_that_we_do_not_write_is_refused(self, client, agents):
        assert client.post("/subscribe/", {**GOOD, "language": "xx"}).status_code == 422
        assert not Subscriber.objects.exists()

    def test_says_the_same_whether_or_not_the_address_is_known(self, client, reader):
        pages = set()
        lifecycle.suppress("gone@lab.example", reason="complaint", evidence="", now=reader.created_at)
        for email in ("mira@lab.example", "stranger@lab.example", "gone@lab.example"):
            response = client.post("/subscribe/", {**GOOD, "email": email})
            page = response.content.decode().replace(email, "EMAIL")
            pages.add((response.status_code, re.sub(r'csrfmiddlewaretoken" value="\w+', "", page)))

        assert len(pages) == 1
        assert {notice.kind for notice in Notice.objects.all()} == {"link", "confirm"}

    @pytest.mark.parametrize(
        ("changes", "problem"),
        [
            ({"email": "mira@"}, "nothing after the @"),
            ({"email": ""}, "Type the address"),
            ({"filter": "agent OR ("}, "Column"),
            ({"timezone": "Mars/Base"}, "Mars/Base is not a time zone we know"),
            ({"topic": [], "filter": ""}, "Choose a topic or write a filter"),
        ],
    )
    def test_an_error_stands_in_its_place_and_nothing_typed_is_lost(self, client, agents, changes, problem):
        posted = {**GOOD, "top_papers": "", **changes}

        response = client.post("/subscribe/", posted)

        html = response.content.decode()
        assert response.status_code == 422
        assert problem in html
        assert typed(html, "email") == posted["email"]
        assert typed(html, "filter") == posted["filter"]
        assert ('value="our-agents" checked' in html) == bool(posted["topic"])
        assert 'name="frequency" value="weekdays" checked' in html
        assert '<option value="13" selected>' in html
        assert ('<option value="Europe/Berlin" selected>' in html) == (posted["timezone"] == "Europe/Berlin")
        assert not Subscriber.objects.exists()

    def test_the_caret_stands_below_the_column(self, client, agents):
        html = client.post("/subscribe/", {**GOOD, "filter": "agent OR (x"}).content.decode()

        assert '<div class="caret" id="filter-caret" aria-hidden="true">         ^</div>' in html

    def test_who_fills_the_trap_gets_the_page_and_nothing_else(self, client, agents):
        response = client.post("/subscribe/", {**GOOD, "website": "http://spam.example"})

        assert response.status_code == 200
        assert not Subscriber.objects.exists()

    def test_needs_the_csrf_token(self, agents):
        from django.test import Client

        response = Client(enforce_csrf_checks=True).post("/subscribe/", GOOD)

        assert response.status_code == 403
        assert not Subscriber.objects.exists()

    def test_too_many_tries_say_until_when(self, client, agents):
        for _ in range(3):
            client.post("/subscribe/", GOOD)

        response = client.post("/subscribe/", GOOD)

        assert response.status_code == 429
        assert 0 < int(response["Retry-After"]) <= 3600
        assert "3 mails to one address in one hour" in response.content.decode()
        assert Notice.objects.count() == 3

    def test_the_preview_button_keeps_the_address_out_of_the_url(self, client, agents):
        response = client.post("/subscribe/", {**GOOD, "do": "preview"})

        assert response.status_code == 303
        assert response["Location"] == "/preview/?topic=our-agents&filter=harness+-survey"
        assert not Subscriber.objects.exists()

    def test_a_get_leads_back(self, client):
        assert client.get("/subscribe/")["Location"] == "/"

    def test_can_be_asked_for_again(self, client, agents):
        client.post("/subscribe/", GOOD)

        response = client.post("/subscribe/again/", {"email": "Mira@lab.example"})

        assert response.status_code == 200
        assert Notice.objects.count() == 2

    def test_asking_again_for_nonsense_asks_for_an_address(self, client):
        response = client.post("/subscribe/again/", {"email": "nonsense"})

        assert response.status_code == 422
        assert "it has no @" in response.content.decode()


class TestEcho:
    def test_says_how_a_filter_reads(self, client):
        html = client.get("/subscribe/filter/", {"filter": "harness -survey"}).content.decode()

        assert "Reads as <code>harness AND NOT survey</code>" in html
        assert "<html" not in html

    def test_says_what_chinese_words_also_mean(self, client):
        html = client.get("/subscribe/filter/", {"filter": "后训练"}).content.decode()

        assert "Reads as <code>后训练</code>" in html
        assert "后训练, also post-training" in html

    def test_says_where_it_is_wrong(self, client):
        html = client.get("/subscribe/filter/", {"filter": "agent <b>("}).content.decode()

        assert "Column" in html
        assert "hx-swap-oob" in html
        assert "<b>" not in html


class TestConfirm:
    def test_the_page_asks_and_changes_nothing(self, client, agents):
        client.post("/subscribe/", GOOD)
        before = snapshot()

        for method in (client.get, client.head, client.get):
            assert method(confirm_path()).status_code == 200

        html = client.get(confirm_path()).content.decode()
        assert snapshot() == before
        assert "mira@lab.example" in html
        assert "harness AND NOT survey" in html
        assert "Yes, send me the papers" in html

    def test_the_page_is_in_english_also_for_who_reads_chinese_mails(self, client, agents):
        Topic.objects.filter(slug="our-agents").update(names={"zh-hans": "我们的智能体"})
        client.post("/subscribe/", {**GOOD, "language": "zh-hans"})

        html = client.get(confirm_path()).content.decode()

        assert Notice.objects.get().context["topics"] == ["我们的智能体"]
        assert Notice.objects.get().context["when"] == "工作日 13:00（柏林时间）"
        assert "Our agents" in html
        assert "Weekdays at 13:00, Berlin" in html

    def test_the_button_confirms_and_leads_to_the_settings(self, client, agents):
        client.post("/subscribe/", GOOD)

        response = client.post(confirm_path())

        html = response.content.decode()
        assert Subscriber.objects.get().status == "active"
        assert "within a minute" in html
        path = re.search(r'href="http://[^/]+(/preferences/[^"]+)"', html)[1]
        assert client.get(path).status_code == 200

    def test_a_second_press_says_that_it_is_done(self, client, agents):
        client.post("/subscribe/", GOOD)
        path = confirm_path()
        client.post(path)

        response = client.post(path)

        assert response.status_code == 410
        assert "This link has done its work" in response.content.decode()

    def test_an_old_link_says_until_when_and_offers_another(self, client, agents, monkeypatch):
        from datetime import datetime, timedelta

        from django.utils import timezone

        client.post("/subscribe/", GOOD)
        path = confirm_path()
        soon = timezone.now() + timedelta(days=7, seconds=1)
        monkeypatch.setattr(timezone, "now", lambda: soon)

        html = client.post(path).content.decode()

        assert "This link is too old" in html
        assert f"{datetime.now(soon.tzinfo) + timedelta(days=7):%-d %B}" in html
        assert "Mail me a new link" in html
        assert Subscriber.objects.get().status == "unconfirmed"

    def test_a_damaged_link_says_what_to_do(self, client):
        response = client.get("/confirm/" + "x" * 31 + "/")

        assert response.status_code == 404
        assert "Copy the whole address" in response.content.decode()

    def test_a_returning_reader_is_asked_about_old_topics(self, client, reader, robots):
        lifecycle.unsubscribe(reader.pk, now=reader.created_at, source="test")
        client.post("/subscribe/", {**GOOD, "topic": ["our-robots"], "filter": ""})

        assert "Also keep what you followed before" in client.get(confirm_path()).content.decode()
        client.post(confirm_path(), {"keep_topics": "on"})

        assert [topic.name for topic in reader.topics.order_by("pk")] == ["Our agents", "Our robots"]

    def test_is_never_cached(self, client, agents):
        client.post("/subscribe/", GOOD)

        assert "no-store" in client.get(confirm_path())["Cache-Control"]


def test_a_reader_who_signs_up_again_keeps_their_settings(client, agents):
    SubscriberFactory(email="mira@lab.example", hour=7)

    client.post("/subscribe/", GOOD)

    assert Subscriber.objects.get().hour == 7


class TestInWords:
    def test_words_become_a_topic_that_any_paper_may_enter(self, client, agents):
        client.post("/subscribe/", {**GOOD, "filter": "", "interest": "agent memory, recall"})

        page = client.get(confirm_path()).content.decode()
        client.post(confirm_path())

        assert "agent memory, recall" in page
        own = Subscriber.objects.get().subscribed_topics.select_related("topic__filter").get(topic__slug=None)
        assert (own.topic.keywords, own.topic.filter.canonical) == (["agent memory", "recall"], "kind:paper")
        assert own.min_relevance == 50

    def test_words_beside_a_filter_are_one_topic(self, client, agents):
        client.post("/subscribe/", {**GOOD, "interest": "How agents keep what they learnt"})
        client.post(confirm_path())

        own = Subscriber.objects.get().subscribed_topics.select_related("topic__filter").get(topic__slug=None)
        assert own.topic.description == "How agents keep what they learnt"
        assert (own.topic.filter.canonical, own.min_relevance) == ("harness AND NOT survey", None)

    def test_words_alone_are_enough_and_survive_an_error(self, client, agents):
        sent = client.post("/subscribe/", {"email": "a@lab.example", **TIMES, "interest": "recall"})
        again = client.post("/subscribe/", {"email": "a@", **TIMES, "interest": 'recall "x'}).content.decode()

        assert sent.status_code == 200
        assert typed(again, "interest") == "recall &quot;x"

    def test_the_preview_button_takes_them_along(self, client, agents):
        response = client.post("/subscribe/", {**GOOD, "interest": "recall", "do": "preview"})

        assert response["Location"].endswith("&interest=recall")
