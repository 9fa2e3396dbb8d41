"""What an operator may see and move: readers, topics, deliveries, notices, suppressions."""

from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from subscriptions import topics
from subscriptions.mail import ledger
from subscriptions.models import (
    Consent,
    Delivery,
    FilterRevision,
    Mailing,
    Notice,
    Subscriber,
    Suppression,
    Topic,
)
from tests.factories import NOON, SubscribedTopicFactory, SubscriberFactory, open_mailing
from tests.operator import admin_client

__all__ = ["admin_client"]

NOW = datetime(2026, 8, 21, 10, 12, tzinfo=UTC)
DELIVERIES = "/admin/subscriptions/delivery/"
SUBSCRIBERS = "/admin/subscriptions/subscriber/"
TOPICS = "/admin/subscriptions/topic/"
SUPPRESSIONS = "/admin/subscriptions/suppression/"
NOTICES = "/admin/subscriptions/notice/"

pytestmark = pytest.mark.django_db


def a_reader(**values: object) -> Subscriber:
    return SubscriberFactory(**values)


def do(client, url, action, *pks, **more):
    """An action on selected rows, as the list's form posts it."""
    return client.post(url, {"action": action, "_selected_action": list(pks), **more}, follow=True)


def mailing_of(*readers: Subscriber, state: str = "due") -> Mailing:
    with transaction.atomic():
        mailing = open_mailing()
        ledger.add(mailing.pk, [ledger.NewRow(r.pk, r.email, NOW) for r in readers])
        if state != "due":
            Delivery.objects.of_mailing(mailing.pk).update(state=state)
            ledger.count(mailing.pk, {"due": -len(readers), state: len(readers)})
    return mailing


def states(mailing: Mailing) -> list[str]:
    return list(Delivery.objects.of_mailing(mailing.pk).order_by("id").values_list("state", flat=True))


@pytest.mark.parametrize("path", [SUBSCRIBERS, TOPICS, DELIVERIES, NOTICES, SUPPRESSIONS])
@pytest.mark.parametrize("name", ["status__exact", "status", "kind", "state", "q"])
def test_a_filter_with_a_byte_that_the_database_refuses_is_left_out(admin_client, path, name):
    assert admin_client.get(f"{path}?{name}=%00", follow=True).status_code == 200


class TestSubscribers:
    def test_are_found_by_any_part_of_the_address(self, admin_client):
        a_reader(email="Ada@Lab.example")
        a_reader(email="grace@navy.example")

        page = admin_client.get(SUBSCRIBERS, {"q": "ada@l"}).content.decode()

        assert "Ada@Lab.example" in page
        assert "grace@navy.example" not in page

    def test_are_filtered_by_status(self, admin_client):
        a_reader(email="gone@lab.example", status=Subscriber.Status.UNSUBSCRIBED)
        a_reader(email="here@lab.example")

        page = admin_client.get(SUBSCRIBERS, {"status__exact": "unsubscribed"}).content.decode()

        assert "gone@lab.example" in page
        assert "here@lab.example" not in page

    def test_a_reader_is_shown_with_topics_and_consent(self, admin_client):
        subscribed = SubscribedTopicFactory()
        Consent.objects.create(
            subscriber=subscribed.subscriber, act=Consent.Act.CONFIRMED, at=NOW, source="confirmation mail"
        )

        page = admin_client.get(f"{SUBSCRIBERS}{subscribed.subscriber_id}/change/").content.decode()

        assert subscribed.topic.name in page
        assert "confirmation mail" in page

    def test_saving_touches_only_what_was_typed(self, admin_client):
        reader = a_reader(hour=7)
        url = f"{SUBSCRIBERS}{reader.pk}/change/"
        form = admin_client.get(url).context["adminform"].form
        data = {name: form.initial[name] for name in form.fields} | {"hour": 9}
        for prefix in ("subscribed_topics", "consents"):
            data |= {f"{prefix}-TOTAL_FORMS": 0, f"{prefix}-INITIAL_FORMS": 0}

        with CaptureQueriesContext(connection) as captured:
            response = admin_client.post(url, data)

        assert response.status_code == 302
        (update,) = [q["sql"] for q in captured if q["sql"].startswith('UPDATE "subscriptions_subscriber"')]
        assert update.split("SET")[1].split("WHERE")[0].strip() == '"hour" = 9'

    def test_nobody_is_added_or_deleted(self, admin_client):
        reader = a_reader()

        assert admin_client.get(f"{SUBSCRIBERS}add/").status_code == 403
        assert admin_client.post(f"{SUBSCRIBERS}{reader.pk}/delete/", {"post": "yes"}).status_code == 403

    @pytest.mark.parametrize(
        ("action", "status"),
        [("suppress", "suppressed"), ("unsubscribe", "unsubscribed"), ("erase", "erased")],
    )
    def test_an_action_asks_first_and_then_acts(self, admin_client, action, status):
        reader = a_reader(email="ada@lab.example")

        asked = do(admin_client, SUBSCRIBERS, action, reader.pk).content.decode()
        reader.refresh_from_db()
        assert reader.status == Subscriber.Status.ACTIVE
        assert "ada@lab.example" in asked
        assert 'name="confirmed"' in asked

        do(admin_client, SUBSCRIBERS, action, reader.pk, confirmed="yes", note="asked by letter")
        reader.refresh_from_db()
        assert reader.status == status

    def test_suppressing_keeps_who_did_it_and_why(self, admin_client):
        reader = a_reader(email="ada@lab.example")

        do(admin_client, SUBSCRIBERS, "suppress", reader.pk, confirmed="yes", note="asked by letter")

        suppression = Suppression.objects.get(address="ada@lab.example")
        assert (suppression.reason, suppression.evidence) == ("operator", "operator admin: asked by letter")

    def test_lifting_brings_back_what_they_were(self, admin_client):
        reader = a_reader()
        Consent.objects.create(subscriber=reader, act=Consent.Act.CONFIRMED, at=NOON, source="mail")
        do(admin_client, SUBSCRIBERS, "suppress", reader.pk, confirmed="yes")

        do(admin_client, SUBSCRIBERS, "lift", reader.pk, confirmed="yes")

        reader.refresh_from_db()
        assert reader.status == Subscriber.Status.ACTIVE

    def test_who_may_only_look_cannot_act(self, client):
        reader = a_reader()
        user = User.objects.create(username="looker", is_staff=True)
        user.user_permissions.add(Permission.objects.get(codename="view_subscriber"))
        client.force_login(user)

        do(client, SUBSCRIBERS, "unsubscribe", reader.pk, confirmed="yes")

        reader.refresh_from_db()
        assert reader.status == Subscriber.Status.ACTIVE


class TestTopics:
    DATA = {
        "name": "Kites",
        "slug": "kites",
        "group": "Sky",
        "position": 3,
        "description": "",
        "keywords": "kite,string",
        "names": "{}",
        "descriptions": "{}",
        "retired_at_0": "",
        "retired_at_1": "",
    }

    def test_the_list_holds_the_catalogue_and_not_readers_own(self, admin_client):
        topics.own(a_reader(), "yoyo", now=NOW)

        page = admin_client.get(TOPICS, {"q": "yoyo"})
        own = admin_client.get(TOPICS, {"q": "yoyo", "kind": "own"})

        assert list(page.context["cl"].result_list) == []
        assert [topic.filter.canonical for topic in own.context["cl"].result_list] == ["yoyo"]

    def test_a_filter_is_typed_as_text_and_kept_as_a_revision(self, admin_client):
        response = admin_client.post(f"{TOPICS}add/", self.DATA | {"filter_text": "kite   -paper"})

        assert response.status_code == 302
        topic = Topic.objects.get(slug="kites")
        assert topic.filter == topics.filter_revision("kite -paper", now=NOW)

    def test_changing_the_text_leaves_the_old_revision_alone(self, admin_client):
        topic = Topic.objects.catalogue()[0]
        before = topic.filter

        admin_client.post(
            f"{TOPICS}{topic.pk}/change/", self.DATA | {"filter_text": "kite", "slug": topic.slug}
        )

        topic.refresh_from_db()
        assert topic.filter.canonical == "kite"
        assert FilterRevision.objects.get(pk=before.pk).canonical == before.canonical

    def test_an_error_says_where_and_how_to_mend_it(self, admin_client):
        page = admin_client.post(
            f"{TOPICS}add/", self.DATA | {"filter_text": "(kite OR string"}
        ).content.decode()

        assert "Column 1: this bracket is never closed. Put )" in page
        assert not Topic.objects.filter(slug="kites").exists()

    @pytest.mark.parametrize("parent", ["agents", "memory", "coding-agents", "code-generation"])
    def test_a_topic_stands_under_another_but_never_under_itself(self, admin_client, parent):
        topic = Topic.objects.get(slug="coding-agents")
        under = Topic.objects.get(slug=parent)

        page = admin_client.post(
            f"{TOPICS}{topic.pk}/change/",
            self.DATA | {"filter_text": "kite", "slug": topic.slug, "parent": under.pk},
        ).content.decode()

        topic.refresh_from_db()
        is_below = parent in ("coding-agents", "code-generation")
        assert ("is this topic or part of it" in page) == is_below
        assert topic.parent.slug == ("agents" if is_below else parent)

    def test_a_topic_of_the_catalogue_needs_a_slug(self, admin_client):
        page = admin_client.post(
            f"{TOPICS}add/", self.DATA | {"slug": "", "filter_text": "kite"}
        ).content.decode()

        assert "needs a slug" in page


class TestDeliveries:
    def test_shows_the_newest_mailing_unless_another_is_chosen(self, admin_client):
        early, late = (
            a_reader(email="early@lab.example"),
            a_reader(email="late@lab.example"),
        )
        first = mailing_of(early)
        mailing_of(late)

        newest = admin_client.get(DELIVERIES).content.decode()
        chosen = admin_client.get(DELIVERIES, {"mailing": first.pk}).content.decode()

        assert "late@lab.example" in newest
        assert "early@lab.example" not in newest
        assert "early@lab.example" in chosen

    def test_is_never_counted(self, admin_client):
        mailing_of(*(a_reader() for _ in range(3)))

        with CaptureQueriesContext(connection) as captured:
            admin_client.get(DELIVERIES, {"state": "due"})

        ledger_queries = [q["sql"] for q in captured if 'FROM "subscriptions_delivery"' in q["sql"]]
        assert ledger_queries
        assert not any("COUNT(" in sql for sql in ledger_queries)

    def test_reads_one_partition_by_its_key_range(self, admin_client):
        mailing = mailing_of(a_reader())
        mailing_of(a_reader())

        with CaptureQueriesContext(connection) as captured:
            admin_client.get(DELIVERIES, {"mailing": mailing.pk})

        (sql,) = [q["sql"] for q in captured if 'FROM "subscriptions_delivery"' in q["sql"]]
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN {sql}")
            plan = "\n".join(line for (line,) in cursor)
        assert f"subscriptions_delivery_m{mailing.pk} " in plan
        assert f"subscriptions_delivery_m{mailing.pk + 1} " not in plan

    def test_a_whole_address_is_found_in_all_mailings(self, admin_client):
        reader, other = a_reader(email="Ada@lab.example"), a_reader()
        mailing_of(reader)
        mailing_of(reader, other)

        page = admin_client.get(DELIVERIES, {"q": "ada@LAB.example"})

        assert [row.subscriber_id for row in page.context["cl"].result_list] == [reader.pk, reader.pk]

    def test_a_subscriber_is_found_by_number(self, admin_client):
        reader, other = a_reader(), a_reader()
        mailing_of(reader, other)

        page = admin_client.get(DELIVERIES, {"q": str(reader.pk)})

        assert [row.subscriber_id for row in page.context["cl"].result_list] == [reader.pk]

    @pytest.mark.parametrize(
        ("state", "count"), [("open", 2), ("due", 1), ("deferred", 1), ("sent", 1), ("failed", 0)]
    )
    def test_are_filtered_by_state(self, admin_client, state, count):
        mailing = mailing_of(*(a_reader() for _ in range(3)))
        ids = list(Delivery.objects.of_mailing(mailing.pk).values_list("pk", flat=True))
        Delivery.objects.filter(pk=ids[0]).update(state="deferred")
        Delivery.objects.filter(pk=ids[1]).update(state="sent")

        page = admin_client.get(DELIVERIES, {"state": state})

        assert len(page.context["cl"].result_list) == count

    @pytest.mark.parametrize("query", [{"mailing": "x"}, {"mailing": str(2**40)}, {"state": "lost"}])
    def test_a_filter_that_means_nothing_is_refused(self, admin_client, query):
        assert admin_client.get(DELIVERIES, query).status_code == 302  # back to the list, marked e=1

    def test_rows_cannot_be_edited(self, admin_client):
        mailing = mailing_of(a_reader())
        pk = Delivery.objects.of_mailing(mailing.pk).get().pk

        assert admin_client.get(f"{DELIVERIES}{pk}/change/").status_code == 200
        assert admin_client.post(f"{DELIVERIES}{pk}/change/", {"state": "sent"}).status_code == 403
        assert admin_client.get(f"{DELIVERIES}add/").status_code == 403

    @pytest.mark.parametrize(
        ("before", "action", "after"),
        [
            ("failed", "try_again", "due"),
            ("uncertain", "send_again", "due"),
            ("uncertain", "count_as_sent", "sent"),
            ("uncertain", "count_as_failed", "failed"),
            ("sent", "try_again", "sent"),
            ("sent", "send_again", "sent"),
        ],
    )
    def test_actions_move_selected_rows_by_the_outbox(self, admin_client, before, action, after):
        mailing = mailing_of(*(a_reader() for _ in range(2)), state=before)
        chosen = Delivery.objects.of_mailing(mailing.pk).order_by("id")[0]

        do(admin_client, DELIVERIES, action, chosen.pk)
        assert states(mailing) == [before, before]

        do(admin_client, DELIVERIES, action, chosen.pk, confirmed="yes")
        assert states(mailing) == [after, before]
        counts = ledger.counts(mailing.pk)
        assert sum(counts[state] for state in Delivery.State.values) == counts["prepared"] == 2
        assert counts[before] == (2 if after == before else 1)

    def test_an_action_reaches_rows_of_an_older_mailing(self, admin_client):
        older = mailing_of(a_reader(), state="failed")
        mailing_of(a_reader())
        url = f"{DELIVERIES}?mailing={older.pk}&state=failed"
        pk = Delivery.objects.of_mailing(older.pk).get().pk

        asked = do(admin_client, url, "try_again", pk).content.decode()
        do(admin_client, url, "try_again", pk, confirmed="yes")

        assert f'action="{DELIVERIES}?mailing={older.pk}&amp;state=failed"' in asked
        assert states(older) == ["due"]


class TestNotices:
    def notice(self, **values: object) -> Notice:
        return Notice.objects.create(
            key=f"confirm:{Notice.objects.count()}:1", kind="confirm", created_at=NOW, due_at=NOW, **values
        )

    def test_are_found_by_address(self, admin_client):
        self.notice(to="ada@lab.example")
        self.notice(to="grace@navy.example")

        page = admin_client.get(NOTICES, {"q": "ada"}).content.decode()

        assert "ada@lab.example" in page
        assert "grace@navy.example" not in page

    def test_only_failed_ones_are_sent_again(self, admin_client):
        failed = self.notice(to="ada@lab.example", status=Notice.Status.FAILED, attempts=5)
        sent = self.notice(to="grace@navy.example", status=Notice.Status.SENT)

        page = do(admin_client, NOTICES, "send_again", failed.pk, sent.pk).content.decode()

        failed.refresh_from_db()
        sent.refresh_from_db()
        assert (failed.status, failed.attempts, sent.status) == ("queued", 0, "sent")
        assert "1 notice queued again" in page


class TestSuppressions:
    def test_an_operator_adds_one_by_the_lifecycle(self, admin_client):
        reader = a_reader(email="Ada@lab.example")

        response = admin_client.post(
            f"{SUPPRESSIONS}add/",
            {"address": "ADA@lab.example", "evidence": "by letter", "expires_at_0": "", "expires_at_1": ""},
        )

        assert response.status_code == 302
        reader.refresh_from_db()
        assert reader.status == Subscriber.Status.SUPPRESSED
        assert Suppression.objects.get().evidence == "operator admin: by letter"

    def test_adding_a_lifted_one_again_renews_it(self, admin_client):
        Suppression.objects.create(
            address="ada@lab.example", reason="hard_bounce", created_at=NOON, lifted_at=NOON
        )

        admin_client.post(
            f"{SUPPRESSIONS}add/",
            {"address": "ada@lab.example", "evidence": "", "expires_at_0": "", "expires_at_1": ""},
        )

        assert Suppression.objects.get().lifted_at is None

    def test_what_is_no_address_is_refused_in_words(self, admin_client):
        page = admin_client.post(f"{SUPPRESSIONS}add/", {"address": "ada@", "evidence": ""}).content.decode()

        assert "nothing after the @" in page

    def test_lifting_asks_and_then_lifts(self, admin_client):
        row = Suppression.objects.create(address="ada@lab.example", reason="hard_bounce", created_at=NOON)

        do(admin_client, SUPPRESSIONS, "lift", row.pk, confirmed="yes")

        row.refresh_from_db()
        assert row.lifted_at is not None

    @pytest.mark.parametrize(("force", "address"), [("yes", "here@lab.example"), ("no", "was@lab.example")])
    def test_are_filtered_by_whether_they_hold(self, admin_client, force, address):
        Suppression.objects.create(address="here@lab.example", reason="complaint", created_at=NOON)
        Suppression.objects.create(
            address="was@lab.example",
            reason="soft_bounce",
            created_at=NOON,
            expires_at=NOON + timedelta(days=1),
        )
        Suppression.objects.filter(address="was@lab.example").update(
            expires_at=datetime(2020, 1, 1, tzinfo=UTC)
        )

        page = admin_client.get(SUPPRESSIONS, {"force": force})

        assert [row.address for row in page.context["cl"].result_list] == [address]
