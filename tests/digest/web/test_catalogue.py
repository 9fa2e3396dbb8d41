"""The page of all topics, as a tree."""

import re

import pytest

from digest.matching import recent
from subscriptions import topics
from subscriptions.models import Topic
from tests.factories import DAY, TopicFactory, arxiv_sighting, listed_paper

pytestmark = pytest.mark.django_db


@pytest.fixture
def page(client):
    listed_paper(title="Agents")
    listed_paper(title="Reward models for reasoning")
    listed = listed_paper(DAY, title="Codes", categories=["cs.IT"], primary_category="cs.IT")
    arxiv_sighting(listed)
    return client.get("/topics/").content.decode()


class TestCatalogue:
    def test_links_every_topic_once(self, page):
        for topic in Topic.objects.catalogue():
            name = "All of arXiv" if topic.slug == "arxiv" else topic.name
            assert page.count(f'<a href="/topics/{topic.slug}/">{name}</a>') == 1
        assert page.count('<div class="secthead">') == 9

    def test_counts_what_each_found(self, page):
        assert '<a href="/topics/agents/">Agents</a></h2><span>1 in 1 days</span>' in page
        assert '<a href="/topics/reward-models/">Reward models</a> <small>1</small>' in page
        assert '<a href="/topics/memory/">Memory</a>' in page
        bars = re.findall(r'<a href="/topics/reasoning/">.*?<i data-v="(\d+)"></i><b>(\d+)</b>', page, re.S)
        assert bars == [("100", "1")]

    def test_folds_the_categories_of_arxiv_by_archive(self, page):
        archives = re.findall(r"<details class=\"archive\"><summary>(.*?) <small>(\d+) in", page)

        assert ("Computer science (cs)", "1") in archives
        assert len(archives) == 8
        assert '<a href="/topics/cat-cs-it/">Information Theory (cs.IT)</a> <small>1</small>' in page
        assert '<a href="/topics/cat-math-it/">Information Theory (math.IT)</a> <small>1</small>' in page
        assert "<details open" not in page

    def test_shows_topics_of_the_operator_under_a_heading_of_their_own(self, client):
        TopicFactory(slug="kites", name="Kites", group="Ours", description="What flies.", position=900)

        page = client.get("/topics/").content.decode()

        assert "<h2>Ours</h2>" in page
        assert '<a href="/topics/kites/">Kites</a><p>What flies.</p>' in page

    def test_works_before_there_are_papers_and_without_topics(self, client):
        assert client.get("/topics/").status_code == 200
        assert "Nothing in 0 days" in client.get("/topics/agents/").content.decode()
        Topic.objects.update(retired_at="2026-08-20T12:00Z")
        assert client.get("/topics/").status_code == 200

    def test_evaluates_each_filter_once_for_the_same_papers(self, client, page, monkeypatch):
        def never(*_args):
            raise AssertionError("evaluated again")

        monkeypatch.setattr(recent.DayIndex, "evaluate", never)

        assert client.get("/topics/").content.decode() == page

    def test_asks_few_questions_and_stays_light(self, client, page, django_assert_max_num_queries):
        with django_assert_max_num_queries(5):
            client.get("/topics/")
        assert len(page) < 120_000


class TestOfferedElsewhere:
    def test_the_sign_up_page_offers_a_short_list_and_the_way_to_all(self, client):
        html = client.get("/", {"topic": ["rlvr", "cat-cs-cl"]}).content.decode()

        slugs = re.findall(r'name="topic" value="([\w-]+)"', html)
        assert len(slugs) < 75
        assert {"agents", "memory", "rlvr", "cat-cs-cl"} < set(slugs)
        assert 'value="cat-cs-cl" checked' in html
        assert not {"mcp", "cat-cs"} & set(slugs)
        assert f'<a href="/topics/">All {Topic.objects.catalogue().count()} topics</a>' in html

    def test_every_topic_can_be_signed_up_for(self, client):
        data = {
            "email": "mira@lab.example",
            "topic": ["mcp", "cat-q-bio-nc"],
            "frequency": "daily",
            "hour": "7",
        }

        response = client.post("/subscribe/", {**data, "timezone": "UTC"})

        assert response.status_code == 200

    def test_the_preview_page_offers_the_short_list_with_what_is_chosen(self, client):
        listed_paper(title="A paper")

        html = client.get("/preview/", {"topic": "mcp"}).content.decode()

        slugs = set(re.findall(r'name="topic" value="([\w-]+)"', html))
        assert {"agents", "mcp"} < slugs
        assert "cat-cs-cl" not in slugs

    def test_counts_of_chips_are_those_of_the_short_list(self, client):
        listed_paper(title="Agents")

        counts = client.get("/preview/", {"counts": "1"}).json()["topics"]

        assert counts["agents"]["papers"] == 1
        assert set(counts) == {topic.slug for topic in topics.offered(Topic.objects.catalogue())}

    def test_a_paper_is_about_subjects_and_not_about_its_categories(self, client):
        paper = listed_paper(title="Agents", categories=["cs.AI"], primary_category="cs.AI")

        html = client.get(f"/paper/{paper.arxiv_id}/").content.decode()

        assert "/topics/agents/" in html
        assert "/topics/cat-cs-ai/" not in html

    def test_a_day_names_what_is_right_below_a_heading(self, client):
        listed_paper(title="Reasoning of language models")

        client.get("/papers/2026-08-20/")
        html = client.get("/papers/2026-08-20/").content.decode()

        assert '<a href="/topics/reasoning/">Reasoning</a>' in html
        assert "/topics/language-models/" not in html
