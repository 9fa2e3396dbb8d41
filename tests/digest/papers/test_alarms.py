"""What an operator should look at: raised once, cleared when mended."""

import logging
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from digest.models import Alarm, Batch, Source
from digest.papers import alarms
from digest.papers.ingest import ingest
from digest.sources.records import PaperRecord, Parsed
from tests.factories import BatchFactory

TUESDAY = date(2026, 6, 23)  # no holiday, nor the day after one
NINE = datetime(2026, 6, 23, 9, tzinfo=UTC)

pytestmark = pytest.mark.django_db


@pytest.fixture
def huggingface() -> Source:
    return Source.objects.get(slug="huggingface")


@pytest.fixture
def arxiv() -> Source:
    source = Source.objects.get(slug="arxiv")
    source.enabled = True
    source.categories = ["cs.CL", "cs.AI"]
    source.save()
    return source


def standing() -> set[str]:
    return set(Alarm.objects.raised().values_list("key", flat=True))


def read(source: Source, day: date, count: int, *, now: datetime | None = None, **options: Any) -> Batch:
    """A list of `count` papers, read when its day was over."""
    at = now or datetime.combine(day + timedelta(days=1), datetime.min.time(), tzinfo=UTC)
    records = tuple(
        PaperRecord(
            position=number,
            listing_day=day,
            arxiv_id=f"{day:%y%m}.{day.day:02}{number:03}",
            title=f"Paper {number} of {day}",
        )
        for number in range(count)
    )
    parsed = Parsed(declared=count, records=records)
    return ingest(parsed, source=source, listing_day=day, now=at, **options).batch


class TestRaising:
    def raise_(self, source: Source, message: str = "It is late.", **values: Any) -> Alarm:
        return alarms.raise_(
            "late:arxiv:cs.CL:2026-06-23", kind="late", source=source, message=message, now=NINE, **values
        )

    def test_is_done_once_while_it_stands(self, arxiv: Source, caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level(logging.INFO, logger="digest.papers.alarms"):
            self.raise_(arxiv)
            self.raise_(arxiv, "It is later.")
            cleared = alarms.clear("late:arxiv", now=NINE)

        assert cleared == 1
        assert [(record.levelname, record.message) for record in caplog.records] == [
            ("ERROR", "Alarm late:arxiv:cs.CL:2026-06-23: It is late."),
            ("INFO", "Alarm late:arxiv:cs.CL:2026-06-23 is over: It is later."),
        ]

    def test_comes_again_when_it_was_cleared(self, arxiv: Source) -> None:
        self.raise_(arxiv)
        alarms.clear("late:arxiv:cs.CL:2026-06-23", now=NINE)
        self.raise_(arxiv)

        assert Alarm.objects.count() == 2
        assert len(standing()) == 1

    def test_a_prefix_ends_at_a_colon(self, arxiv: Source) -> None:
        self.raise_(arxiv)

        assert alarms.clear("late:arx", now=NINE) == 0
        assert alarms.clear("late:arxiv:cs.CL", now=NINE) == 1


class TestFailing:
    def fail(self, source: Source, *, last: datetime | None, failures: int = 5) -> None:
        Source.objects.filter(pk=source.pk).update(
            consecutive_failures=failures, last_success_at=last, last_error="503 for GET /."
        )

    def test_after_a_day_without_an_answer(self, huggingface: Source) -> None:
        self.fail(huggingface, last=NINE - timedelta(hours=23))
        alarms.check(now=NINE)
        assert standing() == set()

        alarms.check(now=NINE + timedelta(hours=1))

        alarm = Alarm.objects.get()
        assert alarm.key == "failing:huggingface"
        assert alarm.message == (
            "Hugging Face Daily Papers has not answered since 22 June 2026, 10:00 UTC. Last error: 503 for "
            "GET /. Try it by hand: manage.py fetch_papers --source huggingface."
        )

    def test_is_over_with_an_answer(self, huggingface: Source) -> None:
        self.fail(huggingface, last=None)
        alarms.check(now=NINE)
        assert standing() == {"failing:huggingface"}

        self.fail(huggingface, last=NINE, failures=0)
        alarms.check(now=NINE + timedelta(minutes=1))

        assert standing() == set()

    def test_does_not_concern_sources_that_are_off_or_failed_once(self, huggingface: Source) -> None:
        self.fail(huggingface, last=None, failures=2)
        Source.objects.filter(slug="arxiv").update(enabled=False, consecutive_failures=9)
        alarms.check(now=NINE)

        assert standing() == set()


class TestLate:
    @pytest.fixture(autouse=True)
    def _read_before(self, arxiv: Source) -> None:
        for category in arxiv.categories:
            for age in range(1, 8):
                day = TUESDAY - timedelta(days=age)
                BatchFactory(source=arxiv, category=category, listing_day=day, declared=40, fetched_at=NINE)

    def test_a_category_whose_list_was_not_read_by_its_hour(self, arxiv: Source) -> None:
        BatchFactory(source=arxiv, category="cs.CL", listing_day=TUESDAY, fetched_at=NINE)
        alarms.check(now=NINE - timedelta(hours=1))
        assert standing() == set()

        alarms.check(now=NINE)

        assert standing() == {"late:arxiv:cs.AI:2026-06-23"}
        assert "manage.py fetch_papers --source arxiv --date 2026-06-23" in Alarm.objects.get().message

    def test_is_over_once_it_was_read(self, arxiv: Source) -> None:
        alarms.check(now=NINE)
        BatchFactory(source=arxiv, category="cs.CL", listing_day=TUESDAY, fetched_at=NINE)
        alarms.check(now=NINE + timedelta(minutes=1))

        assert standing() == {"late:arxiv:cs.AI:2026-06-23"}

    def test_stays_however_old_until_it_was_read(self, arxiv: Source) -> None:
        alarms.check(now=NINE)
        late = standing()
        alarms.check(now=NINE + timedelta(days=30))

        assert late <= standing()

    def test_no_weekend_and_no_holiday_is_late(self, arxiv: Source) -> None:
        Batch.objects.filter(source=arxiv, listing_day__gt=date(2026, 6, 18)).delete()
        alarms.check(now=datetime(2026, 6, 21, 23, tzinfo=UTC))  # Sunday; Friday was a holiday

        assert standing() == set()

    def test_a_category_that_was_just_added_is_not_late(self, arxiv: Source) -> None:
        Source.objects.filter(pk=arxiv.pk).update(categories=["cs.CL", "cs.AI", "stat.ML"])
        alarms.check(now=NINE)

        assert standing() == {"late:arxiv:cs.AI:2026-06-23", "late:arxiv:cs.CL:2026-06-23"}

    def test_an_installation_that_has_read_nothing_but_the_sample_is_not_late(self, arxiv: Source) -> None:
        Batch.objects.update(is_sample=True)
        alarms.check(now=NINE)

        assert standing() == set()

    def test_costs_a_few_queries(self, django_assert_max_num_queries: Any) -> None:
        alarms.check(now=NINE)
        with django_assert_max_num_queries(5):
            alarms.check(now=NINE)


class TestEmpty:
    def test_a_weekday_that_is_over_without_papers(self, huggingface: Source) -> None:
        read(huggingface, TUESDAY, 0)
        alarms.check(now=NINE + timedelta(days=1))

        assert standing() == {"empty:huggingface::2026-06-23"}

    def test_an_arxiv_day_on_which_no_category_has_any(self, arxiv: Source) -> None:
        for category in arxiv.categories:
            BatchFactory(source=arxiv, category=category, listing_day=TUESDAY, fetched_at=NINE)
        alarms.check(now=NINE - timedelta(hours=3))
        assert standing() == {"empty:arxiv::2026-06-23"}

        Batch.objects.filter(category="cs.AI").update(declared=1)
        alarms.check(now=NINE)

        assert standing() == set()

    def test_is_over_when_papers_come(self, huggingface: Source) -> None:
        read(huggingface, TUESDAY, 0)
        alarms.check(now=NINE + timedelta(days=1))
        read(huggingface, TUESDAY, 3)
        alarms.check(now=NINE + timedelta(days=1))

        assert standing() == set()

    def test_no_weekend_and_no_day_that_goes_on(self, huggingface: Source) -> None:
        sunday = TUESDAY - timedelta(days=2)
        read(huggingface, sunday, 0)
        read(huggingface, TUESDAY, 0, now=NINE)
        alarms.check(now=NINE)

        assert standing() == set()


class TestShrunken:
    def test_a_list_that_loses_half_its_entries(self, huggingface: Source) -> None:
        read(huggingface, TUESDAY, 20)
        read(huggingface, TUESDAY, 11)

        alarm = Alarm.objects.get()
        assert (alarm.key, alarm.kind) == ("shrunken:huggingface::2026-06-23", "shrunken")
        assert "the list had 20 entries and now has 11." in alarm.message

        read(huggingface, TUESDAY, 12)
        assert standing() == set()

    def test_a_list_far_below_its_weekdays(self, huggingface: Source) -> None:
        for week in range(1, 5):
            read(huggingface, TUESDAY - timedelta(weeks=week), 30)
        read(huggingface, TUESDAY - timedelta(days=1), 1)  # a Monday is compared with Mondays
        assert standing() == set()

        read(huggingface, TUESDAY, 11)

        assert standing() == {"shrunken:huggingface::2026-06-23"}
        assert "11 entries, where Tuesdays have about 30." in Alarm.objects.get().message

    def test_two_fifths_are_enough(self, huggingface: Source) -> None:
        for week in range(1, 5):
            read(huggingface, TUESDAY - timedelta(weeks=week), 30)
        read(huggingface, TUESDAY, 12)

        assert standing() == set()

    def test_three_weeks_are_no_basis_nor_are_small_lists(self, huggingface: Source, arxiv: Source) -> None:
        for week in range(1, 4):
            read(huggingface, TUESDAY - timedelta(weeks=week), 30)
        for week in range(1, 6):
            read(arxiv, TUESDAY - timedelta(weeks=week), 6, categories=["cs.AI"])
        read(huggingface, TUESDAY, 1)
        read(arxiv, TUESDAY, 0, categories=["cs.AI"])

        assert standing() == set()

    def test_a_list_that_still_grows_is_not_compared_with_whole_ones(self, huggingface: Source) -> None:
        for week in range(1, 5):
            read(huggingface, TUESDAY - timedelta(weeks=week), 30)
        read(huggingface, TUESDAY, 1, now=NINE)

        assert standing() == set()

    def test_each_category_by_itself(self, arxiv: Source) -> None:
        read(arxiv, TUESDAY, 20, categories=["cs.CL", "cs.AI"], is_final=True)
        read(arxiv, TUESDAY, 9, categories=["cs.CL", "cs.AI"], is_final=True)

        assert standing() == {"shrunken:arxiv:cs.CL:2026-06-23"}  # entries without categories count there
