"""The command that does by hand what the worker does by itself, and the worker's tasks."""

import json
from io import StringIO
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.core.management import CommandError, call_command
from django.utils import timezone

from digest import tasks
from digest.editions import ai_wishes
from digest.models import AiText, Paper
from tests.digest.papers.test_citations import PATH, answers, entry
from tests.factories import (
    DAY,
    FilterRevisionFactory,
    SubscribedTopicFactory,
    SubscriberFactory,
    TopicFactory,
    listed_paper,
)
from tests.llm_server import error, llm_server
from tests.servers import web_server

ABSTRACT = "We study how agents use tools on 12 tasks and introduce a way of training them. " * 4


def enrich(*arguments: str) -> tuple[list[str], dict[str, Any]]:
    """What is said, and the JSON object in the last line."""
    out = StringIO()
    call_command("enrich_papers", "--json", *arguments, stdout=out, stderr=StringIO())
    *lines, last = out.getvalue().splitlines()
    return lines, json.loads(last)


@pytest.fixture
def llm(settings):
    with llm_server() as running:
        settings.LLM_URL, settings.LLM_MODEL, settings.LLM_DAILY_REQUESTS = running.url, "paper-writer-1", 100
        yield running


@pytest.fixture
def scholar(settings, monkeypatch):
    monkeypatch.setattr("digest.papers.citations._turn", None)  # the clock commits; see test_citations
    with web_server() as running:
        settings.SEMANTIC_SCHOLAR_URL = running.url
        yield running


@pytest.fixture(autouse=True)
def _reader(db, monkeypatch):
    monkeypatch.setattr(ai_wishes, "_looked_at", {})
    topic = TopicFactory(filter=FilterRevisionFactory(canonical="agents"))
    SubscribedTopicFactory(subscriber=SubscriberFactory(language="zh-hans"), topic=topic)


@pytest.mark.django_db
class TestEnrichPapers:
    def test_says_what_is_off_and_how_to_switch_it_on(self, settings):
        settings.LLM_URL = settings.SEMANTIC_SCHOLAR_URL = ""
        listed_paper(abstract=ABSTRACT)

        lines, report = enrich("--date", str(DAY))

        assert "LLM_URL" in lines[0]
        assert "SEMANTIC_SCHOLAR_URL" in lines[1]
        assert (report["ai"]["on"], report["citations"]["on"]) == (False, False)
        assert not AiText.objects.exists()

    def test_writes_what_readers_of_these_days_will_want(self, llm):
        listed_paper(title="Agents", abstract=ABSTRACT)
        listed_paper(DAY.replace(day=19), title="Older agents", abstract=ABSTRACT)
        listed_paper(title="Robots", abstract="Of robots. " * 30)

        lines, report = enrich("--date", str(DAY), "--days", "2")

        assert report["ai"] == {
            "on": True,
            "wanted": 6,
            "requests": 2,
            "written": 6,
            "put_off": 0,
            "given_up": 0,
            "left_today": 98,
            "failed": False,
            "problems": [],
        }
        assert "6 texts newly wanted" in lines[0]
        assert "2 of 100 requests" in lines[-2]
        _lines, again = enrich("--date", str(DAY), "--days", "2")
        assert (again["ai"]["wanted"], again["ai"]["requests"]) == (0, 0)

    def test_reads_citations_of_these_days(self, scholar):
        paper = listed_paper()
        listed_paper(DAY.replace(day=19))
        scholar.pages[PATH] = answers(**{f"ARXIV:{paper.arxiv_id}": entry(5)})

        _lines, report = enrich("--date", str(DAY))

        assert report["citations"] == {
            "on": True,
            "requests": 1,
            "asked": 1,
            "known": 1,
            "summaries": 0,
            "failed": False,
            "problems": [],
        }
        paper.refresh_from_db()
        assert paper.citations == 5

    def test_fails_where_nothing_came(self, llm):
        listed_paper(abstract=ABSTRACT)
        llm.replies = [error(401, "Incorrect API key provided.", "invalid_api_key")]

        with pytest.raises(SystemExit) as exit:
            enrich("--date", str(DAY))

        assert exit.value.code == 1

    @pytest.mark.parametrize("wrong", [("--date", "tomorrow"), ("--days", "0"), ("--days", "many")])
    def test_says_how_days_are_written(self, wrong):
        with pytest.raises(CommandError, match=r"Write it as|give a number"):
            enrich(*wrong)


@pytest.mark.django_db
class TestTasks:
    def test_note_wishes_and_write_them(self, llm):
        paper = listed_paper(timezone.now().date(), abstract=ABSTRACT)  # the tasks read the clock

        tasks.write_ai_texts()

        assert AiText.objects.filter(paper=paper, status="written").count() == 3

    def test_refresh_citations(self, scholar):
        paper = listed_paper()
        scholar.pages[PATH] = answers(**{f"ARXIV:{paper.arxiv_id}": entry(5)})

        tasks.refresh_citations()

        assert Paper.objects.get(pk=paper.pk).citations == 5

    def test_have_a_queue_of_their_own_and_are_poked_only_where_they_are_on(self):
        routes = django_settings.CELERY_TASK_ROUTES
        assert routes["digest.tasks.write_ai_texts"] == {"queue": "enrichment"}
        assert routes["digest.tasks.refresh_citations"] == {"queue": "enrichment"}
        assert "enrichment" in {queue.name for queue in django_settings.CELERY_TASK_QUEUES}
        poked = {one["task"] for one in django_settings.CELERY_BEAT_SCHEDULE.values()}
        assert not poked & {"digest.tasks.write_ai_texts", "digest.tasks.refresh_citations"}

    def test_end_within_a_tasks_two_minutes(self):
        assert tasks.ENRICH_SECONDS < django_settings.CELERY_TASK_SOFT_TIME_LIMIT
