import json
import re
from datetime import timedelta

import pytest

from digest.matching import recent
from digest.models import Batch, Mention, Paper, Sighting, Source
from digest.papers import days
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

DAY_BEFORE = DAY - timedelta(days=1)


def text_of(response) -> str:
    return response.content.decode()


class TestDay:
    def test_lists_the_day_by_votes_with_what_is_known(self, client):
        listed_paper(title="Second", votes=12, comments=0)
        listed_paper(
            title="First",
            votes=40,
            comments=3,
            stars=7,
            code_url="https://code.example/x",
            organization="The Lab",
            summary="It does one thing.",
            authors=["A One", "B Two", "C Three", "D Four", "E Five"],
        )

        page = text_of(client.get("/papers/2026-08-20/"))

        assert page.index("First") < page.index("Second")
        assert "Thursday 20 August 2026" in page
        assert "A One, B Two, C Three and 2 more" in page
        assert "<b>The Lab</b>" in page
        assert "It does one thing." in page
        assert "3 comments" in page
        assert "0 comments" in page
        assert 'href="https://code.example/x"' in page
        assert "7 stars" in page

    def test_has_one_lead_only_where_a_paper_stands_out(self, client):
        listed_paper(votes=40)
        second = listed_paper(votes=26)
        assert text_of(client.get("/papers/2026-08-20/")).count("paper--lead") == 1

        Paper.objects.filter(pk=second.pk).update(votes=27)
        assert text_of(client.get("/papers/2026-08-20/")).count("paper--lead") == 0

    def test_leads_from_day_to_day_over_days_without_papers(self, client):
        listed_paper(DAY)
        listed_paper(DAY - timedelta(days=4))

        older = text_of(client.get("/papers/2026-08-16/"))
        newer = text_of(client.get("/papers/2026-08-20/"))

        assert 'href="/papers/2026-08-20/" rel="next">Thu 20 Aug' in older
        assert "No older day" in older
        assert 'href="/papers/2026-08-16/" rel="prev">Sun 16 Aug' in newer
        assert "No newer day" in newer

    def test_shows_the_newest_day_under_papers(self, client):
        listed_paper(DAY_BEFORE, title="Old one")
        listed_paper(DAY, title="New one")

        page = text_of(client.get("/papers/"))

        assert "New one" in page
        assert "Old one" not in page

    @pytest.mark.parametrize(
        ("values", "words"),
        [
            (
                {"declared": 17, "settled_at": NOON},
                "<b>Complete.</b> Hugging Face Daily Papers: 17 of 17 read",
            ),
            (
                {"declared": 17, "rejected": 2},
                "<b>Not complete.</b> Hugging Face Daily Papers: 15 of 17 read",
            ),
            ({"fetched_at": None}, "<b>Not read.</b> Hugging Face Daily Papers has not answered"),
        ],
    )
    def test_says_how_completely_the_day_was_read(self, client, values, words):
        listed_paper()
        Batch.objects.update(**values)

        assert words in text_of(client.get("/papers/2026-08-20/"))

    def test_tells_a_day_without_papers_from_a_day_that_was_not_read(self, client):
        listed_paper(DAY)
        BatchFactory(listing_day=DAY_BEFORE, declared=0)

        empty, unknown = client.get("/papers/2026-08-19/"), client.get("/papers/2020-01-01/")

        assert (empty.status_code, unknown.status_code) == (200, 404)
        assert "No papers were listed" in text_of(empty)
        assert "has not read this day" in text_of(unknown)

    def test_keeps_only_papers_with_code_when_asked(self, client):
        listed_paper(title="With", code_url="https://code.example/x")
        listed_paper(title="Without")

        page = text_of(client.get("/papers/2026-08-20/?code=1&length=titles"))

        assert "With" in page
        assert "Without" not in page

    def test_names_late_bloomers_with_both_sightings(self, client):
        paper = PaperFactory(title="Slow start", votes=54)
        SightingFactory(
            paper=paper, listing_day=DAY - timedelta(days=6), votes=2, seen_at=NOON - timedelta(days=6)
        )
        SightingFactory(paper=paper, listing_day=DAY, votes=54)

        page = text_of(client.get("/papers/2026-08-20/"))

        assert "52 votes" in page
        assert "2 on 14 Aug, 54 on 20 Aug" in page

    def test_who_comes_first_does_not_wait_for_the_index_of_topics(self, client, monkeypatch):
        listed_paper(title="Agents")
        order: list[str] = []
        current, about = recent.current, days.neighbours

        def make(**given):
            order.append("made")
            return current(**given)

        def show(day):
            order.append("shown")
            return about(day)

        monkeypatch.setattr(recent, "current", make)
        monkeypatch.setattr(days, "neighbours", show)

        first = text_of(client.get("/papers/2026-08-20/"))
        second = text_of(client.get("/papers/2026-08-20/"))

        assert order == ["shown", "made", "shown"]
        assert "Topics of the day" not in first
        assert '<a href="/topics/agents/">Agents</a>' in second

    def test_asks_the_database_the_same_few_questions_for_many_papers(
        self, client, django_assert_max_num_queries
    ):
        for _ in range(30):
            listed_paper()
        client.get("/papers/")  # builds the index

        with django_assert_max_num_queries(28):
            client.get("/papers/")

    def test_answers_not_modified_to_a_browser_that_has_the_page(self, client):
        listed_paper()
        client.get("/papers/2026-08-20/")  # builds the index
        first = client.get("/papers/2026-08-20/")

        second = client.get("/papers/2026-08-20/", headers={"If-None-Match": first["ETag"]})

        assert second.status_code == 304

    @pytest.mark.parametrize(
        "address",
        [
            "/papers/2026-02-30/",
            "/papers/2026-8-1/",
            "/papers/x/",
            "/papers/0001-01-01/",
            "/papers/9999-12-31/",
        ],
    )
    def test_finds_nothing_under_what_is_no_day(self, client, address):
        assert client.get(address).status_code == 404

    def test_says_so_while_there_is_nothing_at_all(self, client):
        assert "No papers yet" in text_of(client.get("/papers/"))


class TestOddPapers:
    ODD = (
        {"title": "0"},
        {"title": "Very long " * 400},
        {"title": "<script>alert(1)</script> & “quotes”"},
        {"abstract": "", "summary": "", "authors": [], "votes": None, "comments": None},
        {"authors": ["Only One"], "organization": "", "votes": 0, "comments": 0, "stars": 0},
        {"authors": [f"Author {n}" for n in range(500)]},
        {
            "arxiv_id": None,
            "key": "url:https://blog.example/x",
            "url": "https://blog.example/x",
            "kind": "post",
        },
        {"arxiv_id": "hep-th/9901001", "key": "arxiv:hep-th/9901001"},
        {"code_url": "javascript:alert(1)", "project_url": "javascript:alert(2)"},
        {"published_at": None, "categories": ["cs.CL", "cs.AI"], "keywords": ["a", "b"]},
    )

    @pytest.mark.parametrize("values", ODD, ids=lambda values: "+".join(values))
    def test_stand_on_every_page(self, client, values):
        paper = listed_paper(**values)

        for address in (
            "/papers/2026-08-20/",
            f"/paper/{paper.public_id}/",
            "/preview/?filter=kind:paper+OR+kind:post",
        ):
            response = client.get(address)
            assert response.status_code == 200, address
            page = text_of(response)
            assert "<script>alert" not in page
            assert "javascript:" not in page
            assert ">None<" not in page

    def test_shows_zero_and_leaves_out_unknown(self, client):
        listed_paper(title="Zero", votes=0, comments=0)
        page = text_of(client.get("/papers/2026-08-20/"))
        assert "<b>0</b><span>votes</span>" in page

        Paper.objects.update(votes=None, comments=None)
        page = text_of(client.get("/papers/2026-08-20/"))
        assert "<span>votes</span>" not in page
        assert "comment" not in page


class TestEverySource:
    """A day with arXiv, posts and revisions beside Hugging Face's list."""

    def arxiv(self, category: str = "cs.CL", **values: object) -> Batch:
        source = Source.objects.get(slug="arxiv")
        return Batch.objects.get_or_create(
            source=source, category=category, listing_day=DAY, defaults={"fetched_at": NOON} | values
        )[0]

    def announced(self, announce_type: str, *, version: int = 1, **values: object) -> Paper:
        paper = PaperFactory(**{"votes": None, "comments": None, "primary_category": "cs.CL"} | values)
        SightingFactory(
            paper=paper,
            batch=self.arxiv(),
            announce_type=announce_type,
            version=version,
            is_listing=announce_type in ("new", "cross"),
        )
        return paper

    def posted(self, *, kind: str = "post", name: str = "A lab", **values: object) -> Paper:
        number = Paper.objects.count()
        url = f"https://lab.example/{number}"
        source = SourceFactory(slug=name.lower().replace(" ", "-"), name=name, kind="feed", gives=kind)
        given = {"arxiv_id": None, "key": f"url:{url}", "url": url, "kind": kind, "votes": None}
        paper = PaperFactory(**given | {"comments": None, "published_at": NOON} | values)
        SightingFactory(paper=paper, batch=BatchFactory(source=source), url=url)
        return paper

    def test_papers_are_labelled_as_what_they_were_announced(self, client):
        self.announced("new", title="Fresh", abstract="", votes=40)
        self.announced("cross", title="From next door", votes=30)

        page = text_of(client.get("/papers/2026-08-20/"))

        assert 'Fresh</a> <span class="label label--new">New</span>' in page
        assert 'From next door</a> <span class="label">Cross-listed</span>' in page

    def test_in_long_lists_new_is_said_in_words(self, client):
        for _ in range(4):
            self.announced("new")

        page = text_of(client.get("/papers/2026-08-20/?length=titles"))

        assert "label--new" not in page
        assert page.count('<span class="muted">new in cs.CL</span>') == 4

    def test_of_two_announcements_the_weightier_is_told(self, client):
        paper = self.announced("cross", votes=40)
        SightingFactory(paper=paper, batch=self.arxiv("cs.AI"), announce_type="new", seen_at=NOON)

        page = text_of(client.get("/papers/2026-08-20/"))

        assert "label--new" in page
        assert '<span class="label">Cross-listed' not in page

    def test_revisions_stand_apart_and_do_not_count_as_listed(self, client):
        listed_paper(title="Listed")
        self.announced("replace", version=3, title="Revised")
        self.announced("replace-cross", version=2, title="Revised elsewhere")

        page = text_of(client.get("/papers/2026-08-20/"))

        assert "1 paper, by votes." in page
        assert "2 older papers were revised." in page
        assert (
            page.index("Listed</a>") < page.index('<h2 id="updates">Updated</h2>') < page.index("Revised</a>")
        )
        assert '<span class="label">Updated to v3</span>' in page

    def test_a_paper_that_is_listed_and_revised_at_once_is_listed(self, client):
        paper = listed_paper(title="Both")
        SightingFactory(
            paper=paper,
            batch=self.arxiv(),
            announce_type="replace",
            version=2,
            is_listing=False,
            seen_at=NOON,
        )

        page = text_of(client.get("/papers/2026-08-20/"))

        assert page.count("Both</a>") == 1
        assert 'id="updates"' not in page

    def test_a_day_of_revisions_alone_is_not_empty(self, client):
        self.announced("replace", version=2, title="Revised")

        page = text_of(client.get("/papers/2026-08-20/"))

        assert "Revised</a>" in page
        assert "No papers were listed on this day." in page

    def test_posts_name_their_source_and_age(self, client, freezer_now):
        self.posted(title="What we learned", name="A lab")
        self.posted(title="Which one is best?", kind="forum", name="The forum")

        page = text_of(client.get("/papers/2026-08-20/"))

        assert "2 posts and no paper." in page
        assert 'What we learned</a> <span class="label label--kind">Post</span>' in page
        assert 'Which one is best?</a> <span class="label label--kind">Forum</span>' in page
        assert (
            "<b>A lab</b>, Ada Lovelace, Émilie du Châtelet, "
            '<time datetime="2026-08-20T12:00:00+00:00" title="Thursday 20 August 2026, 12:00 UTC">'
            "22 hours ago</time>" in page
        )
        assert 'href="https://lab.example/0">lab.example</a>' in page

    def test_posts_that_discuss_a_paper_are_counted_there(self, client):
        paper = listed_paper(votes=40)
        for _ in range(2):
            post = self.posted()
            source = post.sightings.get().source
            Mention.objects.create(post=post, key=paper.key, paper=paper, source=source, seen_at=NOON)

        page = text_of(client.get("/papers/2026-08-20/"))

        assert f'<a href="/paper/{paper.public_id}/#discussed">Discussed in 2 posts</a>' in page

    def test_lists_of_one_source_are_told_together_and_each_in_a_table(self, client):
        listed_paper()
        self.arxiv("cs.AI", declared=600, settled_at=NOON)
        self.arxiv("cs.CL", declared=684, rejected=1, new=600, cross=77, settled_at=NOON)

        page = text_of(client.get("/papers/2026-08-20/"))

        assert "<b>Not complete.</b> arXiv: 1,283 of 1,284 read in 2 categories" in page
        assert "All 3 lists that were scanned" in page
        assert '<th scope="row">arXiv cs.CL</th><td>684</td><td>600</td><td>77</td>' in page

    def test_many_feeds_share_a_line(self, client):
        for number in range(5):
            self.posted(name=f"A lab {number}")
        self.arxiv()
        Batch.objects.update(declared=1, settled_at=NOON)

        page = text_of(client.get("/papers/2026-08-20/"))

        assert "<b>Complete.</b> 5 feeds: 5 of 5 read" in page
        assert page.index("arXiv: 1 of 1 read") < page.index("5 feeds:")
        assert "<b>Complete.</b> A lab 1" not in page

    def test_what_is_missing_is_said(self, client):
        listed_paper()
        Source.objects.filter(slug="arxiv").update(enabled=True, categories=["cs.CL"])
        source = Source.objects.get(slug="arxiv")
        Batch.objects.create(
            source=source, category="cs.CL", listing_day=DAY - timedelta(days=1), fetched_at=NOON
        )

        page = text_of(client.get("/papers/2026-08-20/"))

        assert "<b>Not read.</b> arXiv has not answered for this day" in page
        assert "Not read: arXiv." in page


@pytest.fixture
def freezer_now(monkeypatch):
    """The pages' clock: the morning after DAY."""
    monkeypatch.setattr("digest.web.archive.timezone.now", lambda: NOON + timedelta(hours=22))


class TestLongDays:
    @pytest.fixture
    def long_day(self) -> list[Paper]:
        """230 papers of arXiv, of which 30 have votes and code."""
        batch = BatchFactory()
        papers = Paper.objects.bulk_create(
            PaperFactory.build(
                title=f"Paper {number:03}",
                votes=100 - number if number < 30 else None,
                code_url="https://code.example/" if number < 30 else "",
                primary_category="cs.CV" if number % 2 else "cs.CL",
                categories=["cs.CV" if number % 2 else "cs.CL", "math.IT"],
            )
            for number in range(230)
        )
        Sighting.objects.bulk_create(
            Sighting(paper=paper, source=batch.source, batch=batch, listing_day=DAY, seen_at=NOON)
            for paper in papers
        )
        return papers

    def titles(self, page: str) -> list[str]:
        return re.findall(r">(Paper \d{3})</a>", page)

    def test_show_a_hundred_at_a_time_each_once(self, client, long_day):
        pages = [text_of(client.get(f"/papers/2026-08-20/?page={number}")) for number in (1, 2, 3)]
        shown = [self.titles(page) for page in pages]

        assert [len(titles) for titles in shown] == [100, 100, 30]
        assert len({title for titles in shown for title in titles}) == 230
        assert shown[0][0] == "Paper 000"
        assert "101 to 200 of 230" in pages[1]
        assert 'href="?page=3" rel="next"' in pages[1]
        assert 'rel="next">Further' not in pages[2]

    def test_only_the_first_page_has_a_lead(self, client, long_day):
        Paper.objects.filter(pk=long_day[0].pk).update(votes=500)

        assert "paper--lead" in text_of(client.get("/papers/2026-08-20/"))
        assert "paper--lead" not in text_of(client.get("/papers/2026-08-20/?page=2"))

    @pytest.mark.parametrize("page", ["0", "-1", "99", "x", "1e3", "9" * 400, "²"])
    def test_a_page_that_is_not_there_is_one_that_is(self, client, long_day, page):
        assert self.titles(text_of(client.get("/papers/2026-08-20/", {"page": page})))

    def test_a_category_has_its_own_list_cross_lists_and_aliases_included(self, client, long_day):
        front = text_of(client.get("/papers/2026-08-20/"))
        page = text_of(client.get("/papers/2026-08-20/?category=cs.CV&length=titles"))

        assert (
            'href="?category=cs.CV">Computer Vision and Pattern Recognition <small>cs.CV</small></a>' in front
        )
        assert "115 of 230 papers" in page
        assert len(self.titles(page)) == 100
        assert 'href="?length=titles&amp;category=cs.CV&amp;page=2"' in page
        assert "230 of 230" in text_of(client.get("/papers/2026-08-20/?category=cs.IT"))

    @pytest.mark.parametrize("query", ["category=cs.XX", "category=%00", "show=nothing", "length=x&show=%00"])
    def test_what_nobody_offers_is_left_out(self, client, long_day, query):
        assert len(self.titles(text_of(client.get(f"/papers/2026-08-20/?{query}")))) == 100

    def test_a_list_that_is_empty_says_so(self, client, long_day):
        assert "No paper of this day is in cs.RO." in text_of(
            client.get("/papers/2026-08-20/?category=cs.RO")
        )
        assert "This list is empty." in text_of(client.get("/papers/2026-08-20/?show=posts"))

    def test_stay_light_whatever_the_abstracts_hold(self, client, long_day):
        Paper.objects.update(abstract="word " * 800)

        for query in ("", "?length=abstract", "?page=2", "?category=cs.CV", "?show=code"):
            assert len(client.get(f"/papers/2026-08-20/{query}").content) < 300_000, query

    def test_ask_no_more_of_the_database_than_short_ones(
        self, client, long_day, django_assert_max_num_queries
    ):
        client.get("/papers/2026-08-20/")

        with django_assert_max_num_queries(28):
            client.get("/papers/2026-08-20/")


def test_counts_are_json(client):
    listed_paper(title="On agents")

    counts = json.loads(client.get("/preview/?counts=1").content)

    assert counts["days"] == 1
    assert counts["topics"]["agents"] == {"papers": 1, "a_day": "1"}
    assert counts["topics"]["robotics"] == {"papers": 0, "a_day": "0"}
