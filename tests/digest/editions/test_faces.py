"""What the card of one paper says, before any template."""

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import translation

from digest.editions import faces
from digest.editions.faces import Page, Told
from digest.models import EditionPaper, Paper, Sighting, Source
from tests.factories import DAY, NOON, BatchFactory, PaperFactory, SightingFactory, SourceFactory

HUGGINGFACE = Page(Source.Kind.HUGGINGFACE, "Hugging Face Daily Papers", "https://huggingface.co/papers/1")
ROW = ("votes", "comments", "stars", "announced", "version", "gained")
ABSTRACT = "Robots are everywhere. We introduce MendBot, which mends broken tools. It works in the rain."


def face(length: str = "one_line", told: Told | None = None, texts=None, **values: object) -> faces.Face:
    row = {name: values.pop(name) for name in ROW if name in values}
    given = {"arxiv_id": "2608.00001", "title": "On agents", "authors": ["Ada Lovelace"]}
    paper = Paper(**given | values)
    member = EditionPaper(paper=paper, listing_day=DAY, **row)
    return faces.face(member, told or Told(), texts or {}, length=length)


def labels(found: faces.Face) -> list[str]:
    return [label.text for label in found.labels]


def links(found: faces.Face) -> list[tuple[str, ...]]:
    return [tuple(link.values()) for link in found.links]


class TestByLine:
    @pytest.mark.parametrize(
        ("authors", "shown"),
        [
            ([], ""),
            (["A"], "A"),
            (["A", "B"], "A and B"),
            (["A", "B", "C", "D"], "A, B, C and D"),
            (["A", "B", "C", "D", "E"], "A, B, C and 2 more"),
        ],
    )
    def test_names_the_first_authors_and_counts_the_rest(self, authors, shown):
        assert face(authors=authors).authors == shown

    def test_names_the_organisation(self):
        found = face(organization="Analytical Engines", affiliations=["MIT"])

        assert found.by == ("Ada Lovelace, ", "Analytical Engines", "")
        assert found.brief_by == "Analytical Engines"

    def test_names_two_affiliations_where_there_is_no_organisation(self):
        found = face(affiliations=["MIT", "ETH Zürich", "Third"])

        assert found.by == ("Ada Lovelace, ", "MIT, ETH Zürich", "")
        assert found.brief_by == "MIT, ETH Zürich"

    def test_an_endless_affiliation_is_shortened(self):
        assert len(face(affiliations=["Institute " * 50]).organization) <= faces.NAME_MAX_CHARACTERS

    @pytest.mark.parametrize(
        ("published_at", "by"),
        [
            (datetime(2026, 8, 12, 23, tzinfo=UTC), ("", "OpenAI News", ", 12 Aug")),
            (datetime(2025, 12, 1, tzinfo=UTC), ("", "OpenAI News", ", 1 Dec 2025")),
            (None, ("", "OpenAI News", ", 20 Aug")),
        ],
    )
    def test_of_a_post_is_its_source_and_its_day(self, published_at, by):
        found = face(
            told=Told("OpenAI News"),
            kind="news",
            authors=["OpenAI news"],
            published_at=published_at,
            organization="Not this",
        )

        assert found.by == by
        assert found.brief_by == "".join(by)

    def test_of_a_post_whose_source_is_not_known_is_its_day(self):
        assert face(kind="post", authors=[]).by == ("", "", "20 Aug")


class TestLabels:
    @pytest.mark.parametrize(
        ("values", "shown"),
        [
            ({}, []),
            ({"announced": "cross"}, ["Cross-listed"]),
            ({"announced": "updated", "version": 3}, ["Updated v3"]),
            ({"announced": "updated"}, ["Updated"]),
            ({"kind": "post"}, ["Post"]),
            ({"kind": "forum"}, ["Forum"]),
            ({"kind": "news"}, ["News"]),
            ({"announced": "updated", "version": 2, "withdrawn_at": NOON}, ["Withdrawn"]),
        ],
    )
    def test_say_what_it_is_or_what_happened_to_it(self, values, shown):
        assert labels(face(**values)) == shown


class TestFacts:
    def test_hold_categories_by_name_the_venue_citations_and_new_votes(self):
        found = face(
            primary_category="cs.CL",
            categories=["cs.AI", "cs.CL", "cs.LG", "cs.IR"],
            venue="ICML 2026",
            journal_ref="Not this",
            citations=1234,
            gained=12,
        )

        assert found.facts == (
            "cs.CL Computation and Language, cs.AI, cs.LG",
            "Accepted at ICML 2026",
            "1,234 citations",
            "+12 votes in a day",
        )

    def test_of_two_codes_for_the_same_category_one_is_shown(self):
        assert face(primary_category="math.IT", categories=["math.IT", "cs.IT"]).facts == (
            "math.IT Information Theory",
        )

    def test_leave_out_what_is_not_known(self):
        assert face().facts == ()

    def test_an_unknown_category_stands_by_itself(self):
        assert face(primary_category="cs.XX").facts == ("cs.XX",)

    def test_zero_citations_are_known(self):
        assert face(citations=0).facts == ("0 citations",)

    def test_name_the_journal_where_there_is_no_venue(self):
        assert face(journal_ref="JMLR 27 (2026)").facts == ("In JMLR 27 (2026)",)


class TestGist:
    def test_is_the_sources_summary_and_who_wrote_it(self):
        found = face(abstract=ABSTRACT, summary="One line.", summary_source="Hugging Face")

        assert (found.gist, found.lead_gist, found.machine) == ("One line.", "One line.", "Hugging Face")

    def test_is_else_the_summary_that_a_model_wrote_for_us(self):
        found = face(abstract=ABSTRACT, texts={"summary": ("A line.", "some-model")})

        assert (found.gist, found.machine) == ("A line.", "some-model")

    def test_is_else_the_best_sentence_of_the_abstract(self):
        found = face(title="MendBot", abstract=ABSTRACT)

        assert found.gist == "We introduce MendBot, which mends broken tools."
        assert found.machine == ""

    def test_a_lead_goes_on_after_the_best_sentence(self):
        found = face(title="MendBot", abstract=ABSTRACT)

        assert found.lead_gist == "We introduce MendBot, which mends broken tools. It works in the rain."

    def test_a_lead_ends_before_it_gets_long(self):
        found = face(title="MendBot", abstract=ABSTRACT + " It works in the sun as well." * 60)

        assert 200 <= len(found.lead_gist) <= 520

    def test_is_the_whole_abstract_for_those_who_want_it(self):
        abstract = "We study agents. " * 60

        assert face("abstract", abstract=abstract, summary="One line.").gist == abstract.strip()


class TestTranslated:
    TEXTS = {
        "title": ("论智能体", "model-a"),
        "abstract": ("机器人无处不在。我们提出 MendBot，它能修理工具。", "model-a"),
    }

    @pytest.fixture(autouse=True)
    def _in_chinese(self):
        with translation.override("zh-hans"):
            yield

    def test_shows_the_original_title_below(self):
        found = face(texts=self.TEXTS)

        assert (found.title, found.original, found.original_language) == ("论智能体", "On agents", "en")
        assert found.title_machine == "model-a"

    def test_a_translated_abstract_goes_before_an_english_summary(self):
        found = face(abstract=ABSTRACT, summary="One line.", summary_source="HF", texts=self.TEXTS)

        assert found.gist == "我们提出 MendBot，它能修理工具。"
        assert found.machine == "model-a"
        assert face("abstract", abstract=ABSTRACT, texts=self.TEXTS).gist == self.TEXTS["abstract"][0]

    def test_a_chinese_summary_goes_before_everything(self):
        texts = self.TEXTS | {"summary": ("一句话。", "model-b")}
        found = face(abstract=ABSTRACT, summary="One line.", summary_source="HF", texts=texts)

        assert (found.gist, found.machine, found.title_machine) == ("一句话。", "model-b", "model-a")

    @pytest.mark.parametrize(("of_summary", "is_named"), [("model-a", False), ("model-b", True)])
    def test_two_models_are_named_and_one_only_once(self, of_summary, is_named):
        texts = self.TEXTS | {"summary": ("一句话。", of_summary)}

        assert face(abstract=ABSTRACT, texts=texts).says_title_machine is is_named

    def test_without_ai_text_it_is_complete_in_english(self):
        found = face(abstract=ABSTRACT, summary="One line.", summary_source="Hugging Face")

        assert (found.title, found.original, found.gist) == ("On agents", "", "One line.")
        assert found.machine == "Hugging Face"

    def test_a_text_mail_leaves_chinese_lines_to_the_mail_program(self):
        assert "\n" not in face("abstract", texts={"abstract": ("我们 study 智能体。" * 40, "m")}).text
        assert "\n" in face("abstract", abstract=ABSTRACT * 3).text


class TestLinks:
    def test_go_to_arxiv_code_and_the_sources_page(self):
        told = Told(pages=(HUGGINGFACE,))

        assert links(face(told=told, code_url="https://github.com/a/b", stars=1, comments=2)) == [
            ("arXiv", "https://arxiv.org/abs/2608.00001"),
            ("PDF", "https://arxiv.org/pdf/2608.00001"),
            ("Code, 1 star", "https://github.com/a/b"),
            ("2 comments", "https://huggingface.co/papers/1"),
        ]

    def test_of_a_post_go_to_the_original_once(self):
        url = "https://openai.com/news/1"
        told = Told("OpenAI News", pages=(Page("feed", "OpenAI News", url),))

        assert links(face(told=told, kind="news", arxiv_id=None, url=url)) == [("Original", url)]

    def test_go_to_at_most_two_posts_about_it(self):
        posts = tuple(Page("feed", f"Blog {n}", f"https://blog.example/{n}") for n in range(3))

        assert links(face(told=Told(discussed=posts)))[2:] == [
            ("Discussed at Blog 0", "https://blog.example/0"),
            ("Discussed at Blog 1", "https://blog.example/1"),
        ]

    def test_go_nowhere_but_to_the_web(self):
        assert "javascript" not in str(face(code_url="javascript:alert(1)", url="data:x").links)


class TestOddities:
    def test_no_votes_are_not_zero_votes(self):
        assert face(votes=None).votes is None
        assert face(votes=0).votes == 0

    def test_odd_characters_are_gone_before_anything_is_rendered(self):
        found = face(
            title="A\x00\ud800B\u202e\u2028C", authors=["X\r\nY"], abstract="\x07 z", venue="V\n\x00W"
        )

        assert (found.title, found.authors, found.gist) == ("A\ufffdB C", "X Y", "z")
        assert found.facts == ("Accepted at V W",)


@pytest.mark.django_db
class TestTold:
    def sighting(self, paper: Paper, slug: str, url: str, *, hours: int = 0, **values: object) -> Sighting:
        source = SourceFactory(slug=slug, name=slug.title(), kind="feed")
        return SightingFactory(
            paper=paper,
            batch=BatchFactory(source=source, listing_day=DAY),
            url=url,
            seen_at=NOON + timedelta(hours=hours),
            **values,
        )

    def test_names_the_first_source_and_each_ones_page(self):
        post = PaperFactory(kind="post")
        self.sighting(post, "later", "https://later.example/1", hours=1)
        self.sighting(post, "first", "https://first.example/1")
        self.sighting(post, "first", "javascript:alert(1)", hours=2)

        found = faces.told([post])[post.pk]

        assert found.source == "First"
        assert [page.url for page in found.pages] == ["https://first.example/1", "https://later.example/1"]

    def test_posts_about_a_paper_are_no_pages_of_it_and_come_newest_first(self):
        paper = PaperFactory()
        for hours in (1, 2):
            self.sighting(
                paper,
                "blog",
                f"https://blog.example/{hours}",
                hours=hours,
                announce_type="discussed",
                is_listing=False,
            )

        found = faces.told([paper])[paper.pk]

        assert found.pages == ()
        assert [page.url for page in found.discussed] == ["https://blog.example/2", "https://blog.example/1"]

    def test_what_is_said_of_a_merged_row_is_said_of_the_paper(self, django_assert_num_queries):
        paper = PaperFactory()
        duplicate = PaperFactory(canonical=paper)
        self.sighting(duplicate, "blog", "https://blog.example/1")
        papers = [paper, duplicate]

        with django_assert_num_queries(1):
            found = faces.told(papers)

        assert found[paper.pk] == found[duplicate.pk]
        assert found[paper.pk].source == "Blog"

    def test_a_paper_of_which_nothing_is_said_is_there(self):
        paper = PaperFactory()

        assert faces.told([paper]) == {paper.pk: Told()}
