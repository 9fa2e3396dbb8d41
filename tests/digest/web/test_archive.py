import json
from datetime import timedelta

import pytest

from digest.models import Batch, Paper
from tests.factories import DAY, NOON, BatchFactory, PaperFactory, SightingFactory, listed_paper

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


class TestPaper:
    def test_tells_everything_known(self, client):
        paper = PaperFactory(
            arxiv_id="2608.00042",
            title="On agents",
            abstract="We study autonomous agents. They act.",
            organization="The Lab",
            summary="Machine words.",
            summary_source="Hugging Face",
            project_url="https://project.example/",
            votes=54,
            published_at=NOON - timedelta(days=7),
        )
        SightingFactory(
            paper=paper, listing_day=DAY - timedelta(days=6), votes=2, seen_at=NOON - timedelta(days=6)
        )
        SightingFactory(
            paper=paper, listing_day=DAY, votes=54, url="https://huggingface.co/papers/2608.00042"
        )

        page = text_of(client.get("/paper/2608.00042/"))

        assert 'href="https://arxiv.org/abs/2608.00042"' in page
        assert 'href="https://arxiv.org/pdf/2608.00042"' in page
        assert 'href="https://huggingface.co/papers/2608.00042"' in page
        assert 'href="https://project.example/"' in page
        assert "Written by a machine (Hugging Face)" in page
        assert "<b>First listed</b> by Hugging Face Daily Papers: 2 votes" in page
        assert "<b>Listed again</b> by Hugging Face Daily Papers: 54 votes" in page
        assert "Votes: 2 on 14 Aug, 54 on 20 Aug" in page
        assert "@misc{lovelace2026agents," in page
        assert '<a href="/topics/agents/">Agents</a>' in page
        assert "<mark>autonomous agents</mark>" in page

    def test_says_whose_words_the_sample_s_are(self, client):
        paper = PaperFactory(arxiv_id="2608.00042", summary="Ours.", abstract="Also ours.", keywords=["me"])
        SightingFactory(paper=paper, listing_day=DAY, batch=BatchFactory(is_sample=True))

        page = text_of(client.get("/paper/2608.00042/"))

        assert "Summary and abstract in our own words: sample data." in page
        assert "machine" not in page

    def test_draws_no_line_through_a_single_reading(self, client):
        paper = listed_paper()

        assert 'class="join"' not in text_of(client.get(f"/paper/{paper.public_id}/"))

    def test_leads_from_a_version_and_from_a_merged_paper_to_the_one_page(self, client):
        paper = listed_paper(arxiv_id="2608.00042")
        merged = PaperFactory(arxiv_id=None, key="url:https://x.example/", canonical=paper)

        assert client.get("/paper/2608.00042v3/")["Location"] == "/paper/2608.00042/"
        assert client.get(f"/paper/p{merged.pk}/")["Location"] == "/paper/2608.00042/"

    @pytest.mark.parametrize(
        "public_id", ["2608.99999", "p0", "p99999999999999999999", "%00", "x/../y", "v1", "p"]
    )
    def test_finds_nothing_for_an_unknown_one(self, client, public_id):
        assert client.get(f"/paper/{public_id}/").status_code == 404

    def test_says_that_a_paper_was_withdrawn(self, client):
        paper = PaperFactory(withdrawn_at=NOON)

        assert "<b>Withdrawn.</b>" in text_of(client.get(f"/paper/{paper.public_id}/"))

    def test_asks_few_questions(self, client, django_assert_max_num_queries):
        paper = listed_paper()

        with django_assert_max_num_queries(8):
            client.get(f"/paper/{paper.public_id}/")


class TestBibtex:
    def test_escapes_what_latex_would_take_for_itself(self, client):
        paper = PaperFactory(title="100% of $x$ & {y}_z", authors=["José Ñandú"])

        page = text_of(client.get(f"/paper/{paper.public_id}/"))

        assert r"100\% of \$x\$ &amp; \{y\}\_z".replace("&amp;", r"\&amp;") in page
        assert "Ñandú, José" in page
        assert "@misc{nandu2026100," in page


def test_counts_are_json(client):
    listed_paper(title="On agents")

    counts = json.loads(client.get("/preview/?counts=1").content)

    assert counts["days"] == 1
    assert counts["topics"]["agents"] == {"papers": 1, "a_day": "1"}
    assert counts["topics"]["robotics"] == {"papers": 0, "a_day": "0"}
