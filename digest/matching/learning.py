"""What a reader's opinions teach: a linear model of their own, the words in it, and the installation's scale.

Pure: arrays, texts and numbers in, numbers out; no database, no settings. What learns imports scikit-learn
and SciPy's optimisers where it stands: that takes two seconds, and most only use what was learnt.

**The model.** The default ranker gives a paper log-odds, already with the reader's liked and disliked papers
in its profile. A `LinearModel` corrects them by where the paper lies in the ranker's space:

    log-odds = intercept + slope * default + paper's vector · vector

It is a logistic regression whose prior is "the default is right" (intercept 0, slope 1, vector 0), so few
opinions change little. It is in use only where it foresaw held-out opinions better than the default did; see
`learn`. How it is plugged in, for n papers in a space of d dimensions:

    ranker = Ranker().fit(papers)          # ranker.vectors: (n, d) float32, unit rows (or zero)
    scores = ranker.score(profile)         # n log-odds, nan: not matched
    scores = adjust(scores, ranker.vectors, model)

A model belongs to the space that it was learnt in (`LinearModel.space`, a name given by whoever trains
spaces); in another it says nothing, and the default stands until the model is learnt again.

**The words** are shown to the reader and are not what the model computes with. A word that the reader takes
out is taken out of their liked and disliked papers before anything is learnt from them (`without`), and its
direction out of the model (`LinearModel.blind_to`).
"""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from digest.matching import terms
from subscriptions.filters import evaluate, normal, tree

Floats = NDArray[np.floating[Any]]

# --- a reader's own model ---------------------------------------------------------------------------------

LEAST_EXAMPLES = 10
LEAST_OF_A_KIND = 3  # likes, and dislikes: fewer cannot be held out and learnt from at once
FOLDS = 5
REPEATS = 4  # of the division into folds, so that no single one decides
MARGIN = 0.03  # nats of log-loss an opinion, by which the own model must be better than the default
_SIGNIFICANT = 2.0  # standard errors above chance: one in forty by luck

# Precision of the prior on intercept, slope and each dimension of a unit vector.
_INTERCEPT, _SLOPE, _DIMENSION = 0.1, 2.0, 0.1


@dataclass(frozen=True)
class LinearModel:
    """Corrects the default's log-odds for one reader (and topic) in the space named `space`."""

    intercept: float
    slope: float
    vector: Floats  # d numbers
    space: str = ""

    def as_json(self) -> dict[str, Any]:
        """Some 1.5 KB for 200 dimensions."""
        return {
            "intercept": round(self.intercept, 4),
            "slope": round(self.slope, 4),
            "vector": [round(float(number), 3) for number in self.vector],
            "space": self.space,
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        """Raises KeyError, TypeError or ValueError for what `as_json` has not written."""
        return cls(
            float(stored["intercept"]),
            float(stored["slope"]),
            np.array(stored["vector"], np.float32),
            str(stored["space"]),
        )

    def blind_to(self, directions: ArrayLike) -> Self:
        """The model without what lies in these directions, (k, d): where a removed word points to."""
        wanted = np.atleast_2d(np.asarray(directions, float))
        if wanted.size == 0 or wanted.shape[1] != len(self.vector):
            return self
        _, strengths, basis = np.linalg.svd(wanted, full_matrices=False)
        basis = basis[strengths > 1e-6]
        return replace(self, vector=self.vector - basis.T @ (basis @ self.vector))


@dataclass(frozen=True)
class Learnt:
    """A model, and how it compares on held-out opinions: mean log-loss and area under the ROC curve."""

    model: LinearModel
    is_better: bool
    own_loss: float
    default_loss: float
    own_auc: float
    default_auc: float
    examples: int


def can_learn(liked: Sequence[bool]) -> bool:
    """Whether there are opinions enough, of both kinds, for a model to be tried."""
    likes = sum(map(bool, liked))
    return len(liked) >= LEAST_EXAMPLES and min(likes, len(liked) - likes) >= LEAST_OF_A_KIND


def folds(liked: Sequence[bool]) -> list[list[int]]:
    """The opinions in parts to hold out one after the other: at most 5, stratified, always the same.

    For `learn`'s `default`: hold out each part, give the ranker the rest as liked and disliked papers, and
    take its score of the part.
    """
    return [part.tolist() for part in _folds(np.asarray(liked, bool), seed=0)]


def _folds(liked: NDArray[np.bool_], *, seed: int) -> list[NDArray[np.int_]]:
    from sklearn.model_selection import StratifiedKFold

    smaller = int(min(liked.sum(), (~liked).sum()))
    division = StratifiedKFold(min(FOLDS, smaller), shuffle=True, random_state=seed)
    return [held_out for _, held_out in division.split(np.zeros(len(liked)), liked)]


def learn(vectors: ArrayLike, liked: Sequence[bool], default: ArrayLike, *, space: str = "") -> Learnt | None:
    """A model of these opinions, and whether it is to be used; None where there are too few (`can_learn`).

    `vectors` are the papers' as the ranker places them, (n, d). `default` are the log-odds that the ranker
    gives each paper when it does not know this opinion (see `folds`); nan counts as its lowest.

    It is better where, over 4 times 5 parts, each foreseen from the others,
    1. it tells liked from disliked papers at all: its AUC lies above chance by two standard errors
       (Mann-Whitney), so that opinions thrown at random are not followed;
    2. its log-loss is lower than the default's by 0.03 nats, where the default, too, may move its
       intercept and slope to the reader's opinions: that somebody likes most of what comes is no taste;
    3. its AUC is not lower than the default's.
    """
    from sklearn.metrics import roc_auc_score

    opinions = np.asarray(liked, bool)
    if not can_learn(opinions.tolist()):
        return None
    placed = np.asarray(vectors, float)
    known = np.asarray(default, float)
    finite = np.isfinite(known)
    scores = np.where(finite, known, known[finite].min() if finite.any() else 0.0)
    own, plain = np.zeros(len(opinions)), np.zeros(len(opinions))
    for seed in range(REPEATS):
        for held_out in _folds(opinions, seed=seed):
            rest = np.setdiff1d(np.arange(len(opinions)), held_out)
            model = _fitted(placed[rest], scores[rest], opinions[rest])
            own[held_out] += _corrected(scores[held_out], placed[held_out], model) / REPEATS
            scale = _logistic(_with_ones(scores[rest]), opinions[rest], (0.0, 1.0), (_INTERCEPT, _SLOPE))
            plain[held_out] += _with_ones(scores[held_out]) @ scale / REPEATS
    own_loss, plain_loss = _loss(opinions, own), _loss(opinions, plain)
    own_auc, default_auc = float(roc_auc_score(opinions, own)), float(roc_auc_score(opinions, scores))
    likes = int(opinions.sum())
    dislikes = len(opinions) - likes
    error = math.sqrt((len(opinions) + 1) / (12 * likes * dislikes))
    return Learnt(
        model=replace(_fitted(placed, scores, opinions), space=space),
        is_better=own_auc >= 0.5 + _SIGNIFICANT * error
        and own_loss <= plain_loss - MARGIN
        and own_auc >= default_auc,
        own_loss=own_loss,
        default_loss=plain_loss,
        own_auc=own_auc,
        default_auc=default_auc,
        examples=len(opinions),
    )


def adjust(
    scores: ArrayLike, vectors: ArrayLike, model: LinearModel | None, *, space: str | None = None
) -> Floats:
    """The default's log-odds, corrected: n scores and (n, d) vectors in, n scores out; nan stays nan.

    Unchanged without a model, and where the model is of another space (`space` given, or d another).
    """
    default = np.asarray(scores, float)
    if model is None or (space is not None and space != model.space):
        return default
    placed = np.asarray(vectors)
    if placed.ndim != 2 or placed.shape[1] != len(model.vector):
        return default
    return _corrected(default, placed, model)


def _corrected(scores: Floats, vectors: Floats, model: LinearModel) -> Floats:
    corrected: Floats = model.intercept + model.slope * scores + vectors @ model.vector
    return corrected


def _fitted(vectors: Floats, scores: Floats, liked: NDArray[np.bool_]) -> LinearModel:
    # The prior is the same in all directions, so the vector lies where the opinions' papers span.
    within, strengths, basis = np.linalg.svd(vectors, full_matrices=False)
    size = len(strengths)
    prior = np.concatenate([[0.0, 1.0], np.zeros(size)])
    precision = np.concatenate([[_INTERCEPT, _SLOPE], np.full(size, _DIMENSION)])
    weights = _logistic(np.hstack([_with_ones(scores), within * strengths]), liked, prior, precision)
    # A slope below zero would turn the whole order of the topic round for want of better knowledge.
    return LinearModel(float(weights[0]), max(0.0, float(weights[1])), weights[2:] @ basis)


def _logistic(features: Floats, labels: ArrayLike, prior: ArrayLike, precision: ArrayLike) -> Floats:
    """Logistic regression with a normal prior on each weight: the most probable weights.

    scikit-learn's own pulls all weights to zero; here "no opinion" is the default's weights.
    """
    from scipy.optimize import minimize

    sign = np.where(np.asarray(labels, bool), 1.0, -1.0)
    start, strength = np.asarray(prior, float), np.asarray(precision, float)

    def cost(weights: Floats) -> tuple[float, Floats]:
        margin = sign * (features @ weights)
        away = weights - start
        value = np.logaddexp(0.0, -margin).sum() + 0.5 * (strength * away**2).sum()
        return float(value), strength * away - features.T @ (sign * _probability(-margin))

    def curvature(weights: Floats) -> Floats:
        chance = _probability(features @ weights)
        bent: Floats = (features.T * (chance * (1 - chance))) @ features + np.diag(strength)
        return bent

    found: Floats = minimize(cost, start, jac=True, hess=curvature, method="trust-exact").x
    return found


def _with_ones(scores: Floats) -> Floats:
    return np.column_stack([np.ones(len(scores)), scores])


def _loss(liked: NDArray[np.bool_], scores: Floats) -> float:
    return float(np.logaddexp(0.0, np.where(liked, -scores, scores)).mean())


def _probability(odds: Floats) -> Floats:
    likely: Floats = 0.5 * (1 + np.tanh(0.5 * odds))  # the logistic function, which overflows nowhere
    return likely


def _log_odds(probabilities: ArrayLike) -> Floats:
    given = np.clip(np.asarray(probabilities, float), _CERTAIN, 1 - _CERTAIN)
    odds: Floats = np.log(given / (1 - given))
    return odds


# --- the installation's scale -----------------------------------------------------------------------------

LEAST_OPINIONS = 200
_LEAST_OF_A_KIND = 20
_CERTAIN = 0.001  # probabilities are kept this far from 0 and 1
SLOPES = (0.25, 4.0)  # beyond it, readers contradict the ranker so much that numbers are not the cure
_SCALE_PRECISION = (1.0, 10.0)  # of the prior (0, 1): as if some opinions had already said "as it is"


def refit_calibration(probabilities: Sequence[float], opinions: Sequence[bool]) -> tuple[float, float] | None:
    """(intercept, slope) of the shown relevance by what readers said: sigmoid(intercept + slope * log-odds).

    `probabilities` are those of the ranker before any such correction (`before_calibration`), each with
    whether the reader wanted more like it. None, and the old scale stays, with fewer than 200 opinions,
    fewer than 20 of one kind, or a slope that says that the ranker is wrong rather than badly scaled.

    Readers speak of papers that they were shown, so this says nothing of those below the threshold.
    """
    liked = np.asarray(opinions, bool)
    given = np.asarray(probabilities, float)
    known = np.isfinite(given)
    liked, given = liked[known], given[known]
    likes = int(liked.sum())
    if len(liked) < LEAST_OPINIONS or min(likes, len(liked) - likes) < _LEAST_OF_A_KIND:
        return None
    intercept, slope = _logistic(_with_ones(_log_odds(given)), liked, (0.0, 1.0), _SCALE_PRECISION)
    if not SLOPES[0] <= slope <= SLOPES[1]:
        return None
    return float(intercept), float(slope)


def before_calibration(probability: float, intercept: float, slope: float) -> float:
    """The ranker's probability behind one that was shown under this intercept and slope."""
    return float(_probability((_log_odds(probability) - intercept) / slope))


# --- the words --------------------------------------------------------------------------------------------

Text = tuple[str, str]  # title and abstract

_TOKEN = re.compile(r"[^\W_]+(?:[-’'][^\W_]+)*")
_BETWEEN = re.compile(r"[ \u00a0]+")  # between two words of one term
_LEAST_LETTERS = 2
_PRIOR_PAPERS = 2.0  # papers in general weigh as much as this many of the reader's
_UNKNOWN_SHARE = 0.002  # of papers that have a word which none of the background has
_UNSEEN_PAPERS = 50  # that many with none of the words are thought beside the background
_LEAST_DIFFERENCE = 0.1  # in the share of papers that have the word
_LEAST_WEIGHT = 0.4  # below it, a word may well be chance
_IN_ABSTRACT = 0.5  # of a word in the title
_INSIDE = 0.6  # "world model" stands for "model" where it makes up this much of it


@dataclass(frozen=True)
class Word:
    """A term as the papers write it, and in how many liked and disliked papers it stands."""

    text: str
    weight: float  # above 0: liked
    liked: int
    disliked: int


@dataclass(frozen=True)
class Background:
    """In what share of papers in general each term stands. Make it with `of`, some 2 ms a paper."""

    shares: Mapping[str, float]

    @classmethod
    def of(cls, texts: Iterable[Text]) -> Self:
        counts: Counter[str] = Counter()
        papers = 0
        for title, abstract in texts:
            papers += 1
            counts.update(_terms(title).keys() | _terms(abstract).keys())
        # A handful of papers, such as the reader's own, says little of papers in general.
        unseen = _UNSEEN_PAPERS * _UNKNOWN_SHARE
        return cls(
            {
                term: (number + unseen) / (papers + _UNSEEN_PAPERS)
                for term, number in counts.items()
                if number > 1
            }
        )

    def share(self, term: str) -> float:
        return self.shares.get(term, _UNKNOWN_SHARE)


def telling_words(
    liked: Sequence[Text],
    disliked: Sequence[Text],
    *,
    background: Background,
    removed: Collection[str] = (),
    most: int = 12,
) -> tuple[list[Word], list[Word]]:
    """The words and pairs of words that set a reader's papers apart, (liked, disliked), strongest first.

    Texts are (title, abstract) of each paper. The mean tf-idf vector of the liked papers less that of the
    disliked ones (Rocchio): a word counts once a paper, and half where it stands in the abstract alone; what
    all papers say weighs next to nothing, and a word that stands in liked and disliked papers alike does not
    tell. Papers in general stand in for a side that has few. A word that no title has must stand in two
    papers. `removed`, in any spelling, are left out.
    """
    sides = (_Side.of(liked), _Side.of(disliked))
    gone = set(map(_term, removed))
    words: list[tuple[str, Word]] = []
    for term in dict.fromkeys([*sides[0].papers, *sides[1].papers]):
        here, there = sides[0].papers[term], sides[1].papers[term]
        titles = sides[0].titles[term] + sides[1].titles[term]
        if term in gone or (not titles and here + there < 2):
            continue
        share = background.share(term)
        difference = sides[0].share(term, share) - sides[1].share(term, share)
        if abs(difference) >= _LEAST_DIFFERENCE:
            text = _surface(sides[0].written[term] + sides[1].written[term])
            words.append((term, Word(text, -difference * math.log(share), here, there)))
    return _strongest(words, 1, most), _strongest(words, -1, most)


@dataclass
class _Side:
    """The liked or the disliked papers: in how many each term stands, in how many titles, how written."""

    number: int
    papers: Counter[str]
    titles: Counter[str]
    written: dict[str, Counter[str]]

    @classmethod
    def of(cls, texts: Sequence[Text]) -> Self:
        side = cls(len(texts), Counter(), Counter(), defaultdict(Counter))
        for title, abstract in texts:
            in_title = _terms(title)
            in_abstract = _terms(abstract)
            side.titles.update(in_title.keys())
            side.papers.update(in_title.keys() | in_abstract.keys())
            for term, written in (*in_title.items(), *in_abstract.items()):
                side.written[term].update(written)
        return side

    def share(self, term: str, usual: float) -> float:
        counted = self.titles[term] + (self.papers[term] - self.titles[term]) * _IN_ABSTRACT
        return (counted + _PRIOR_PAPERS * usual * _IN_ABSTRACT) / (self.number + _PRIOR_PAPERS)


def without(text: str, words: Iterable[str]) -> str:
    """The text without these words and phrases, in any inflection and spelling that a filter would find."""
    spans = normal.merged(
        span for word in words for span in evaluate.spans(tree.words(" ".join(word.split())), text)
    )
    for start, end in reversed(spans):
        text = text[:start] + text[end:]
    return text


def _strongest(words: Iterable[tuple[str, Word]], sign: int, most: int) -> list[Word]:
    """Words of one side; of "model" and "world model" the one that says it all."""
    ordered = sorted(
        ((term, word) for term, word in words if sign * word.weight >= _LEAST_WEIGHT),
        # Of equals the longer, which says more.
        key=lambda found: (-round(sign * found[1].weight, 3), -len(found[0]), found[0]),
    )
    chosen: dict[str, Word] = {}
    for term, word in ordered:
        stems = set(term.split())
        number = word.liked if sign > 0 else word.disliked
        for other, taken in chosen.items():
            there = taken.liked if sign > 0 else taken.disliked
            if stems & set(other.split()) and min(number, there) >= _INSIDE * max(number, there):
                # The pair says more than its part, and stands in nearly as many papers.
                if stems > set(other.split()):
                    chosen = {term if key == other else key: value for key, value in chosen.items()}
                    chosen[term] = word
                break
        else:
            chosen[term] = word
        if len(chosen) >= most:
            break
    return list(chosen.values())


def _terms(text: str) -> dict[str, Counter[str]]:
    """The stems of a text, and of neighbouring words, each with how it is written there."""
    found: dict[str, Counter[str]] = defaultdict(Counter)
    tokens = [(match, _stem(match.group())) for match in _TOKEN.finditer(text)]
    for match, stem in tokens:
        if stem:
            found[stem][match.group()] += 1
    for (one, stem), (other, next_stem) in pairwise(tokens):
        if stem and next_stem and _BETWEEN.fullmatch(text, one.end(), other.start()):
            found[f"{stem} {next_stem}"][text[one.start() : other.end()]] += 1
    return found


def _stem(word: str) -> str:
    """Empty for what tells nothing: stop words, numbers, what every abstract says. Chinese is not cut."""
    folded = normal.fold(word).text
    if len(folded) < _LEAST_LETTERS or not any(map(str.isalpha, folded)) or normal.is_cjk(folded[0]):
        return ""
    if folded.endswith("ly"):
        return ""
    stem = " ".join(map(normal.stem, folded.split())).replace(" ", "")
    return stem if terms.is_telling(stem) and stem not in terms.SCHOLARLY else ""


def _term(text: str) -> str:
    """A word or phrase as `_terms` names it."""
    return " ".join(stem for match in _TOKEN.finditer(text) if (stem := _stem(match.group())))


def _surface(written: Counter[str]) -> str:
    """The commonest spelling, in small letters where anybody writes it so: "agents", but "LLM"."""
    small = [text for text in written if text == text.lower()]
    return max(small or written, key=lambda text: (written[text], text))


Project = Callable[[Mapping[str, Any]], ArrayLike]


def directions(words: Iterable[str], vector_of: Project) -> Floats:
    """Where these words point in the ranker's space, (k, d), for `LinearModel.blind_to`."""
    rows = [np.asarray(vector_of({"id": "", "title": word, "abstract": ""}), float) for word in words]
    return np.array(rows) if rows else np.zeros((0, 0))
