"""A profile over the recent papers; and that papers in parts are measured as if they were in one index."""

from datetime import timedelta

import numpy as np
import pytest

from digest.matching import features, pool, recent, space
from digest.matching.backtest import BackTest, backtest
from digest.matching.index import DayIndex
from subscriptions.filters import Document, parse
from subscriptions.interests import Interest
from subscriptions.models import Topic
from tests.factories import DAY, NOON, TopicFactory, listed_paper

MEMORY = "Language agents keep a long-term memory of what users said and retrieve it when they plan."
WANTED = Interest(("agent memory", "long-term memory"))


class TestPool:
    def test_measures_parts_as_one_index(self) -> None:
        ground = space.starter()
        texts = [
            *(
                ("Agent memory", MEMORY),
                ("Weather", "Rain."),
                ("Zyxomma memory", "The zyxomma is new to all."),
            ),
            *(("", ""), ("Memory of agents", "Agent memories."), ("Planning", MEMORY)),
        ]
        papers = [Document(id=str(n), title=title, abstract=text) for n, (title, text) in enumerate(texts)]
        parts = [DayIndex(papers[:2]), DayIndex(papers[2:3]), DayIndex([]), DayIndex(papers[3:])]

        whole = features.Papers(DayIndex(papers), ground)
        joined = pool.Pool(ground, [pool.Measured.of(part, ground) for part in parts])

        for said in (
            {"name": "Agent memory", "keywords": ["agent memory", "zyxomma"], "sentence": MEMORY},
            {"keywords": ["rain"], "liked": [{"id": "x", "title": "Agents", "abstract": MEMORY}]},
        ):
            prepared = features.prepare(said, ground)
            assert prepared is not None
            np.testing.assert_allclose(
                features.measured(prepared, joined), features.measured(prepared, whole), atol=1e-6
            )
        assert joined.index.as_written("agent memory", "title", 4) is None
        assert joined.index.as_written("agent memory", "abstract", 4) == "Agent memories"
        assert [document.id for document in joined.index.documents] == list("012345")

    def test_has_room_for_nothing(self) -> None:
        assert len(pool.Pool(space.starter(), [])) == 0


@pytest.mark.django_db
class TestBackTest:
    @pytest.fixture(autouse=True)
    def papers(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(recent, "_kept", None)
        for back in range(3):
            listed_paper(
                day=DAY - timedelta(days=back), title=f"Agent memory {back}", abstract=MEMORY, votes=back
            )
            listed_paper(day=DAY - timedelta(days=back), title=f"Weather {back}", abstract="Rain.", votes=9)

    def run(self, text: str = "", interest: Interest | None = None, least: int | None = None) -> BackTest:
        now = recent.current(now=NOON)
        filter = parse(text) if text else None
        return backtest(now, filter=filter, interest=interest, min_relevance=least)

    def titles(self, tested: BackTest) -> list[str]:
        return [match.paper.title for match in tested.found.matches()]

    def test_an_interest_alone_brings_what_is_relevant_enough_by_day(self) -> None:
        tested = self.run(interest=WANTED)

        assert self.titles(tested) == ["Agent memory 0", "Agent memory 1", "Agent memory 2"]
        assert [number for _, number in tested.found.per_day()] == [1, 1, 1]
        assert (tested.min_relevance, tested.let_in) == (50, 6)
        assert all((tested.percent(position) or 0) >= 50 for position in tested.best)
        match = tested.found.matches()[0]
        assert ("Agent memory", "title") in [tuple(reason) for reason in match.reasons]

    def test_a_filter_with_an_interest_brings_its_hits_with_both_reasons(self) -> None:
        tested = self.run("rain OR memory", WANTED)

        assert len(tested.found) == 6
        assert [tested.recent.papers[at].title[:5] for at in tested.best] == ["Agent"] * 3 + ["Weath"] * 3
        weather = next(match for match in tested.found.matches() if match.paper.title == "Weather 0")
        assert ("Rain", "abstract") in [tuple(reason) for reason in weather.reasons]
        assert tested.percent(weather.position) is None

    def test_a_threshold_leaves_the_less_relevant_out(self) -> None:
        assert self.titles(self.run("rain OR memory", WANTED, least=60)) == [
            f"Agent memory {n}" for n in range(3)
        ]

    def test_a_pure_filter_has_no_relevance(self) -> None:
        tested = self.run("rain")

        assert (len(tested.found), tested.scored, tested.percent(0)) == (3, None, None)

    def test_words_that_say_nothing_bring_nothing_unless_a_filter_does(self) -> None:
        assert len(self.run(interest=Interest(("the", "of"))).found) == 0
        assert len(self.run("rain", Interest(("the",))).found) == 3

    def test_needs_something(self) -> None:
        with pytest.raises(ValueError, match="needs a filter or an interest"):
            self.run()


@pytest.mark.django_db
class TestRelevanceOfTopics:
    @pytest.fixture(autouse=True)
    def papers(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(recent, "_kept", None)
        listed_paper(title="Agent memory", abstract=MEMORY)
        listed_paper(title="Weather", abstract="Rain.")

    def topic(self, text: str, **values: object) -> Topic:
        topic = TopicFactory(name="Agent memory", **values)
        topic.filter.canonical = text
        return topic

    def test_is_that_of_the_filters_hits_with_reasons(self) -> None:
        now = recent.current(now=NOON)
        relevance = now.relevance(self.topic("memory", keywords=["agent memory", "long-term memory"]))

        (position,) = relevance
        probability, reasons = relevance[position]
        assert now.papers[position].title == "Agent memory"
        assert probability > 0.5
        assert reasons[0] == ("Agent memory", "title")
        with pytest.raises(KeyError):
            relevance[1 - position]

    def test_is_none_of_a_pure_filter(self) -> None:
        assert not recent.current(now=NOON).relevance(self.topic("memory"))

    def test_is_worked_out_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        now = recent.current(now=NOON)
        topic = self.topic("memory", keywords=["agent memory"])
        first = now.score_of(topic)

        assert now.score_of(topic) is first
        topic.keywords = ["weather"]
        assert now.score_of(topic) is not first

    def test_outlives_new_votes_but_not_new_words(self) -> None:
        before = recent.current(now=NOON)
        measured = [part.measured(space.starter()) for part in before._parts]
        listed_paper(day=DAY - timedelta(days=1), title="Another", votes=3)

        after = recent.current(now=NOON)

        kept = [part.measured(space.starter()) for part in after._parts]
        assert [one for one in measured if one not in kept] == []
        assert len(kept) == len(measured) + 1
