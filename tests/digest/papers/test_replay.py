"""Rank correlation, and the recorded days replayed."""

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from digest.models import Source
from digest.papers import fetch
from digest.papers.replay import days_of, kendall, replayed, spearman
from digest.sources.http import Client, Pace
from tests.factories import DAY, NOON, SightingFactory, SourceFactory, listed_paper
from tests.servers import HuggingFaceServer, huggingface_server


class TestSpearman:
    @pytest.mark.parametrize(
        ("first", "second", "rho"),
        [
            ([1, 2, 3, 4, 5], [10, 20, 30, 40, 50], 1.0),
            ([1, 2, 3, 4, 5], [5, 4, 3, 2, 1], -1.0),
            # Kendall and Gibbons, "Rank Correlation Methods": ten students in mathematics and music.
            ([7, 4, 3, 10, 6, 2, 9, 8, 1, 5], [5, 7, 3, 10, 1, 9, 6, 2, 8, 4], -0.1030),
            ([1, 2, 2, 3], [1, 2, 3, 4], 0.9487),  # equal values share their mean rank
            ([1, 1, 2], [1, 2, 2], 0.5),
        ],
    )
    def test_compares_ranks(self, first: Sequence[float], second: Sequence[float], rho: float) -> None:
        assert spearman(first, second) == pytest.approx(rho, abs=5e-5)
        assert spearman(second, first) == pytest.approx(rho, abs=5e-5)

    def test_is_unknown_where_all_are_equal(self) -> None:
        assert spearman([1, 2, 3], [4, 4, 4]) is None
        assert spearman([], []) is None
        assert kendall([1, 2, 3], [4, 4, 4]) is None


class TestKendall:
    @pytest.mark.parametrize(
        ("first", "second", "tau"),
        [
            ([1, 2, 3, 4], [1, 2, 3, 4], 1.0),
            ([1, 2, 3, 4], [4, 3, 2, 1], -1.0),
            ([1, 2, 3, 4], [1, 3, 2, 4], 2 / 3),
            ([1, 2, 2, 3], [1, 2, 3, 4], 0.9129),
        ],
    )
    def test_counts_pairs(self, first: Sequence[float], second: Sequence[float], tau: float) -> None:
        assert kendall(first, second) == pytest.approx(tau, abs=5e-5)


@pytest.mark.django_db
class TestReplayed:
    def test_compares_with_the_order_of_the_list(self) -> None:
        for votes, comments in ((30, 0), (20, 0), (10, 25), (5, 0)):
            listed_paper(votes=votes, comments=comments)
        source = SourceFactory()

        day = replayed(source, DAY)

        assert day.papers == 4
        assert day.spearman["votes"] == 1.0
        assert day.spearman["ours"] == pytest.approx(0.4)  # the third stands first with us
        assert day.spearman["stars"] is None
        assert day.first == 4

    def test_takes_the_newest_reading_of_each_paper(self) -> None:
        listed_paper(votes=9, comments=0)
        second = listed_paper(votes=8, comments=0)
        SightingFactory(paper=second, seen_at=NOON + timedelta(hours=1), votes=80, comments=0)

        day = replayed(SourceFactory(), DAY)

        assert day.papers == 2
        assert day.spearman["votes"] == day.spearman["ours"] == 1.0

    def test_days_are_those_with_votes(self) -> None:
        for back, votes in ((0, 3), (1, None), (2, 5), (3, 1)):
            listed_paper(day=DAY - timedelta(days=back), votes=votes)

        found = days_of(SourceFactory(), until=DAY, limit=2)

        assert found == [DAY - timedelta(days=2), DAY]


@pytest.fixture
def server(settings: Any) -> Iterator[HuggingFaceServer]:
    with huggingface_server() as running:
        settings.HUGGINGFACE_URL = running.url
        yield running


@pytest.mark.django_db
class TestCommand:
    def test_prints_a_table_and_one_json_object(self, capsys: pytest.CaptureFixture[str]) -> None:
        for votes in (9, 5, 1):
            listed_paper(votes=votes, comments=0)

        call_command("replay_trending", "--json")

        *table, last = capsys.readouterr().out.splitlines()
        report = json.loads(last)
        assert any("2026-08-20" in line and "1.000" in line for line in table)
        assert report["mean"]["spearman"] == {
            "ours": 1.0, "one field": 1.0, "votes": 1.0, "comments": None, "stars": None
        }  # fmt: skip
        assert report["days"][0]["first_five"] == 3

    def test_says_how_to_get_days(self) -> None:
        Source.objects.get_or_create(slug="huggingface")

        with pytest.raises(CommandError, match="fetch_papers --source huggingface"):
            call_command("replay_trending")
        with pytest.raises(CommandError, match="no such source"):
            call_command("replay_trending", "--source", "nobody")

    @pytest.mark.shared_data
    def test_the_recorded_days_stand_close_to_the_site_s_own_order(
        self, server: HuggingFaceServer, shared_data_dir: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        source = Source.objects.get(slug="huggingface")
        for path in sorted((shared_data_dir / "hf_daily_papers").glob("2026-*.json")):
            server.days[date.fromisoformat(path.stem)] = json.loads(path.read_text(encoding="utf-8"))
        client = Client(sleep=lambda _seconds: None, pace=Pace())
        for day in server.days:
            now = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
            fetch.fetch_day(source, day, now=now, client=client)

        call_command("replay_trending", "--json")

        report = json.loads(capsys.readouterr().out.splitlines()[-1])
        assert len(report["days"]) == 25
        assert sum(day["papers"] for day in report["days"]) == 537
        assert report["mean"]["spearman"]["votes"] > 0.99
        assert report["mean"]["spearman"]["ours"] > 0.93
        assert report["mean"]["spearman"]["ours"] > report["mean"]["spearman"]["comments"] + 0.5
