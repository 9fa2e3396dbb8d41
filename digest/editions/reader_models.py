"""Readers' own models as rows, and the installation's scale: learnt from what readers said, used by compose.

Nobody waits for either: without a model the default stands, with the reader's examples in it.
"""

import logging
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Protocol

import numpy as np
from django.db import transaction
from django.db.models import Count, F, Max, OuterRef, Q, Subquery
from django.db.models.fields.json import KeyTextTransform

from digest.editions.feedback import IS_LIKED, Examples, PaperDict, examples, own_row, removed_words
from digest.matching import extras, learning, profiles, rank, spaces
from digest.matching.learning import LinearModel
from digest.models import Calibration, Feedback, ReaderModel
from subscriptions.models import Topic

log = logging.getLogger(__name__)

REFIT_AFTER = timedelta(days=6)  # weekly, however often somebody asks
COUNTS_FOR = timedelta(days=400)  # how long an opinion says something of the scale
MOST_OPINIONS = 20_000


# --- a model of the reader's own ----------------------------------------------------------------------------


class Ranker(Protocol):
    """As digest.matching.rank has it: fitted on some papers, `vectors` are theirs in that order."""

    @property
    def vectors(self) -> Any: ...

    def score(self, profile: Mapping[str, Any], /) -> Iterable[float | None]: ...

    def vector_of(self, paper: Mapping[str, Any], /) -> Any: ...


Fit = Callable[[Sequence[PaperDict]], Ranker]  # a ranker fitted on these papers, in the space in use


def models(subscriber_ids: Collection[int]) -> dict[int, dict[int | None, LinearModel]]:
    """{subscriber id: {topic id: model}} of the readers whose own model is in use; one query.

    Under None stands the model for topics that have none of their own: `own.get(topic_id, own.get(None))`.
    For `learning.adjust`, in the space that the model names.
    """
    rows = ReaderModel.objects.filter(subscriber__in=subscriber_ids, is_better=True)
    return {
        subscriber_id: {
            int(topic_id) if topic_id else None: LinearModel.from_json(stored)
            for topic_id, stored in weights.get("models", {}).items()
        }
        for subscriber_id, weights in rows.values_list("subscriber_id", "weights")
    }


def due_to_learn(*, space: str, limit: int = 200) -> list[int]:
    """Readers who have said enough, and not all of it to their model, or not in this space."""
    own = ReaderModel.objects.filter(subscriber=OuterRef("subscriber_id"))
    due = (
        Feedback.objects.order_by()
        .values("subscriber_id")
        .annotate(
            said=Count("pk"),
            likes=Count("pk", filter=IS_LIKED),
            dislikes=Count("pk", filter=~IS_LIKED),
            last=Max("at"),
        )
        .filter(
            dislikes__gte=learning.LEAST_OF_A_KIND,
            said__gte=learning.LEAST_EXAMPLES,
            likes__gte=learning.LEAST_OF_A_KIND,
        )
        .annotate(
            examples=Subquery(own.values("examples")),
            made_at=Subquery(own.values("made_at")),
            space=Subquery(own.annotate(name=KeyTextTransform("space", "weights")).values("name")),
        )
        .filter(
            Q(examples=None)
            | ~Q(examples=F("said"))
            | Q(made_at__lt=F("last"))
            | Q(space=None)
            | ~Q(space=space)
        )
    )
    return list(due.order_by("last").values_list("subscriber_id", flat=True)[:limit])


def learn_due(*, now: datetime, seconds: float = 60.0, stop: Callable[[], bool] = lambda: False) -> int:
    """Learn the models that are due in the space in use, for at most `seconds`; how many were learnt."""
    began = time.monotonic()
    ground = spaces.current()

    def fit(papers: Sequence[PaperDict]) -> Ranker:
        return rank.Ranker(encoder=extras.encoder()).fit(papers, ground.space)

    learnt = 0
    for subscriber_id in due_to_learn(space=ground.name):
        if time.monotonic() - began > seconds or stop():
            break
        learn(subscriber_id, now=now, fit=fit, space=ground.name)
        learnt += 1
    return learnt


def learn(subscriber_id: int, *, now: datetime, fit: Fit, space: str) -> bool:
    """Learn a reader's own model anew; whether one is in use now. Some 0.1 s.

    `fit` gives a ranker of given papers in the space that is called `space`. Each topic with enough opinions
    has a model; what is said of the others together makes one for all of them. Nothing is written where the
    reader has said something else meanwhile: they are due again.
    """
    rows = Feedback.objects.filter(subscriber=subscriber_id)
    before = rows.aggregate(said=Count("pk"), last=Max("at"))
    removed = removed_words([subscriber_id]).get(subscriber_id, [])
    found = _models(examples([subscriber_id]).get(subscriber_id, {}), fit, space=space, removed=removed)
    with transaction.atomic():
        own = own_row(subscriber_id, now=now)
        if (
            rows.aggregate(said=Count("pk"), last=Max("at")) != before
            or own.weights.get("removed_words", []) != removed
        ):
            return False
        own.weights = {
            "space": space,
            "removed_words": removed,
            "models": {
                str(topic_id or ""): one.model.as_json() for topic_id, one in found.items() if one.is_better
            },
            "held_out": {
                str(topic_id or ""): {
                    "examples": one.examples,
                    "own": [round(one.own_loss, 3), round(one.own_auc, 3)],
                    "default": [round(one.default_loss, 3), round(one.default_auc, 3)],
                }
                for topic_id, one in found.items()
            },
        }
        own.examples, own.made_at = before["said"], now
        own.is_better = any(one.is_better for one in found.values())
        own.save()
    return own.is_better


def _models(
    said: Mapping[int | None, Examples], fit: Fit, *, space: str, removed: Collection[str]
) -> dict[int | None, learning.Learnt]:
    """A model for each topic that has opinions enough, and under None one from all of them together."""
    groups: dict[int | None, list[int | None]] = {topic_id: [topic_id] for topic_id in said if topic_id}
    groups[None] = list(said)  # where all is said of one topic, that one's model does
    if len(said) == 1 and None not in said:
        del groups[None]
    papers = {paper["id"]: paper for sides in said.values() for side in sides for paper in side}
    opinions = {
        key: [
            (topic_id, paper["id"], is_liked)
            for topic_id in topic_ids
            for is_liked, side in zip((True, False), said[topic_id], strict=True)
            for paper in side
        ]
        for key, topic_ids in groups.items()
    }
    opinions = {
        key: rows for key, rows in opinions.items() if learning.can_learn([liked for *_, liked in rows])
    }
    if not opinions:
        return {}
    ranker = fit(list(papers.values()))
    place = {paper_id: number for number, paper_id in enumerate(papers)}
    vectors = np.asarray(ranker.vectors)
    interests = Topic.objects.in_bulk([topic_id for topic_id in said if topic_id])
    blind = learning.directions(removed, ranker.vector_of)
    found: dict[int | None, learning.Learnt] = {}
    for key, rows in opinions.items():
        liked = [is_liked for *_, is_liked in rows]
        default = np.full(len(rows), np.nan)
        for part in learning.folds(liked):
            hidden = {rows[number][1] for number in part}
            for topic_id in {rows[number][0] for number in part}:
                # What was said of no topic counts for each.
                sides = [said[other] for other in dict.fromkeys((topic_id, None)) if other in said]
                profile = _profile(interests.get(topic_id or 0), sides, hidden)
                scores = [np.nan if one is None else float(one) for one in ranker.score(profile)]
                for number in part:
                    if rows[number][0] == topic_id:
                        default[number] = scores[place[rows[number][1]]]
        one = learning.learn(
            vectors[[place[paper_id] for _, paper_id, _ in rows]], liked, default, space=space
        )
        if one is not None:
            found[key] = replace(one, model=one.model.blind_to(blind))
    return found


def _profile(topic: Topic | None, said: Sequence[Examples], hidden: Collection[int]) -> Mapping[str, Any]:
    """What the ranker is told of a reader's topic, as compose tells it, but for the hidden papers."""
    liked, disliked = (
        [paper for sides in said for paper in sides[at] if paper["id"] not in hidden] for at in (0, 1)
    )
    if topic is None:
        return {"liked": liked, "disliked": disliked}
    return profiles.of_topic(topic, liked=liked, disliked=disliked)


# --- the installation's scale -------------------------------------------------------------------------------


def refit_calibration(*, now: datetime) -> Calibration | None:
    """Fit intercept and slope of the shown relevance to what readers said; None where nothing is to be done.

    At most weekly, from 200 opinions on that were said of papers with a relevance. See
    `learning.refit_calibration`, also for what is too little or too odd to be believed.
    """
    scales = list(Calibration.objects.order_by("made_at"))
    if scales and scales[-1].made_at > now - REFIT_AFTER:
        return None
    said = Feedback.objects.filter(relevance__isnull=False, at__gt=now - COUNTS_FOR, at__lte=now)
    rows = list(
        said.annotate(is_liked=IS_LIKED)
        .order_by("-at")
        .values_list("relevance", "is_liked", "at")[:MOST_OPINIONS]
    )
    probabilities = [_unscaled(float(shown or 0), at, scales) for shown, _, at in rows]
    fitted = learning.refit_calibration(probabilities, [is_liked for _, is_liked, _ in rows])
    if fitted is None:
        return None
    intercept, slope = fitted
    log.info("The relevance was scaled by %d opinions: %+.2f %.2fx.", len(rows), intercept, slope)
    return Calibration.objects.create(intercept=intercept, slope=slope, opinions=len(rows), made_at=now)


def _unscaled(shown: float, at: datetime, scales: Sequence[Calibration]) -> float:
    """The ranker's own probability behind one that was shown under the scale of that time."""
    used = next((one for one in reversed(scales) if one.made_at <= at), None)
    return learning.before_calibration(shown, used.intercept, used.slope) if used else shown
