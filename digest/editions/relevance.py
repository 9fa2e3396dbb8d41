"""How relevant an edition's papers are to topics: once for all who follow one, anew for who taught it more.

Popularity has no part in it. Compose orders papers by its bands, and by trending within a band.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from django.db import transaction

from digest.matching import batch, calibration, extras, judge, learning, packing, profiles, rank, spaces
from digest.matching.features import Prepared, Shared
from digest.matching.index import DayIndex
from digest.matching.learning import LinearModel
from digest.models import Edition, EditionRelevance
from subscriptions import interests
from subscriptions.models import Topic

REASONED = 20  # papers of a topic that are told why, the most relevant; mails seldom show more
_BANDS = ("almost surely", "probably", "perhaps", "")


class Scored(NamedTuple):
    """Of one paper for one topic. `reasons`: [[field, words], …], those of the score alone."""

    probability: float | None
    reasons: list[list[str]]


Scores = Mapping[int, Scored]  # by paper id; empty where no relevance can be said
_NONE: Scores = {}


class _AsLookedAt(Mapping[int, Scored]):
    """Scores whose reasons are found when somebody asks: of a thousand papers, a mail shows ten."""

    def __init__(
        self, probabilities: Mapping[int, float | None], reasons: Callable[[int], list[list[str]]]
    ) -> None:
        self.probabilities = probabilities
        self._reasons = reasons

    def __getitem__(self, paper_id: int) -> Scored:
        return Scored(self.probabilities[paper_id], self._reasons(paper_id))

    def __iter__(self) -> Iterator[int]:
        return iter(self.probabilities)

    def __len__(self) -> int:
        return len(self.probabilities)

    def __contains__(self, paper_id: object) -> bool:
        return paper_id in self.probabilities


def probabilities(scores: Scores) -> Mapping[int, float | None]:
    """By paper; no reason is looked for."""
    if isinstance(scores, _AsLookedAt):
        return scores.probabilities
    return {pk: one.probability for pk, one in scores.items()}


def place(probability: float | None) -> int:
    """The band that a paper stands in, 0 the most relevant: papers of one are in the order of trending."""
    return _BANDS.index(calibration.band(calibration.shown_percent(probability)))


def is_enough(probability: float | None, min_relevance: int | None) -> bool:
    """Whether a paper is as relevant as its reader wants."""
    return min_relevance is None or (calibration.shown_percent(probability) or 0) >= min_relevance


@dataclass(eq=False)
class Relevance:
    """Of the papers of one edition. `index` gives them as documents, in the order of `paper_ids`."""

    edition: Edition
    paper_ids: Sequence[int]
    index: Callable[[], DayIndex]

    def __post_init__(self) -> None:
        self._known: dict[int, Scores] = {}
        self._texts: dict[int, Shared | None] = {}  # by topic

    def of(self, topic_id: int) -> Scores:
        """What `bring` brought; nothing for a pure filter."""
        return self._known.get(topic_id, _NONE)

    def bring(self, topics: Iterable[Topic], found: Callable[[int], Collection[int]]) -> None:
        """Make sure that the papers of these topics are scored; each topic is, once for the edition.

        `found(filter id)`: the papers that the filter found; only they are.
        """
        wanted = {topic.pk: topic for topic in topics if topic.pk not in self._known}
        wanted = {pk: topic for pk, topic in wanted.items() if interests.of_topic(topic)}
        self._known.update(self._stored(wanted))
        self._add_to(
            {pk: topic for pk, topic in wanted.items() if self._lacks(pk, found(topic.filter_id))}, found
        )
        missing = {pk: topic for pk, topic in wanted.items() if pk not in self._known}
        if missing:
            scored = self._score(missing, found)
            # Another process may have scored one meanwhile: the stored scores are everybody's.
            EditionRelevance.objects.bulk_create(
                [
                    EditionRelevance(
                        edition=self.edition,
                        topic=topic,
                        scored=[[paper_id, *one] for paper_id, one in scored.get(pk, _NONE).items()],
                    )
                    for pk, topic in missing.items()
                ],
                ignore_conflicts=True,
                batch_size=200,
            )
            self._known.update(self._stored(missing))

    def _lacks(self, topic_id: int, found: Collection[int]) -> bool:
        """Whether a topic was scored for other papers: its filter has been edited since."""
        scores = self.of(topic_id)
        return bool(scores) and not scores.keys() >= set(found)

    def _add_to(self, topics: Mapping[int, Topic], found: Callable[[int], Collection[int]]) -> None:
        """Score what is lacking. What stands there stays, since mails were made of it."""
        if not topics:
            return
        scored = self._score(topics, found)
        with transaction.atomic():
            rows = self.edition.relevances.select_for_update().filter(topic__in=topics).order_by("topic_id")
            for row in rows:
                there = {pk for pk, _probability, _reasons in row.scored}
                more = scored.get(row.topic_id, _NONE)
                row.scored += [[pk, *one] for pk, one in more.items() if pk not in there]
                row.save(update_fields=["scored"])
        self._known.update(self._stored(topics))

    def personal(
        self,
        topic: Topic,
        found: Collection[int],
        *,
        liked: Sequence[Mapping[str, Any]],
        disliked: Sequence[Mapping[str, Any]],
        model: LinearModel | None,
    ) -> Scores:
        """The same for one reader, with what they said of other papers: some 10 ms, and 3 ms for the reasons
        of each paper that somebody looks at."""
        profile = profiles.of_topic(topic, liked=liked, disliked=disliked)
        if not profile or not found:
            return _NONE
        shared = self._shared(topic)
        if shared is not None:
            prepared, scores = self._ranker.taught(shared, profile)
        elif (alone := self._ranker.prepare(profile)) is not None:
            prepared, scores = alone, self._ranker.score(alone)
        else:
            return _NONE
        if model is not None:
            scores = np.asarray(
                learning.adjust(scores, self._ranker.vectors, model, space=self._ground.name), np.float32
            )
        known: Mapping[int, float | None] = dict.fromkeys(found)
        if prepared.words or len(prepared.liked) > 1:
            known = self._probabilities({pk: float(scores[self._positions[pk]]) for pk in found})
        return _AsLookedAt(known, lambda pk: self._reasons(prepared, self._positions[pk]))

    def _shared(self, topic: Topic) -> Shared | None:
        """A topic's words as they are prepared for everybody; None where they say nothing."""
        if topic.pk not in self._texts:
            prepared = self._prepared([topic]).get(topic.pk)
            self._texts[topic.pk] = self._ranker.shared(prepared) if prepared and prepared.words else None
        return self._texts[topic.pk]

    def _prepared(self, topics: Iterable[Topic]) -> dict[int, Prepared]:
        return profiles.prepared(
            topics,
            space_id=self._ground.pk,
            prepare=self._ranker.prepare,
            encoder=self._ranker.sensed.name if self._ranker.sensed else "",
        )

    def _stored(self, topic_ids: Collection[int]) -> dict[int, Scores]:
        rows = self.edition.relevances.filter(topic__in=topic_ids).values_list("topic_id", "scored")
        return {
            topic_id: {pk: Scored(probability, reasons) for pk, probability, reasons in scored}
            for topic_id, scored in rows
        }

    def _score(
        self, topics: Mapping[int, Topic], found: Callable[[int], Collection[int]]
    ) -> dict[int, Scores]:
        """Of many topics at once, by topic id."""
        papers = {pk: found(topic.filter_id) for pk, topic in topics.items()}
        asked = [topic for pk, topic in topics.items() if papers[pk]]
        prepared = self._prepared(asked)
        if not prepared:
            return {}
        self._texts.update(
            (pk, self._ranker.shared(one) if one.words else None) for pk, one in prepared.items()
        )
        ids = list(prepared)
        at = self._positions
        hits = [sum(1 << at[paper_id] for paper_id in papers[pk]) for pk in ids]
        scorer = batch.Scorer(self._ranker.papers, self._ranker.sensed)
        scores = scorer.score(
            packing.Profiles.of([prepared[pk] for pk in ids]), batch.as_bits(hits, len(self.paper_ids))
        )
        all_scored = {}
        for number, pk in enumerate(ids):
            positions, log_odds = scores.of(number)
            by_paper = dict(zip(positions.tolist(), log_odds.tolist(), strict=True))
            scored = self._scored(prepared[pk], {paper_id: by_paper[at[paper_id]] for paper_id in papers[pk]})
            all_scored[pk] = _judged(topics[pk], scored)
        return all_scored

    def _scored(self, prepared: Prepared, log_odds: Mapping[int, float]) -> dict[int, Scored]:
        """Probabilities of these papers, and of the most relevant the reasons."""
        at = self._positions
        best = sorted(log_odds, key=lambda pk: (-log_odds[pk], at[pk]))[:REASONED]
        why = {pk: self._reasons(prepared, at[pk]) for pk in best}
        known = self._probabilities(log_odds)
        return {pk: Scored(probability, why.get(pk, [])) for pk, probability in known.items()}

    def _probabilities(self, log_odds: Mapping[int, float]) -> dict[int, float]:
        shown = self._ranker.probabilities(np.array(list(log_odds.values()), np.float32)).tolist()
        return {pk: round(probability, 4) for pk, probability in zip(log_odds, shown, strict=True)}

    def _reasons(self, prepared: Prepared, position: int) -> list[list[str]]:
        reasons = rank.explained(prepared, self._ranker.papers, position)
        return [[reason.field, reason.atom_text] for reason in reasons]

    @cached_property
    def _positions(self) -> dict[int, int]:
        return {pk: at for at, pk in enumerate(self.paper_ids)}

    @cached_property
    def _ground(self) -> spaces.Ground:
        return spaces.current()

    @cached_property
    def _ranker(self) -> rank.Ranker:
        index = self.index()
        papers = [
            {"id": pk, "title": document.title, "abstract": document.abstract}
            for pk, document in zip(self.paper_ids, index.documents, strict=True)
        ]
        ranker = rank.Ranker(calibration=spaces.scale(), encoder=extras.encoder())
        return ranker.fit(papers, self._ground.space, index=index)


def _judged(topic: Topic, scored: Scores) -> Scores:
    """Moved by a model's grades, where there are any."""
    grades = judge.grades_of(extras.interest_of(topic), scored)
    return {
        pk: one._replace(probability=round(judge.moved(one.probability, grades[pk]), 4))
        if pk in grades and one.probability is not None
        else one
        for pk, one in scored.items()
    }
