from datetime import UTC, date, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from digest.editions import schedule
from digest.models import Edition, EditionPaper
from subscriptions.models import Subscriber
from tests.factories import (
    DAY,
    MORNING_AFTER,
    NOON,
    BatchFactory,
    PaperFactory,
    SightingFactory,
    SubscriberFactory,
    arxiv_sighting,
    listed_paper,
)


def edition_of(day: date, kind: str = "daily", opened_at: datetime | None = None) -> Edition:
    return Edition(kind=kind, date=day, opened_at=opened_at or schedule.opening(kind, day))


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)


class TestDueAt:
    @pytest.mark.parametrize(
        ("zone", "hour", "expected"),
        [
            ("UTC", 7, utc(2026, 8, 21, 7)),
            ("Europe/Berlin", 7, utc(2026, 8, 21, 5)),
            ("America/Los_Angeles", 7, utc(2026, 8, 21, 14)),
            ("Asia/Kolkata", 7, utc(2026, 8, 21, 1, 30)),
            # 07:00 in Auckland is the evening before in UTC: not before the edition opens
            ("Pacific/Auckland", 7, utc(2026, 8, 21, 0, 30)),
            ("UTC", 0, utc(2026, 8, 21, 0, 30)),
        ],
    )
    def test_is_the_readers_hour_on_the_day_after_and_not_before_the_opening(self, zone, hour, expected):
        reader = Subscriber(timezone=zone, hour=hour)
        assert schedule.due_at(reader, edition_of(date(2026, 8, 20))) == expected

    @pytest.mark.parametrize(
        ("listing_day", "expected"),
        [
            (date(2026, 8, 20), utc(2026, 8, 21, 7)),  # Thursday's list: Friday
            (date(2026, 8, 21), utc(2026, 8, 24, 7)),  # Friday's: not Saturday but Monday
            (date(2026, 8, 22), utc(2026, 8, 24, 7)),  # Saturday's: not Sunday but Monday
            (date(2026, 8, 23), utc(2026, 8, 24, 7)),
        ],
    )
    def test_weekday_readers_get_no_mail_at_the_weekend(self, listing_day, expected):
        reader = Subscriber(timezone="UTC", hour=7, frequency="weekdays")
        assert schedule.due_at(reader, edition_of(listing_day)) == expected

    def test_a_daily_readers_friday_list_comes_on_saturday(self):
        reader = Subscriber(timezone="UTC", hour=7)
        assert schedule.due_at(reader, edition_of(date(2026, 8, 21))) == utc(2026, 8, 22, 7)

    @pytest.mark.parametrize(("weekday", "expected_day"), [(0, 24), (1, 25), (6, 30)])
    def test_weekly_readers_choose_their_day_of_the_week_that_follows(self, weekday, expected_day):
        reader = Subscriber(timezone="UTC", hour=7, weekday=weekday, frequency="weekly")
        assert schedule.due_at(reader, edition_of(date(2026, 8, 17), "weekly")) == utc(
            2026, 8, expected_day, 7
        )


class TestLocalInstant:
    @pytest.mark.parametrize(
        ("zone", "day", "hour", "expected"),
        [
            # Berlin skips 02:00 to 03:00 on 29 March 2026: the first instant after the gap is 03:00 CEST.
            ("Europe/Berlin", date(2026, 3, 29), 2, utc(2026, 3, 29, 1)),
            # Berlin has 02:00 twice on 25 October 2026: the first is CEST.
            ("Europe/Berlin", date(2026, 10, 25), 2, utc(2026, 10, 25, 0)),
            # Lord Howe Island moves by half an hour.
            ("Australia/Lord_Howe", date(2026, 10, 4), 2, utc(2026, 10, 3, 15, 30)),
            # Cairo skips midnight to 01:00.
            ("Africa/Cairo", date(2026, 4, 24), 0, utc(2026, 4, 23, 22)),
        ],
    )
    def test_knows_what_clocks_do(self, zone, day, hour, expected):
        assert schedule.local_instant(zone, day, hour) == expected


@pytest.mark.django_db
class TestOpening:
    def test_opens_half_an_hour_after_the_day_is_over(self):
        listed_paper()
        assert not schedule.may_open("daily", DAY, now=utc(2026, 8, 21, 0, 29))
        assert schedule.may_open("daily", DAY, now=utc(2026, 8, 21, 0, 30))

    def test_opens_earlier_once_every_batch_is_settled_and_the_day_is_over(self):
        listed_paper()
        batch = BatchFactory(listing_day=DAY)
        assert not schedule.may_open("daily", DAY, now=utc(2026, 8, 21, 0, 5))

        batch.settled_at = utc(2026, 8, 21, 0, 4)
        batch.save()
        assert schedule.may_open("daily", DAY, now=utc(2026, 8, 21, 0, 5))
        assert not schedule.may_open("daily", DAY, now=utc(2026, 8, 20, 23, 59))

    def test_a_day_without_papers_opens_no_edition(self):
        assert schedule.open_edition("daily", DAY, now=MORNING_AFTER) is None

    def test_closes_a_day_after_it_opened(self):
        listed_paper()
        edition = schedule.open_edition("daily", DAY, now=utc(2026, 8, 21, 0, 31))
        assert edition.mailing.closes_at == utc(2026, 8, 22, 0, 30)

    def test_the_current_edition_is_that_of_the_latest_day_that_is_over(self):
        listed_paper(DAY - timedelta(days=1))
        listed_paper(DAY)
        listed_paper(DAY + timedelta(days=1))  # today's list is still growing

        edition = schedule.current("daily", now=MORNING_AFTER)

        assert edition.date == DAY
        assert Edition.objects.count() == 1

    def test_before_the_hour_the_current_edition_is_the_one_before(self):
        listed_paper(DAY - timedelta(days=1))
        before = schedule.current("daily", now=MORNING_AFTER - timedelta(days=1))
        listed_paper(DAY)
        BatchFactory(listing_day=DAY)  # not settled

        assert schedule.current("daily", now=utc(2026, 8, 21, 0, 10)) == before

    def test_a_weekly_edition_waits_for_the_end_of_its_week(self):
        listed_paper(DAY)  # Thursday of the week of 17 August
        assert schedule.current("weekly", now=utc(2026, 8, 21, 12)) is None

        edition = schedule.current("weekly", now=utc(2026, 8, 24, 0, 30))

        assert (edition.kind, edition.date) == ("weekly", date(2026, 8, 17))


@pytest.mark.django_db
class TestMembership:
    def members(self, edition: Edition) -> set[int]:
        return set(edition.edition_papers.values_list("paper_id", flat=True))

    def test_is_frozen_at_opening(self):
        paper = listed_paper(votes=3)
        edition = schedule.open_edition("daily", DAY, now=MORNING_AFTER)
        listed_paper(seen_at=MORNING_AFTER + timedelta(hours=1))
        paper.votes = 99
        paper.save()

        again = schedule.open_edition("daily", DAY, now=MORNING_AFTER + timedelta(hours=2))

        assert again == edition
        assert list(again.edition_papers.values_list("paper_id", "votes")) == [(paper.pk, 3)]

    def test_a_paper_that_came_too_late_joins_the_next_edition(self):
        listed_paper()
        schedule.open_edition("daily", DAY, now=MORNING_AFTER)
        late = listed_paper(seen_at=MORNING_AFTER + timedelta(hours=1))
        own = listed_paper(DAY + timedelta(days=1), seen_at=MORNING_AFTER + timedelta(hours=2))

        edition = schedule.open_edition(
            "daily", DAY + timedelta(days=1), now=MORNING_AFTER + timedelta(days=1)
        )

        assert self.members(edition) == {late.pk, own.pk}

    def test_one_later_than_three_days_does_not(self):
        listed_paper()
        schedule.open_edition("daily", DAY, now=MORNING_AFTER)
        listed_paper(seen_at=MORNING_AFTER + timedelta(hours=1))
        four_days_on = DAY + timedelta(days=4)
        own = listed_paper(four_days_on)

        edition = schedule.open_edition("daily", four_days_on, now=MORNING_AFTER + timedelta(days=4))

        assert self.members(edition) == {own.pk}

    def test_the_days_before_the_first_edition_are_not_late(self):
        listed_paper(DAY - timedelta(days=1), seen_at=NOON)
        today = listed_paper(DAY, seen_at=NOON)

        edition = schedule.open_edition("daily", DAY, now=MORNING_AFTER)

        assert self.members(edition) == {today.pk}

    def test_a_refeatured_paper_is_a_member_again(self):
        paper = listed_paper()
        schedule.open_edition("daily", DAY, now=MORNING_AFTER)
        later = DAY + timedelta(days=7)
        SightingFactory(paper=paper, listing_day=later, seen_at=NOON + timedelta(days=7))

        edition = schedule.open_edition("daily", later, now=MORNING_AFTER + timedelta(days=7))

        assert self.members(edition) == {paper.pk}

    def test_a_merged_paper_counts_for_its_original(self):
        original = PaperFactory()
        listed_paper(canonical=original)

        edition = schedule.open_edition("daily", DAY, now=MORNING_AFTER)

        assert self.members(edition) == {original.pk}

    def test_merged_and_withdrawn_papers_are_left_out(self):
        paper = listed_paper()
        listed_paper(canonical=paper)
        listed_paper(withdrawn_at=NOON)

        edition = schedule.open_edition("daily", DAY, now=MORNING_AFTER)

        assert self.members(edition) == {paper.pk}

    def test_a_merged_paper_s_withdrawn_original_is_left_out_too(self):
        original = PaperFactory(withdrawn_at=NOON)
        listed_paper(canonical=original)
        listed_paper()

        edition = schedule.open_edition("daily", DAY, now=MORNING_AFTER)

        assert original.pk not in self.members(edition)

    @pytest.mark.parametrize(
        ("said", "announced"),
        [
            (["new"], "new"),
            (["cross"], "cross"),
            (["cross", "new"], "new"),
            (["replace"], "updated"),
            (["replace-cross"], "updated"),
            (["replace", "cross"], "cross"),
        ],
    )
    def test_says_how_a_paper_was_announced(self, said, announced):
        paper = PaperFactory()
        for number, announce_type in enumerate(said):
            arxiv_sighting(
                paper, announce_type=announce_type, version=3, seen_at=NOON + timedelta(minutes=number)
            )

        edition = schedule.open_edition("daily", DAY, now=MORNING_AFTER)

        row = edition.edition_papers.get()
        assert row.announced == announced
        assert row.version == (3 if "replace" in said[0] else None)

    def test_a_paper_that_hugging_face_lists_is_not_merely_updated(self):
        paper = listed_paper()
        arxiv_sighting(paper, announce_type="replace", version=2)

        edition = schedule.open_edition("daily", DAY, now=MORNING_AFTER)

        assert edition.edition_papers.get().announced == "new"

    def test_a_revision_that_came_too_late_joins_the_next_edition_once(self):
        listed_paper()
        schedule.open_edition("daily", DAY, now=MORNING_AFTER)
        revised = PaperFactory()
        late = MORNING_AFTER + timedelta(hours=1)
        arxiv_sighting(revised, announce_type="replace", version=2, seen_at=late)
        listed_paper(DAY + timedelta(days=1))
        listed_paper(DAY + timedelta(days=2))

        editions = [
            schedule.open_edition("daily", DAY + timedelta(days=age), now=MORNING_AFTER + timedelta(days=age))
            for age in (1, 2)
        ]

        assert [revised.pk in self.members(edition) for edition in editions] == [True, False]

    def test_a_mention_in_a_post_lists_nothing(self):
        paper = PaperFactory()
        SightingFactory(paper=paper, announce_type="discussed", is_listing=False)
        listed = listed_paper()

        edition = schedule.open_edition("daily", DAY, now=MORNING_AFTER)

        assert self.members(edition) == {listed.pk}
        assert schedule.latest_day() == DAY

    def test_keeps_what_each_gained_in_the_day_before_the_opening(self):
        rising = listed_paper(seen_at=schedule.opening("daily", DAY) - timedelta(hours=23), votes=5)
        for hours, votes in ((2, 25), (-1, 90)):
            seen_at = schedule.opening("daily", DAY) - timedelta(hours=hours)
            SightingFactory(paper=rising, seen_at=seen_at, votes=votes)
        seen_once = listed_paper(votes=20)

        edition = schedule.open_edition("daily", DAY, now=MORNING_AFTER + timedelta(days=90))

        gained = dict(edition.edition_papers.values_list("paper_id", "gained"))
        assert gained == {rising.pk: 20, seen_once.pk: None}

    def test_keeps_who_is_at_the_top_of_its_field_this_week(self):
        listed_paper(DAY - timedelta(days=1), votes=0)
        schedule.open_edition("daily", DAY - timedelta(days=1), now=MORNING_AFTER - timedelta(days=1))
        best = listed_paper(DAY - timedelta(days=1), seen_at=MORNING_AFTER, votes=500)
        crowd = [listed_paper(votes=votes) for votes in range(1, 39)]
        unknown = listed_paper(votes=None)

        edition = schedule.open_edition("daily", DAY, now=MORNING_AFTER)

        tops = dict(edition.edition_papers.values_list("paper_id", "top_percent"))
        assert tops[best.pk] == 5  # late, and of this week all the same
        assert [tops[paper.pk] for paper in (crowd[-1], crowd[-3], crowd[-9])] == [5, 10, 25]
        assert tops[unknown.pk] is tops[crowd[-10].pk] is None

    def test_opens_in_as_many_queries_for_many_papers_as_for_few(self):
        counts = []
        for day, papers in ((DAY, 2), (DAY + timedelta(days=10), 40)):
            for votes in range(papers):
                listed_paper(day, votes=votes)
            with CaptureQueriesContext(connection) as queries:
                schedule.open_edition("daily", day, now=schedule.opening("daily", day))
            counts.append(len(queries))

        assert counts[0] == counts[1]

    def test_papers_stand_in_the_order_of_their_trending_score(self):
        quiet, loud, middle = (listed_paper(votes=votes) for votes in (1, 90, 20))

        edition = schedule.open_edition("daily", DAY, now=MORNING_AFTER)

        ranked = EditionPaper.objects.filter(edition=edition).order_by("position")
        assert [row.paper_id for row in ranked] == [loud.pk, middle.pk, quiet.pk]
        assert [row.position for row in ranked] == [1, 2, 3]


@pytest.mark.django_db
def test_readers_of_the_factory_are_members_of_daily_editions():
    reader = SubscriberFactory()
    assert list(Subscriber.objects.members_of("daily")) == [reader]
    assert not Subscriber.objects.members_of("weekly").exists()
