"""Confirmation, link and goodbye in Simplified Chinese."""

import re
from datetime import UTC, datetime, timedelta

import pytest

from subscriptions import lifecycle
from subscriptions.lifecycle import Wishes
from subscriptions.mail import message, notices
from subscriptions.models import Notice, Subscriber
from subscriptions.tokens import Fresh
from tests import mail
from tests.factories import NOON, TopicFactory

pytestmark = pytest.mark.django_db

_ENGLISH = re.compile(r"(?:\b[a-z]{2,}\b[ ,;]+){2,}")  # two words of a sentence of ours
UNTIL = datetime(2026, 8, 27, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def site(settings):
    settings.SITE_URL = "https://paperboy.example"
    settings.DEFAULT_FROM_EMAIL = "Paperboy <papers@paperboy.example>"
    settings.POSTAL_ADDRESS = "1 Library Lane"


def content(kind: str, **context: object) -> tuple[str, str, str]:
    """Subject, text and words of the HTML part."""
    made = message.notice(
        kind,
        to="mira@lab.example",
        language="zh-hans",
        context={"expires_at": UNTIL, **context},
        message_id="<1.notice@paperboy.example>",
        date=NOON,
    )
    read = mail.check(made, is_list=False)
    html = mail.part(read, "html")
    assert 'lang="zh-Hans"' in html
    bare = re.sub(r"<!--.*?-->|<style.*?</style>|<[^>]+>", " ", html, flags=re.DOTALL)
    return read["Subject"], mail.part(read, "plain"), bare


@pytest.mark.parametrize("change_of_address", [False, True])
def test_the_confirmation(change_of_address):
    subject, plain, html = content(
        "confirm",
        confirm_url="https://paperboy.example/confirm/A/",
        topics=["智能体", "世界模型"],
        filter="harness",
        when="每天 07:00（上海时间）",
        change_of_address=change_of_address,
    )

    assert "请确认您在 Paperboy 的" in subject
    for part in (plain, html):
        assert "这是您的邮箱地址吗？" in part
        assert "智能体、世界模型" in part
        assert "有效期至 8月27日 12:00 UTC。" in part
        assert not _ENGLISH.search(part.replace("harness", ""))


@pytest.mark.parametrize("purpose", ["preferences", *Fresh])
@pytest.mark.parametrize("already_subscribed", [False, True])
def test_the_link(purpose, already_subscribed):
    subject, plain, html = content(
        "link",
        url="https://paperboy.example/preferences/A/",
        purpose=purpose,
        already_subscribed=already_subscribed,
    )

    assert re.search("[\u4e00-\u9fff]", subject)
    for part in (plain, html):
        assert "您收到此邮件，是因为有人在我们的网站上用 mira@lab.example 提出了请求。" in part
        assert not _ENGLISH.search(part)


def test_the_goodbye():
    subject, plain, html = content("goodbye", undo_url="https://paperboy.example/unsubscribe/A/")

    assert subject == "Paperboy 不会再给您寄信"
    for part in (plain, html):
        assert "已退订，不会再有邮件寄给您。" in part
        assert not _ENGLISH.search(part)
    assert "撤销：\nhttps://paperboy.example/unsubscribe/A/" in plain


def test_wishes_are_repeated_in_the_readers_language():
    TopicFactory(slug="our-agents", name="Agents", names={"zh-hans": "智能体"})
    wishes = Wishes(topics=("our-agents",), frequency="weekly", weekday=2, hour=7, timezone="Asia/Shanghai")

    lifecycle.subscribe("mira@lab.example", wishes, now=NOON, source="test", language="zh-hans")

    context = Notice.objects.get().context
    assert context["topics"] == ["智能体"]
    assert context["when"] == "每周星期三 07:00（上海时间）"


def test_every_later_notice_is_in_the_language_of_the_mail():
    wishes = Wishes(filter="agents")
    lifecycle.subscribe("mira@lab.example", wishes, now=NOON, source="test", language="zh-hans")
    reader = lifecycle.confirm(Notice.objects.get().pk, now=NOON)

    lifecycle.ask_for_link(reader.pk, Fresh.EXPORT, now=NOON + timedelta(minutes=1))
    lifecycle.unsubscribe(reader.pk, now=NOON + timedelta(minutes=2), source="test")

    assert Subscriber.objects.get().language == "zh-hans"
    assert set(Notice.objects.values_list("kind", "language")) == {
        (kind, "zh-hans") for kind in (notices.CONFIRM, notices.LINK, notices.GOODBYE)
    }
