"""Who stands where in a day, a week and a month; what was gained; who rises late."""

import time
from datetime import UTC, date, datetime, timedelta

import pytest
from django.db import connection

from digest.models import Batch, Mention, Paper, Sighting
from digest.papers import rankings
from digest.papers.rankings import Order, gains, late_bloomers, of_day, of_month, of_period, of_week
from tests.factories import (
    DAY,
    NOON,
    BatchFactory,
    PaperFactory,
    SightingFactory,
    SourceFactory,
    arxiv_sighting,
    listed_paper,
)

YESTERDAY = NOON - timedelta(days=1)
MIDNIGHT = datetime(2026, 8, 20, tzinfo=UTC)

pytestmark = pytest.mark.django_db


def keys(ranked: list[rankings.Ranked]) -> list[str]:
    return [one.paper.title for one in ranked]


class TestGains:
    def test_are_the_difference_of_two_readings(self) -> None:
        paper = PaperFactory(votes=40)
        for hours, votes in ((-30, 5), (-2, 12), (3, 30), (20, 40)):
            SightingFactory(paper=paper, seen_at=MIDNIGHT + timedelta(hours=hours), votes=votes)

        assert gains([paper.pk], since=MIDNIGHT, until=MIDNIGHT + timedelta(days=1)) == {paper.pk: 28}
        assert gains([paper.pk], since=MIDNIGHT, until=MIDNIGHT + timedelta(hours=5)) == {paper.pk: 18}

    def test_of_a_new_paper_count_from_its_first_reading(self) -> None:
        paper = PaperFactory(votes=30)
        SightingFactory(paper=paper, seen_at=MIDNIGHT + timedelta(hours=8), votes=12)
        SightingFactory(paper=paper, seen_at=MIDNIGHT + timedelta(hours=20), votes=30)

        assert gains([paper.pk], since=MIDNIGHT, until=MIDNIGHT + timedelta(days=1)) == {paper.pk: 18}

    def test_are_unknown_where_one_number_is_all_there_is(self) -> None:
        seen_once = listed_paper(votes=12)
        uncounted = PaperFactory(votes=None)
        SightingFactory(paper=uncounted, votes=None)

        assert gains([seen_once.pk, uncounted.pk], since=MIDNIGHT, until=NOON) == {}
        assert gains([], since=MIDNIGHT, until=NOON) == {}

    def test_are_zero_only_where_somebody_looked_again(self) -> None:
        looked = PaperFactory(counted_at=NOON)
        not_looked = PaperFactory(counted_at=YESTERDAY)
        for paper in (looked, not_looked):
            SightingFactory(paper=paper, seen_at=YESTERDAY, votes=7)

        assert gains([looked.pk, not_looked.pk], since=MIDNIGHT, until=NOON) == {looked.pk: 0}

    def test_are_never_below_zero(self) -> None:
        paper = PaperFactory()
        SightingFactory(paper=paper, seen_at=YESTERDAY, votes=9)
        SightingFactory(paper=paper, seen_at=NOON, votes=7)

        assert gains([paper.pk], since=MIDNIGHT, until=NOON) == {paper.pk: 0}

    def test_of_a_merged_row_count_for_the_paper(self) -> None:
        paper = PaperFactory()
        double = PaperFactory(canonical=paper)
        SightingFactory(paper=double, seen_at=YESTERDAY, votes=1)
        SightingFactory(paper=double, seen_at=NOON, votes=5)

        assert gains([paper.pk], since=MIDNIGHT, until=NOON) == {paper.pk: 4}


class TestOfADay:
    def test_the_most_talked_about_stand_first(self) -> None:
        listed_paper(title="few", votes=3, comments=0)
        listed_paper(title="many", votes=40, comments=0)
        listed_paper(title="discussed", votes=3, comments=30)
        listed_paper(title="another day", votes=99, day=DAY - timedelta(days=1))

        ranked = of_day(DAY)

        assert keys(ranked) == ["discussed", "many", "few"]
        assert [one.place for one in ranked] == [1, 2, 3]
        assert [one.votes for one in ranked] == [3, 40, 3]
        assert ranked[0].score > ranked[1].score > ranked[2].score

    def test_posts_about_a_paper_move_it_up_and_are_no_papers(self) -> None:
        for title in ("silent", "spoken of"):
            listed_paper(title=title, votes=4, comments=0)
        paper = Paper.objects.get(title="spoken of")
        post = listed_paper(
            title="a post", kind=Paper.Kind.POST, arxiv_id=None, key="url:https://a.example/p"
        )
        Mention.objects.create(post=post, key=paper.key, paper=paper, source=SourceFactory(), seen_at=NOON)

        assert keys(of_day(DAY)) == ["spoken of", "silent"]

    def test_a_small_field_is_not_drowned(self) -> None:
        for n in range(20):
            listed_paper(title=f"language {n}", votes=30 + n, comments=0, primary_category="cs.CL")
        for n, votes in enumerate((28, 0, 0)):
            listed_paper(title=f"codes {n}", votes=votes, comments=0, primary_category="math.IT")

        assert keys(of_day(DAY)).index("codes 0") < 20

    def test_what_an_older_paper_had_before_counts_less(self) -> None:
        old = PaperFactory(title="old", votes=60, comments=0, first_listed_on=DAY - timedelta(days=20))
        SightingFactory(
            paper=old, listing_day=DAY - timedelta(days=20), seen_at=NOON - timedelta(days=20), votes=58
        )
        SightingFactory(paper=old, seen_at=NOON, votes=60)
        listed_paper(title="new", votes=20, comments=0)

        ranked = of_day(DAY)

        assert keys(ranked) == ["new", "old"]
        assert [one.gained for one in ranked] == [None, 2]

    def test_withdrawn_papers_and_revisions_are_left_out_and_merged_ones_count_once(self) -> None:
        paper = listed_paper(title="paper", votes=3)
        double = PaperFactory(title="double", canonical=paper)
        arxiv_sighting(double)
        listed_paper(title="withdrawn", withdrawn_at=NOON)
        arxiv_sighting(PaperFactory(title="revised"), announce_type="replace", version=2)

        assert keys(of_day(DAY)) == ["paper"]

    def test_by_votes_unknown_ones_stand_last(self) -> None:
        for title, votes in (("some", 3), ("unknown", None), ("most", 9), ("none", 0)):
            listed_paper(title=title, votes=votes, comments=0)

        by_votes = of_period(DAY, DAY, order=Order.VOTES)

        assert keys(list(by_votes.ranked)) == ["most", "some", "none", "unknown"]

    def test_a_stretch_keeps_its_places(self) -> None:
        for votes in range(6):
            listed_paper(title=str(votes), votes=votes, comments=0)

        stretch = of_period(DAY, DAY, start=2, limit=2)

        assert stretch.total == 6
        assert [(one.paper.title, one.place) for one in stretch.ranked] == [("3", 3), ("2", 4)]


class TestOfAPeriod:
    def test_a_week_has_its_seven_days_and_a_month_all_of_its_own(self) -> None:
        for title, day in (
            ("July", date(2026, 7, 31)),
            ("first", date(2026, 8, 1)),
            ("Sunday", date(2026, 8, 16)),
            ("Monday", date(2026, 8, 17)),
            ("last Sunday", date(2026, 8, 23)),
            ("last", date(2026, 8, 31)),
            ("September", date(2026, 9, 1)),
        ):
            listed_paper(title=title, day=day)

        assert set(keys(of_week(date(2026, 8, 17)))) == {"Monday", "last Sunday"}
        assert set(keys(of_month(date(2026, 8, 1)))) == {"first", "Sunday", "Monday", "last Sunday", "last"}

    def test_the_day_of_the_week_gives_no_advantage(self) -> None:
        listed_paper(title="Monday", day=date(2026, 8, 17), votes=10, comments=0)
        listed_paper(title="Sunday", day=date(2026, 8, 23), votes=10, comments=0)

        scores = [one.score for one in of_week(date(2026, 8, 17))]

        assert scores[0] == scores[1]

    def test_a_month_of_many_papers_costs_four_queries_and_little_time(
        self, django_assert_num_queries
    ) -> None:
        """Measured with 20,000 papers: 0.5 s. Here are fewer, since storing them takes long."""
        number = 4_000
        batch = BatchFactory(listing_day=date(2026, 8, 3))
        papers = Paper.objects.bulk_create(
            Paper(
                key=f"arxiv:2608.{n:05}",
                arxiv_id=f"2608.{n:05}",
                url=f"https://arxiv.org/abs/2608.{n:05}",
                title=f"Paper {n}",
                abstract="Long words. " * 100,
                primary_category=f"cs.{'ACDGINRS'[n % 8]}{'AILTVXYO'[n % 7]}",
                first_listed_on=batch.listing_day,
                votes=n % 50 or None,
                created_at=NOON,
                updated_at=NOON,
            )
            for n in range(number)
        )
        Sighting.objects.bulk_create(
            Sighting(
                paper=paper,
                source=batch.source,
                batch=batch,
                listing_day=batch.listing_day,
                seen_at=NOON,
                votes=paper.votes,
            )
            for paper in papers
        )
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE digest_paper, digest_sighting")
        began = time.perf_counter()

        with django_assert_num_queries(3):  # four where a paper was listed before
            ranking = of_period(date(2026, 8, 1), date(2026, 8, 31), limit=50)

        assert ranking.total == number
        assert len(ranking.ranked) == 50
        assert time.perf_counter() - began < 1.5


class TestLateBloomers:
    def bloomer(self, title: str, *, first_votes: int, readings: list[tuple[datetime, int]]) -> Paper:
        """First listed six days before DAY, together with two others that had 10 votes."""
        day = DAY - timedelta(days=6)
        paper = PaperFactory(title=title, first_listed_on=day, votes=readings[-1][1])
        batch = BatchFactory(listing_day=day)
        for seen_at, votes in [(NOON - timedelta(days=6), first_votes), *readings]:
            SightingFactory(paper=paper, listing_day=day, batch=batch, seen_at=seen_at, votes=votes)
        return paper

    def others(self) -> None:
        for _ in range(4):
            listed_paper(day=DAY - timedelta(days=6), seen_at=NOON - timedelta(days=6), votes=10)

    def test_were_quiet_on_their_first_day_and_rise_now(self) -> None:
        self.others()
        self.bloomer("rising", first_votes=2, readings=[(NOON - timedelta(days=3), 4), (NOON, 30)])

        found = late_bloomers(DAY)

        assert [(one.paper.title, one.gained) for one in found] == [("rising", 26)]
        assert (found[0].first.votes, found[0].first_on) == (2, DAY - timedelta(days=6))
        assert (found[0].last.votes, found[0].last_on) == (30, DAY)

    @pytest.mark.parametrize(
        ("first_votes", "readings"),
        [
            (40, [(NOON - timedelta(days=3), 41), (NOON, 90)]),  # was no secret
            (2, [(NOON - timedelta(days=3), 30), (NOON, 31)]),  # rose days ago
            (2, [(NOON, 6)]),  # a handful
            (9, [(NOON - timedelta(days=3), 9), (NOON, 15)]),  # fewer than on its first day
            (2, [(NOON + timedelta(days=3), 60)]),  # later than the day that is asked for
        ],
    )
    def test_are_no_others(self, first_votes: int, readings: list[tuple[datetime, int]]) -> None:
        self.others()
        self.bloomer("other", first_votes=first_votes, readings=readings)

        assert late_bloomers(DAY) == []

    def test_are_not_of_the_day_itself(self) -> None:
        """At one in the morning nobody has votes; that says nothing of those that have some at night."""
        paper = listed_paper(seen_at=NOON - timedelta(hours=11), votes=0)
        SightingFactory(paper=paper, seen_at=NOON + timedelta(hours=9), votes=30)

        assert late_bloomers(DAY) == []

    def test_may_have_been_listed_a_second_time_under_another_row(self) -> None:
        paper = self.bloomer("original", first_votes=2, readings=[(NOON - timedelta(days=5), 2)])
        double = PaperFactory(canonical=paper, votes=54)
        SightingFactory(paper=double, listing_day=DAY, seen_at=NOON, votes=54)

        assert [(one.paper.title, one.gained) for one in late_bloomers(DAY)] == [("original", 52)]

    def test_may_rise_over_a_week_where_that_is_asked(self) -> None:
        self.others()
        self.bloomer("slowly", first_votes=2, readings=[(NOON - timedelta(days=4), 30), (NOON, 32)])

        assert late_bloomers(DAY) == []
        assert [one.gained for one in late_bloomers(DAY, rising_days=7)] == [30]

    def test_come_with_the_most_risen_first_and_few(self) -> None:
        self.others()
        for n in range(5):
            self.bloomer(f"up {n}", first_votes=1, readings=[(NOON, 20 + n)])

        assert [one.paper.title for one in late_bloomers(DAY)] == ["up 4", "up 3", "up 2"]

    def test_are_found_in_days_that_were_filled_much_later(self) -> None:
        """Recorded lists, read months after: each counts as read when its day was over."""
        months_later = NOON + timedelta(days=90)
        paper = PaperFactory(title="filled", first_listed_on=DAY - timedelta(days=6), votes=54)
        for day, votes in ((DAY - timedelta(days=6), 2), (DAY, 54)):
            SightingFactory(paper=paper, listing_day=day, seen_at=months_later, votes=votes)

        assert [(one.gained, one.first_on, one.last_on) for one in late_bloomers(DAY)] == [
            (52, DAY - timedelta(days=6), DAY)
        ]

    def test_withdrawn_are_left_out(self) -> None:
        paper = self.bloomer("withdrawn", first_votes=2, readings=[(NOON, 30)])
        Paper.objects.filter(pk=paper.pk).update(withdrawn_at=NOON)

        assert late_bloomers(DAY) == []


def test_a_period_without_papers_is_empty() -> None:
    Batch.objects.all().delete()

    assert of_week(date(2020, 1, 6)) == []
    assert late_bloomers(date(2020, 1, 6)) == []
