from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from subscriptions import lifecycle, topics
from subscriptions.filters import FilterError
from subscriptions.lifecycle import TopicLine, Wishes
from subscriptions.mail import ledger, notices
from subscriptions.models import Consent, Delivery, FilterRevision, Notice, Subscriber, Suppression
from subscriptions.tokens import BadToken, Fresh
from tests.factories import SubscribedTopicFactory, SubscriberFactory, TopicFactory, open_mailing

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 8, 21, 12, tzinfo=UTC)
LATER = NOON + timedelta(minutes=5)
Status = Subscriber.Status


def subscribe(email="mira@lab.example", *, now=NOON, **wishes) -> None:
    lifecycle.subscribe(email, Wishes(**wishes), now=now, source="sign-up page")


def confirmation(email="mira@lab.example") -> Notice:
    return Notice.objects.filter(kind="confirm", to=email).latest("pk")


def acts(subscriber: Subscriber) -> list[str]:
    return list(subscriber.consents.order_by("pk").values_list("act", flat=True))


def followed(subscriber: Subscriber) -> list[str]:
    return [line.topic.name for line in subscriber.subscribed_topics.select_related("topic")]


def reader(**values) -> Subscriber:
    """Somebody who asked and confirmed."""
    subscriber = SubscriberFactory(**values)
    for act in (Consent.Act.ASKED, Consent.Act.CONFIRMED):
        Consent.objects.create(subscriber=subscriber, act=act, at=subscriber.created_at, source="test")
    return subscriber


class TestSubscribe:
    def test_a_new_address_is_unconfirmed_and_asked(self):
        subscribe("Mira@Lab.Example", hour=13, timezone="Europe/Berlin", frequency="weekdays")

        subscriber = Subscriber.objects.get(address="mira@lab.example")
        assert (subscriber.email, subscriber.status, subscriber.hour) == (
            "Mira@Lab.Example",
            "unconfirmed",
            13,
        )
        assert acts(subscriber) == ["asked"]
        notice = Notice.objects.get()
        assert (notice.kind, notice.to, notice.context["when"]) == (
            "confirm",
            "Mira@Lab.Example",
            "Weekdays at 13:00, Berlin",
        )

    def test_topics_and_the_filter_in_canonical_form_are_followed_in_order(self):
        TopicFactory(slug="our-agents", name="Agents")
        TopicFactory(slug="our-robots", name="Robots")

        subscribe(topics=("our-robots", "our-agents", "no-such"), filter="harness -survey")

        subscriber = Subscriber.objects.get()
        assert followed(subscriber) == ["Robots", "Agents", "Your filter"]
        assert subscriber.own_topics.get().filter.canonical == "harness AND NOT survey"

    def test_a_filter_that_cannot_be_read_leaves_nothing_behind(self):
        with pytest.raises(FilterError):
            subscribe(filter="agent OR (")

        assert not Subscriber.objects.exists()
        assert not Notice.objects.exists()

    def test_the_latest_wishes_of_an_unconfirmed_address_count(self):
        TopicFactory(slug="our-agents", name="Agents")
        TopicFactory(slug="our-robots", name="Robots")
        subscribe(topics=("our-agents",))

        subscribe(topics=("our-robots",), now=LATER)

        assert followed(Subscriber.objects.get()) == ["Robots"]
        assert Notice.objects.count() == 2

    @pytest.mark.parametrize("status", ["active", "paused"])
    def test_a_reader_is_mailed_the_link_to_their_settings_and_keeps_them(self, status):
        subscriber = reader(email="mira@lab.example", status=status, hour=7)

        subscribe("MIRA@lab.example", hour=23)

        subscriber.refresh_from_db()
        assert (subscriber.status, subscriber.hour) == (status, 7)
        notice = Notice.objects.get()
        assert (notice.kind, notice.to, notice.context["already_subscribed"]) == (
            "link",
            "mira@lab.example",
            True,
        )

    def test_a_former_reader_is_asked_and_nothing_else_changes(self):
        subscriber = reader(email="mira@lab.example")
        SubscribedTopicFactory(subscriber=subscriber, topic__name="Agents")
        lifecycle.unsubscribe(subscriber.pk, now=NOON, source="test")
        TopicFactory(slug="our-robots", name="Robots")

        subscribe(topics=("our-robots",), now=LATER)

        subscriber.refresh_from_db()
        assert subscriber.status == Status.UNSUBSCRIBED
        assert followed(subscriber) == ["Agents"]
        assert confirmation().context["topics"] == ["Robots"]

    def test_a_suppressed_address_is_sent_nothing(self):
        lifecycle.suppress("mira@lab.example", reason="complaint", evidence="report", now=NOON)

        subscribe("Mira@lab.example", now=LATER)

        assert not Notice.objects.exists()
        assert not Subscriber.objects.exists()

    def test_one_address_is_mailed_eight_times_a_day_whoever_asks(self):
        for minute in range(12):
            subscribe(now=NOON + timedelta(minutes=minute))

        assert Notice.objects.count() == lifecycle.MAILS_A_DAY == 8

        subscribe(now=NOON + timedelta(days=1, minutes=1))
        assert Notice.objects.count() == 9


class TestAskAgain:
    def test_repeats_what_was_asked_for(self):
        TopicFactory(slug="our-agents", name="Agents")
        subscribe(topics=("our-agents",), filter="harness")

        lifecycle.ask_again("MIRA@lab.example", now=LATER)

        first, second = Notice.objects.order_by("pk")
        assert second.context["wishes"] == first.context["wishes"]
        assert second.key != first.key

    def test_sends_a_reader_their_link(self):
        reader(email="mira@lab.example")

        lifecycle.ask_again("mira@lab.example", now=NOON)

        assert Notice.objects.get().context["purpose"] == "preferences"

    def test_sends_a_stranger_nothing(self):
        lifecycle.ask_again("mira@lab.example", now=NOON)

        assert not Notice.objects.exists()

    def test_sends_who_left_nothing(self):
        subscribe()
        lifecycle.unsubscribe(Subscriber.objects.get().pk, now=LATER, source="test")

        lifecycle.ask_again("mira@lab.example", now=LATER)

        assert Notice.objects.count() == 1


class TestConfirm:
    def test_makes_active_with_consent_recorded(self):
        subscribe()

        subscriber = lifecycle.confirm(confirmation().pk, now=LATER)

        assert (subscriber.status, subscriber.confirmed_at) == (Status.ACTIVE, LATER)
        assert acts(subscriber) == ["asked", "confirmed"]
        assert subscriber.consents.latest("pk").wording == lifecycle.WORDING

    def test_counts_once(self):
        subscribe()
        lifecycle.confirm(confirmation().pk, now=LATER)

        with pytest.raises(BadToken) as caught:
            lifecycle.confirm(confirmation().pk, now=LATER)

        assert caught.value.reason == "spent"
        assert acts(Subscriber.objects.get()) == ["asked", "confirmed"]

    def test_the_link_of_an_older_mail_is_spent_with_the_newer(self):
        subscribe()
        subscribe(now=LATER)
        first, second = Notice.objects.order_by("pk")
        lifecycle.confirm(second.pk, now=LATER)

        with pytest.raises(BadToken):
            lifecycle.confirm(first.pk, now=LATER)

    def test_an_older_mail_cannot_undo_an_unsubscribe(self):
        subscribe()
        subscribe(now=LATER)
        first, second = Notice.objects.order_by("pk")
        subscriber = lifecycle.confirm(second.pk, now=LATER)
        lifecycle.unsubscribe(subscriber.pk, now=LATER + timedelta(minutes=1), source="test")

        with pytest.raises(BadToken):
            lifecycle.confirm(first.pk, now=LATER + timedelta(minutes=2))

        subscriber.refresh_from_db()
        assert subscriber.status == Status.UNSUBSCRIBED

    def test_gives_exactly_what_that_mail_said(self):
        TopicFactory(slug="our-agents", name="Agents")
        TopicFactory(slug="our-robots", name="Robots")
        subscribe(topics=("our-agents",), hour=9)
        first = confirmation()
        subscribe(topics=("our-robots",), hour=10, now=LATER)

        subscriber = lifecycle.confirm(first.pk, now=LATER)

        assert (followed(subscriber), subscriber.hour) == (["Agents"], 9)

    @pytest.mark.parametrize(("keep", "names"), [(False, ["Robots"]), (True, ["Agents", "Robots"])])
    def test_a_returning_reader_keeps_old_topics_only_when_asked(self, keep, names):
        subscriber = reader(email="mira@lab.example")
        SubscribedTopicFactory(subscriber=subscriber, topic__name="Agents")
        lifecycle.unsubscribe(subscriber.pk, now=NOON, source="test")
        TopicFactory(slug="our-robots", name="Robots")
        subscribe(topics=("our-robots",), now=LATER)

        subscriber = lifecycle.confirm(confirmation().pk, now=LATER, keep_topics=keep)

        assert subscriber.status == Status.ACTIVE
        assert subscriber.left_at is None
        assert followed(subscriber) == names

    def test_an_address_suppressed_meanwhile_stays_so(self):
        subscribe()
        lifecycle.suppress("mira@lab.example", reason="operator", evidence="", now=LATER)

        with pytest.raises(BadToken):
            lifecycle.confirm(confirmation().pk, now=LATER)

        assert Subscriber.objects.get().status == Status.SUPPRESSED


class TestChangePreferences:
    def test_says_what_changed_before_and_after(self):
        subscriber = reader(timezone="Europe/Berlin")
        SubscribedTopicFactory(subscriber=subscriber, topic__name="Agents", max_papers=10)
        current = lifecycle.preferences(subscriber)
        line = replace(current.topics[0], max_papers=5, muted=True)

        changes = lifecycle.change_preferences(
            subscriber.pk,
            replace(current, topics=(line,), frequency="weekly", weekday=4, hour=13, max_papers=10),
            now=NOON,
        )

        assert changes == [
            "Weekly, on Friday at 13:00, Berlin; it was daily at 07:00, Berlin.",
            "A digest now has at most 10 papers; it was 20.",
            "Agents is now muted.",
            "Agents now sends at most 5 papers; it was 10.",
        ]
        subscriber.refresh_from_db()
        assert (subscriber.frequency, subscriber.weekday, subscriber.hour) == ("weekly", 4, 13)

    def test_nothing_changed_says_nothing(self):
        subscriber = reader()
        SubscribedTopicFactory(subscriber=subscriber)

        current = lifecycle.preferences(subscriber)
        assert lifecycle.change_preferences(subscriber.pk, current, now=NOON) == []

    def test_adds_orders_and_removes_topics(self):
        subscriber = reader()
        agents = SubscribedTopicFactory(subscriber=subscriber, topic__name="Agents").topic
        robots = TopicFactory(name="Robots")
        current = lifecycle.preferences(subscriber)

        changes = lifecycle.change_preferences(
            subscriber.pk,
            replace(
                current,
                topics=(
                    TopicLine(None, name="Harnesses", filter="harness -survey"),
                    TopicLine(robots.pk),
                    TopicLine(agents.pk),
                ),
            ),
            now=NOON,
        )

        assert followed(subscriber) == ["Harnesses", "Robots", "Agents"]
        assert changes == ["Harnesses is new.", "Robots is new."]

        left = lifecycle.preferences(subscriber)
        changes = lifecycle.change_preferences(
            subscriber.pk, replace(left, topics=(left.topics[2], left.topics[1])), now=NOON
        )
        assert followed(subscriber) == ["Agents", "Robots"]
        assert changes == ["Harnesses is gone.", "The order is now Agents, Robots."]

    def test_an_own_filter_that_is_removed_stays_for_past_digests(self):
        subscriber = reader()
        current = lifecycle.preferences(subscriber)
        wanted = replace(current, topics=(TopicLine(None, name="Mine", filter="harness"),))
        lifecycle.change_preferences(subscriber.pk, wanted, now=NOON)

        lifecycle.change_preferences(subscriber.pk, current, now=LATER)

        assert subscriber.own_topics.get().retired_at == LATER

    def test_changing_a_filter_leaves_its_revision_alone(self):
        subscriber = reader()
        current = lifecycle.preferences(subscriber)
        wanted = replace(current, topics=(TopicLine(None, name="Mine", filter="harness"),))
        lifecycle.change_preferences(subscriber.pk, wanted, now=NOON)
        line = lifecycle.preferences(subscriber).topics[0]

        changes = lifecycle.change_preferences(
            subscriber.pk, replace(current, topics=(replace(line, filter="harness has:code"),)), now=NOON
        )

        assert changes == ["Mine now looks for harness AND has:code; it was harness."]
        assert FilterRevision.objects.filter(canonical="harness").exists()

    def test_a_filter_that_cannot_be_read_changes_nothing(self):
        subscriber = reader()
        current = lifecycle.preferences(subscriber)
        wanted = replace(current, hour=20, topics=(TopicLine(None, name="Mine", filter="(harness"),))

        with pytest.raises(FilterError):
            lifecycle.change_preferences(subscriber.pk, wanted, now=NOON)

        subscriber.refresh_from_db()
        assert subscriber.hour == 7

    def test_the_filters_of_others_are_out_of_reach(self):
        other = reader()
        theirs = topics.own(other, "harness", now=NOON)
        subscriber = reader()
        current = lifecycle.preferences(subscriber)

        lifecycle.change_preferences(
            subscriber.pk, replace(current, topics=(TopicLine(theirs.pk),)), now=NOON
        )

        assert followed(subscriber) == []


class TestPause:
    def test_pauses_until_a_day_and_resumes(self):
        subscriber = reader()

        assert lifecycle.pause(subscriber.pk, until=date(2026, 9, 1), now=NOON, source="test")
        subscriber.refresh_from_db()
        assert (subscriber.status, subscriber.paused_until) == (Status.PAUSED, date(2026, 9, 1))
        assert lifecycle.resume(subscriber.pk, now=LATER, source="test")
        subscriber.refresh_from_db()
        assert (subscriber.status, subscriber.paused_until) == (Status.ACTIVE, None)
        assert acts(subscriber)[-2:] == ["paused", "resumed"]

    def test_who_left_cannot_be_paused(self):
        subscriber = reader(status="unsubscribed")

        assert not lifecycle.pause(subscriber.pk, until=None, now=NOON, source="test")
        subscriber.refresh_from_db()
        assert subscriber.status == Status.UNSUBSCRIBED

    def test_ends_by_the_readers_own_calendar(self):
        today = date(2026, 8, 21)
        west = reader(timezone="America/Los_Angeles", status="paused", paused_until=today)
        east = reader(timezone="Asia/Tokyo", status="paused", paused_until=today)
        endless = reader(status="paused")

        # 03:00 UTC on the 21st is the 20th in Los Angeles.
        assert lifecycle.resume_due(now=datetime(2026, 8, 21, 3, tzinfo=UTC)) == 1

        statuses = {row.pk: row.status for row in Subscriber.objects.all()}
        assert statuses == {west.pk: "paused", east.pk: "active", endless.pk: "paused"}


class TestUnsubscribe:
    def test_acts_once_and_says_goodbye_once(self):
        subscriber = reader()

        results = [lifecycle.unsubscribe(subscriber.pk, now=NOON, source="test") for _ in range(2)]

        assert results == [True, False]
        subscriber.refresh_from_db()
        assert (subscriber.status, subscriber.left_at) == (Status.UNSUBSCRIBED, NOON)
        assert [notice.kind for notice in Notice.objects.all()] == ["goodbye"]

    def test_who_never_confirmed_gets_no_goodbye(self):
        subscribe()

        lifecycle.unsubscribe(Subscriber.objects.get().pk, now=LATER, source="test")

        assert not Notice.objects.filter(kind="goodbye").exists()

    @pytest.mark.parametrize(("paused", "status"), [(False, "active"), (True, "paused")])
    def test_undo_within_the_hour_brings_back_what_was(self, paused, status):
        subscriber = reader()
        if paused:
            lifecycle.pause(subscriber.pk, until=date(2026, 9, 1), now=NOON, source="test")
        lifecycle.unsubscribe(subscriber.pk, now=NOON, source="test")

        assert lifecycle.undo_unsubscribe(subscriber.pk, now=NOON + timedelta(minutes=59))

        subscriber.refresh_from_db()
        assert (subscriber.status, subscriber.left_at) == (status, None)

    def test_undo_later_asks_by_mail_and_keeps_all_topics(self):
        subscriber = reader(hour=9)
        SubscribedTopicFactory(subscriber=subscriber, topic__name="Agents")
        lifecycle.unsubscribe(subscriber.pk, now=NOON, source="test")
        later = NOON + timedelta(hours=1)

        assert not lifecycle.undo_unsubscribe(subscriber.pk, now=later)
        subscriber.refresh_from_db()
        assert subscriber.status == Status.UNSUBSCRIBED

        back = lifecycle.confirm(confirmation(subscriber.email).pk, now=later)
        assert (back.status, back.hour, followed(back)) == (Status.ACTIVE, 9, ["Agents"])

    def test_undo_never_activates_who_had_not_confirmed(self):
        subscribe()
        subscriber = Subscriber.objects.get()
        lifecycle.unsubscribe(subscriber.pk, now=LATER, source="test")

        assert not lifecycle.undo_unsubscribe(subscriber.pk, now=LATER)


class TestSuppress:
    def test_the_status_follows_the_table(self):
        subscriber = reader(email="Mira@lab.example")

        lifecycle.suppress("MIRA@lab.example", reason="hard_bounce", evidence="550 5.1.1", now=NOON)

        subscriber.refresh_from_db()
        assert (subscriber.status, subscriber.left_at) == (Status.SUPPRESSED, NOON)
        assert Suppression.objects.get().evidence == "550 5.1.1"

    def test_an_unknown_address_is_suppressed_too(self):
        lifecycle.suppress("nobody@lab.example", reason="operator", evidence="", now=NOON)

        assert lifecycle.is_suppressed("nobody@lab.example", now=NOON)

    def test_a_complaint_replaces_a_bounce_and_not_the_reverse(self):
        for reason in ("hard_bounce", "complaint", "soft_bounce"):
            lifecycle.suppress("mira@lab.example", reason=reason, evidence=reason, now=NOON)

        assert Suppression.objects.get().reason == "complaint"

    def test_ends_with_its_term(self):
        lifecycle.suppress("a@lab.example", reason="soft_bounce", evidence="", now=NOON, expires_at=LATER)

        assert lifecycle.is_suppressed("a@lab.example", now=NOON)
        assert not lifecycle.is_suppressed("a@lab.example", now=LATER)

    @pytest.mark.parametrize("leave", [False, True])
    def test_lifting_restores_what_the_reader_last_wanted(self, leave):
        subscriber = reader(email="mira@lab.example")
        lifecycle.suppress("mira@lab.example", reason="hard_bounce", evidence="", now=NOON)
        if leave:
            lifecycle.unsubscribe(subscriber.pk, now=LATER, source="test")
            subscriber.refresh_from_db()
            assert subscriber.status == Status.SUPPRESSED

        assert lifecycle.lift("mira@lab.example", now=LATER, source="operator")

        subscriber.refresh_from_db()
        assert subscriber.status == (Status.UNSUBSCRIBED if leave else Status.ACTIVE)
        assert not lifecycle.is_suppressed("mira@lab.example", now=LATER)
        assert not lifecycle.lift("mira@lab.example", now=LATER, source="operator")

    def test_suppressed_again_after_a_lift(self):
        lifecycle.suppress("mira@lab.example", reason="hard_bounce", evidence="old", now=NOON)
        lifecycle.lift("mira@lab.example", now=NOON, source="operator")

        lifecycle.suppress("mira@lab.example", reason="soft_bounce", evidence="new", now=LATER)

        row = Suppression.objects.get()
        assert (row.reason, row.evidence, row.lifted_at) == ("soft_bounce", "new", None)


class TestFreshLink:
    def test_is_spent_by_its_first_use(self):
        subscriber = reader()
        lifecycle.ask_for_link(subscriber.pk, Fresh.EXPORT, now=NOON)
        notice = Notice.objects.get()

        assert lifecycle.behind_link(notice.pk, Fresh.EXPORT) == subscriber
        assert lifecycle.spend_link(notice.pk, Fresh.EXPORT, now=LATER) == subscriber
        with pytest.raises(BadToken) as caught:
            lifecycle.spend_link(notice.pk, Fresh.EXPORT, now=LATER)
        assert caught.value.reason == "spent"

    def test_is_for_its_purpose_only(self):
        subscriber = reader()
        lifecycle.ask_for_link(subscriber.pk, Fresh.EXPORT, now=NOON)

        with pytest.raises(BadToken):
            lifecycle.spend_link(Notice.objects.get().pk, Fresh.ERASE, now=LATER)

    def test_moves_to_an_address_once_that_is_confirmed(self):
        subscriber = reader(email="mira@lab.example")
        SubscribedTopicFactory(subscriber=subscriber, topic__name="Agents")
        lifecycle.ask_for_link(subscriber.pk, Fresh.CHANGE_ADDRESS, now=NOON)
        lifecycle.ask_change_of_address(Notice.objects.get().pk, "Mira@Home.example", now=NOON)
        subscriber.refresh_from_db()
        assert subscriber.email == "mira@lab.example"

        lifecycle.confirm(confirmation("Mira@Home.example").pk, now=LATER)

        subscriber.refresh_from_db()
        assert (subscriber.email, subscriber.address) == ("Mira@Home.example", "mira@home.example")
        assert (subscriber.status, followed(subscriber)) == (Status.ACTIVE, ["Agents"])

    def test_moving_takes_the_place_of_an_older_subscription_of_that_mailbox(self):
        subscriber, other = reader(email="mira@lab.example"), reader(email="mira@home.example")
        lifecycle.ask_for_link(subscriber.pk, Fresh.CHANGE_ADDRESS, now=NOON)
        lifecycle.ask_change_of_address(Notice.objects.get().pk, "mira@home.example", now=NOON)

        lifecycle.confirm(confirmation("mira@home.example").pk, now=LATER)

        subscriber.refresh_from_db()
        other.refresh_from_db()
        assert (subscriber.address, other.status) == ("mira@home.example", Status.ERASED)


class TestErase:
    def test_leaves_a_row_without_the_person(self):
        subscriber = reader(email="Mira@lab.example", timezone="Asia/Tokyo", hour=3)
        own = topics.own(subscriber, "harness", now=NOON)
        topics.follow(subscriber, [own])
        lifecycle.ask_for_link(subscriber.pk, Fresh.ERASE, now=NOON)
        mailing = open_mailing()
        ledger.add(
            mailing.pk,
            [
                ledger.NewRow(
                    subscriber_id=subscriber.pk,
                    email=subscriber.email,
                    due_at=NOON,
                    state="skipped",
                    reason="550 Mira@lab.example?",
                )
            ],
        )
        key = subscriber.unsubscribe_key

        lifecycle.erase(subscriber.pk, now=LATER)

        erased = Subscriber.objects.get(pk=subscriber.pk)
        assert (erased.status, erased.email, erased.address) == ("erased", "", f"erased:{subscriber.pk}")
        assert (erased.timezone, erased.hour, erased.left_at) == ("UTC", 7, LATER)
        assert erased.unsubscribe_key != key
        assert not erased.own_topics.exists()
        assert not Notice.objects.exists()
        row = Delivery.objects.get()
        assert (row.email, row.reason) == ("", "550 …?")
        assert "mira" not in str(list(Suppression.objects.values())).lower()

    def test_an_import_still_knows_the_address_after_a_change_of_keys(self, settings):
        subscriber = reader(email="mira@lab.example")
        lifecycle.erase(subscriber.pk, now=NOON)
        settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "new", [settings.SECRET_KEY]

        assert lifecycle.was_erased(["mira@lab.example", "other@lab.example"]) == {"mira@lab.example"}

    def test_who_erased_themselves_may_sign_up_anew(self):
        lifecycle.erase(reader(email="mira@lab.example").pk, now=NOON)

        subscribe(now=LATER)
        subscriber = lifecycle.confirm(confirmation().pk, now=LATER)

        assert subscriber.status == Status.ACTIVE
        assert lifecycle.was_erased(["mira@lab.example"]) == set()

    def test_a_complaint_outlives_the_erasure(self):
        reader(email="mira@lab.example")
        lifecycle.suppress("mira@lab.example", reason="complaint", evidence="mira@…", now=NOON)
        lifecycle.erase(Subscriber.objects.get().pk, now=LATER)

        subscribe(now=LATER)

        assert not Notice.objects.exists()
        assert lifecycle.is_suppressed("mira@lab.example", now=LATER)


class TestForgetUnconfirmed:
    def test_deletes_who_never_pressed_the_button_and_did_not_ask_again(self):
        subscribe("old@lab.example")
        subscribe("asked-again@lab.example")
        subscribe("asked-again@lab.example", now=NOON + timedelta(days=5))
        subscribe("confirmed@lab.example")
        lifecycle.confirm(confirmation("confirmed@lab.example").pk, now=LATER)

        assert lifecycle.forget_unconfirmed(now=NOON + timedelta(days=8)) == 1

        assert set(Subscriber.objects.values_list("email", flat=True)) == {
            "asked-again@lab.example",
            "confirmed@lab.example",
        }
        assert not Notice.objects.filter(to="old@lab.example").exists()


def test_notices_of_one_subscriber_are_not_those_of_a_longer_number():
    one = SubscriberFactory(id=4)
    other = SubscriberFactory(id=42)
    for subscriber in (one, other):
        notices.queue("confirm", subscriber, key="1", now=NOON)

    assert [notice.to for notice in notices.of_subscriber(4)] == [one.email]
