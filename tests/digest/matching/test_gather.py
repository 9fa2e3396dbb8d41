"""All readers at once get what compose gives each of them, one by one."""

import random
from collections.abc import Collection, Sequence

import numpy as np
import pytest

from digest.editions import share
from digest.editions.material import Material
from digest.matching import calibration, gather
from digest.matching.gather import Offers, Readers
from digest.models import Edition
from subscriptions.models import SubscribedTopic, Subscriber, Topic

PAPERS = 130

Lists = list[list[int]]


def offers(lists: Lists) -> Offers:
    ends = np.cumsum([0, *map(len, lists)])
    return Offers(ends, np.array([paper for one in lists for paper in one], np.int32), PAPERS)


def plain(
    follows: Sequence[int], caps: Sequence[int], limit: int, lists: Lists, received: Collection[int]
) -> tuple[Lists, int]:
    """What compose gives one reader, and how many papers it holds back."""
    digest = share.gather(
        Material(
            Edition(mailing_id=1),
            positions=dict.fromkeys(range(PAPERS), 0),
            hits={number: [[paper, []] for paper in one] for number, one in enumerate(lists)},
        ),
        Subscriber(pk=1, max_papers=limit),
        [
            SubscribedTopic(topic=Topic(pk=number, filter_id=number), max_papers=None if cap < 0 else cap)
            for number, cap in zip(follows, caps, strict=True)
        ],
        received=set(received),
    )
    return [section["papers"] for section in digest.sections], digest.held


@pytest.mark.parametrize("has_received", [False, True])
def test_gives_every_reader_what_compose_gives_one(has_received, monkeypatch):
    monkeypatch.setattr(gather, "_AT_ONCE", 70)
    dice = random.Random(int(has_received))
    lists = [dice.sample(range(PAPERS), dice.randrange(60)) for _ in range(20)] + [[], list(range(PAPERS))]
    count = 200
    follows = [[dice.randrange(len(lists)) for _ in range(dice.randrange(7))] for _ in range(count)]
    caps = [[dice.choice((-1, -1, 0, 1, 3, 8)) for _ in one] for one in follows]
    limits = [dice.randint(1, 30) for _ in range(count)]
    received = [dice.sample(range(PAPERS), dice.randrange(20)) for _ in range(count)]
    marks = np.zeros((count, 192), np.uint8)
    for reader, papers in enumerate(received):
        marks[reader, papers] = 1

    gathered = gather.gather(
        Readers(
            np.cumsum([0, *map(len, follows)]),
            np.array([topic for one in follows for topic in one], np.int32),
            np.array([cap for one in caps for cap in one], np.int32),
            np.array(limits, np.int32),
            np.packbits(marks, axis=1, bitorder="little").view(np.uint64) if has_received else None,
        ),
        offers(lists),
    )

    row = 0
    for reader, topics in enumerate(follows):
        mine = range(row, row := row + len(topics))
        got = [gathered.papers[gathered.ends[at] : gathered.ends[at + 1]].tolist() for at in mine]
        found = sum(int(gathered.found[at]) for at in mine)
        own = received[reader] if has_received else []
        assert (got, found - sum(map(len, got))) == plain(topics, caps[reader], limits[reader], lists, own)


def test_gathers_nothing_for_nobody():
    none = np.empty(0, np.int32)

    gathered = gather.gather(Readers(np.zeros(1, np.int64), none, none, none), offers([[1, 2]]))

    assert (gathered.ends.tolist(), gathered.papers.tolist()) == ([0], [])


def test_orders_a_topics_papers_by_band_then_by_place():
    ends = np.array([0, 4, 6])
    papers = np.array([3, 9, 12, 20, 1, 2], np.int32)
    probabilities = np.array([0.4, 0.86, 0.71, 0.99, 0.51, 0.9], np.float32)

    order = gather.in_order(ends, papers, probabilities)

    assert papers[order].tolist() == [9, 20, 12, 3, 2, 1]


def test_knows_the_bands_that_readers_are_shown():
    names = ("almost surely", "probably", "perhaps", "")
    probabilities = np.append(np.linspace(0, 1, 2001, dtype=np.float32), np.float32("nan"))

    bands = gather.bands(probabilities)

    assert [names[band] for band in bands] == [
        calibration.band(calibration.shown_percent(float(one))) for one in probabilities
    ]
