from datetime import timedelta

import pytest

from digest.models import Batch, Source
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


class TestCatalogue:
    def test_names_every_topic_under_its_group_with_its_count(self, client):
        listed_paper(title="Agents")

        page = client.get("/topics/").content.decode()

        for topic in Topic.objects.catalogue():
            assert f'<a href="/topics/{topic.slug}/">{topic.name}</a>' in page
        assert page.count('<div class="secthead">') == 7

    def test_works_before_there_are_papers(self, client):
        assert client.get("/topics/").status_code == 200
        assert "Nothing in 0 days" in client.get("/topics/agents/").content.decode()

    def test_asks_few_questions(self, client, django_assert_max_num_queries):
        listed_paper()
        client.get("/topics/")

        with django_assert_max_num_queries(5):
            client.get("/topics/")


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
