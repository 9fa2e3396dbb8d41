"""The people of the benchmarks: distinct, the same in every run, and such as readers are."""

import random

import numpy as np
import pytest

from digest.matching import batch, features, packing, rank, space
from digest.matching.compiled import Compiled
from digest.matching.features import Papers
from digest.matching.index import DayIndex
from digest.operations import crowd
from subscriptions.filters import Document, Filter, parse

TOPICS = [
    {"name": "Agents", "keywords": ["tool use", "web agents", "planning"], "sentence": "Agents that act."},
    {"name": "Graphs", "keywords": ["graph learning", "message passing"], "sentence": ""},
    {"name": "Speech", "keywords": ["speech recognition", "ASR", "C*-algebra"], "sentence": "Speech."},
]


@pytest.fixture(scope="module")
def papers() -> Papers:
    ground = space.starter()
    known = [(topic, features.prepare(topic, ground)) for topic in TOPICS]
    texts = crowd.texts(50, ground=ground, topics=known)
    return Papers(
        DayIndex(
            [
                Document(id=str(n), title=title, abstract=abstract, authors=("Ada Author",), primary="cs.AI")
                for n, (title, abstract) in enumerate(texts)
            ]
        ),
        ground,
    )


@pytest.fixture(scope="module")
def people(papers: Papers) -> crowd.Crowd:
    return crowd.Crowd(papers, [(topic, features.prepare(topic, papers.space)) for topic in TOPICS])


def test_no_two_have_the_same_filter_or_interest(people):
    trees = list(people.trees(2_000))
    prepared = list(people.prepared(0, 500))

    assert len({Filter(tree).canonical for tree in trees}) == 2_000
    assert all(parse(Filter(tree).canonical).tree == tree for tree in trees[:200])
    directions = np.stack([one.direction for one in prepared])
    assert np.triu(directions @ directions.T, 1).max() < 0.9999


def test_each_is_the_same_in_every_run(people):
    assert list(people.trees(50)) == list(people.trees(50))
    some = [packing.pack(one) for one in people.prepared(990, 1_010)]
    assert some[5:] == [packing.pack(one) for one in people.prepared(995, 1_010)]


def test_their_scores_are_those_that_the_ranker_gives(people, papers):
    prepared = list(people.prepared(0, 40))
    hits = Compiled(people.trees(40)).asked(papers.index).hits(0, 40)

    scored = batch.Scorer(papers).score(packing.Profiles.of(prepared), hits)

    assert len(scored.positions) > 40
    for number in random.Random(1).sample(range(40), 20):
        positions, log_odds = scored.of(number)
        np.testing.assert_allclose(log_odds, rank.log_odds(prepared[number], papers)[positions], atol=1e-3)


def test_readers_follow_one_to_ten_topics_and_take_twenty_papers():
    readers = crowd.readers(1_000, topics=50, seed=1)

    follows = np.diff(readers.ends)
    assert (follows.min(), follows.max()) == (1, 10)
    assert set(readers.topics.tolist()) <= set(range(50))
    assert (readers.limits == 20).all()
