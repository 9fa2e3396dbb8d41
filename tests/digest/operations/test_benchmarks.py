"""The ground of the benchmarks: readers enough for every combination of topics that the dice may throw."""

import pytest

from digest.models import Paper
from digest.operations import benchmarks
from subscriptions.models import SubscribedTopic, Subscriber


@pytest.mark.django_db
def test_a_thousand_readers_follow_one_to_three_topics_each():
    benchmarks.fill(papers=3, subscribers=1_000)

    assert (Paper.objects.count(), Subscriber.objects.count()) == (3, 1_000)
    assert 1_000 < SubscribedTopic.objects.count() < 3_000
