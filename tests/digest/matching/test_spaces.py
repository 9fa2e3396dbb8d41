"""Which space is in use: the newest that is ready and can be read, everywhere, and never half of two."""

import random
from datetime import timedelta

import numpy as np
import pytest

from digest.matching import profiles, rank, space, spaces
from digest.matching.encoders import DIMENSIONS, NoEncoder
from digest.matching.index import DayIndex
from digest.matching.space import Space
from digest.models import Paper, PreparedProfile
from digest.models import Space as Stored
from subscriptions.filters import Document
from tests.digest.matching.test_space import WORDS
from tests.factories import DAY, NOON, SubscribedTopicFactory, TopicFactory

pytestmark = pytest.mark.django_db
LATER = NOON + timedelta(days=8)


def texts(number, *, seed=0):
    some = random.Random(seed)
    return [(" ".join(some.sample(WORDS, 4)), " ".join(some.choices(WORDS, k=12))) for _ in range(number)]


@pytest.fixture(scope="module")
def data():
    documents = [
        Document(id=str(number), title=title, abstract=abstract)
        for number, (title, abstract) in enumerate(texts(1_000))
    ]
    return Space.trained(DayIndex(documents), dimensions=20).to_bytes()


def stored(data, *, ready_at=None, trained_at=NOON):
    return Stored.objects.create(trained_at=trained_at, papers=1_000, data=data, ready_at=ready_at)


def followed(**values):
    topic = TopicFactory(**{"keywords": [WORDS[0], WORDS[1]], **values})
    SubscribedTopicFactory(topic=topic)
    return topic


def of(ground):
    return rank.Ranker().fit([], ground.space).prepare


class TestInUse:
    def test_is_the_starter_until_a_space_is_ready(self, data):
        assert spaces.current().pk is None
        waiting = stored(data)
        assert spaces.current().pk is None

        spaces.make_ready(waiting.pk, now=NOON)

        assert spaces.current().pk == waiting.pk
        assert spaces.current().name.startswith(f"space {waiting.pk} ")

    def test_is_read_once_a_process_and_again_when_another_process_has_made_a_newer_one_ready(
        self, data, django_assert_num_queries
    ):
        stored(data, ready_at=NOON)
        first = spaces.current()
        with django_assert_num_queries(1):
            assert spaces.current() is first

        newer = stored(data, ready_at=LATER)

        assert spaces.current().pk == newer.pk

    def test_is_the_starter_by_its_own_name_where_the_newest_cannot_be_read(self, data, caplog):
        """Profiles and models of the damaged space must not be taken for the starter's."""
        topic = followed()
        damaged = stored(data, ready_at=NOON)
        assert profiles.prepared([topic], space_id=damaged.pk, prepare=of(spaces.current()))
        Stored.objects.update(data=data[:500])
        spaces._kept = None

        ground = spaces.current()
        found = profiles.prepared([topic], space_id=ground.pk, prepare=of(ground))

        assert (ground.pk, ground.name.split()[0]) == (None, "starter")
        assert len(found[topic.pk].direction) == ground.space.dimensions
        assert spaces.current() is ground  # and it is not read again and again
        assert "cannot be read" in caplog.text

    def test_has_another_name_on_another_starter(self, monkeypatch):
        topic = followed()
        profiles.prepared([topic], space_id=None, prepare=of(spaces.current()))
        name, kept = spaces.current().name, PreparedProfile.objects.get().fingerprint
        monkeypatch.setattr(space, "starter_print", lambda: "of the next release")

        profiles.prepared([topic], space_id=None, prepare=of(spaces.current()))

        assert spaces.current().name != name
        assert PreparedProfile.objects.get().fingerprint != kept


@pytest.fixture
def small_spaces(monkeypatch):
    monkeypatch.setattr(space, "LEAST_PAPERS", 50)


def listed(number):
    Paper.objects.bulk_create(
        Paper(
            key=f"arxiv:2608.{at:05}",
            url=f"https://arxiv.org/abs/2608.{at:05}",
            title=title,
            abstract=abstract,
            first_listed_on=DAY,
            created_at=NOON,
            updated_at=NOON,
        )
        for at, (title, abstract) in enumerate(texts(number))
    )


class TestTend:
    def test_trains_on_the_installations_papers_and_comes_into_use_with_all_profiles(self, small_spaces):
        topic = followed()
        listed(60)

        ground = spaces.tend(now=NOON, seconds=60)

        assert spaces.current().pk == ground.pk == PreparedProfile.objects.get(topic=topic).space_id
        assert ground.space.dimensions > space.starter().dimensions
        assert spaces.tend(now=NOON + timedelta(days=6), seconds=60) is None
        assert Stored.objects.count() == 1

    def test_does_not_train_twice_when_two_begin_at_once(self, small_spaces, monkeypatch, data):
        listed(60)
        train = Space.trained

        def meanwhile(index):
            stored(data)  # by another process
            return train(index, dimensions=5)

        monkeypatch.setattr(Space, "trained", meanwhile)

        assert spaces.train(now=NOON) is None
        assert Stored.objects.count() == 1

    def test_goes_on_where_the_last_call_had_no_time_left(self, data):
        followed()
        waiting = stored(data)

        assert spaces.tend(now=NOON, seconds=0) is None
        assert spaces.current().pk is None
        assert spaces.tend(now=NOON, seconds=60).pk == waiting.pk

    def test_throws_away_what_was_trained_and_cannot_be_read(self, data):
        in_use = stored(data, ready_at=NOON)
        stored(data[:300])

        assert spaces.tend(now=NOON, seconds=60) is None

        assert list(Stored.objects.all()) == [in_use]

    def test_keeps_the_space_that_somebody_may_be_composing_in(self, data):
        old, in_use = (stored(data, ready_at=NOON) for _ in range(2))
        first, second = (stored(data, trained_at=LATER) for _ in range(2))  # two at once

        spaces.make_ready(first.pk, now=LATER)

        assert set(Stored.objects.values_list("pk", flat=True)) == {in_use.pk, first.pk, second.pk}
        profiles.prepared([followed()], space_id=in_use.pk, prepare=of(spaces.current()))
        assert not Stored.objects.filter(pk=old.pk).exists()


class TestProfiles:
    def test_of_many_topics_cost_no_query_each(self, django_assert_num_queries):
        several = [followed(keywords=[word]) for word in WORDS[:12]]
        prepare = of(spaces.current())
        with django_assert_num_queries(2):
            made = profiles.prepared(several, space_id=None, prepare=prepare)
        with django_assert_num_queries(1):
            again = profiles.prepared(several, space_id=None, prepare=prepare)

        assert made.keys() == again.keys() == {one.pk for one in several}

    def test_are_made_again_when_their_topic_says_something_else(self):
        topic = followed()
        prepare = of(spaces.current())
        before = profiles.prepared([topic], space_id=None, prepare=prepare)[topic.pk]
        topic.keywords = [WORDS[5]]

        after = profiles.prepared([topic], space_id=None, prepare=prepare)[topic.pk]

        assert after.phrases == (WORDS[5],) != before.phrases

    def test_that_an_encoder_failed_at_are_made_again_with_it(self):
        topic, encoder = followed(), Moody()
        ranker = rank.Ranker(encoder=encoder).fit([], space.starter())

        first, second, third = (
            profiles.prepared([topic], space_id=None, prepare=ranker.prepare, encoder="minilm")[topic.pk]
            for encoder.fails in (True, False, True)
        )

        assert first.sense is None
        assert second.sense is not None
        assert third.sense is not None  # which was stored


class Moody:
    name = "minilm"
    fails = False

    def encode(self, texts, *, is_query=False):
        if self.fails:
            raise NoEncoder("Not now.")
        return np.ones((len(texts), DIMENSIONS), np.float32)
