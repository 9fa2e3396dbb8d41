"""The pieces of an edition's emails: what a card says, and how it is stored."""

import binascii
from datetime import timedelta

import pytest

from digest.editions import cards
from digest.models import Batch, Card, EditionPaper, Paper, Shell, Source
from tests.digest.editions.letters import edition_of
from tests.factories import DAY, NOON, BatchFactory, PaperFactory, listed_paper

ONE_LINE = [("en", "one_line")]


def face(length: str = "one_line", pages=(), **values: object) -> cards.Face:
    numbers = {name: values.pop(name) for name in ("votes", "comments", "stars") if name in values}
    paper = Paper(arxiv_id="2608.00001", **{"title": "On agents", "authors": ["Ada Lovelace"], **values})
    return cards.face(EditionPaper(paper=paper, **numbers), pages, length=length)


def html_of(card: Card) -> str:
    return binascii.a2b_qp(bytes(card.html_head) + bytes(card.html_tail)).decode()


def text_of(card: Card) -> str:
    return binascii.a2b_qp(bytes(card.text_head) + bytes(card.text_tail)).decode()


class TestFace:
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

    def test_says_the_sources_summary_and_who_wrote_it(self):
        found = face(abstract="Long ago. And now.", summary="One line.", summary_source="Hugging Face")

        assert (found.gist, found.summary_source) == ("One line.", "Hugging Face")

    def test_says_the_first_sentence_where_there_is_no_summary(self):
        found = face(
            abstract="We study how agents use tools in the wild. Then we stop, as in Fig. 2 of it. The end."
        )

        assert found.gist == "We study how agents use tools in the wild."
        assert found.summary_source == ""

    def test_says_the_whole_abstract_to_those_who_want_it(self):
        abstract = "We study agents. " * 60

        assert face("abstract", abstract=abstract, summary="One line.").gist == abstract.strip()

    def test_links_to_arxiv_code_and_the_sources_page(self):
        page = cards.Page(
            Source.Kind.HUGGINGFACE, "Hugging Face Daily Papers", "https://huggingface.co/papers/1"
        )

        found = face(pages=[page], code_url="https://github.com/a/b", stars=1, comments=2)

        assert [tuple(link.values()) for link in found.links] == [
            ("arXiv", "https://arxiv.org/abs/2608.00001"),
            ("PDF", "https://arxiv.org/pdf/2608.00001"),
            ("Code, 1 star", "https://github.com/a/b"),
            ("2 comments", "https://huggingface.co/papers/1"),
        ]

    def test_links_to_nothing_but_the_web(self):
        assert "javascript" not in str(face(code_url="javascript:alert(1)", url="data:x").links)

    def test_no_votes_are_not_zero_votes(self):
        assert face(votes=None).votes is None
        assert face(votes=0).votes == 0

    def test_odd_characters_are_gone_before_anything_is_rendered(self):
        found = face(title="A\x00\ud800B\u202e\u2028C", authors=["X\r\nY"], abstract="\x07 z")

        assert (found.title, found.authors, found.gist) == ("A\ufffdB C", "X Y", "z")


@pytest.mark.django_db
class TestBuild:
    def test_makes_each_form_once_and_never_changes_it(self):
        paper = listed_paper(title="On agents")
        edition = edition_of()

        cards.build(edition, languages_lengths=[("en", "one_line"), ("en", "titles")])
        before = {card.pk: html_of(card) for card in Card.objects.all()}
        Paper.objects.filter(pk=paper.pk).update(title="Another title")
        cards.build(edition, languages_lengths=[("en", "one_line"), ("en", "titles")])

        assert sorted(Card.objects.values_list("length", "form")) == [
            ("one_line", "brief"),
            ("one_line", "lead"),
            ("one_line", "story"),
            ("titles", "brief"),
        ]
        assert {card.pk: html_of(card) for card in Card.objects.all()} == before
        assert Shell.objects.count() == 2

    def test_makes_what_is_missing_when_a_paper_joins_later(self):
        listed_paper()
        edition = edition_of()
        cards.build(edition, languages_lengths=ONE_LINE)
        late = PaperFactory()
        EditionPaper.objects.create(
            edition=edition, paper=late, listing_day=DAY, position=2, score=0, folded_in=True
        )

        cards.build(edition, languages_lengths=ONE_LINE)

        assert Card.objects.filter(paper=late).count() == 3

    def test_many_papers_are_cut_apart_exactly(self, monkeypatch):
        monkeypatch.setattr(cards, "PAPERS_A_PASS", 2)
        papers = [listed_paper(title=f"Paper number {n}.", votes=n) for n in range(5)]
        edition = edition_of()

        cards.build(edition, languages_lengths=ONE_LINE)

        for paper in papers:
            for card in Card.objects.filter(paper=paper):
                for whole in (html_of(card), text_of(card)):
                    assert whole.count("Paper number") == 1
                    assert paper.title in whole
                assert html_of(card).count("<table") == html_of(card).count("</table>") > 0

    def test_a_title_that_looks_like_a_marker_stays_a_title(self):
        listed_paper(title="<!--end--> {{ why }} =@subject <script>alert(1)</script> & co")
        edition = edition_of()

        cards.build(edition, languages_lengths=ONE_LINE)

        for card in Card.objects.all():
            assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; co" in html_of(card)
            assert "<!--end--> {{ why }} =@subject <script>" in text_of(card)

    def test_stored_pieces_are_whole_lines(self):
        listed_paper(title="." * 90, abstract="From here. " * 20)
        edition = edition_of()

        cards.build(edition, languages_lengths=ONE_LINE)

        for card in Card.objects.all():
            for piece in (card.html_head, card.html_tail, card.text_head, card.text_tail):
                lines = bytes(piece).split(b"\r\n")
                assert lines[-1] == b""
                assert not any(line.startswith((b".", b"From ")) or len(line) > 76 for line in lines)

    def test_styles_are_in_the_elements(self):
        listed_paper()
        edition = edition_of()

        cards.build(edition, languages_lengths=ONE_LINE)

        story = html_of(Card.objects.get(form="story"))
        assert "font-size:19px" in story.partition("<h3")[2].partition(">")[0]
        shell = Shell.objects.get().pieces["html"]["top"].replace("=\r\n", "")
        assert "prefers-color-scheme:dark" in shell
        assert "!important" in shell


@pytest.mark.django_db
class TestCompleteness:
    def test_says_what_was_read_of_what_and_when(self):
        listed_paper()
        Batch.objects.filter(pk=BatchFactory().pk).update(declared=17, settled_at=NOON)

        said = cards.completeness(edition_of())

        assert said == (
            "Complete.",
            "All 17 papers that Hugging Face Daily Papers listed were read by 20 August, 12:00 UTC.",
        )

    def test_says_when_entries_could_not_be_read(self):
        listed_paper()
        read_at = NOON + timedelta(hours=12, minutes=31)
        Batch.objects.filter(pk=BatchFactory().pk).update(declared=17, rejected=1, fetched_at=read_at)

        said = cards.completeness(edition_of())

        assert said == (
            "Not complete.",
            "16 of 17 papers that Hugging Face Daily Papers listed were read by 00:31 UTC.",
        )

    def test_says_when_a_day_of_the_week_was_not_read(self):
        monday = DAY - timedelta(days=DAY.weekday())
        listed_paper(day=DAY)
        Batch.objects.filter(pk=BatchFactory().pk).update(declared=1, parsed=1, fetched_at=NOON)
        Batch.objects.filter(pk=BatchFactory(listing_day=monday).pk).update(fetched_at=None, declared=0)

        complete, words = cards.completeness(edition_of(monday, "weekly"))

        assert complete == "Not complete."
        assert words.endswith("One day’s list was not read.")

    def test_says_when_a_source_did_not_answer(self):
        listed_paper()
        Batch.objects.filter(pk=BatchFactory().pk).update(fetched_at=None)

        assert cards.completeness(edition_of()) == (
            "Not complete.",
            "Hugging Face Daily Papers had not answered.",
        )
