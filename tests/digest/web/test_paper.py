"""One paper's page: what every source says of it, and what became of it."""

from datetime import timedelta

import pytest

from digest.models import AiText, Batch, Mention, Merge, Paper, Source
from digest.papers import lookups, merging
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


def text_of(response) -> str:
    return response.content.decode()


def page_of(client, paper: Paper) -> str:
    return text_of(client.get(f"/paper/{paper.public_id}/"))


def arxiv_batch(day=DAY, category: str = "cs.CL", **values: object) -> Batch:
    source = Source.objects.get(slug="arxiv")
    return Batch.objects.get_or_create(
        source=source, category=category, listing_day=day, defaults={"fetched_at": NOON} | values
    )[0]


def a_post(name: str = "A lab", **values: object) -> Paper:
    number = Paper.objects.count()
    url = f"https://lab.example/{number}"
    source = SourceFactory(slug=name.lower().replace(" ", "-"), name=name, kind="feed", gives="post")
    given = {"arxiv_id": None, "key": f"url:{url}", "url": url, "kind": "post", "votes": None}
    post = PaperFactory(**given | {"comments": None, "published_at": NOON} | values)
    SightingFactory(paper=post, batch=BatchFactory(source=source), url=url)
    return post


def discuss(post: Paper, paper: Paper) -> None:
    source = post.sightings.get().source
    Mention.objects.create(post=post, key=paper.key, paper=paper, source=source, seen_at=NOON)


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

        version = client.get("/paper/2608.00042v3/")
        duplicate = client.get(f"/paper/p{merged.pk}/")

        assert (version.status_code, version["Location"]) == (302, "/paper/2608.00042/")
        assert (duplicate.status_code, duplicate["Location"]) == (301, "/paper/2608.00042/")
        # Merges can be undone, so nobody keeps "permanently" for longer than a minute.
        assert "max-age=60" in duplicate["Cache-Control"]

    @pytest.mark.parametrize(
        "public_id", ["2608.99999", "p0", "p99999999999999999999", "%00", "x/../y", "v1", "p"]
    )
    def test_finds_nothing_for_an_unknown_one(self, client, public_id):
        assert client.get(f"/paper/{public_id}/").status_code == 404

    def test_says_that_a_paper_was_withdrawn(self, client):
        paper = PaperFactory(withdrawn_at=NOON, withdrawal="Error in the proof of <Theorem 2>.")

        page = page_of(client, paper)

        assert "<b>Withdrawn.</b> Since Thursday 20 August 2026." in page
        assert "“Error in the proof of &lt;Theorem 2&gt;.”" in page

    def test_says_that_one_was_retracted_and_that_no_reason_is_known(self, client):
        retracted = PaperFactory(withdrawn_at=NOON, withdrawal="Retracted by the journal.")
        silent = PaperFactory(withdrawn_at=NOON)

        assert "<b>Retracted.</b>" in page_of(client, retracted)
        assert "No reason is given." in page_of(client, silent)

    def test_asks_few_questions(self, client, django_assert_max_num_queries):
        paper = listed_paper()

        with django_assert_max_num_queries(11):
            client.get(f"/paper/{paper.public_id}/")


class TestBibtex:
    def test_escapes_what_latex_would_take_for_itself(self, client):
        paper = PaperFactory(title="100% of $x$ & {y}_z", authors=["José Ñandú"])

        page = text_of(client.get(f"/paper/{paper.public_id}/"))

        assert r"100\% of \$x\$ &amp; \{y\}\_z".replace("&amp;", r"\&amp;") in page
        assert "Ñandú, José" in page
        assert "@misc{nandu2026100," in page


class TestHistory:
    def test_tells_versions_with_days_and_categories(self, client):
        paper = PaperFactory(arxiv_id="2608.00042", version=2, published_at=NOON - timedelta(days=7))
        first, second = DAY - timedelta(days=6), DAY
        for category in ("cs.CL", "cs.AI"):
            batch = arxiv_batch(first, category)
            SightingFactory(paper=paper, batch=batch, listing_day=first, announce_type="new", version=1)
        SightingFactory(
            paper=paper, batch=arxiv_batch(second), announce_type="replace", version=2, is_listing=False
        )

        page = page_of(client, paper)

        assert "<b>Version 2 announced</b> by arXiv in cs.CL" in page
        assert "<b>Announced as new</b> by arXiv in cs.CL and cs.AI" in page
        assert "<b>Submitted</b> to arXiv" in page
        assert page.index("Version 2 announced") < page.index("Announced as new") < page.index("Submitted")
        assert 'href="https://arxiv.org/abs/2608.00042v2">version 2</a>' in page

    def test_a_revision_does_not_move_the_paper_to_its_day(self, client):
        paper = listed_paper(DAY - timedelta(days=6))
        SightingFactory(
            paper=paper, batch=arxiv_batch(), announce_type="replace", version=2, is_listing=False
        )

        assert '<a href="/papers/2026-08-14/">Friday 14 August 2026</a>' in page_of(client, paper)

    def test_a_look_up_is_nobody_s_list(self, client):
        paper = listed_paper()
        SightingFactory(paper=paper, batch=arxiv_batch(category="", door=lookups.DOOR), is_listing=False)

        page = page_of(client, paper)

        assert "by arXiv" not in page
        assert "First listed</b> by Hugging Face Daily Papers" in page

    def test_names_who_lists_it_and_when(self, client):
        paper = listed_paper(DAY - timedelta(days=6))
        SightingFactory(paper=paper, listing_day=DAY)

        page = page_of(client, paper)

        assert (
            'Hugging Face Daily Papers: <a href="/papers/2026-08-14/">14 Aug 2026</a>, '
            '<a href="/papers/2026-08-20/">20 Aug 2026</a>' in page
        )


class TestFacts:
    def test_tells_what_the_authors_say_and_where_it_was_published(self, client):
        paper = listed_paper(
            doi="10.1000/kites.7",
            comment="24 pages. Accepted at ICML 2026.",
            venue="ICML 2026",
            journal_ref="Proc. ICML 2026, pp. 101–120",
            primary_category="cs.CL",
            categories=["cs.AI", "cs.CL", "made-up"],
            affiliations=["ETH Zürich", "清华大学"],
        )

        page = page_of(client, paper)

        assert "<dd>24 pages. Accepted at ICML 2026.</dd>" in page
        assert "<dt>Venue</dt><dd>ICML 2026</dd>" in page
        assert "<dt>Published in</dt><dd>Proc. ICML 2026, pp. 101–120</dd>" in page
        assert '<a href="https://doi.org/10.1000/kites.7">10.1000/kites.7</a>' in page
        assert page.index("Computation and Language") < page.index("Artificial Intelligence")
        assert "made-up" in page
        assert "<li>ETH Zürich</li><li>清华大学</li>" in page

    def test_citations_name_their_source(self, client):
        page = page_of(client, listed_paper(citations=0, influential_citations=None, cited_at=NOON))

        assert "<dt>Citations</dt><dd>0, as of" in page
        assert '<a href="https://www.semanticscholar.org/">Semantic Scholar</a>' in page

    def test_unknown_ones_are_left_out(self, client):
        page = page_of(client, listed_paper())

        for name in ("Citations", "Venue", "Published in", "Authors’ comment", "DOI", "Affiliations", "None"):
            assert name not in page

    def test_a_rank_is_for_papers_with_votes(self, client):
        assert "1 of 1 by votes" in page_of(client, listed_paper())
        assert "by votes" not in page_of(client, listed_paper(DAY - timedelta(days=1), votes=None))

    def test_hundreds_of_authors_and_institutions_stay_one_click_away(self, client):
        paper = listed_paper(
            authors=[f"Author {number}" for number in range(500)],
            affiliations=[f"Institute {number}" for number in range(60)],
        )

        page = page_of(client, paper)

        assert "All 500 authors" in page
        assert "and 52 more" in page


class TestDiscussions:
    def test_a_paper_names_the_posts_that_link_to_it_newest_first(self, client):
        paper = listed_paper()
        discuss(a_post("Old lab", title="Early words", published_at=NOON - timedelta(days=3)), paper)
        discuss(a_post("New lab", title="Late words"), paper)

        page = page_of(client, paper)

        assert '<section id="discussed">' in page
        assert "2 posts" in page
        assert page.index("Late words") < page.index("Early words")
        assert "<b>New lab</b>, <time" in page

    def test_mentions_of_a_merged_row_count_for_the_paper(self, client):
        paper = listed_paper()
        merged = PaperFactory(arxiv_id=None, key="doi:10.1/x", doi="10.1/x", canonical=paper)
        discuss(a_post(title="Words"), merged)

        assert "Words</a>" in page_of(client, paper)

    def test_a_post_names_the_papers_that_it_links_to(self, client):
        paper = listed_paper(title="Kites")
        merged = PaperFactory(arxiv_id=None, key="doi:10.1/x", doi="10.1/x", canonical=paper)
        post = a_post()
        discuss(post, paper)
        discuss(post, merged)
        Mention.objects.create(
            post=post, key="arxiv:2699.99999", source=post.sightings.get().source, seen_at=NOON
        )

        page = page_of(client, post)

        assert page.count(f'<a href="/paper/{paper.public_id}/">Kites</a>') == 1

    def test_a_post_names_its_source_age_and_address(self, client, monkeypatch):
        monkeypatch.setattr("digest.web.paper.timezone.now", lambda: NOON + timedelta(hours=3))
        post = a_post(title="Words", kind="forum", authors=["Ada"])

        page = page_of(client, post)

        assert '<span class="label label--kind">Forum</span>' in page
        assert '<b class="strong">A lab</b>, Ada, ' in page
        assert "3 hours ago (Thursday 20 August 2026, 12:00 UTC)" in page
        assert f'<a class="btn" href="{post.url}">Read it at lab.example</a>' in page
        assert "bibtex" not in page
        assert "arXiv</dt>" not in page


class TestAliases:
    def test_tells_what_it_is_also_listed_as_and_how_sure_that_is(self, client):
        paper = listed_paper()
        row = PaperFactory(arxiv_id=None, key="url:https://lab.example/p", url="https://lab.example/p")
        same = PaperFactory(arxiv_id=None, key="doi:10.1/x", doi="10.1/x", url="https://doi.org/10.1/x")
        SightingFactory(paper=row, batch=BatchFactory(source=SourceFactory(slug="lab", name="A lab")))
        merging.merge(row, paper, how=Merge.How.TITLE, certainty=0.95, evidence="…", now=NOON)
        merging.merge(same, paper, how=Merge.How.DOI, certainty=1.0, evidence="…", now=NOON)

        page = page_of(client, paper)

        assert '<a href="https://lab.example/p">lab.example</a>' in page
        assert "same title and authors, 95% sure" in page
        assert '<a href="https://doi.org/10.1/x">DOI 10.1/x</a><span class="muted">same DOI</span>' in page
        assert "First listed</b> by A lab" in page  # what was seen of the other row is this paper's

    def test_undone_both_have_pages_again(self, client):
        paper = listed_paper()
        row = PaperFactory(arxiv_id=None, key="url:https://lab.example/p", url="https://lab.example/p")
        merge = merging.merge(row, paper, how="title", certainty=0.9, evidence="…", now=NOON)
        merging.undo(merge, now=NOON)

        assert client.get(f"/paper/p{row.pk}/").status_code == 200
        assert "Also listed as" not in page_of(client, paper)


class TestMachineTexts:
    def written(self, paper: Paper, kind: str, text: str, language: str = "en") -> None:
        AiText.objects.create(
            paper=paper, language=language, kind=kind, text=text, model="m1", status="written", due_at=NOON
        )

    def test_are_labelled_with_their_model(self, client):
        paper = listed_paper()
        self.written(paper, "summary", "Kites learn.")

        page = page_of(client, paper)

        assert '<p class="gist">Kites learn.</p>' in page
        assert '<span class="label">AI text</span> Written by m1 from title and abstract.' in page

    def test_give_way_to_a_source_s_own_summary(self, client):
        paper = listed_paper(summary="The source's.", summary_source="Hugging Face")
        self.written(paper, "summary", "The model's.")

        assert "The model" not in page_of(client, paper)

    def test_translations_say_their_language(self, client):
        paper = listed_paper()
        self.written(paper, "title", "会学习的风筝", "zh-hans")
        self.written(paper, "abstract", "<b>风筝</b>。", "zh-hans")

        page = page_of(client, paper)

        assert '<div class="prose" lang="zh-Hans"><p class="strong">会学习的风筝</p><p>&lt;b&gt;风筝' in page
        assert '<span class="label">AI text</span> by m1' in page

    def test_what_is_only_wanted_is_not_shown(self, client):
        paper = listed_paper()
        AiText.objects.create(paper=paper, language="en", kind="summary", due_at=NOON)

        assert "AI text" not in page_of(client, paper)
