"""How good the matcher is on labelled papers: the measures of retrieval, and how honest its percentages are.

The format of the data and the protocol are those of the project's labelled sets; see docs/matching.md.
"""

import gzip
import json
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from digest.matching import features
from digest.matching.rank import Ranker

MODES = ("name", "keywords", "sentence", "zh", "k1", "k3", "k10", "mix3")
SHOWN = 0.3  # calibration is asked of what is at least this probable
_FIELDS = ("id", "title", "abstract", "authors", "published")  # categories are withheld: some are topics
_SPARE = 8  # relevant papers that must be left when some are given as liked
_TEXT = {
    "name": ("name",),
    "keywords": ("keywords",),
    "sentence": ("sentence",),
    "mix": ("name", "keywords", "sentence"),
}

Bits = npt.NDArray[np.bool_]


class BadDataError(ValueError):
    """The folder holds no labelled papers in the form that is known."""


@dataclass(frozen=True)
class Labelled:
    """Papers, topics, and each topic's papers by grade: 2 the source's own, 1 judged relevant, 0 not."""

    papers: list[dict[str, Any]]
    topics: list[dict[str, Any]]
    grades: dict[str, dict[str, int]]

    @cached_property
    def positions(self) -> dict[str, int]:
        return {paper["id"]: at for at, paper in enumerate(self.papers)}

    @classmethod
    def read(cls, folder: Path) -> "Labelled":
        """Raises BadDataError."""
        try:
            with gzip.open(folder / "papers.jsonl.gz", "rt", encoding="utf-8") as lines:
                papers = [json.loads(line) for line in lines]
            topics = [json.loads(line) for line in (folder / "topics.jsonl").read_text("utf-8").splitlines()]
            grades: dict[str, dict[str, int]] = {topic["id"]: {} for topic in topics}
            for line in (folder / "qrels.tsv").read_text("utf-8").splitlines():
                if line.strip() and not line.startswith("#"):
                    topic, paper, grade = line.split("\t")[:3]
                    grades.setdefault(topic, {})[paper] = int(grade)
        except (OSError, ValueError, KeyError) as error:
            raise BadDataError(
                f"{folder} should hold papers.jsonl.gz, topics.jsonl and qrels.tsv: {error}. "
                "Their form stands in docs/matching.md."
            ) from error
        return cls(papers, topics, grades)


@dataclass(frozen=True)
class Case:
    """One question: a profile, which papers may answer, and which of them are right."""

    topic: str
    profile: dict[str, Any]
    candidates: Bits
    relevant: Bits


def cases(data: Labelled, mode: str, *, kinds: Iterable[str] = (), draws: int = 3) -> Iterator[Case]:
    """All questions of one mode. Liked papers are drawn from those the source itself names, with a fixed
    seed, and are no candidates; topics with too few of them are left out."""
    text, number = _parts(mode)
    chosen = set(kinds)
    for topic in data.topics:
        if chosen and topic["kind"] not in chosen:
            continue
        grades = {pk: grade for pk, grade in data.grades[topic["id"]].items() if pk in data.positions}
        named = sorted(pk for pk, grade in grades.items() if grade >= 2)
        if number and len(named) < number + _SPARE:
            continue
        if mode == "zh" and not topic.get("sentence_zh"):
            continue
        profile: dict[str, Any] = {field: topic[field] for field in text}
        if mode == "zh":
            profile = {"sentence": topic["sentence_zh"], "lang": "zh"}
        for draw in range(draws if number else 1):
            liked = random.Random(f"{topic['id']}/{number}/{draw}").sample(named, number)
            right = {pk for pk, grade in grades.items() if grade > 0} - set(liked)
            yield Case(
                topic["id"],
                {**profile, "liked": [_paper(data, pk) for pk in liked]},
                _candidates(data, topic, liked),
                np.array([paper["id"] in right for paper in data.papers]),
            )


def _parts(mode: str) -> tuple[tuple[str, ...], int]:
    """ "mix3" → all three texts and 3 liked papers."""
    word = mode.rstrip("0123456789")
    number = int(mode[len(word) :] or 0)
    if mode != "zh" and word != "k" and word not in _TEXT:
        raise ValueError(f"There is no mode {mode}. Modes: {', '.join(MODES)}.")
    return _TEXT.get(word, ()), number


def _candidates(data: Labelled, topic: Mapping[str, Any], liked: Sequence[str]) -> Bits:
    only = topic.get("pool") == "categories"
    return np.array(
        [paper["id"] not in liked and (not only or bool(paper.get("categories"))) for paper in data.papers]
    )


def _paper(data: Labelled, paper_id: str) -> dict[str, Any]:
    paper = data.papers[data.positions[paper_id]]
    return {field: paper.get(field) for field in _FIELDS}


# --- measures -----------------------------------------------------------------------------------------------


class Scorer(Protocol):
    def score(self, profile: Mapping[str, Any]) -> npt.NDArray[np.float32]: ...


class WordsOnly:
    """What the matcher is compared with: BM25 for text, the cosine of word weights for liked papers.

    `ranker` is fitted; its counts and its ground are taken over.
    """

    def __init__(self, ranker: Ranker) -> None:
        self._ranker = ranker

    def score(self, profile: Mapping[str, Any]) -> npt.NDArray[np.float32]:
        papers = self._ranker.papers
        prepared = self._ranker.prepare(profile)
        if prepared is None:
            return np.full(len(papers), np.nan, np.float32)
        if prepared.words:
            return features.measured(prepared, papers)[:, features.FEATURES.index("words")]
        weights = papers.space.weights(papers.counts[:, : len(papers.space.words)])
        lengths = np.sqrt(np.asarray(weights.multiply(weights).sum(1)).ravel()) + 1e-9
        liked = [papers.positions[paper["id"]] for paper in profile["liked"]]
        summed = np.asarray(weights[liked].sum(0)).ravel()
        return np.asarray(weights @ summed, np.float32) / lengths


@dataclass(frozen=True)
class Quality:
    """Means over topics, of one mode. `by_topic`: each topic's mean over its draws."""

    topics: int
    precision_at_10: float
    recall_at_20: float
    ndcg_at_10: float
    mean_average_precision: float
    lowest_precision: float
    calibration_error: float | None  # of papers at SHOWN or more; None where no probabilities are given
    precision_at_70: float | None  # of papers shown at 70 % or more
    by_topic: dict[str, tuple[float, float]]  # precision at 10, average precision


def quality(
    scorer: Scorer, data: Labelled, mode: str, *, kinds: Iterable[str] = (), draws: int = 3
) -> Quality:
    """How well a fitted scorer answers the questions of one mode. Unjudged papers count as not relevant."""
    found: dict[str, list[tuple[float, float, float, float]]] = {}
    probabilities: list[npt.NDArray[np.float64]] = []
    truths: list[Bits] = []
    for case in cases(data, mode, kinds=kinds, draws=draws):
        scores = np.nan_to_num(np.asarray(scorer.score(case.profile), float), nan=-np.inf)
        found.setdefault(case.topic, []).append(ranked(scores, case))
        if isinstance(scorer, Ranker) and (shown := scorer.relevance(case.profile)) is not None:
            probabilities.append(np.array(shown)[case.candidates])
            truths.append(case.relevant[case.candidates])
    means = {topic: np.mean(rows, axis=0) for topic, rows in found.items()}
    table = np.array(list(means.values()))
    error, precise = calibration(probabilities, truths) if probabilities else (None, None)
    return Quality(
        topics=len(means),
        precision_at_10=float(table[:, 0].mean()),
        recall_at_20=float(table[:, 1].mean()),
        ndcg_at_10=float(table[:, 2].mean()),
        mean_average_precision=float(table[:, 3].mean()),
        lowest_precision=float(table[:, 0].min()),
        calibration_error=error,
        precision_at_70=precise,
        by_topic={topic: (float(row[0]), float(row[3])) for topic, row in means.items()},
    )


def ranked(scores: npt.NDArray[np.float64], case: Case) -> tuple[float, float, float, float]:
    """Precision at 10, recall at 20, nDCG at 10 and average precision of one ranking."""
    order = np.argsort(-np.where(case.candidates, scores, -np.inf), kind="stable")
    order = order[(np.where(case.candidates, scores, -np.inf) > -np.inf)[order]]
    hits = case.relevant[order]
    number = int(case.relevant.sum())
    if not number:
        return 0.0, 0.0, 0.0, 0.0
    gains = 1 / np.log2(np.arange(2, 12))
    places = np.flatnonzero(hits) + 1
    return (
        float(hits[:10].sum() / 10),
        float(hits[:20].sum() / min(number, 20)),
        float((hits[:10] * gains[: len(hits[:10])]).sum() / gains[: min(number, 10)].sum()),
        float((np.arange(1, len(places) + 1) / places).sum() / number),
    )


def calibration(
    probabilities: Sequence[npt.NDArray[np.float64]], truths: Sequence[Bits]
) -> tuple[float | None, float | None]:
    """The expected error of what is shown, in ten bins of equal width; and the precision from 70 % on."""
    given, true = np.concatenate(probabilities), np.concatenate(truths)
    shown = given >= SHOWN
    if not shown.any():
        return None, None
    bins = np.minimum((given * 10).astype(int), 9)
    error = sum(
        abs(given[chosen].sum() - true[chosen].sum())
        for number in range(int(SHOWN * 10), 10)
        if (chosen := shown & (bins == number)).any()
    )
    sure = given >= 0.7
    return float(error / shown.sum()), float(true[sure].mean()) if sure.any() else None


def interval(differences: Sequence[float], *, samples: int = 2_000) -> tuple[float, float, float]:
    """Mean and 95 % interval of paired differences, by the bootstrap over topics."""
    values = np.asarray(differences, float)
    drawn = np.random.default_rng(1).integers(0, len(values), (samples, len(values)))
    means = values[drawn].mean(1)
    return float(values.mean()), float(np.quantile(means, 0.025)), float(np.quantile(means, 0.975))


def compared(ours: Quality, theirs: Quality) -> tuple[float, float, float]:
    """The gain in average precision, topic by topic: mean and 95 % interval."""
    return interval([ours.by_topic[topic][1] - theirs.by_topic[topic][1] for topic in ours.by_topic])
