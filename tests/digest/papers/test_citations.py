import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from digest.models import Paper, UpstreamClock
from digest.papers import citations
from digest.sources.http import Client
from tests.factories import DAY, NOON, PaperFactory, listed_paper
from tests.servers import Asked, Reply, WebServer, web_server

PATH = "/graph/v1/paper/batch"
ABSTRACT = "We study how agents use tools on 12 tasks. " * 6
pytestmark = pytest.mark.django_db


def answers(**by_id: Any) -> Callable[[Asked], Reply]:
    """An entry for each id asked: those of `by_id` (ids with _ for . and :), null for others."""

    def reply(asked: Asked) -> Reply:
        ids = json.loads(asked.body)["ids"]
        return Reply(body=json.dumps([by_id.get(one) for one in ids]).encode())

    return reply


def entry(citations: int | None = 3, tldr: str = "") -> dict[str, Any]:
    return {
        "citationCount": citations,
        "influentialCitationCount": 1,
        "externalIds": {},
        "tldr": {"model": "tldr@v2.0.0", "text": tldr} if tldr else None,
    }


@pytest.fixture
def server(settings):
    with web_server() as running:
        settings.SEMANTIC_SCHOLAR_URL, settings.SEMANTIC_SCHOLAR_KEY = running.url, ""
        yield running


def refresh(now=NOON, **values: Any) -> citations.Refreshed:
    client = Client(attempts=1, total_seconds=5, budget_seconds=5)
    return citations.refresh_due(now=now, client=client, **values)


class TestRefreshDue:
    def test_stores_what_is_known_and_when_it_was_asked(self, server: WebServer):
        known, unknown = listed_paper(arxiv_id="2608.00001"), listed_paper(arxiv_id="2608.00002")
        server.pages[PATH] = answers(**{"ARXIV:2608.00001": entry(0)})

        done = refresh()

        assert (done.requests, done.asked, done.known, done.problems) == (1, 2, 1, [])
        known.refresh_from_db()
        unknown.refresh_from_db()
        assert (known.citations, known.influential_citations, known.cited_at) == (0, 1, NOON)
        assert (unknown.citations, unknown.influential_citations, unknown.cited_at) == (None, None, NOON)

    def test_asks_for_500_at_once(self, server: WebServer):
        PaperFactory.create_batch(501)
        server.pages[PATH] = answers()

        done = refresh()

        assert [len(json.loads(asked.body)["ids"]) for asked in server.asked] == [500, 1]
        assert (done.asked, done.stopped) == (501, "Nothing is due.")

    def test_asks_daily_while_a_paper_is_new_then_weekly(self, server: WebServer):
        new = listed_paper(arxiv_id="2608.00001")
        old = listed_paper(DAY - timedelta(days=60), arxiv_id="2606.00001")
        server.pages[PATH] = answers()
        refresh()

        def asked(days: int) -> list[str]:
            server.asked.clear()
            refresh(now=NOON + timedelta(days=days))
            return [name for one in server.asked for name in json.loads(one.body)["ids"]]

        assert asked(0) == []
        assert asked(1) == [f"ARXIV:{new.arxiv_id}"]
        assert asked(7) == [f"ARXIV:{old.arxiv_id}", f"ARXIV:{new.arxiv_id}"]
        assert asked(40) == [f"ARXIV:{new.arxiv_id}", f"ARXIV:{old.arxiv_id}"]
        assert asked(41) == []

    def test_names_papers_by_their_doi_where_they_have_no_arxiv_id(self, server: WebServer):
        PaperFactory(arxiv_id=None, key="doi:10.1000/xyz", doi="10.1000/xyz")
        strange = PaperFactory(arxiv_id=None, key="doi:10.x y", doi="10.x y")
        PaperFactory(arxiv_id=None, key="url:https://blog.example/a")
        server.pages[PATH] = answers()

        refresh()

        assert json.loads(server.asked[0].body) == {"ids": ["DOI:10.1000/xyz"]}
        strange.refresh_from_db()
        assert strange.cited_at == NOON  # and so not looked at again today

    def test_leaves_out_merged_and_withdrawn_papers(self, server: WebServer):
        original = PaperFactory(arxiv_id="2608.00001")
        PaperFactory(canonical=original)
        PaperFactory(withdrawn_at=NOON)
        server.pages[PATH] = answers()

        assert refresh().asked == 1

    def test_asks_nothing_without_an_address(self, settings):
        settings.SEMANTIC_SCHOLAR_URL = ""
        PaperFactory()

        assert (done := citations.refresh_due(now=NOON)).requests == 0
        assert done.stopped == "No address is set."

    def test_a_paper_that_is_no_longer_known_has_no_number(self, server: WebServer):
        paper = PaperFactory(citations=7, influential_citations=1, cited_at=NOON - timedelta(days=8))
        server.pages[PATH] = answers()

        refresh()

        paper.refresh_from_db()
        assert (paper.citations, paper.influential_citations) == (None, None)


class TestSummaries:
    TLDR = "Agents are studied that use tools on 12 tasks."

    def test_fill_what_no_source_has_summed_up(self, server: WebServer):
        bare = PaperFactory(abstract=ABSTRACT)
        told = PaperFactory(abstract=ABSTRACT, summary="Told.", summary_source="Hugging Face")
        server.pages[PATH] = answers(
            **{f"ARXIV:{paper.arxiv_id}": entry(3, self.TLDR) for paper in (bare, told)}
        )

        done = refresh()

        bare.refresh_from_db()
        told.refresh_from_db()
        assert (bare.summary, bare.summary_source) == (self.TLDR, "Semantic Scholar")
        assert (told.summary, told.summary_source) == ("Told.", "Hugging Face")
        assert done.summaries == 1

    @pytest.mark.parametrize(
        "tldr", ["<b>Agents</b> use tools in this paper.", "See https://evil.example for tools.", "x"]
    )
    def test_are_proofread(self, server: WebServer, tldr):
        paper = PaperFactory(abstract=ABSTRACT)
        server.pages[PATH] = answers(**{f"ARXIV:{paper.arxiv_id}": entry(3, tldr)})

        done = refresh()

        paper.refresh_from_db()
        assert (paper.summary, paper.citations) == ("", 3)
        assert "refused" in done.problems[0]


class TestTrouble:
    @pytest.mark.parametrize(
        ("reply", "minutes"),
        [
            (Reply(status=429, body=b'{"message": "Too Many Requests."}'), 10),
            (Reply(status=404, body=b'{"error": "Not found"}'), 360),
            (Reply(status=400, body=b'{"error": "Unrecognized or unsupported fields: [x]"}'), 360),
            (Reply(status=500), 20),
            (Reply(body=b"<html>"), 20),
            (Reply(body=b"[]"), 20),
        ],
    )
    def test_closes_the_service_for_a_while(self, server: WebServer, reply, minutes):
        paper = PaperFactory()
        server.pages[PATH] = reply

        first = refresh()
        second = refresh(now=NOON + timedelta(minutes=minutes - 1))

        assert (first.requests, first.has_failed, second.requests) == (1, True, 0)
        assert "left alone until" in second.stopped
        paper.refresh_from_db()
        assert paper.cited_at is None
        server.pages[PATH] = answers()
        assert refresh(now=NOON + timedelta(minutes=minutes)).asked == 1

    # The clock is nobody's transaction: its row stays unless the tables are emptied.
    @pytest.mark.django_db(transaction=True, serialized_rollback=True)
    def test_keeps_a_second_between_requests_of_all_workers(self, server: WebServer, monkeypatch):
        """Through the clock of the installation, as the scheduled run asks."""
        monkeypatch.setattr(citations, "_turn", lambda: citations.clock.turn(citations.CLOCK, seconds=0.2))
        PaperFactory.create_batch(501)
        server.pages[PATH] = answers()

        done = citations.refresh_due(now=NOON)

        assert done.requests == 2
        assert UpstreamClock.objects.get(name=citations.CLOCK).started_at is not None
        assert citations.SECONDS_APART == 1.0


def test_numbers_survive_what_other_sources_say(server: WebServer):
    """Ingest writes other fields of the same row."""
    paper = PaperFactory()
    server.pages[PATH] = answers(**{f"ARXIV:{paper.arxiv_id}": entry(3)})
    refresh()
    Paper.objects.filter(pk=paper.pk).update(votes=50)

    paper.refresh_from_db()
    assert (paper.votes, paper.citations) == (50, 3)
