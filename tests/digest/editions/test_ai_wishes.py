import quopri
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from typing import Any

import pytest
from django.db import connections

from digest.editions import ai_wishes, run
from digest.models import AiText, Paper
from digest.papers import ai
from subscriptions.models import Subscriber
from tests.factories import (
    DAY,
    MORNING_AFTER,
    NOON,
    ConsentFactory,
    FilterRevisionFactory,
    SubscribedTopicFactory,
    SubscriberFactory,
    TopicFactory,
    listed_paper,
)
from tests.llm_server import LlmServer, llm_server
from tests.smtp_server import smtp_server

__all__ = ["smtp_server"]

ZH = "zh-hans"
ABSTRACT = (
    "We study how agents use tools on 12 tasks, and introduce a way of training them that needs half of the "
    "steps. Experiments with three models show that it is faster and makes fewer errors, also with new tools."
)


def paper(title: str, **values: Any) -> Paper:
    return listed_paper(**{"title": title, "abstract": ABSTRACT, **values})


def reader(canonical: str = "agents", *, cap: int | None = None, **values: Any) -> Subscriber:
    subscriber = SubscriberFactory(**{"language": ZH, **values})
    ConsentFactory(subscriber=subscriber)
    topic = TopicFactory(filter=FilterRevisionFactory(canonical=canonical))
    SubscribedTopicFactory(subscriber=subscriber, topic=topic, max_papers=cap)
    return subscriber


def wished() -> list[tuple[str, str]]:
    titles = dict(Paper.objects.values_list("pk", "title"))
    return [(titles[wish.paper_id], wish.language) for wish in ai_wishes.wishes([DAY])]


@pytest.fixture
def server(settings):
    with llm_server() as running:
        settings.LLM_URL, settings.LLM_MODEL, settings.LLM_DAILY_REQUESTS = running.url, "m", 100
        yield running


@pytest.fixture(autouse=True)
def _nothing_asked(monkeypatch):
    monkeypatch.setattr(ai_wishes, "_looked_at", {})


@pytest.mark.django_db
class TestWishes:
    def test_are_for_papers_that_a_reader_of_the_language_may_get(self):
        paper("Agents"), paper("Robots", abstract="Of robots. " * 30)
        reader("agents")
        reader("robots", language="en")

        assert sorted(wished()) == [("Agents", ZH), ("Robots", "en")]

    @pytest.mark.parametrize("status", ["unconfirmed", "paused", "unsubscribed", "suppressed"])
    def test_are_of_active_readers_only(self, status):
        paper("Agents")
        reader(status=status)

        assert wished() == []

    def test_english_readers_lack_nothing_where_a_source_sums_up(self):
        paper("Agents with a summary", summary="Agents, summed up.")
        paper("Agents without")
        reader(language="en")
        reader(language=ZH)

        assert sorted(wished()) == [
            ("Agents with a summary", ZH),
            ("Agents without", "en"),
            ("Agents without", ZH),
        ]

    @pytest.mark.parametrize("length", ["titles", "abstract"])
    def test_english_readers_who_see_no_summary_wish_for_none(self, length):
        paper("Agents")
        reader(language="en", length=length)

        assert wished() == []

    def test_stop_at_what_a_reader_takes_a_day(self):
        for votes in (1, 30, 20):
            paper(f"Agents {votes}", votes=votes)
        reader(cap=2)
        reader(cap=50, max_papers=1)

        assert wished() == [("Agents 30", ZH), ("Agents 20", ZH)]

    def test_the_first_of_each_topic_come_before_the_second_of_any(self):
        paper("Agents one", votes=90), paper("Agents two", votes=80)
        paper("Robots", votes=1, abstract="Of robots. " * 30)
        reader("agents")
        reader("robots")

        assert [title for title, _language in wished()] == ["Agents one", "Robots", "Agents two"]

    def test_hold_the_top_papers_for_who_wants_them_on_empty_days(self):
        for votes in range(1, 6):
            paper(f"Robots {votes}", votes=votes, abstract="Of robots. " * 30)
        reader("nothing", top_papers_if_none=True)

        assert [title for title, _language in wished()] == ["Robots 5", "Robots 4", "Robots 3"]

    def test_survive_a_filter_that_cannot_be_read_any_more(self):
        paper("Agents")
        reader("(((")
        reader("agents")

        assert wished() == [("Agents", ZH)]

    def test_muted_topics_and_other_days_are_left_out(self):
        paper("Agents"), paper("Old agents", day=DAY - timedelta(days=9))
        subscriber = reader()
        assert wished() == [("Agents", ZH)]

        subscriber.subscribed_topics.update(muted=True)
        assert wished() == []


@pytest.mark.django_db
class TestNote:
    def test_notes_what_each_language_lacks(self, server: LlmServer):
        one = paper("Agents")
        reader(language="en"), reader(language=ZH)

        assert ai_wishes.note(now=NOON) == 4

        rows = set(AiText.objects.values_list("paper", "language", "kind"))
        assert rows == {(one.pk, "en", "summary"), *((one.pk, ZH, kind) for kind in AiText.Kind.values)}

    def test_does_nothing_without_an_endpoint(self, settings, django_assert_num_queries):
        settings.LLM_URL = ""
        paper("Agents"), reader()

        with django_assert_num_queries(0):
            assert ai_wishes.note(now=NOON) == 0

    def test_looks_only_at_days_that_have_changed(self, server: LlmServer, monkeypatch):
        paper("Agents"), paper("Old agents", day=DAY - timedelta(days=1)), reader()
        days: list[date] = []
        wishes = ai_wishes._wishes

        def spied(listed: dict[int, date], followed: Sequence[Any]) -> list[ai_wishes.Wish]:
            days.extend(sorted(set(listed.values())))
            return wishes(listed, followed)

        monkeypatch.setattr(ai_wishes, "_wishes", spied)

        def looked_at(minutes: int) -> list[date]:
            days.clear()
            ai_wishes.note(now=NOON + timedelta(minutes=minutes))
            return list(days)

        both = [DAY - timedelta(days=1), DAY]
        assert [looked_at(0), looked_at(2)] == [both, []]
        paper("More agents")
        assert [looked_at(4), looked_at(6)] == [[DAY], []]
        reader("tools")
        assert [looked_at(8), looked_at(10)] == [both, []]
        assert looked_at(200) == both

    def test_wishes_for_no_more_than_the_days_budget(self, server: LlmServer, settings):
        settings.LLM_DAILY_REQUESTS = 3
        for votes in range(1, 6):
            paper(f"Agents {votes}", votes=votes)
        reader()

        ai_wishes.note(now=NOON)
        best = set(AiText.objects.values_list("paper__title", flat=True))
        ai_wishes.note(now=NOON + timedelta(hours=3))

        assert best == {"Agents 5", "Agents 4", "Agents 3"}
        assert AiText.objects.values("paper").distinct().count() == 3
        ai.write_due(now=NOON + timedelta(hours=3))
        ai_wishes.note(now=NOON + timedelta(days=1))
        assert AiText.objects.values("paper").distinct().count() == 5


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
class TestSending:
    """A send takes the texts that are there and waits for none."""

    NEXT = DAY + timedelta(days=1)

    def send(self, day: date) -> tuple[run.Ran, str]:
        """The account, and what the mail says but for the paper's id and the day."""
        ran = run.run("daily", day, now=MORNING_AFTER + (day - DAY), at_once=True)
        assert ran is not None
        (card,) = ran.edition.cards.filter(form="lead").select_related("paper")
        words = b"".join(
            bytes(part) for part in (card.html_head, card.html_tail, card.text_head, card.text_tail)
        )
        text = words.replace(b"=\r\n", b"").decode().replace(card.paper.arxiv_id, "ID")
        return ran, text

    def test_is_neither_slower_nor_other_while_the_endpoint_hangs(
        self, server: LlmServer, settings, smtp_server
    ):
        reader(email="ada@lab.example")
        with_endpoint = settings.LLM_URL
        settings.LLM_URL = ""
        paper("Agents")
        ran, text = self.send(DAY)

        settings.LLM_URL = with_endpoint
        server.hangs = True
        paper("Agents", day=self.NEXT)
        with ThreadPoolExecutor(1) as worker:

            def enrich() -> ai.Written:
                try:
                    ai_wishes.note(now=NOON + timedelta(days=1))
                    return ai.write_due(now=NOON + timedelta(days=1))
                finally:
                    connections.close_all()

            enriching = worker.submit(enrich)
            assert server.arrived.acquire(timeout=20)
            hanging, same_text = self.send(self.NEXT)
            is_still_asking = not enriching.done()
            server.release()
            late = enriching.result()

        assert is_still_asking
        assert ran.counts["sent"] == hanging.counts["sent"] == 1
        assert same_text == text
        assert hanging.seconds < ran.seconds + 2
        # The text came in the end, too late for this mail, and harmed nothing.
        assert late.written >= 3
        assert len(smtp_server.messages) == 2
        assert len(server.asked) == late.requests

    def test_takes_the_texts_that_are_there(self, server: LlmServer, settings, smtp_server):
        reader(email="ada@lab.example")
        one = paper("Agents")
        ai_wishes.note(now=NOON)
        ai.write_due(now=NOON)
        title = ai.text(one, ZH, "title")
        settings.LLM_URL = ""  # whatever becomes of the endpoint

        _ran, text = self.send(DAY)

        assert title.text in quopri.decodestring(text.encode()).decode()
