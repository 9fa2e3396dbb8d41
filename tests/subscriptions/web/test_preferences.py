import json
import re
from datetime import date, timedelta

import pytest
from django.utils import timezone

from subscriptions import lifecycle, privacy, tokens, topics
from subscriptions.interests import Interest
from subscriptions.mail import notices
from subscriptions.models import Notice, SubscribedTopic, Subscriber
from subscriptions.tokens import Fresh
from tests.factories import SubscriberFactory
from tests.subscriptions.web.conftest import confirm_path, path_of, snapshot

pytestmark = pytest.mark.django_db


def form_of(reader: Subscriber, **changes: object) -> dict[str, object]:
    """What the page would post if nothing was touched."""
    data: dict[str, object] = {
        "frequency": reader.frequency,
        "hour": reader.hour,
        "weekday": reader.weekday,
        "timezone": reader.timezone,
        "length": reader.length,
        "max_papers": reader.max_papers,
        "language": reader.language,
        "row": [],
        "do": "save",
    }
    for line in reader.subscribed_topics.select_related("topic__filter"):
        data["row"].append(str(line.topic_id))  # type: ignore[attr-defined]
        data[f"cap_{line.topic_id}"] = line.max_papers or ""
        if line.topic.owner_id:
            data[f"name_{line.topic_id}"] = line.topic.name
            data[f"filter_{line.topic_id}"] = line.topic.filter.canonical
    return data | changes


def add_own(reader: Subscriber, text: str, name: str) -> int:
    topic = topics.own(reader, text, now=timezone.now(), name=name)
    topics.follow(reader, [topic])
    return topic.pk


def followed(reader: Subscriber) -> list[str]:
    return [line.topic.name for line in reader.subscribed_topics.select_related("topic")]


def fresh_path(purpose: Fresh) -> str:
    notice = Notice.objects.filter(kind=notices.LINK, context__purpose=purpose).latest("pk")
    return path_of(tokens.fresh_url(purpose, notice.pk, now=timezone.now()))


class TestPage:
    def test_shows_the_settings_and_changes_nothing(self, client, reader, settings_path):
        before = snapshot()

        html = client.get(settings_path).content.decode()

        assert snapshot() == before
        assert "mira@lab.example" in html
        assert "Daily at 07:00, Berlin" in html
        assert "<h3>Our agents" in html
        assert "Changes count from the next digest" in html

    def test_an_old_link_offers_another(self, client, reader):
        old = tokens.preferences_url(reader.pk, now=timezone.now() - timedelta(days=60))

        response = client.get(path_of(old))

        assert response.status_code == 410
        assert "This link is too old" in response.content.decode()

    @pytest.mark.parametrize(
        ("status", "words"),
        [
            ("unconfirmed", "has not been confirmed"),
            ("unsubscribed", "is unsubscribed"),
            ("suppressed", "came back"),
        ],
    )
    def test_says_why_no_digest_comes(self, client, reader, settings_path, status, words):
        Subscriber.objects.update(status=status)

        assert words in client.get(settings_path).content.decode()
        assert client.post(settings_path, form_of(reader, hour=1)).status_code == 200
        reader.refresh_from_db()
        assert reader.hour == 7

    def test_is_gone_with_the_reader(self, client, reader, settings_path):
        lifecycle.erase(reader.pk, now=timezone.now())

        assert client.get(settings_path).status_code == 410


class TestSave:
    def test_says_what_changed_before_and_after(self, client, reader, settings_path):
        response = client.post(settings_path, form_of(reader, hour=13, frequency="weekdays"), follow=True)

        assert "Saved. Weekdays at 13:00, Berlin; it was daily at 07:00, Berlin." in response.content.decode()
        reader.refresh_from_db()
        assert (reader.hour, reader.frequency) == (13, "weekdays")

    def test_nothing_changed(self, client, reader, settings_path):
        response = client.post(settings_path, form_of(reader), follow=True)

        assert "Nothing was changed." in response.content.decode()

    def test_needs_the_csrf_token(self, reader, settings_path):
        from django.test import Client

        response = Client(enforce_csrf_checks=True).post(settings_path, form_of(reader, hour=13))

        assert response.status_code == 403

    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"max_papers": "0"}, "At least 1 paper"),
            ({"max_papers": "many"}, "Write a number from 1 to 100."),
            ({"timezone": "Mars/Base"}, "Mars/Base is not a time zone we know."),
            ({"language": "xx"}, "No mail is written in “xx”."),
            ({"language": ""}, "Choose the language of the mail."),
        ],
    )
    def test_what_cannot_be_is_said_in_its_place(self, client, reader, settings_path, changes, words):
        response = client.post(settings_path, form_of(reader, hour=13, **changes))

        assert response.status_code == 422
        assert words in response.content.decode()
        assert '<option value="13" selected>' in response.content.decode()
        reader.refresh_from_db()
        assert reader.hour == 7

    def test_revised_versions_and_the_language_of_the_mail(self, client, reader, settings_path):
        response = client.post(settings_path, form_of(reader, updates="on", language="zh-hans"), follow=True)

        html = response.content.decode()
        reader.refresh_from_db()
        assert (reader.wants_updates, reader.language) == (True, "zh-hans")
        assert "Revised versions of papers now come too, labelled as updated." in html
        assert "Mails are now in 简体中文; before, in English." in html
        assert 'name="updates" checked' in html
        assert 'value="zh-hans" checked' in html

        response = client.post(settings_path, form_of(reader), follow=True)

        reader.refresh_from_db()
        assert (reader.wants_updates, reader.language) == (False, "zh-hans")
        assert "Revised versions of papers do not come any more." in response.content.decode()

    def test_caps_a_topic(self, client, reader, agents, settings_path):
        response = client.post(settings_path, form_of(reader, **{f"cap_{agents.pk}": "5"}), follow=True)

        assert "Our agents now sends at most 5 papers; it was any number." in response.content.decode()


class TestTopics:
    def test_adds_one_of_the_catalogue(self, client, reader, robots, settings_path):
        client.post(settings_path, form_of(reader, do="add", add="our-robots"))

        assert followed(reader) == ["Our agents", "Our robots"]

    @pytest.mark.parametrize(("do", "order"), [("up", ["B", "Our agents"]), ("down", ["Our agents", "B"])])
    def test_moves_up_and_down(self, client, reader, settings_path, do, order):
        own = add_own(reader, "harness", "B")

        client.post(settings_path, form_of(reader, do=f"{do}:{own}"))

        assert followed(reader) == order

    def test_mutes_and_unmutes(self, client, reader, agents, settings_path):
        client.post(settings_path, form_of(reader, do=f"mute:{agents.pk}"))
        assert SubscribedTopic.objects.get().muted

        client.post(settings_path, form_of(reader, do=f"unmute:{agents.pk}"))
        assert not SubscribedTopic.objects.get().muted

    def test_removes(self, client, reader, agents, settings_path):
        response = client.post(settings_path, form_of(reader, do=f"remove:{agents.pk}"), follow=True)

        assert followed(reader) == []
        assert "You follow nothing." in response.content.decode()

    def test_every_button_saves_what_was_typed_elsewhere(self, client, reader, agents, settings_path):
        client.post(settings_path, form_of(reader, do=f"mute:{agents.pk}", hour=22))

        reader.refresh_from_db()
        assert reader.hour == 22

    def test_adds_a_filter_with_a_name(self, client, reader, settings_path):
        client.post(
            settings_path,
            form_of(reader, do="add-filter", new_filter="harness -survey", new_name="Harnesses"),
        )

        assert followed(reader) == ["Our agents", "Harnesses"]
        assert reader.own_topics.get().filter.canonical == "harness AND NOT survey"

    @pytest.mark.parametrize(
        "typed", ["Deep\0 work", "Deep\r\nwork", "\u202eDeep\u2028work", "\x1bDeep work"]
    )
    def test_a_name_keeps_only_what_can_be_seen(self, client, reader, settings_path, typed):
        data = form_of(reader, do="add-filter", new_filter="zebra", new_name=typed)
        client.post(settings_path, data)
        assert followed(reader) == ["Our agents", "Deep work"]

        own = reader.own_topics.get()
        client.post(settings_path, form_of(reader) | {f"name_{own.pk}": f"{typed} twice"})
        assert followed(reader) == ["Our agents", "Deep work twice"]

    def test_a_new_filter_is_not_lost_when_save_is_pressed(self, client, reader, settings_path):
        client.post(settings_path, form_of(reader, new_filter="harness"))

        assert followed(reader) == ["Our agents", "Your filter"]

    def test_filters_without_a_name_can_be_told_apart(self, client, reader, settings_path):
        for text in ("harness", "memory", "robot"):
            client.post(settings_path, form_of(reader, new_filter=text, do="add-filter"))

        assert followed(reader)[1:] == ["Your filter", "Your filter 2", "Your filter 3"]

    def test_a_bad_filter_keeps_everything_typed_and_saves_nothing(self, client, reader, settings_path):
        own = add_own(reader, "harness", "Harnesses")
        changes = {f"filter_{own}": "harness OR (x", f"name_{own}": "Renamed", "hour": 22}

        response = client.post(settings_path, form_of(reader, new_filter="-survey", **changes))

        html = response.content.decode()
        assert response.status_code == 422
        assert "Until then the last good version stays in use." in html
        assert 'value="harness OR (x"' in html
        assert '<div class="caret" aria-hidden="true">           ^</div>' in html
        assert 'value="-survey"' in html
        assert 'value="Renamed"' in html
        assert '<option value="22" selected>' in html
        assert followed(reader) == ["Our agents", "Harnesses"]
        reader.refresh_from_db()
        assert reader.hour == 7

    def test_a_bad_filter_can_be_removed(self, client, reader, settings_path):
        own = add_own(reader, "harness", "Harnesses")

        client.post(settings_path, form_of(reader, do=f"remove:{own}", **{f"filter_{own}": "(("}))

        assert followed(reader) == ["Our agents"]

    def test_a_topic_added_elsewhere_meanwhile_stays(self, client, reader, robots, settings_path):
        data = form_of(reader)
        topics.follow(reader, [robots])

        client.post(settings_path, data)

        assert followed(reader) == ["Our agents", "Our robots"]

    def test_another_readers_filter_cannot_be_taken(self, client, reader, settings_path):
        other = SubscriberFactory()
        theirs = add_own(other, "secret", "Theirs")

        client.post(settings_path, form_of(reader, row=[str(theirs)], **{f"filter_{theirs}": "mine"}))

        assert other.own_topics.get().filter.canonical == "secret"
        assert followed(reader) == ["Our agents"]


class TestInterests:
    def test_a_topic_is_added_in_words_alone(self, client, reader, settings_path):
        client.post(settings_path, form_of(reader, do="add-filter", new_interest="agent memory, recall"))

        line = reader.subscribed_topics.select_related("topic__filter").get(topic__owner=reader)
        assert (line.topic.name, line.topic.keywords) == ("agent memory, recall", ["agent memory", "recall"])
        assert (line.topic.filter.canonical, line.min_relevance) == ("kind:paper", 50)
        html = client.get(settings_path).content.decode()
        assert f'name="filter_{line.topic_id}" value="" placeholder="every paper"' in html
        assert f'name="keywords_{line.topic_id}" value="agent memory, recall"' in html

    def test_words_and_a_threshold_are_changed_and_it_is_said(self, client, reader, settings_path):
        own = add_own(reader, "agents", "Mine")
        words = {
            f"keywords_{own}": "memory, recall",
            f"sentence_{own}": "What agents keep",
            f"least_{own}": "70",
        }

        response = client.post(settings_path, form_of(reader, **words), follow=True)

        line = reader.subscribed_topics.select_related("topic").get(topic=own)
        assert (line.topic.keywords, line.topic.description) == (["memory", "recall"], "What agents keep")
        assert line.min_relevance == 70
        said = response.content.decode()
        assert "Mine now asks for “memory, recall; What agents keep”; it was nothing in words." in said
        assert "Mine now sends papers from 70 % relevance; it was of any." in said

    def test_an_emptied_filter_means_every_paper_only_where_there_are_words(
        self, client, reader, settings_path
    ):
        own = add_own(reader, "agents", "Mine")

        refused = client.post(settings_path, form_of(reader, **{f"filter_{own}": ""}))
        taken = client.post(
            settings_path,
            form_of(reader, **{f"filter_{own}": "", f"keywords_{own}": "memory", f"least_{own}": ""}),
        )

        assert (refused.status_code, taken.status_code) == (422, 302)
        line = reader.subscribed_topics.select_related("topic__filter").get(topic=own)
        assert (line.topic.filter.canonical, line.min_relevance) == ("kind:paper", 50)

    def test_words_taken_away_leave_a_pure_filter(self, client, reader, settings_path):
        topic = topics.own(
            reader, "agents", now=timezone.now(), interest=Interest(("memory",), "What agents keep")
        )
        topics.follow(reader, [topic])
        reader.subscribed_topics.filter(topic=topic).update(min_relevance=60)
        gone = {f"keywords_{topic.pk}": "", f"sentence_{topic.pk}": ""}

        client.post(settings_path, form_of(reader, **gone))

        line = reader.subscribed_topics.select_related("topic").get(topic=topic)
        assert (line.topic.keywords, line.topic.description, line.min_relevance) == ([], "", None)

    def test_a_catalogue_topic_with_keywords_takes_a_threshold_and_keeps_its_words(
        self, client, reader, agents, settings_path
    ):
        agents.keywords = ["agent"]
        agents.save()
        own_words = {
            f"least_{agents.pk}": "80",
            f"keywords_{agents.pk}": "mine",
            f"sentence_{agents.pk}": "Mine",
        }

        client.post(settings_path, form_of(reader, **own_words))

        agents.refresh_from_db()
        assert agents.keywords == ["agent"]
        assert reader.subscribed_topics.get(topic=agents).min_relevance == 80
        assert f'name="least_{agents.pk}"' in client.get(settings_path).content.decode()

    def test_a_pure_filter_has_no_threshold(self, client, reader, agents, settings_path):
        agents.keywords = []
        agents.save()

        client.post(settings_path, form_of(reader, **{f"least_{agents.pk}": "80"}))

        assert reader.subscribed_topics.get(topic=agents).min_relevance is None
        assert f'name="least_{agents.pk}"' not in client.get(settings_path).content.decode()

    def test_the_same_filter_with_other_words_is_another_topic(self, reader):
        first, second, again = (
            topics.own(reader, "agents", now=timezone.now(), interest=Interest(words))
            for words in (("memory",), ("planning",), ("memory",))
        )

        assert (first == again, first == second) == (True, False)


class TestPause:
    def test_until_a_day_and_back(self, client, reader, settings_path):
        day = (timezone.now() + timedelta(days=10)).date()

        response = client.post(f"{settings_path}pause/", {"do": "pause", "until": str(day)}, follow=True)

        assert f"Paused until {day:%A} {day.day} {day:%B %Y}" in response.content.decode()
        assert Subscriber.objects.get().paused_until == day
        client.post(f"{settings_path}pause/", {"do": "resume"})
        assert Subscriber.objects.get().status == "active"

    @pytest.mark.parametrize("until", ["2020-01-01", str(date.today()), "soon"])  # noqa: DTZ011
    def test_a_day_that_cannot_be_is_refused(self, client, reader, settings_path, until):
        response = client.post(f"{settings_path}pause/", {"do": "pause", "until": until}, follow=True)

        assert "toast--bad" in response.content.decode()
        assert Subscriber.objects.get().status == "active"


class TestUnsubscribe:
    @pytest.fixture
    def path(self, reader):
        return path_of(tokens.unsubscribe_url(reader.unsubscribe_key))

    def test_get_asks_and_changes_nothing(self, client, reader, path):
        before = snapshot()

        for method in (client.get, client.head):
            assert method(path).status_code == 200

        assert snapshot() == before

    def test_post_acts_at_once(self, client, reader, path):
        response = client.post(path)

        assert response.status_code == 200
        assert "Done. You will get nothing more." in response.content.decode()
        assert Subscriber.objects.get().status == "unsubscribed"
        assert Notice.objects.get().kind == "goodbye"

    def test_one_click_answers_200_without_cookie_page_or_redirect(self, reader, path):
        from django.test import Client

        client = Client(enforce_csrf_checks=True)
        for _ in range(2):
            response = client.post(
                path, "List-Unsubscribe=One-Click", content_type="application/x-www-form-urlencoded"
            )
            assert response.status_code == 200
            assert response.content == b"Unsubscribed.\n"
            assert not response.cookies

        assert Subscriber.objects.get().status == "unsubscribed"
        assert reader.consents.latest("pk").source == "one-click unsubscribe"

    def test_an_unknown_key_is_a_damaged_link(self, client, reader):
        assert client.post("/unsubscribe/" + "x" * 22 + "/").status_code == 404
        assert Subscriber.objects.get().status == "active"

    def test_undo_brings_everything_back(self, client, reader, path):
        client.post(path)

        response = client.post(f"{path}undo/")

        assert "You are back" in response.content.decode()
        reader.refresh_from_db()
        assert reader.status == "active"
        assert followed(reader) == ["Our agents"]

    def test_undo_by_get_does_nothing(self, client, reader, path):
        client.post(path)

        assert client.get(f"{path}undo/").status_code == 405
        assert Subscriber.objects.get().status == "unsubscribed"

    def test_after_an_hour_undo_asks_by_mail(self, client, reader, path):
        client.post(path)
        Subscriber.objects.update(left_at=timezone.now() - timedelta(hours=1))

        response = client.post(f"{path}undo/")

        assert "We have written to" in response.content.decode()
        assert Subscriber.objects.get().status == "unsubscribed"
        client.post(confirm_path())
        assert Subscriber.objects.get().status == "active"


class TestFreshLinks:
    def test_are_asked_for_on_the_settings_page(self, client, reader, settings_path):
        response = client.post(f"{settings_path}link/", {"purpose": "export"}, follow=True)

        assert (
            "We have mailed a link to mira@lab.example. It works for 15 minutes." in response.content.decode()
        )
        assert Notice.objects.get().context["purpose"] == "export"

    def test_an_unknown_purpose_does_nothing(self, client, reader, settings_path):
        client.post(f"{settings_path}link/", {"purpose": "preferences"})

        assert not Notice.objects.exists()

    @pytest.mark.parametrize("purpose", list(Fresh))
    def test_get_asks_and_changes_nothing(self, client, reader, purpose):
        lifecycle.ask_for_link(reader.pk, purpose, now=timezone.now())
        before = snapshot()

        for method in (client.get, client.head):
            assert method(fresh_path(purpose)).status_code == 200

        assert snapshot() == before

    def test_export_gives_everything_once(self, client, reader, monkeypatch):
        monkeypatch.setattr(privacy, "_registered", {})
        privacy.register("digests", lambda subscriber_id: [{"of": subscriber_id}], lambda _: None)
        add_own(reader, "harness", "Harnesses")
        lifecycle.ask_for_link(reader.pk, Fresh.EXPORT, now=timezone.now())
        path = fresh_path(Fresh.EXPORT)

        response = client.post(path)

        known = json.loads(response.content)
        assert re.match(r'attachment; filename="paperboy-', response["Content-Disposition"])
        assert known["subscriber"]["email"] == "mira@lab.example"
        assert (known["subscriber"]["wants_updates"], known["subscriber"]["language"]) == (False, "en")
        assert [topic["filter"] for topic in known["topics"]] == ["agents", "harness"]
        assert [row["act"] for row in known["consent"]] == ["asked", "confirmed"]
        assert known["digests"] == [{"of": reader.pk}]
        assert client.post(path).status_code == 410

    def test_erase_forgets_the_reader_everywhere(self, client, reader, monkeypatch):
        erased = []
        monkeypatch.setattr(privacy, "_registered", {})
        privacy.register("digests", lambda _: None, erased.append)
        lifecycle.ask_for_link(reader.pk, Fresh.ERASE, now=timezone.now())
        path = fresh_path(Fresh.ERASE)

        response = client.post(path)

        assert "Erased" in response.content.decode()
        assert Subscriber.objects.get().status == "erased"
        assert erased == [reader.pk]
        assert client.post(path).status_code == 410

    def test_another_address_counts_once_it_is_confirmed(self, client, reader):
        lifecycle.ask_for_link(reader.pk, Fresh.CHANGE_ADDRESS, now=timezone.now())
        path = fresh_path(Fresh.CHANGE_ADDRESS)

        assert "nothing after the @" in client.post(path, {"email": "mira@"}).content.decode()
        client.post(path, {"email": "mira@home.example"})
        assert Subscriber.objects.get().email == "mira@lab.example"
        assert "Yes, send it here" in client.get(confirm_path()).content.decode()
        client.post(confirm_path())

        assert Subscriber.objects.get().email == "mira@home.example"

    def test_are_for_their_own_purpose(self, client, reader):
        lifecycle.ask_for_link(reader.pk, Fresh.EXPORT, now=timezone.now())
        token = fresh_path(Fresh.EXPORT).split("/")[2]

        assert client.post(f"/erase/{token}/").status_code == 404
        assert Subscriber.objects.get().status == "active"
