from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from django.conf import settings as django_settings
from django.core.cache import cache

from digest import tasks
from digest.editions.relevance import Relevance
from digest.matching import encoders, extras, judge
from digest.matching.documents import document
from digest.matching.encoders import DIMENSIONS, NoEncoder, paper_text
from digest.matching.index import DayIndex
from digest.models import EditionRelevance
from subscriptions.models import Subscriber, Topic
from tests.digest.editions.letters import edition_of
from tests.factories import (
    DAY,
    FilterRevisionFactory,
    SubscribedTopicFactory,
    SubscriberFactory,
    TopicFactory,
    listed_paper,
)
from tests.llm_server import llm_server

EVENING = datetime(DAY.year, DAY.month, DAY.day, 20, tzinfo=UTC)


class Counting:
    """An encoder without a model."""

    name = "minilm"

    def __init__(self) -> None:
        self.made: list[str] = []

    def encode(self, texts, *, is_query=False):
        self.made += texts
        rows = np.ones((len(texts), DIMENSIONS), np.float32)
        return rows / np.linalg.norm(rows[:1])


@pytest.fixture
def counting(settings, monkeypatch):
    """As where the model is installed and switched on."""
    cache.clear()
    found = Counting()
    settings.SEMANTIC_MODEL = "minilm"
    monkeypatch.setattr(encoders, "_loaded", {"minilm": found})
    return found


class TestEncoder:
    def test_is_off_unless_it_is_set(self, monkeypatch):
        monkeypatch.setattr(encoders, "_loaded", {"minilm": Counting()})

        assert django_settings.SEMANTIC_MODEL == "off"
        assert extras.encoder() is None

    def test_set_but_not_installed_is_none(self, settings, monkeypatch):
        monkeypatch.setattr(encoders, "_loaded", {"minilm": None})
        settings.SEMANTIC_MODEL = "minilm"

        assert extras.encoder() is None

    def test_who_composes_does_not_wait_for_a_whole_days_vectors(self, counting):
        texts = [f"paper {number}" for number in range(extras.MOST_AT_ONCE + 1)]

        with pytest.raises(NoEncoder):
            extras.encoder().encode(texts)
        assert len(extras.encoder().encode(texts[1:])) == extras.MOST_AT_ONCE


@pytest.mark.django_db
class TestEncodeRecent:
    def test_makes_the_vectors_of_recent_papers_once(self, counting):
        recent = [listed_paper(), listed_paper(DAY - timedelta(days=2))]
        listed_paper(DAY - timedelta(days=30))

        made = [extras.encode_recent(now=EVENING) for _ in range(2)]

        assert made == [2, 0]
        assert counting.made == [paper_text(paper.title, paper.abstract) for paper in recent]
        texts = [paper_text(paper.title, paper.abstract) for paper in recent] * 200
        assert len(extras.encoder().encode(texts)) == 400  # all there: nobody waits

    def test_ends_when_told(self, counting):
        listed_paper()

        assert extras.encode_recent(now=EVENING, stop=lambda: True) == 0

    def test_does_nothing_where_it_is_off(self, counting, settings):
        listed_paper()
        settings.SEMANTIC_MODEL = "off"

        assert extras.encode_recent(now=EVENING) == 0
        assert counting.made == []


def followed(canonical: str, readers: int = 1, **values) -> Topic:
    values = {"keywords": ["tool use"], **values}
    topic = TopicFactory(filter=FilterRevisionFactory(canonical=canonical), **values)
    SubscribedTopicFactory.create_batch(readers, topic=topic)
    return topic


@pytest.mark.django_db
class TestBestOfFollowed:
    def best(self) -> dict[str, list[int]]:
        found = extras.best_of_followed(now=EVENING)
        return {interest.name: [one.id for one in candidates] for interest, candidates in found}

    def test_the_papers_that_a_filter_finds_best_first_for_the_topics_most_read(self):
        far = listed_paper(title="Agents at sea", abstract="Sails and wind.")
        near = listed_paper(title="Tool use of agents", abstract="Tool use.")
        listed_paper(title="Goats", abstract="Tool use of goats.")
        few = followed("agents", readers=1, name="Few")
        many = followed("agents", readers=3, name="Many")

        best = self.best()

        assert list(best) == [many.name, few.name]
        assert best["Few"] == [near.pk, far.pk]

    def test_only_catalogue_topics_with_keywords_and_readers(self):
        listed_paper(title="Agents")
        followed("agents", name="Pure filter", keywords=[])
        followed("agents", name="Nobody", readers=0)
        followed("agents", name="Own", owner=SubscriberFactory(), slug=None)
        gone = followed("agents", name="Gone").subscribed.get()
        Subscriber.objects.filter(pk=gone.subscriber_id).update(status=Subscriber.Status.UNSUBSCRIBED)

        assert self.best() == {}

    def test_the_newest_day_that_lists_papers_and_no_more_than_twenty(self):
        listed_paper(DAY - timedelta(days=3), title="Agents of old")
        new = [listed_paper(DAY - timedelta(days=1), title="Agents").pk for _ in range(25)]
        followed("agents", name="T")

        best = self.best()["T"]

        assert len(best) == judge.MOST_PAPERS
        assert set(best) <= set(new)

    def test_without_papers_there_is_nothing(self):
        followed("agents", name="T")

        assert self.best() == {}


@pytest.mark.django_db
class TestJudgeRecent:
    def test_the_judges_grades_are_there_for_the_topic(self, settings):
        cache.clear()
        settings.LLM_DAILY_REQUESTS, settings.LLM_JUDGE = 10, True
        papers = [listed_paper(title=f"Agents {number}", abstract="Tool use.") for number in range(4)]
        topic = followed("agents", name="Tool use")
        with llm_server() as server:
            settings.LLM_URL = server.url
            server.answer = lambda question: {
                paper["id"]: 3 if "ool use" in paper["abstract"] else 0 for paper in question.paper["papers"]
            }

            done = extras.judge_recent(now=EVENING)
            found = judge.grades_of(extras.interest_of(topic), [paper.pk for paper in papers])

        assert (done.requests, done.grades, done.problems) == (1, 4, [])
        assert found == {paper.pk: 3 for paper in papers}

    def test_nothing_is_looked_at_where_it_is_off(self, django_assert_num_queries):
        with django_assert_num_queries(0):
            assert extras.judge_recent(now=EVENING).stopped == "The judge is off."


@pytest.mark.django_db
class TestTasks:
    def test_do_nothing_where_both_are_off(self):
        tasks.encode_papers()
        tasks.judge_papers()

    def test_have_the_queue_that_no_send_waits_behind_and_are_not_poked_where_they_are_off(self):
        routes = django_settings.CELERY_TASK_ROUTES
        poked = {one["task"] for one in django_settings.CELERY_BEAT_SCHEDULE.values()}
        for name in ("digest.tasks.encode_papers", "digest.tasks.judge_papers"):
            assert routes[name] == {"queue": "enrichment"}
            assert name not in poked


@pytest.mark.django_db
class TestInAnEdition:
    """What the mail says of papers, with the extras at work."""

    @pytest.fixture
    def papers(self):
        titles = ("Tool use of agents", "Function calling", "Sails at sea", "Agents")
        return [listed_paper(title=title, abstract="We study it.") for title in titles]

    @pytest.fixture
    def topic(self):
        return followed("study", name="Tool use", keywords=["tool use", "agents"])

    def relevance(self, papers, topic) -> dict[int, float]:
        EditionRelevance.objects.all().delete()
        ids = [paper.pk for paper in papers]
        found = Relevance(edition_of(), ids, lambda: DayIndex([document(paper) for paper in papers]))
        found.bring([topic], lambda _filter: ids)
        return {pk: scored.probability for pk, scored in found.of(topic.pk).items()}

    def test_the_encoder_counts_where_the_vectors_are_there(self, papers, topic, counting, settings):
        settings.SEMANTIC_MODEL = "off"
        default = self.relevance(papers, topic)
        settings.SEMANTIC_MODEL = "minilm"
        extras.encode_recent(now=EVENING)
        made = len(counting.made)

        with_encoder = self.relevance(papers, topic)

        assert with_encoder.keys() == default.keys()
        assert with_encoder != default
        assert not set(counting.made[made:]) & {paper_text(one.title, one.abstract) for one in papers}

    def test_an_encoder_that_fails_or_would_take_too_long_changes_nothing(
        self, papers, topic, counting, settings, monkeypatch
    ):
        settings.SEMANTIC_MODEL = "off"
        default = self.relevance(papers, topic)
        settings.SEMANTIC_MODEL = "minilm"

        with monkeypatch.context() as patch:
            patch.setattr(extras.encoder(), "_most_new", 1)
            assert self.relevance(papers, topic) == default

        def fail(texts, *, is_query=False):
            raise RuntimeError("bad allocation")

        monkeypatch.setattr(counting, "encode", fail)
        assert self.relevance(papers, topic) == default

    def test_the_judges_grade_moves_its_paper_and_no_other(self, papers, topic, settings):
        cache.clear()
        before = self.relevance(papers, topic)
        settings.LLM_URL, settings.LLM_JUDGE, settings.LLM_DAILY_REQUESTS = "http://127.0.0.1:9/v1", True, 10
        cache.set(judge._key(extras.interest_of(topic), papers[3].pk), 0)

        after = self.relevance(papers, topic)

        moved = papers[3].pk
        assert after[moved] == pytest.approx(judge.moved(before[moved], 0), abs=1e-3)
        assert {pk: after[pk] for pk in after if pk != moved} == {
            pk: before[pk] for pk in before if pk != moved
        }
