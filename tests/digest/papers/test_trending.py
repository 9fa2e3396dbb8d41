"""The trending score: what moves a paper up, and that nothing good moves it down."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digest.papers.trending import HIGHEST_BOOST, Signs, ranked, score, scores


class TestScore:
    def test_more_votes_score_higher(self) -> None:
        found = [score(votes=votes, comments=0, age_hours=12) for votes in (0, 1, 8, 42, 181)]

        assert found == sorted(set(found))

    def test_a_comment_but_the_first_counts_two_votes_and_a_post_three(self) -> None:
        assert score(votes=0, comments=1, age_hours=5) == score(votes=0, comments=0, age_hours=5)
        assert score(votes=0, comments=4, age_hours=5) == score(votes=6, comments=0, age_hours=5)
        assert score(votes=0, comments=0, posts=2, age_hours=5) == score(votes=6, comments=0, age_hours=5)

    def test_stars_are_weak_evidence(self) -> None:
        famous = score(votes=0, comments=0, stars=100_000, age_hours=5)

        assert score(votes=4, comments=0, age_hours=5) < famous < score(votes=5, comments=0, age_hours=5)

    def test_gains_of_today_count_more_than_what_was_there(self) -> None:
        rising = score(votes=40, gained=30, comments=0, age_hours=60)
        resting = score(votes=60, gained=2, comments=0, age_hours=60)

        assert rising > resting

    def test_on_its_first_day_a_paper_gained_what_it_has(self) -> None:
        assert score(votes=40, gained=12, comments=0, age_hours=20) == score(
            votes=40, comments=0, age_hours=20
        )

    def test_an_unknown_gain_is_guessed_from_the_age(self) -> None:
        for age in (30, 48, 72):
            guessed = score(votes=64, comments=0, age_hours=age)
            assert score(votes=64, gained=0, comments=0, age_hours=age) < guessed
            assert guessed < score(votes=64, gained=64, comments=0, age_hours=age)
        assert score(votes=64, comments=0, age_hours=48) == score(
            votes=64, gained=16, comments=0, age_hours=48
        )

    def test_halves_every_72_hours(self) -> None:
        assert score(votes=30, gained=5, comments=1, age_hours=100 + 72) == pytest.approx(
            score(votes=30, gained=5, comments=1, age_hours=100) / 2
        )

    def test_three_days_put_a_hundred_votes_behind_eight(self) -> None:
        assert score(votes=100, comments=0, age_hours=72) < score(votes=8, comments=0, age_hours=0)

    def test_a_paper_without_votes_still_has_a_place(self) -> None:
        assert score(votes=0, comments=0, age_hours=0) == 1
        assert (
            0
            < score(votes=None, comments=None, age_hours=24 * 400)
            < score(votes=0, comments=0, age_hours=24)
        )

    def test_unknown_counts_add_nothing_and_zero_is_zero(self) -> None:
        nothing = score(votes=0, comments=0, age_hours=3)

        assert score(votes=None, comments=None, age_hours=3) == nothing
        assert score(votes=None, gained=0, comments=None, stars=0, age_hours=30) == score(
            votes=0, comments=0, age_hours=30
        )

    def test_a_day_that_has_not_begun_is_age_zero(self) -> None:
        assert score(votes=3, comments=0, age_hours=-9) == score(votes=3, comments=0, age_hours=0)


class TestFields:
    def test_a_small_field_s_best_is_visible(self) -> None:
        """Three papers of information theory among forty on language, which have ten times their votes."""
        language = [Signs(key=f"l{n:02}", category="cs.CL", votes=20 + 2 * n) for n in range(40)]
        theory = [Signs(key=f"t{n}", category="cs.IT", votes=votes) for n, votes in enumerate((14, 2, 1))]

        places = [one.key for one, _score in ranked(language + theory)]
        without = [
            one.key for one, _score in ranked([replace(one, category="") for one in language + theory])
        ]

        assert without.index("t0") == 40
        assert places.index("t0") < 35
        assert places.index("l39") == 0

    def test_one_vote_among_silence_is_seen_and_not_first(self) -> None:
        silent = [Signs(key=f"m{n:03}", category="math.AG", votes=None) for n in range(200)]
        lively = [Signs(key=f"c{n}", category="cs.CV", votes=10) for n in range(10)]
        one_vote = Signs(key="one", category="math.AG", votes=1)

        places = [one.key for one, _score in ranked([*silent, *lively, one_vote])]

        assert places.index("one") == 10

    def test_nothing_stays_nothing_whatever_its_field(self) -> None:
        papers = [Signs(key="a", category="cs.CL", votes=50), Signs(key="b", category="hep-th", votes=0)]

        assert scores(papers)[1] == 1

    def test_papers_without_a_category_are_measured_alike(self) -> None:
        papers = [Signs(key=str(votes), votes=votes) for votes in (0, 5, 80)]

        assert scores(papers) == [score(votes=one.votes, comments=None, age_hours=0) for one in papers]

    def test_a_field_of_few_papers_is_hardly_corrected(self) -> None:
        many = [Signs(key=f"l{n}", category="cs.CL", votes=40) for n in range(30)]
        alone = Signs(key="alone", category="eess.SP", votes=5)

        corrected = scores([*many, alone])[-1]

        assert score(votes=5, comments=0, age_hours=0) < corrected
        assert corrected < score(votes=5, comments=0, age_hours=0, boost=HIGHEST_BOOST / 2)


class TestOrder:
    def test_goes_by_votes_and_then_by_key_where_scores_are_equal(self) -> None:
        papers = [
            Signs(key="b", votes=4, comments=0),
            Signs(key="a", votes=4, comments=0),
            Signs(key="c", votes=0, comments=3),
        ]

        assert [one.key for one, _score in ranked(papers)] == ["a", "b", "c"]
        assert [one.key for one, _score in ranked(papers[::-1])] == ["a", "b", "c"]

    def test_of_nothing_is_nothing(self) -> None:
        assert ranked([]) == []


_counts = st.none() | st.integers(0, 5_000)
_papers = st.lists(
    st.builds(
        Signs,
        key=st.just(""),
        category=st.sampled_from(["", "cs.CL", "cs.IT", "math.AG", "hep-th"]),
        votes=_counts,
        gained=st.none() | st.integers(0, 300),
        comments=st.none() | st.integers(0, 40),
        stars=_counts,
        posts=st.integers(0, 4),
        age_hours=st.sampled_from([0.0, 24.0, 48.0, 96.0]),
    ),
    min_size=1,
    max_size=12,
).map(lambda papers: [replace(one, key=f"k{place:02}") for place, one in enumerate(papers)])


class TestMoreOfAnything:
    @given(
        _papers,
        st.integers(0, 11),
        st.sampled_from(["votes", "gained", "comments", "stars", "posts"]),
        st.data(),
    )
    def test_never_lowers_a_paper_s_place(
        self, papers: list[Signs], which: int, sign: str, data: st.DataObject
    ) -> None:
        which %= len(papers)
        if getattr(papers[which], sign) is None:
            papers[which] = replace(papers[which], **{sign: 0})
        before = [one.key for one, _score in ranked(papers)].index(papers[which].key)
        more = getattr(papers[which], sign) + data.draw(st.integers(1, 50))

        after = ranked([*papers[:which], replace(papers[which], **{sign: more}), *papers[which + 1 :]])

        assert [one.key for one, _score in after].index(papers[which].key) <= before
