import pytest

from digest.papers.trending import score


class TestScore:
    def test_more_votes_score_higher(self) -> None:
        scores = [score(votes=votes, comments=0, age_hours=12) for votes in (0, 1, 8, 42, 181)]

        assert scores == sorted(set(scores))

    def test_a_comment_counts_two_votes(self) -> None:
        assert score(votes=0, comments=3, age_hours=5) == score(votes=6, comments=0, age_hours=5)

    def test_halves_every_72_hours(self) -> None:
        assert score(votes=30, comments=1, age_hours=100 + 72) == pytest.approx(
            score(votes=30, comments=1, age_hours=100) / 2
        )

    def test_three_days_put_a_hundred_votes_beside_eight(self) -> None:
        old = score(votes=100, comments=0, age_hours=72)

        assert score(votes=7, comments=0, age_hours=0) < old < score(votes=9, comments=0, age_hours=0)

    def test_a_paper_without_votes_still_has_a_place(self) -> None:
        assert score(votes=0, comments=0, age_hours=0) == 1
        assert (
            0
            < score(votes=None, comments=None, age_hours=24 * 400)
            < score(votes=0, comments=0, age_hours=24)
        )

    def test_unknown_counts_add_nothing_and_zero_is_zero(self) -> None:
        assert score(votes=None, comments=None, age_hours=3) == score(votes=0, comments=0, age_hours=3)

    def test_a_day_that_has_not_begun_is_age_zero(self) -> None:
        assert score(votes=3, comments=0, age_hours=-9) == score(votes=3, comments=0, age_hours=0)
