from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import pytest

from subscriptions import lifecycle, tasks, tokens
from subscriptions.mail import notices
from subscriptions.models import Notice, Subscriber
from subscriptions.tokens import Fresh
from tests.factories import SubscriberFactory
from tests.smtp_server import HANG_UP

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 8, 21, 12, tzinfo=UTC)


@pytest.fixture
def suppressed() -> list[tuple[str, str]]:
    return []


@pytest.fixture
def send(suppressed):
    """notices.send, with suppressions collected."""

    def send(notice: Notice, *, now: datetime = NOON) -> bool:
        return notices.send(notice.pk, now=now, suppress=lambda *what: suppressed.append(what))

    return send


def queued(kind: str = "goodbye", *, key: str = "1", email: str = "mira@lab.example", **context) -> Notice:
    subscriber = Subscriber.objects.filter(email=email).first() or SubscriberFactory(email=email)
    notice = notices.queue(kind, subscriber, key=key, now=NOON, context=context)
    assert notice is not None
    return notice


def links(server) -> list[str]:
    text = server.messages[-1].get_body(("plain",)).get_content()
    return [word for word in text.split() if word.startswith("http")]


class TestQueue:
    def test_a_key_is_queued_once(self):
        subscriber = SubscriberFactory()

        first = notices.queue("goodbye", subscriber, key="1", now=NOON)
        second = notices.queue("goodbye", subscriber, key="1", now=NOON)

        assert first is not None
        assert (first.key, second) == (f"goodbye:{subscriber.pk}:1", None)

    def test_the_row_opens_nothing(self):
        subscriber = SubscriberFactory()
        lifecycle.ask_for_link(subscriber.pk, Fresh.ERASE, now=NOON)

        row = str(Notice.objects.values().get())
        assert "http" not in row
        assert subscriber.unsubscribe_key not in row


@pytest.mark.usefixtures("smtp_server")
class TestSend:
    def test_sends_a_due_notice_once(self, send, smtp_server):
        notice = queued()

        results = [send(notice), send(notice)]

        assert results == [True, False]
        assert smtp_server.recipients == ["mira@lab.example"]
        notice.refresh_from_db()
        assert (notice.status, notice.sent_at, notice.attempts) == ("sent", NOON, 1)

    def test_the_message_is_whole(self, send, smtp_server):
        notice = queued()

        send(notice)

        message = smtp_server.messages[0]
        assert message["Message-ID"] == notice.message_id
        assert message["Auto-Submitted"] == "auto-generated"
        assert message["To"] == "mira@lab.example"
        assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]
        assert smtp_server.envelopes[0].mail_from == "paperboy@localhost.localdomain"

    def test_waits_for_its_time(self, send, smtp_server):
        notice = queued()

        assert not send(notice, now=NOON - timedelta(seconds=1))
        assert smtp_server.envelopes == []

    def test_a_bad_mailbox_bounces_and_is_suppressed(self, send, smtp_server, suppressed):
        smtp_server.answer("mira@lab.example", "550 5.1.1 no such user")
        notice = queued()

        assert not send(notice)

        notice.refresh_from_db()
        assert (notice.status, notice.last_error) == ("bounced", "550 5.1.1 no such user")
        assert suppressed == [("mira@lab.example", "550 5.1.1 no such user")]

    def test_a_policy_against_us_is_not_held_against_the_reader(self, send, smtp_server, suppressed):
        smtp_server.answer("mira@lab.example", "550 5.7.1 your address is on a list")
        notice = queued()

        send(notice)

        notice.refresh_from_db()
        assert (notice.status, suppressed) == ("bounced", [])

    @pytest.mark.parametrize(
        ("stage", "reply"),
        [
            ("CONNECT", "554 5.7.1 go away"),
            ("EHLO", HANG_UP),
            ("MAIL", "530 5.7.0 authenticate first"),
            ("MAIL", "535 5.7.8 our password is wrong"),
            ("mira@lab.example", "451 4.2.1 greylisted"),
            ("DATA", "554 5.6.0 not like this"),
            (".", "552 5.3.4 too big"),
            (".", "451 4.3.0 disk full"),
            (".", HANG_UP),
        ],
    )
    def test_everything_else_is_tried_again(self, send, smtp_server, suppressed, stage, reply):
        smtp_server.answer(stage, reply)
        notice = queued()

        assert not send(notice)

        notice.refresh_from_db()
        assert (notice.status, notice.due_at) == ("queued", NOON + timedelta(minutes=1))
        assert notice.last_error
        assert suppressed == []

    def test_gives_up_after_the_last_wait(self, send, smtp_server):
        smtp_server.answer("mira@lab.example", "451 4.2.1 later")
        notice = queued()
        tries = 0

        while Notice.objects.filter(pk=notice.pk, status="queued").exists():
            notice.refresh_from_db()
            assert not send(notice, now=notice.due_at)
            tries += 1

        notice.refresh_from_db()
        assert notice.status == "failed"
        assert tries == len(notices.RETRY_AFTER) + 1
        assert notice.due_at - NOON == sum(notices.RETRY_AFTER, timedelta())

    def test_without_a_mail_server_it_waits(self, send, settings):
        settings.EMAIL_URL = "smtp://127.0.0.1:9"
        notice = queued()

        assert not send(notice)

        notice.refresh_from_db()
        assert notice.status == "queued"
        assert "EMAIL_URL" in notice.last_error

    def test_a_suppressed_address_is_not_written_to(self, send, smtp_server):
        notice = queued()
        lifecycle.suppress("MIRA@lab.example", reason="complaint", evidence="", now=NOON)

        assert not send(notice)

        notice.refresh_from_db()
        assert notice.status == "failed"
        assert smtp_server.envelopes == []

    def test_what_overtook_the_sending_stays(self, send, smtp_server, monkeypatch):
        notice = queued()
        connect = notices.smtp.connect

        def connect_while_a_bounce_comes_in():
            Notice.objects.filter(pk=notice.pk).update(status="bounced")
            return connect()

        monkeypatch.setattr(notices.smtp, "connect", connect_while_a_bounce_comes_in)

        assert not send(notice)

        notice.refresh_from_db()
        assert notice.status == "bounced"


@pytest.mark.usefixtures("smtp_server")
class TestLinks:
    def test_a_confirmation_link_names_its_mail_and_lasts_from_the_sending(self, send, smtp_server):
        lifecycle.subscribe("mira@lab.example", lifecycle.Wishes(filter="x"), now=NOON, source="test")
        notice = Notice.objects.get()
        later = NOON + timedelta(hours=6)

        send(notice, now=later)

        token = next(url for url in links(smtp_server) if "/confirm/" in url).split("/")[-2]
        almost = later + tokens.CONFIRM_FOR - timedelta(seconds=1)
        assert tokens.read_confirm(token, now=almost) == notice.pk

    def test_a_goodbye_links_to_the_way_back(self, send, smtp_server):
        notice = queued()

        send(notice)

        key = Subscriber.objects.get().unsubscribe_key
        assert tokens.unsubscribe_url(key) in links(smtp_server)

    @pytest.mark.parametrize("purpose", list(Fresh))
    def test_a_fresh_link_fits_its_purpose(self, send, smtp_server, purpose):
        subscriber = SubscriberFactory(email="mira@lab.example")
        lifecycle.ask_for_link(subscriber.pk, purpose, now=NOON)
        notice = Notice.objects.get()

        send(notice)

        url = next(url for url in links(smtp_server) if f"/{purpose}/" in url)
        assert tokens.read_fresh(purpose, urlsplit(url).path.split("/")[2], now=NOON) == notice.pk

    def test_who_signs_up_twice_gets_their_settings(self, send, smtp_server):
        subscriber = SubscriberFactory(email="mira@lab.example")
        lifecycle.subscribe("mira@lab.example", lifecycle.Wishes(filter="x"), now=NOON, source="test")

        send(Notice.objects.get())

        url = next(url for url in links(smtp_server) if "/preferences/" in url)
        assert tokens.read_preferences(url.split("/")[-2], now=NOON) == subscriber.pk


class TestReleaseStuck:
    def test_queues_again_what_a_dead_worker_left(self):
        notice = queued()
        Notice.objects.claim(notice.pk, NOON)

        assert notices.release_stuck(NOON + timedelta(minutes=14)) == 0
        assert notices.release_stuck(NOON + timedelta(minutes=15)) == 1

        notice.refresh_from_db()
        assert (notice.status, notice.due_at) == ("queued", NOON + timedelta(minutes=15))

    def test_fails_what_kills_every_worker(self):
        notice = queued()
        now = NOON
        for _ in range(len(notices.RETRY_AFTER) + 1):
            assert Notice.objects.claim(notice.pk, now)
            now += timedelta(minutes=15)
            notices.release_stuck(now)

        notice.refresh_from_db()
        assert notice.status == "failed"


def test_due_ids_are_the_longest_waiting_first():
    later = queued(key="later")
    Notice.objects.filter(pk=later.pk).update(due_at=NOON - timedelta(minutes=1))
    earlier = queued(key="earlier")
    Notice.objects.filter(pk=earlier.pk).update(due_at=NOON - timedelta(minutes=2))
    future = queued(key="future")
    Notice.objects.filter(pk=future.pk).update(due_at=NOON + timedelta(minutes=1))

    assert notices.due_ids(NOON) == [earlier.pk, later.pk]
    assert notices.due_ids(NOON, limit=1) == [earlier.pk]


def test_requeue_gives_all_attempts_back():
    notice = queued()
    Notice.objects.filter(pk=notice.pk).update(status="failed", attempts=5)

    assert notices.requeue(Notice.objects.all(), now=NOON) == 1

    notice.refresh_from_db()
    assert (notice.status, notice.attempts) == ("queued", 0)


def test_the_task_suppresses_a_mailbox_that_does_not_exist(smtp_server):
    smtp_server.answer("mira@lab.example", "550 5.1.1 no such user")
    notice = queued()

    tasks.send_notice(notice.pk, now=NOON)

    assert Subscriber.objects.get().status == "suppressed"
    assert lifecycle.is_suppressed("mira@lab.example", now=NOON)
