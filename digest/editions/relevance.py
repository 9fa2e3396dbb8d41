"""How relevant an edition's papers are to topics: once for all who follow one, anew for who taught it more.

Popularity has no part in it. Compose orders papers by its bands, and by trending within a band.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from digest.matching import calibration, extras, judge, learning, profiles, rank, spaces
from digest.matching.features import Prepared
from digest.matching.index import DayIndex
from digest.matching.learning import LinearModel
from digest.models import Calibration, Edition, EditionRelevance
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
        missing = [topic for pk, topic in wanted.items() if pk not in self._known]
        rows = [
            EditionRelevance(
                edition=self.edition,
                topic=topic,
                scored=[[pk, *scored] for pk, scored in self._score(topic, found(topic.filter_id)).items()],
            )
            for topic in missing
        ]
        if rows:
            # Another process may have scored one meanwhile: the stored scores are everybody's.
            EditionRelevance.objects.bulk_create(rows, ignore_conflicts=True, batch_size=200)
            self._known.update(self._stored([topic.pk for topic in missing]))

    def personal(
        self,
        topic: Topic,
        found: Collection[int],
        *,
        liked: Sequence[Mapping[str, Any]],
        disliked: Sequence[Mapping[str, Any]],
        model: LinearModel | None,
    ) -> Scores:
        """The same for one reader, with what they said of other papers."""
        profile = profiles.of_topic(topic, liked=liked, disliked=disliked)
        prepared = self._ranker.prepare(profile) if profile and found else None
        if prepared is None:
            return _NONE
        scores = self._log_odds(prepared)
        if model is not None:
            scores = np.asarray(
                learning.adjust(scores, self._ranker.vectors, model, space=self._ground.name), np.float32
            )
        is_told = bool(prepared.words) or len(prepared.liked) > 1
        return self._scored(prepared, scores, found, is_told=is_told)

    def _stored(self, topic_ids: Collection[int]) -> dict[int, Scores]:
        rows = self.edition.relevances.filter(topic__in=topic_ids).values_list("topic_id", "scored")
        return {
            topic_id: {pk: Scored(probability, reasons) for pk, probability, reasons in scored}
            for topic_id, scored in rows
        }

    def _score(self, topic: Topic, found: Collection[int]) -> Scores:
        prepared = self._ranker.prepare(profiles.of_topic(topic)) if found else None
        if prepared is None:
            return _NONE
        scored = self._scored(prepared, self._log_odds(prepared), found, is_told=True)
        grades = judge.grades_of(extras.interest_of(topic), found)
        return {
            pk: one._replace(probability=round(judge.moved(one.probability, grades[pk]), 4))
            if pk in grades and one.probability is not None
            else one
            for pk, one in scored.items()
        }

    def _scored(
        self, prepared: Prepared, scores: rank.Scores, found: Collection[int], *, is_told: bool
    ) -> Scores:
        """Probabilities of these papers, and of the most relevant the reasons."""
        at = self._positions
        probabilities = self._ranker.probabilities(scores)
        best = sorted(found, key=lambda pk: (-scores[at[pk]], at[pk]))[:REASONED]
        why = {pk: self._reasons(prepared, at[pk]) for pk in best}
        return {
            pk: Scored(round(float(probabilities[at[pk]]), 4) if is_told else None, why.get(pk, []))
            for pk in found
        }

    def _reasons(self, prepared: Prepared, position: int) -> list[list[str]]:
        reasons = rank.explained(prepared, self._ranker.papers, position)
        return [[reason.field, reason.atom_text] for reason in reasons]

    def _log_odds(self, prepared: Prepared) -> rank.Scores:
        return self._ranker.score(prepared)

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
        ranker = rank.Ranker(calibration=calibration_in_use(), encoder=extras.encoder())
        return ranker.fit(papers, self._ground.space, index=index)


def calibration_in_use() -> rank.Calibration:
    """What this installation's readers taught of the percentages, if they taught enough."""
    newest = Calibration.objects.order_by("-made_at").first()
    return rank.Calibration(newest.intercept, newest.slope) if newest else rank.Calibration()
