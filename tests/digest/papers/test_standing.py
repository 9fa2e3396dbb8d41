"""Places by votes within a field and a week."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from digest.models import Paper
from digest.papers import standing
from tests.factories import DAY, arxiv_sighting, listed_paper


def field(category: str, votes: list[int], *, first: int = 0) -> list[tuple[int, str, int]]:
    return [(first + n, category, count) for n, count in enumerate(votes)]


class TestPercents:
    def test_are_places_from_the_top_in_the_paper_s_own_field(self) -> None:
        loud = field("cs.CL", list(range(1, 101)))  # ids are votes less one
        quiet = field("cs.IT", list(range(1, 21)), first=1000)

        found = standing.percents(loud + quiet)

        assert (found[99], found[95], found[0]) == (1, 5, 100)
        assert found[1019] == 5  # 20 votes are nothing in cs.CL, and the most in cs.IT

    def test_a_field_of_few_voted_papers_is_its_archive_and_then_all(self) -> None:
        small = field("cs.IT", [50, 1])
        archive = field("cs.CL", list(range(100, 140)), first=100)
        other = field("math.CO", [60], first=200)

        found = standing.percents(small + archive + other)

        assert found[0] == 98  # the 41st of 42 in cs
        assert found[200] == 96  # the 41st of 43 in all: nothing but one paper in math

    def test_say_nothing_where_all_together_are_too_few(self) -> None:
        assert standing.percents(field("cs.CL", list(range(1, standing.FEWEST)))) == {}
        assert len(standing.percents(field("cs.CL", list(range(1, standing.FEWEST + 1))))) == 20

    def test_count_names_of_one_category_as_one_field(self) -> None:
        papers = field("cs.IT", list(range(1, 11))) + field("math.IT", list(range(11, 21)), first=10)
        drowning = field("cs.CL", [500] * 30 + [400] * 30, first=100)

        assert standing.percents(papers + drowning)[19] == 5

    def test_equal_votes_share_the_middle_of_their_places(self) -> None:
        found = standing.percents(field("cs.CL", [90] * 9 + [1] * 91))

        assert {found[n] for n in range(9)} == {5}

    def test_a_paper_without_a_vote_is_never_at_the_top(self) -> None:
        found = standing.percents(field("cs.CL", [3] + [0] * 99))

        assert found == {0: 1}

    @pytest.mark.parametrize(
        ("percent", "shown"), [(1, 1), (2, 5), (5, 5), (6, 10), (25, 25), (26, None), (None, None)]
    )
    def test_are_shown_in_four_steps(self, percent: int | None, shown: int | None) -> None:
        assert standing.shown(percent) == shown


@pytest.mark.django_db
class TestTopPercents:
    def test_are_of_the_papers_listed_in_seven_days_with_known_votes(self) -> None:
        best = listed_paper(DAY - timedelta(days=6), votes=100, primary_category="cs.CL")
        crowd = [listed_paper(votes=n, primary_category="cs.CL") for n in range(19)]
        older = listed_paper(DAY - timedelta(days=7), votes=900, primary_category="cs.CL")
        later = listed_paper(DAY + timedelta(days=1), votes=900, primary_category="cs.CL")
        unknown = listed_paper(votes=None, primary_category="cs.CL")
        withdrawn = listed_paper(votes=900, primary_category="cs.CL", withdrawn_at=best.created_at)
        post = listed_paper(votes=900, kind=Paper.Kind.POST, arxiv_id=None, key="url:https://a.example/p")
        double = listed_paper(votes=900, primary_category="cs.CL", canonical=best)
        arxiv_sighting(best)  # listed twice, counted once

        with CaptureQueriesContext(
            connection,
        ) as queries:
            found = standing.top_percents(DAY)

        assert len(queries) == 1
        assert found[best.pk] == 5
        assert found == {
            best.pk: 5,
            **dict(zip([p.pk for p in crowd[:-5:-1]], [10, 25, 25, 25], strict=True)),
        }
        assert found.keys().isdisjoint(p.pk for p in (older, later, unknown, withdrawn, post, double))
