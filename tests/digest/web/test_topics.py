import re
from collections.abc import Sequence
from datetime import timedelta

import pytest

from digest.matching import recent
from digest.matching.explain import Reason
from digest.models import Batch, Paper, Source
from digest.web.filters import EXAMPLES
from subscriptions.filters import parse
from subscriptions.models import Topic
from tests.factories import (
    DAY,
    NOON,
    BatchFactory,
    PaperFactory,
    SightingFactory,
    SourceFactory,
    listed_paper,
)

pytestmark = pytest.mark.django_db


class TestTopic:
    def test_shows_its_papers_by_day_with_marked_words_and_its_filter(self, client):
        listed_paper(
            title="Agents that act",
            abstract="In this paper we ask how the LLM agents act. They do it well.",
            votes=50,
        )
        listed_paper(DAY - timedelta(days=1), title="Agents of yesterday")
        listed_paper(title="Weather", abstract="Rain.")

        page = client.get("/topics/agents/").content.decode()

        assert "2 papers in 2 days" in page
        assert page.index("Thursday 20 August") < page.index("Wednesday 19 August")
        assert "1 of 2 papers" in page
        assert "<mark>Agents</mark> in title" in page
        assert "how the <mark>LLM agents</mark> act." in page
        assert "Weather" not in page
        assert 'href="/?topic=agents"' in page
        assert Topic.objects.get(slug="agents").filter.canonical.replace('"', "&quot;") in page
        assert '<span lang="zh-Hans" class="zh">智能体</span>' in page

    def test_shows_a_paper_once_that_is_listed_twice(self, client):
        paper = PaperFactory(title="Agents again")
        SightingFactory(paper=paper, listing_day=DAY)
        SightingFactory(paper=paper, listing_day=DAY - timedelta(days=1), seen_at=NOON - timedelta(days=1))

        assert client.get("/topics/agents/").content.decode().count("Agents again</a>") == 1

    def test_comes_in_pages_of_a_hundred(self, client):
        for number in range(103):
            listed_paper(DAY if number < 60 else DAY - timedelta(days=1), title=f"Agents {number:03}")

        first, second = (client.get(f"/topics/agents/?page={n}").content.decode() for n in (1, 2))

        assert first.count('class="paper__title"') == 100
        assert second.count('class="paper__title"') == 3
        assert "60 of 60 papers" in first
        assert "43 of 43 papers" in first
        assert "43 of 43 papers" in second
        assert "101 to 103 of 103" in second

    @pytest.mark.parametrize("page", ["0", "99", "x", "²", "9" * 300])
    def test_has_no_page_that_is_not_there(self, client, page):
        listed_paper(title="Agents")

        assert "Agents</a>" in client.get("/topics/agents/", {"page": page}).content.decode()

    def test_shows_revisions_of_the_newest_day_apart(self, client):
        listed_paper(title="Agents listed")
        source = Source.objects.get(slug="arxiv")
        batch = Batch.objects.create(source=source, category="cs.AI", listing_day=DAY, fetched_at=NOON)
        for title in ("Agents revised", "Weather revised"):
            paper = PaperFactory(title=title, abstract="")
            SightingFactory(paper=paper, batch=batch, announce_type="replace", version=2, is_listing=False)

        page = client.get("/topics/agents/").content.decode()

        assert page.index("Agents listed</a>") < page.index('id="updates"') < page.index("Agents revised</a>")
        assert "Updated to v2" in page
        assert "Weather revised" not in page

    def test_posts_are_told_with_source_and_age(self, client):
        source = SourceFactory(slug="lab", name="A lab", kind="feed", gives="post")
        post = PaperFactory(
            arxiv_id=None,
            key="url:https://lab.example/1",
            url="https://lab.example/1",
            kind="post",
            title="Agents at work",
            votes=None,
            published_at=NOON,
        )
        SightingFactory(paper=post, batch=BatchFactory(source=source))

        page = client.get("/topics/agents/").content.decode()

        assert 'Agents at work</a> <span class="label label--kind">Post</span>' in page
        assert "<b>A lab</b>" in page
        assert 'title="Thursday 20 August 2026, 12:00 UTC"' in page

    @pytest.mark.parametrize("slug", ["nothing-here", "AGENTS"])
    def test_finds_nothing_for_an_unknown_one(self, client, slug):
        assert client.get(f"/topics/{slug}/").status_code == 404

    def test_finds_nothing_for_a_retired_one(self, client):
        Topic.objects.filter(slug="agents").update(retired_at=NOON)

        assert client.get("/topics/agents/").status_code == 404


class TestFilterLanguage:
    @pytest.mark.parametrize("text", [text for text, _ in EXAMPLES])
    def test_gives_examples_that_can_be_read_without_a_hint(self, text):
        assert not parse(text).hints

    def test_is_a_page(self, client):
        assert "quantiz*" in client.get("/filters/").content.decode()


class Said(dict[int, tuple[float, Sequence[Reason]]]):
    """What a topic says of the recent papers by their place; stands in for recent.Relevance."""

    def probability(self, position: int) -> float | None:
        return self[position][0] if position in self else None


class TestRelevance:
    """Papers of a topic that says what it wants; those of a pure filter are shown by their votes."""

    @pytest.fixture
    def say(self, monkeypatch):
        """Give the papers of these titles a probability and reasons, whatever the ranker thinks of them."""

        def say(**said: tuple[float, Sequence[Reason]]) -> None:
            def relevance(papers: recent.Recent, topic: Topic) -> Said:
                places = {paper.title.split()[-1]: place for place, paper in enumerate(papers.papers)}
                return Said({places[name]: one for name, one in said.items()})

            monkeypatch.setattr(recent.Recent, "relevance", relevance)

        return say

    def test_orders_a_day_by_band_then_by_trending(self, client, say):
        for votes, name in enumerate(("a", "b", "c", "d", "e")):
            listed_paper(title=f"Agents {name}", abstract="", votes=votes + 1)
        say(a=(0.99, ()), b=(0.3, ()), c=(0.71, ()), d=(0.86, ()), e=(0.6, ()))

        page = client.get("/topics/agents/").content.decode()

        assert re.findall(r"Agents (\w)</a>", page) == ["d", "a", "c", "e", "b"]
        assert re.findall(r'<div class="rel">(?:<b>(\d+)<small>%</small></b>)?', page) == [
            *("85", "95", "70", "60"),
            "",
        ]
        bands = re.findall(r'<h3 class="band">(.*?) <span>(.*?)</span></h3>', page)
        assert bands == [
            ("Almost surely yours", "85 % and over, 2 papers"),
            ("Probably", "70 to 80 %, 1 paper"),
            ("Perhaps", "50 to 65 %, 1 paper"),
            ("Matches the filter", "under 50 %, 1 paper"),
        ]
        assert 'class="votes"' not in page
        assert "4 votes" in page
        assert "Of papers shown at 80 %, about 80 in 100" in page

    def test_gives_the_reasons_of_the_score_beside_those_of_the_filter(self, client, say):
        listed_paper(title="Agents a", abstract="")
        reasons = [
            *(Reason("Agents", "title"), Reason("tool use", "abstract")),
            *(Reason("A paper <b>", "liked"), Reason("agents", "about"), Reason("memory", "about")),
        ]
        say(a=(0.9, reasons))

        page = client.get("/topics/agents/").content.decode()

        why = page.partition('<p class="why">')[2].partition("</p>")[0]
        assert re.findall(r"<span>(.*?)</span>", why) == [
            "<mark>Agents</mark> in title",
            "<mark>tool use</mark> in abstract",
            "similar to “A paper &lt;b&gt;”",
            "about memory",
        ]

    def test_leaves_the_votes_in_the_gutter_on_a_day_without_a_figure(self, client, say):
        listed_paper(title="Agents a", votes=50)
        listed_paper(DAY - timedelta(days=1), title="Agents b", votes=40)
        say(a=(0.3, ()), b=(0.9, ()))

        page = client.get("/topics/agents/").content.decode()

        first, second = page.split('class="secthead gap-5"')[1:3]
        assert '<div class="votes"><b>50</b>' in first
        assert "<b>90<small>%</small></b>" in second
        assert 'class="votes"' not in second

    def test_gives_posts_no_figure(self, client, say):
        post = listed_paper(title="Agents a")
        Paper.objects.filter(pk=post.pk).update(kind="post")
        say(a=(0.9, ()))

        page = client.get("/topics/agents/").content.decode()

        assert "Almost surely yours" in page
        assert "<small>%</small>" not in page

    def test_is_not_said_of_a_pure_filter(self, client):
        listed_paper(title="Agents")
        Topic.objects.filter(slug="agents").update(keywords=[], description="")

        page = client.get("/topics/agents/").content.decode()

        assert 'class="rel"' not in page
        assert 'class="band"' not in page
        assert 'class="votes"' in page
