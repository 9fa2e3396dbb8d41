"""Digests by relevance: their order, what is below a reader's wish, what readers teach, what it costs."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from digest.editions import compose, relevance, schedule, share
from digest.editions.material import Material
from digest.editions.taught import Taught
from digest.matching import rank, spaces
from digest.matching.learning import LinearModel
from digest.models import Digest, Edition, EditionRelevance, Feedback
from subscriptions import topics
from subscriptions.mail import ledger
from subscriptions.models import SubscribedTopic
from tests.factories import (
    DAY,
    MORNING_AFTER,
    NOON,
    PaperFactory,
    SubscribedTopicFactory,
    SubscriberFactory,
    TopicFactory,
    listed_paper,
)

pytestmark = pytest.mark.django_db
NEXT_DAY = DAY + timedelta(days=1)
LONG_AGO = DAY - timedelta(days=40)

AGENTS = (
    "Language model agents that call tools",
    "We train language model agents to call tools and to plan many steps ahead in web environments.",
)
SPLATS = (
    "Compact Gaussian splatting for novel view synthesis",
    "A radiance field of 3D Gaussians is pruned and quantized, so that scenes render in real time.",
)
PROTEINS = (
    "Protein structure prediction with equivariant networks",
    "We predict folded structures of proteins from amino acid sequences with geometric deep learning.",
)
EVERY = "kind:paper"


def listed(of, votes=10, day=DAY, title=""):
    return listed_paper(day, title=title or of[0], abstract=of[1], votes=votes)


def topic(text=EVERY, *, keywords=("language model agents", "tool use"), **values):
    revision = topics.filter_revision(text, now=NOON)
    return TopicFactory(**{"name": "Agents", "filter": revision, "keywords": list(keywords), **values})


def follows(*followed, least=None, **values):
    reader = SubscriberFactory(**values)
    for position, one in enumerate(followed):
        SubscribedTopicFactory(subscriber=reader, topic=one, position=position, min_relevance=least)
    return reader


def says(reader, opinion, paper, topic=None):
    return Feedback.objects.create(subscriber=reader, paper=paper, topic=topic, opinion=opinion, at=NOON)


def edition_of(day=DAY):
    return schedule.open_edition("daily", day, now=schedule.opening("daily", day))


def composed(*readers, edition=None, now=MORNING_AFTER):
    edition = edition or edition_of()
    compose.compose(edition, now=now)
    found = [
        Digest.objects.filter(edition_id=edition.pk, subscriber_id=reader.pk).first() for reader in readers
    ]
    return found[0] if len(found) == 1 else found


def papers_of(digest):
    return [pk for section in digest.sections for pk in section["papers"]]


class TestOrder:
    def test_is_by_bands_of_relevance_and_in_a_band_by_trending(self):
        loud, quiet = listed(AGENTS, votes=30), listed(AGENTS, votes=2, title="Agents that call tools")
        louder = listed(PROTEINS, votes=500)

        digest = composed(follows(topic()))

        assert papers_of(digest) == [loud.pk, quiet.pk, louder.pk]

    def test_of_a_pure_filter_is_by_trending(self):
        quiet, loud = listed(AGENTS, votes=2), listed(PROTEINS, votes=500)

        digest = composed(follows(topic(keywords=())))

        assert papers_of(digest) == [loud.pk, quiet.pk]
        assert "relevance" not in digest.sections[0]


class TestThreshold:
    def test_leaves_out_what_is_less_relevant(self):
        fitting, _other = listed(AGENTS), listed(PROTEINS)

        assert papers_of(composed(follows(topic(), least=50))) == [fitting.pk]

    def test_lets_nothing_in_where_the_words_cannot_be_read(self):
        """Else everything that came in that day would be sent as if it had been asked for."""
        listed(AGENTS)

        assert composed(follows(topic(keywords=("红烧肉",)), least=50)) is None

    def test_does_not_count_for_a_pure_filter_not_even_after_the_first_like(self):
        fitting, liked = listed(AGENTS), PaperFactory(first_listed_on=LONG_AGO)
        plain = topic("agents", keywords=())
        silent, taught = follows(plain, least=70), follows(plain, least=70)
        says(taught, "more", liked, plain)

        both = composed(silent, taught)

        assert [papers_of(one) for one in both] == [[fitting.pk]] * 2


class TestOpinions:
    def test_move_papers_like_those_that_were_spoken_of(self):
        agents, splats, proteins = listed(AGENTS), listed(SPLATS), listed(PROTEINS)
        wide = topic(keywords=("deep learning models",))
        plain, taught = follows(wide), follows(wide)
        for number in range(3):
            like = PaperFactory(title=SPLATS[0], abstract=SPLATS[1], first_listed_on=LONG_AGO)
            dislike = PaperFactory(
                title=f"Agents {number} call tools", abstract=AGENTS[1], first_listed_on=LONG_AGO
            )
            says(taught, "more", like, wide if number else None)  # of no topic counts for each
            says(taught, "less", dislike, wide)

        before, after = composed(plain, taught)

        scored = {pk: probability for pk, probability, _ in EditionRelevance.objects.get().scored}
        mine = after.sections[0]["relevance"]
        assert mine[str(splats.pk)] > scored[splats.pk]
        assert mine[str(agents.pk)] < scored[agents.pk]
        assert "relevance" not in before.sections[0]
        assert set(papers_of(after)) == {agents.pk, splats.pk, proteins.pk}

    def test_look_for_reasons_of_the_papers_that_are_shown_alone(self, monkeypatch):
        for number in range(30):
            listed(AGENTS, title=f"Agents {number}")
        followed = topic()
        reader = follows(followed, max_papers=3)
        says(reader, "more", PaperFactory(title=SPLATS[0], first_listed_on=LONG_AGO), followed)
        edition = edition_of()
        composed(follows(followed), edition=edition)  # shared scores are there, whatever they cost
        looked_at = []
        explained = rank.explained

        def seen(*asked):
            looked_at.append(asked)
            return explained(*asked)

        monkeypatch.setattr(rank, "explained", seen)

        digest = share.gather(
            material := Material.of(edition),
            reader,
            _followed(material, reader),
            received=(),
            taught=Taught.by([reader.pk]),
        )

        assert len(papers_of(digest)) == len(looked_at) == 3

    def test_of_many_readers_are_worked_out_in_parts_before_the_lock_is_taken(self, monkeypatch):
        listed(AGENTS)
        followed, liked = topic(), PaperFactory(title=SPLATS[0], first_listed_on=LONG_AGO)
        readers = [follows(followed) for _ in range(7)]
        for reader in readers[::2]:
            says(reader, "more", liked, followed)
        monkeypatch.setattr(compose, "TAUGHT_AT_ONCE", 2)
        happened = []
        personal, lock = relevance.Relevance.personal, ledger.lock

        def scored(*args, **given):
            happened.append("scored")
            return personal(*args, **given)

        def locked(name):
            happened.append(name)
            return lock(name)

        monkeypatch.setattr(relevance.Relevance, "personal", scored)
        monkeypatch.setattr(ledger, "lock", locked)
        pieces = [len(piece) for piece in compose._pieces(readers)]

        digests = composed(*readers)

        assert pieces == [4, 3]
        first = happened.index("scored")
        assert happened[first:] == ["scored", "scored", "compose"] * 2
        assert ["relevance" in digest.sections[0] for digest in digests] == [True, False] * 3 + [True]


def _followed(material, reader):
    followed = compose.topics_of([reader.pk])[reader.pk]
    material.evaluate({row.topic.filter_id for row in followed})
    material.score(row.topic for row in followed)
    return followed


class TestWork:
    def test_queries_grow_neither_with_topics_nor_with_readers_who_taught_something(self):
        liked = PaperFactory(title=SPLATS[0], first_listed_on=LONG_AGO)
        asked = []
        for day, number in ((DAY, 2), (NEXT_DAY, 2), (NEXT_DAY + timedelta(days=1), 12)):
            listed(AGENTS, day=day)
            for _ in range(number):
                mine = topic(keywords=[f"agents {number}"])
                says(follows(mine, topic(keywords=["tools"])), "more", liked, mine)
            edition = edition_of(day)
            with CaptureQueriesContext(connection) as queries:
                compose.compose(edition, now=schedule.opening("daily", day) + timedelta(hours=1))
            asked.append(len(queries))

        assert asked[2] <= asked[1]


class TestLater:
    def test_a_topic_that_is_edited_while_its_edition_is_open_is_scored_for_what_it_finds_now(self):
        agents, splats = listed(AGENTS), listed(SPLATS)
        edited = topic("agents")
        first = composed(follows(edited))
        (before,) = EditionRelevance.objects.get().scored
        edited.filter, edited.keywords = topics.filter_revision(EVERY, now=NOON), ["gaussian splatting"]
        edited.save()

        second = composed(follows(edited, least=50), edition=Edition.objects.get(pk=first.edition_id))

        scored = EditionRelevance.objects.get().scored
        assert scored[0] == before  # of which a mail was made
        assert {pk for pk, *_ in scored} == {agents.pk, splats.pk}
        assert splats.pk in papers_of(second)

    def test_an_edition_that_was_composed_without_relevance_gets_it_for_those_who_come(self):
        fitting = listed(AGENTS)
        listed(PROTEINS, votes=400)
        followed = topic()
        first = composed(follows(followed))
        EditionRelevance.objects.all().delete()

        second = composed(follows(followed), edition=Edition.objects.get(pk=first.edition_id))

        assert papers_of(second)[0] == fitting.pk
        assert EditionRelevance.objects.count() == 1

    def test_papers_of_a_folded_digest_keep_the_relevance_they_had_there(self):
        agents = listed(AGENTS)
        listed(SPLATS, day=NEXT_DAY)
        followed = topic()
        reader = follows(followed)
        composed(reader)
        ((_, probability, reasons),) = EditionRelevance.objects.get().scored

        digest = composed(
            reader, edition=edition_of(NEXT_DAY), now=schedule.opening("daily", NEXT_DAY) + timedelta(hours=1)
        )

        assert digest.sections[0]["relevance"] == {str(agents.pk): probability}
        assert all(one in digest.sections[0]["why"][str(agents.pk)] for one in reasons)

    def test_a_model_of_another_space_does_not_move_anything(self):
        listed(AGENTS)
        followed = topic()
        reader = follows(followed)
        says(reader, "more", PaperFactory(title=SPLATS[0], first_listed_on=LONG_AGO), followed)
        model = {"intercept": -9.0, "slope": 0.0, "vector": [0.0] * spaces.current().space.dimensions}
        material = Material.of(edition_of())
        _followed(material, reader)
        taught = Taught.by([reader.pk])
        plain = taught._scores(material, reader, followed)

        found = {}
        for name in ("space 0", spaces.current().name):
            own = LinearModel.from_json({**model, "space": name})
            moved = Taught(taught.said, {reader.pk: {None: own}})
            found[name] = dict(relevance.probabilities(moved._scores(material, reader, followed)))

        assert found["space 0"] == dict(relevance.probabilities(plain))
        assert all(one is not None and one < 0.01 for one in found[spaces.current().name].values())

    def test_a_topic_that_is_no_longer_followed_or_is_gone_leaves_the_others(self):
        fitting = listed(AGENTS)
        gone, stays = topic(), topic()
        reader = follows(gone, stays)
        SubscribedTopic.objects.filter(topic=gone).delete()
        gone.delete()

        assert papers_of(composed(reader)) == [fitting.pk]
