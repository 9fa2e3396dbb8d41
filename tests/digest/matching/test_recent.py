"""The papers of the last days in memory: which they are, and that little is made again."""

from datetime import timedelta
from typing import Any

import pytest

from digest.matching import recent
from digest.matching.documents import document
from digest.models import Paper
from subscriptions.filters import parse
from tests.factories import DAY, NOON, PaperFactory, SightingFactory, arxiv_sighting, listed_paper

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def nothing_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recent, "_kept", None)


def titles(*filters: str) -> list[str]:
    found = recent.current(now=NOON).find(*map(parse, filters))
    return [match.paper.title for match in found.matches()]


class TestCurrent:
    def test_has_the_last_days_newest_first_and_the_best_of_each(self) -> None:
        listed_paper(title="Older agents", day=DAY - timedelta(days=1), votes=90)
        listed_paper(title="Few agents", votes=1)
        listed_paper(title="Many agents", votes=50)
        listed_paper(title="Uncounted agents", votes=None, comments=None)

        assert titles("agents") == ["Many agents", "Few agents", "Uncounted agents", "Older agents"]

    def test_counts_a_merged_row_as_its_original(self) -> None:
        paper = listed_paper(title="Agents", day=DAY - timedelta(days=2))
        double = PaperFactory(title="Agents again", canonical=paper)
        arxiv_sighting(double, day=DAY)

        now = recent.current(now=NOON)

        assert [one.title for one in now.papers] == ["Agents"]
        assert now.listed == ((DAY - timedelta(days=2), DAY),)
        assert titles("source:arxiv source:huggingface") == ["Agents"]

    def test_leaves_out_revisions_mentions_and_what_was_withdrawn(self) -> None:
        listed_paper(title="Agents")
        listed_paper(title="Withdrawn agents", withdrawn_at=NOON)
        arxiv_sighting(PaperFactory(title="Revised agents"), announce_type="replace", version=2)
        SightingFactory(
            paper=PaperFactory(title="Discussed agents"), announce_type="discussed", is_listing=False
        )

        assert titles("agents") == ["Agents"]

    def test_has_fewer_days_where_they_are_full(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(recent, "MOST_PAPERS", 5)
        for back in range(4):
            for _ in range(2):
                listed_paper(day=DAY - timedelta(days=back))

        now = recent.current(now=NOON)

        assert now.days == (DAY - timedelta(days=1), DAY)
        assert [now.listed_on(day) for day in now.days] == [2, 2]
        assert len(now.find(parse("agents"))) == 4

    def test_is_empty_without_papers(self) -> None:
        now = recent.current(now=NOON)

        assert (now.days, now.papers, len(now.find(parse("agents")))) == ((), (), 0)


class TestParts:
    def test_that_did_not_change_are_taken_over(self) -> None:
        for back in (0, 1):
            listed_paper(title=f"Agents {back}", day=DAY - timedelta(days=back), votes=4)
            listed_paper(title=f"Silent agents {back}", day=DAY - timedelta(days=back), votes=None)
        before = recent.current(now=NOON)
        paper = Paper.objects.get(title="Agents 0")
        paper.votes, paper.updated_at = 70, NOON + timedelta(minutes=1)
        paper.save()
        SightingFactory(paper=paper, seen_at=NOON + timedelta(minutes=1), votes=70)

        after = recent.current(now=NOON + timedelta(minutes=1))

        assert [part in before._parts for part in after._parts] == [False, True, True, True]
        assert titles("upvotes>=50") == ["Agents 0"]

    def test_give_the_same_answer_as_one_index(self) -> None:
        for back in range(3):
            for n in range(4):
                listed_paper(
                    title=f"On {('agents', 'tables', 'reward models')[n % 3]}",
                    day=DAY - timedelta(days=back),
                    votes=n if n % 2 else None,
                )
        now = recent.current(now=NOON)

        for text in ("agents", "tables OR agents", "agents -upvotes>=1", '"reward model"'):
            found = now.find(parse(text))
            index = recent.DayIndex([document(paper) for paper in now.papers])
            assert [one.paper for one in found.matches()] == [
                now.papers[position] for position in index.evaluate(parse(text))
            ]
            assert [one.reasons for one in found.matches()] == [
                index.evaluate(parse(text)).reasons(position) for position in index.evaluate(parse(text))
            ]

    def test_forget_what_was_asked_after_a_while(self, monkeypatch: pytest.MonkeyPatch) -> None:
        listed_paper(title="Agents")
        now = recent.current(now=NOON)
        now.find(parse("agents"))
        index = now._parts[0].index
        assert index._atoms

        recent.current(now=NOON + timedelta(minutes=6))

        assert not index._atoms


class TestDocument:
    def test_is_found_by_every_name_of_its_category(self) -> None:
        paper = PaperFactory(categories=["cmp-lg", "math.IT"], primary_category="cmp-lg")

        assert set(document(paper).categories) == {"cmp-lg", "cs.CL", "math.IT", "cs.IT"}

    def test_is_found_by_its_authors_institutions(self) -> None:
        paper = PaperFactory(organization="Google DeepMind", affiliations=["ETH Zurich", "Google DeepMind"])

        assert document(paper).org == "Google DeepMind; ETH Zurich"

    @pytest.mark.parametrize(("text", "is_found"), [("org:zurich", True), ('org:"deepmind eth"', False)])
    def test_keeps_institutions_apart(self, text: str, is_found: bool) -> None:
        values: dict[str, Any] = {"organization": "DeepMind", "affiliations": ["ETH Zurich"]}
        listed_paper(**values)

        assert bool(titles(text)) is is_found
