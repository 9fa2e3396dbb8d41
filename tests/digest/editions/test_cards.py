"""The pieces of an edition's emails: what a card says, and how it is stored."""

import binascii

import pytest

from digest.editions import cards
from digest.models import Card, EditionPaper, Paper, Shell
from tests.digest.editions.letters import edition_of
from tests.factories import DAY, PaperFactory, listed_paper

ONE_LINE = [("en", "one_line")]


def html_of(card: Card) -> str:
    return binascii.a2b_qp(bytes(card.html_head) + bytes(card.html_tail)).decode()


def text_of(card: Card) -> str:
    return binascii.a2b_qp(bytes(card.text_head) + bytes(card.text_tail)).decode()


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
