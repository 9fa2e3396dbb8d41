"""How the constants of the score are found: a logistic regression for each kind of profile.

Its weights cannot be negative (but for `disliked`), so that every reason given for a paper is one: what a
paper has more of never lowers it.
"""

import itertools
import random
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

from digest.matching import rank, sense
from digest.matching.evaluation import Case, Labelled, Quality, calibration, cases, ranked
from digest.matching.features import FEATURES
from digest.matching.rank import Ranker

PENALTY = 1.0  # of squared weights, on features of spread 1
ALL_FEATURES = (*FEATURES, *sense.FEATURES)
_DISLIKED = FEATURES.index("disliked")
_TEXTS = ("name", "keywords", "sentence")
_FOLDS = 6

Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Sample:
    """The candidates of one question, measured."""

    topic: str
    kind: str
    case: Case
    measured: Matrix  # (all papers × FEATURES, and those of an encoder where the ranker has one)


@dataclass(frozen=True)
class Fitted:
    weights: Matrix  # as Sample.measured has columns
    intercept: float

    def scores(self, measured: Matrix) -> Matrix:
        return np.asarray(measured @ self.weights + self.intercept)


def samples(data: Labelled, ranker: Ranker, *, draws: int = 3) -> dict[str, list[Sample]]:
    """Every kind of profile that a reader can have, asked of every topic that has a list: by kind."""
    found: dict[str, list[Sample]] = defaultdict(list)
    for case in _all_cases(data, draws=draws):
        prepared = ranker.prepare(case.profile)
        if prepared is not None:
            measured = np.asarray(rank.measured(prepared, ranker.papers, ranker.sensed), float)
            found[prepared.kind].append(Sample(case.topic, prepared.kind, case, measured))
    return dict(found)


def _all_cases(data: Labelled, *, draws: int) -> Iterable[Case]:
    topics = {topic["id"]: topic for topic in data.topics}
    for mode in ("mix", "mix1", "mix3", "mix10", "k1", "k3", "k10"):
        for case in cases(data, mode, kinds=("list", "seed"), draws=draws):
            if mode.startswith("k"):
                yield case
                continue
            for size in (1, 2, 3):
                for texts in itertools.combinations(_TEXTS, size):
                    profile = {field: topics[case.topic][field] for field in texts}
                    yield Case(
                        case.topic,
                        profile | {"liked": case.profile["liked"]},
                        case.candidates,
                        case.relevant,
                    )
            if sentence := topics[case.topic].get("sentence_zh"):
                profile = {"sentence": sentence, "lang": "zh", "liked": case.profile["liked"]}
                yield Case(case.topic, profile, case.candidates, case.relevant)


def fit(chosen: Sequence[Sample]) -> Fitted:
    """The weights that make the labels of these samples most likely, with a small penalty on large ones."""
    measured = np.concatenate([sample.measured[sample.case.candidates] for sample in chosen])
    truth = np.concatenate([sample.case.relevant[sample.case.candidates] for sample in chosen]).astype(float)
    spread = measured.std(0)
    used = np.flatnonzero((spread > 1e-6) & (np.arange(len(spread)) != _DISLIKED))
    scaled = measured[:, used] / spread[used]
    weights, intercept = _regression(scaled, truth)
    full = np.zeros(len(spread))
    full[used] = weights / spread[used]
    return Fitted(full, intercept)


def _regression(scaled: Matrix, truth: Matrix) -> tuple[Matrix, float]:
    def loss(parameters: Matrix) -> tuple[float, Matrix]:
        weights, intercept = parameters[:-1], parameters[-1]
        odds = scaled @ weights + intercept
        wrong = 1 / (1 + np.exp(-odds)) - truth
        value = (np.logaddexp(0, odds) - truth * odds).sum() + PENALTY / 2 * weights @ weights
        return value, np.append(scaled.T @ wrong + PENALTY * weights, wrong.sum())

    number = scaled.shape[1]
    start = np.append(np.full(number, 0.1), -5.0)
    bounds = [(0, None)] * number + [(None, None)]
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 500})
    return found.x[:-1], float(found.x[-1])


def cross_validated(chosen: Sequence[Sample]) -> Quality:
    """How good constants are that were fitted on other topics: each topic is scored by a fit without it."""
    topics = sorted({sample.topic for sample in chosen})
    random.Random(1).shuffle(topics)
    found: dict[str, list[tuple[float, float, float, float]]] = {}
    probabilities, truths = [], []
    for fold in range(min(_FOLDS, len(topics))):
        left_out = set(topics[fold::_FOLDS])
        fitted = fit([sample for sample in chosen if sample.topic not in left_out])
        for sample in chosen:
            if sample.topic in left_out:
                scores = fitted.scores(sample.measured)
                found.setdefault(sample.topic, []).append(ranked(scores, sample.case))
                probabilities.append((1 / (1 + np.exp(-scores)))[sample.case.candidates])
                truths.append(sample.case.relevant[sample.case.candidates])
    means = {topic: np.mean(rows, axis=0) for topic, rows in found.items()}
    table = np.array(list(means.values()))
    error, precise = calibration(probabilities, truths)
    mean = table.mean(0)
    return Quality(
        topics=len(means),
        precision_at_10=float(mean[0]),
        recall_at_20=float(mean[1]),
        ndcg_at_10=float(mean[2]),
        mean_average_precision=float(mean[3]),
        lowest_precision=float(table[:, 0].min()),
        calibration_error=error,
        precision_at_70=precise,
        by_topic={topic: (float(row[0]), float(row[3])) for topic, row in means.items()},
    )


def as_json(fits: Mapping[str, Fitted], *, papers: int, topics: int) -> dict[str, Any]:
    """As rank.py reads them."""
    return {
        "fitted_on": {"papers": papers, "topics": topics},
        "kinds": {
            kind: {
                "intercept": round(one.intercept, 4),
                "weights": {
                    name: round(float(weight), 4)
                    for name, weight in zip(ALL_FEATURES[: len(one.weights)], one.weights, strict=True)
                    if weight
                },
            }
            for kind, one in sorted(fits.items())
        },
    }
