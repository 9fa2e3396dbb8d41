"""The digest in Simplified Chinese: whole, with and without translated papers."""

import re
from datetime import UTC, datetime

import pytest

from digest.editions import assemble
from digest.models import AiText, Batch, EditionPaper, Paper
from subscriptions.models import Subscriber, Topic
from tests import mail
from tests.digest.editions.letters import (
    digest_of,
    edition_of,
    letter,
    reader,
    recipient_of,
    reference,
    same_tree,
    texts,
    words,
)
from tests.factories import DAY, MORNING_AFTER, NOON, listed_paper

pytestmark = pytest.mark.django_db

# What stays as it is in any language: names, addresses, filters, units, and the papers' own words.
_HAN = re.compile(r"[\u4e00-\u9fff]")
_ENGLISH = re.compile(r"(?:[A-Za-z]{2,}[ ,.;:]+){3,}")


@pytest.fixture(autouse=True)
def site(settings):
    settings.SITE_URL = "https://paperboy.example"
    settings.DEFAULT_FROM_EMAIL = "Paperboy <papers@paperboy.example>"
    settings.POSTAL_ADDRESS = "Example Institute, 1 Library Lane"


def translate(paper: Paper, **told: str) -> None:
    for kind, text in told.items():
        AiText.objects.create(
            paper=paper,
            language="zh-hans",
            kind=kind,
            status=AiText.Status.WRITTEN,
            text=text,
            model="some-model",
            due_at=NOON,
        )


def parts(content: bytes) -> tuple[str, str]:
    message = mail.parsed(content)
    return mail.part(message, "html"), mail.part(message, "plain")


def settled() -> None:
    Batch.objects.update(declared=Paper.objects.count(), settled_at=MORNING_AFTER)


class TestMail:
    def test_is_the_same_as_a_plain_rendering(self):
        paper = listed_paper(
            title="EnvHarness: waking agents", votes=90, venue="ICML 2026", categories=["cs.CL"]
        )
        translate(paper, title="EnvHarness：唤醒智能体", summary="一句话。")
        listed_paper(title="More agents", votes=3, authors=["A", "B", "C", "D", "E"])
        edition = edition_of()
        for length in Subscriber.Length.values:
            subscriber = reader("agent", "zebra", language="zh-hans", length=length)
            digest, to = digest_of(edition, subscriber), recipient_of(edition, subscriber)

            content = assemble.Assembler(edition).letter(to, digest).content

            read, expected = mail.check(content, is_list=True), reference(edition, to, digest)
            assert " ".join(read["Subject"].split()) == expected["Subject"]
            assert same_tree(mail.part(read, "html")) == same_tree(mail.part(expected, "html"))
            assert words(mail.part(read, "plain")) == words(mail.part(expected, "plain"))

    def test_says_everything_of_its_own_in_chinese(self):
        for number in range(6):
            listed_paper(title=f"Agents {number}", votes=40 - number, authors=[], abstract="", comments=2)
        settled()
        edition = edition_of()
        EditionPaper.objects.filter(position__gt=4).update(announced="updated", version=2, gained=3)
        subscriber = reader("agent", "zebra", "lion", language="zh-hans", wants_updates=True)
        content = letter(edition, subscriber, is_welcome=True)

        html, plain = parts(content)
        assert mail.parsed(content)["Subject"] == "Agents 0，另有 5 篇"
        assert "2026年8月20日 星期四" in plain
        assert (
            "8月20日，Hugging Face 共公布 6 篇，其中 4 篇已扫描；匹配 4 篇，列出 4 篇。另有 2 篇修订版。"
            "票数截至 8月20日 12:00 UTC。"
        ) in plain
        assert "[更新 v2]" in plain
        assert "入选理由：Agents 见标题；符合您的筛选条件；当日 4 篇中排名第一" in plain
        assert "共 4 篇，没有一篇匹配 zebra 或 lion。" in plain
        assert "2 条评论：https://" not in plain  # no page of the source is known here
        for part in (plain, " ".join(texts(html, "//body"))):
            own = part.replace("Example Institute, 1 Library Lane", "").replace(
                "Hugging Face Daily Papers", ""
            )
            assert _ENGLISH.findall(own) == []

    def test_titles_and_abstracts_are_translated_and_labelled(self):
        paper = listed_paper(title="On agents", votes=30, primary_category="cs.CL")
        translate(paper, title="论智能体", abstract="我们研究智能体。它们会用工具。")
        content = letter(edition_of(), reader("agent", language="zh-hans", length="abstract"))

        html, plain = parts(content)
        assert texts(html, "//h3") == ["论智能体"]
        assert texts(html, '//span[@lang="en"]') == ["On agents"]
        assert "\n论智能体\nOn agents\n" in plain
        assert "我们研究智能体。它们会用工具。\n（AI 文本：some-model）" in plain
        assert "cs.CL 计算与语言" in plain
        assert mail.parsed(content)["Subject"] == "论智能体"

    def test_english_readers_get_no_translation(self):
        paper = listed_paper(title="On agents", votes=30)
        translate(paper, title="论智能体", abstract="我们研究智能体。")
        html, plain = parts(letter(edition_of(), reader("agent")))

        assert not _HAN.search(plain)
        assert texts(html, "//h3") == ["On agents"]

    def test_without_ai_text_it_is_complete_with_the_papers_own_words(self):
        listed_paper(title="On agents", summary="One line.", summary_source="Hugging Face")
        _html, plain = parts(letter(edition_of(), reader("agent", language="zh-hans")))

        assert "\nOn agents\n" in plain
        assert "One line.\n（AI 文本：Hugging Face）" in plain

    def test_a_translated_title_above_an_english_abstract_is_labelled_by_itself(self):
        paper = listed_paper(title="On agents")
        translate(paper, title="论智能体")
        _html, plain = parts(letter(edition_of(), reader("agent", language="zh-hans")))

        assert "On agents\n（AI 文本：some-model）\n" in plain
        assert "We study how agents use tools.\n\n" in plain

    def test_of_a_week(self):
        listed_paper(title="EnvHarness: on agents", votes=90)
        subscriber = reader("agent", language="zh-hans", frequency="weekly")
        content = letter(edition_of(kind="weekly"), subscriber)

        assert mail.parsed(content)["Subject"] == "本周 1 篇论文，EnvHarness 居首"
        assert "2026年8月17日至8月23日" in parts(content)[1]

    def test_styles_are_for_chinese(self):
        listed_paper(title="On agents")
        html, _plain = parts(letter(edition_of(), reader("agent", language="zh-hans")))

        head = html.partition("<h1")[2].partition(">")[0]
        assert "Songti SC" in head
        assert "letter-spacing:0" in head

    def test_stays_within_the_size_and_is_no_spam(self):
        for number in range(60):
            translate(
                listed_paper(title=f"On agents {number}", abstract="Agents. " * 200),
                title=f"论智能体与工具的使用，第 {number} 部分" * 3,
                abstract="我们研究智能体如何使用工具。" * 60,
                summary="我们研究智能体如何使用工具。" * 10,
            )
        edition = edition_of()

        for length in Subscriber.Length.values:
            content = letter(edition, reader("agent", language="zh-hans", max_papers=100, length=length))
            mail.check(content, is_list=True)
        small = letter(edition, reader("agent", language="zh-hans", max_papers=5))
        assert mail.spam_score(small) < 1.0


def test_a_topic_keeps_its_chinese_name_beside_latin_ones():
    listed_paper(title="On agents and tools", published_at=datetime(2026, 8, 20, tzinfo=UTC))
    subscriber = reader("agent", "tool", "use", language="zh-hans")
    Topic.objects.filter(name="tool").update(names={"zh-hans": "工具"}, slug="tools-topic")
    _html, plain = parts(letter(edition_of(DAY), subscriber))

    assert "也属于工具和 use" in plain
