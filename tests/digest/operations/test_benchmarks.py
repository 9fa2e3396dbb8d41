"""The ground of the benchmarks: readers enough for every combination of topics that the dice may throw."""

from typing import Any

import pytest

from digest.matching import recent
from digest.models import Paper
from digest.operations import benchmarks
from subscriptions.models import SubscribedTopic, Subscriber


@pytest.mark.django_db
def test_a_thousand_readers_follow_one_to_three_topics_each():
    benchmarks.fill(papers=3, subscribers=1_000)

    assert (Paper.objects.count(), Subscriber.objects.count()) == (3, 1_000)
    assert 1_000 < SubscribedTopic.objects.count() < 3_000


@pytest.mark.django_db
def test_a_days_papers_are_stored_three_times_over_at_a_cost_that_does_not_grow():
    queries = []
    for papers in (5, 40):
        counts: dict[str, Any] = benchmarks.ingest_day(subscribers=0, papers=papers).as_json()
        queries.append(counts["queries"])

    assert counts["papers"] == 40
    assert set(counts["rates"]) == {"new", "again", "changed"}
    assert max(queries[1]) <= max(queries[0]) + 2
    assert max(queries[1]) <= 20


@pytest.mark.django_db
def test_profiles_are_tried_on_thirty_days(monkeypatch):
    monkeypatch.setattr(benchmarks, "PROFILES", 5)
    monkeypatch.setattr(recent, "_kept", None)

    counts: dict[str, Any] = benchmarks.backtest_profiles(subscribers=0, papers=60).as_json()

    assert (counts["papers"], counts["days"], counts["profiles"]) == (60, 30, 5)
    assert 0 < counts["median_cpu_ms"] <= counts["worst_cpu_ms"]


@pytest.mark.django_db
def test_matching_counts_people_of_whom_no_two_want_the_same():
    counts: dict[str, Any] = benchmarks.match(subscribers=300, papers=60).as_json()

    assert (counts["papers"], counts["subscribers"], counts["filters"]) == (60, 300, 300)
    assert counts["hits"] > counts["shown"] > 0
    assert counts["gathered"] > 300
    assert set(counts["stages"]) == {"index", "compile", "parse", "evaluate", "load", "score", "gather"}
    assert counts["cpu_seconds"] == pytest.approx(
        sum(counts["stages"][name] for name in ("index", "evaluate", "load", "score")), abs=0.01
    )
    assert min(counts["rates"].values()) > 0
