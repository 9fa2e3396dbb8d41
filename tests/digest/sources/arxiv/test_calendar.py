from datetime import UTC, date, datetime, timedelta

import pytest

from digest.sources.arxiv import calendar


class TestExpected:
    @pytest.mark.parametrize(
        ("day", "expected"),
        [
            (date(2026, 8, 20), True),
            (date(2026, 8, 21), True),  # Friday: announced on Thursday evening
            (date(2026, 8, 22), False),
            (date(2026, 8, 23), False),
            (date(2026, 8, 24), True),  # Monday: announced on Sunday evening
            (date(2026, 7, 3), False),
            (date(2026, 11, 26), False),
            (date(2026, 11, 27), False),  # the morning after a holiday may be the one without a list
            (date(2026, 12, 29), False),
            (date(2027, 1, 1), False),
            (date(2027, 1, 18), False),  # Martin Luther King's, by rule
            (date(2027, 9, 6), False),
            (date(2027, 11, 25), False),
            (date(2027, 7, 5), False),  # the fourth is a Sunday
            (date(2027, 3, 9), True),
        ],
    )
    def test_days(self, day: date, expected: bool) -> None:
        assert calendar.is_expected(day) is expected

    def test_all_holidays_of_2026(self) -> None:
        weekdays = [day for day in calendar.holidays(2026) if day.year == 2026]

        assert len(weekdays) == 9
        assert not any(calendar.is_expected(day) for day in weekdays)


class TestTimes:
    @pytest.mark.parametrize(
        ("day", "hour"),
        [(date(2026, 1, 15), 5), (date(2026, 7, 15), 4), (date(2026, 3, 9), 4), (date(2026, 11, 2), 5)],
    )
    def test_the_feed_turns_over_at_midnight_in_new_york(self, day: date, hour: int) -> None:
        assert calendar.turns_over_at(day) == datetime(day.year, day.month, day.day, hour, tzinfo=UTC)

    def test_lists_are_asked_for_after_they_turned_over(self) -> None:
        days = [date(2026, 1, 1) + timedelta(days=number) for number in range(365)]

        assert all(calendar.turns_over_at(day) < calendar.due_at(day) for day in days)
        assert all(calendar.due_at(day) < calendar.late_at(day) < calendar.given_up_at(day) for day in days)

    def test_today_is_new_yorks(self) -> None:
        assert calendar.today(datetime(2026, 8, 20, 3, 59, tzinfo=UTC)) == date(2026, 8, 19)
        assert calendar.today(datetime(2026, 8, 20, 4, 0, tzinfo=UTC)) == date(2026, 8, 20)
