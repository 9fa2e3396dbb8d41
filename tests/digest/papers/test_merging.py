"""Two rows that are one work: when, how sure, undone exactly."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from digest.models import Merge, Paper, Received, Sighting
from digest.papers import days, merging
from digest.papers.identity import title_key
from tests.factories import DAY, NOON, PaperFactory, SightingFactory, listed_paper

TITLE = "Agents that read their own logs"
AUTHORS = ["Ada Lovelace", "Émilie du Châtelet", "Sofja Kowalewskaja", "Maria Sibylla Merian"]
PUBLISHED = datetime(2026, 8, 19, tzinfo=UTC)

pytestmark = pytest.mark.django_db


def paper(title: str = TITLE, **values: Any) -> Paper:
    values = {"authors": AUTHORS, "published_at": PUBLISHED} | values
    return PaperFactory(title=title, title_key=title_key(title), **values)


def elsewhere(number: int = 1, **values: Any) -> Paper:
    """A paper known by its own address only."""
    return paper(arxiv_id=None, key=f"url:https://lab.example/{number}", **values)


def merge(duplicate: Paper, original: Paper) -> Merge:
    return merging.merge(
        duplicate, original, how=Merge.How.OPERATOR, certainty=1.0, evidence="The same.", now=NOON
    )


def canonical() -> dict[int, int | None]:
    return dict(Paper.objects.values_list("pk", "canonical_id"))


class TestByTitle:
    @pytest.mark.parametrize(
        ("authors", "certainty"),
        [
            (AUTHORS, 0.98),
            (["A. Lovelace", "E. du Chatelet", "S. Kowalewskaja", "M. S. Merian"], 0.98),
            (["LOVELACE, Ada", "Châtelet, Émilie du"], 0.95),
            (["Ada Lovelace", "Somebody Else", "Another One", "A Third"], 0.90),
            ([AUTHORS[1], AUTHORS[0], "Somebody Else"], 0.85),
            (["Somebody Else", "Ada Lovelace"], None),  # one name in common, and not the first
            (["Augusta Lovelace", "Somebody Else", "Another One"], 0.90),
            (["Byron Lovelace"], None),  # of the same name, and no author in common
            (["Somebody Else"], None),
            ([], None),
        ],
    )
    def test_is_as_sure_as_the_authors_in_common(self, authors: list[str], certainty: float | None) -> None:
        original, other = paper(), elsewhere(authors=authors)

        made = merging.find([other], now=NOON)

        assert [merge.certainty for merge in made] == ([certainty] if certainty else [])
        assert canonical() == {original.pk: None, other.pk: original.pk if certainty else None}

    def test_ignores_blanks_dashes_case_and_accents(self) -> None:
        paper("Émergent Tool-Use: agents that read logs")
        paper("émergent tool use\u2014Agents that Read Logs", arxiv_id=None, key="url:https://a.example/")

        assert len(merging.find(Paper.objects.all(), now=NOON)) == 1

    def test_says_what_the_two_have_in_common(self) -> None:
        paper()
        other = elsewhere(authors=AUTHORS[:2], published_at=None)

        (made,) = merging.find([other], now=NOON)

        assert (made.how, made.certainty, made.evidence) == (
            Merge.How.TITLE,
            0.90,
            "Same title; same first author, 2 of 2 authors in common; the date of one is not known.",
        )

    @pytest.mark.parametrize(
        "values",
        [
            {"title": "Attention"},
            {"kind": "post"},
            {"published_at": PUBLISHED - timedelta(days=800)},
            {"arxiv_id": "2607.00009", "key": "arxiv:2607.00009"},
        ],
        ids=["short title", "a post", "years apart", "an arXiv id of its own"],
    )
    def test_is_not_enough_for(self, values: dict[str, Any]) -> None:
        paper(values.get("title", TITLE))
        other = elsewhere(**values) if "arxiv_id" not in values else paper(**values)

        assert merging.find([other], now=NOON) == []

    def test_nobody_s_name_is_no_author_in_common(self) -> None:
        paper(authors=["Anonymous"])

        assert merging.find([elsewhere(authors=["Anonymous"])], now=NOON) == []

    @pytest.mark.parametrize(
        ("doi", "other", "is_same"),
        [
            ("10.1109/report.2025", "10.1109/report.2026", False),
            ("10.1109/report.2025", "10.5555/report.2025", True),
            ("10.21203/rs.3.rs-1/v1", "10.21203/rs.3.rs-1/v2", True),
        ],
        ids=["two of a series", "a preprint and its article", "two versions"],
    )
    def test_one_publisher_gives_one_work_one_doi(self, doi: str, other: str, is_same: bool) -> None:
        for one in (doi, other):
            paper(arxiv_id=None, doi=one, key=f"doi:{one}")

        assert bool(merging.find(Paper.objects.all(), now=NOON)) is is_same

    def test_the_original_is_the_one_with_an_arxiv_id_else_the_older(self) -> None:
        older, younger = elsewhere(1), elsewhere(2)
        merging.find([younger], now=NOON)
        assert canonical() == {older.pk: None, younger.pk: older.pk}

        on_arxiv = paper()
        merging.find([on_arxiv], now=NOON)

        assert canonical() == {older.pk: on_arxiv.pk, younger.pk: on_arxiv.pk, on_arxiv.pk: None}

    def test_costs_the_same_for_any_number(self, django_assert_max_num_queries: Any) -> None:
        for number in range(20):
            title = f"The same long title, number {number}"
            paper(title)
            elsewhere(number, title=title)

        with django_assert_max_num_queries(12):
            assert len(merging.find(Paper.objects.all(), now=NOON)) == 20


class TestUndoing:
    def test_restores_a_chain_exactly(self) -> None:
        first, second, third, fourth = (elsewhere(number, title=f"Title {number}") for number in range(4))
        merge(fourth, third)
        before = canonical()
        merged = merge(third, second)
        merge(second, first)
        assert set(canonical().values()) == {None, first.pk}

        merging.undo(Merge.objects.get(duplicate=second), now=NOON)
        merging.undo(merged, now=NOON)

        assert canonical() == before == {first.pk: None, second.pk: None, third.pk: None, fourth.pk: third.pk}

    def test_the_middle_of_a_chain_keeps_its_own_duplicates(self) -> None:
        first, second, third = (elsewhere(number, title=f"Title {number}") for number in range(3))
        merge(third, second)
        made = merge(second, first)

        merging.undo(made, now=NOON)

        assert canonical() == {first.pk: None, second.pk: None, third.pk: second.pk}

    def test_is_never_undone_by_itself_again(self) -> None:
        original, other = paper(), elsewhere()
        (made,) = merging.find([other], now=NOON)
        merging.undo(made, now=NOON)

        assert merging.find([original, other], now=NOON) == []
        assert Paper.objects.filter(canonical=None).count() == 2

    def test_keeps_apart_what_the_two_stand_for(self) -> None:
        original, other = paper(), elsewhere(1)
        (made,) = merging.find([other], now=NOON)
        merging.undo(made, now=NOON)
        third = elsewhere(2, authors=["Ada Lovelace"])
        merge(third, other)  # by hand: what is said of the third is said of the other

        merging.find([third, other, original], now=NOON)

        assert canonical() == {original.pk: None, other.pk: None, third.pk: other.pk}

    def test_moves_no_sighting_and_no_receipt(self) -> None:
        original, other = listed_paper(), listed_paper()
        Received.objects.create(id=1 << 32, subscriber_id=7, day=DAY, paper_ids=[other.pk])
        made = merge(other, original)
        merging.undo(made, now=NOON)

        assert list(Received.objects.values_list("paper_ids", flat=True)) == [[other.pk]]
        assert Sighting.objects.filter(paper=other).count() == Sighting.objects.filter(paper=original).count()
        assert made.undone_at == NOON

    def test_twice_is_once(self) -> None:
        made = merge(elsewhere(), paper("Another title"))
        merging.undo(made, now=NOON)
        merging.undo(made, now=NOON + timedelta(days=1))

        assert made.undone_at == NOON


class TestByHand:
    def test_refuses_circles(self) -> None:
        first, second, third = (elsewhere(number) for number in range(3))
        merge(second, first)
        merge(third, second)

        with pytest.raises(merging.CannotMerge, match="Undo that first"):
            merge(first, third)
        with pytest.raises(merging.CannotMerge, match="itself"):
            merge(first, first)

    def test_refuses_what_is_merged_already(self) -> None:
        first, second, third = (elsewhere(number) for number in range(3))
        merge(second, first)

        with pytest.raises(merging.CannotMerge, match=r"is merged into url:https://lab.example/0 already"):
            merge(second, third)

    def test_may_join_two_arxiv_ids(self) -> None:
        old, new = paper(), paper("Filed anew")

        assert merge(new, old).original == old


class TestLists:
    def test_show_a_merged_paper_once(self) -> None:
        original, other = listed_paper(), listed_paper(arxiv_id=None, key="url:https://a.example/", votes=3)
        merge(other, original)

        assert list(Paper.objects.listed_on(DAY)) == [original]
        assert [(one.date, one.papers) for one in days.last_days(until=DAY)] == [(DAY, 1)]

    def test_show_the_original_on_the_duplicates_day(self) -> None:
        early = DAY - timedelta(days=3)
        original, other = listed_paper(), listed_paper(early, arxiv_id=None, key="url:https://a.example/")
        merge(other, original)

        assert list(Paper.objects.listed_on(early)) == [original]
        assert days.neighbours(DAY) == (early, None)

    def test_leave_out_withdrawn_ones_revisions_and_mentions(self) -> None:
        listed_paper(withdrawn_at=NOON)
        SightingFactory(paper=PaperFactory(), is_listing=False, announce_type="replace")
        kept = listed_paper()

        assert list(Paper.objects.listed_on(DAY)) == [kept]
        assert days.accounts(DAY).announced == 1

    def test_a_duplicate_of_a_withdrawn_paper_is_withdrawn_with_it(self) -> None:
        original, other = listed_paper(withdrawn_at=NOON), listed_paper(arxiv_id=None, key="url:https://a.b/")
        merge(other, original)

        assert not Paper.objects.listed_on(DAY).exists()
        assert days.latest_day() is None


class TestFamilyNames:
    @pytest.mark.parametrize(
        ("name", "family"),
        [
            ("Ada Lovelace", "lovelace"),
            ("Lovelace, Ada", "lovelace"),
            ("Émilie du Châtelet", "chatelet"),
            ("Søren Łukasiewicz", "lukasiewicz"),
            ("Sammy Davis Jr.", "davis"),
            ("王小明", "王小明"),
            ("OpenAI", "openai"),
            ("", ""),
            ("---", ""),
        ],
    )
    def test_are_the_last_word_without_accents(self, name: str, family: str) -> None:
        assert merging.family_name(name) == family


def test_a_title_key_needs_fifteen_letters_and_knows_every_script() -> None:
    assert title_key("Notes, in brief") == ""
    assert title_key("大型语言模型的后训练方法综述与展望：从强化学习到智能体系统") != ""
    assert title_key("Schrödinger bridges for diffusion") == title_key("Schrodinger Bridges\nfor  Diffusion.")
    assert title_key("Schrödinger bridges for diffusion") != title_key("Schrödinger bridges for diffusion 2")
