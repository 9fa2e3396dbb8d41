"""The matcher: how well papers suit an interest, how sure that is, and which words say so.

Importable without settings, database or network. What it measures stands in features.py, on what ground in
space.py, how its constants were found in docs/matching.md.
"""

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from digest.matching import encoders, features, sense, space, terms
from digest.matching.encoders import Encoder, NoEncoder
from digest.matching.explain import Reason
from digest.matching.features import FEATURES, Counted, Papers, Prepared, Shared
from digest.matching.index import DayIndex
from digest.matching.sense import Sensed
from digest.matching.space import Floats, Space
from subscriptions.filters import Document, normal

Profile = Mapping[str, Any]  # see design.md, "The matcher as a plug-in"; every key may be missing
Scores = npt.NDArray[np.float32]  # log-odds, one for each paper

# Labels cannot tell this one, since nobody's dislikes are among them. A paper as near to a disliked one as
# those of one topic are (0.5) loses 0.8 of its log-odds, from 70 % to 51 %; its twin loses 2.8.
DISLIKED_WEIGHT = -4.0
# By the encoder that they were fitted with; without one, the default.
_CONSTANTS = {
    "": "constants.json",
    encoders.MINILM: "constants_semantic.json",
    encoders.MULTILINGUAL: "constants_multilingual.json",
}
_REASONS_ABOUT = 3  # words in an explanation
_CANDIDATES = 8  # words that are tried out for it
_TELLING = 2.5  # rarity from which a word says anything to a reader: in less than one paper of twelve
_LEAST_DROP = 0.05  # of the log-odds, that a word's absence makes
_LEAST_SHARE = 0.3  # of the strongest word's
_SIMILAR = 0.25  # cosine from which a liked paper is named

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Constants:
    """Of profiles of one kind: log-odds = intercept + weights · features."""

    weights: npt.NDArray[np.float32]
    intercept: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """What an installation's own readers taught: log-odds are shown as intercept + slope · log-odds."""

    intercept: float = 0.0
    slope: float = 1.0


class Ranker:
    """Fit it once to some papers, then ask it about any number of profiles."""

    def __init__(self, *, calibration: Calibration | None = None, encoder: Encoder | None = None) -> None:
        """With an `encoder` the score has more features. While it gives no vectors, the default counts."""
        self._calibration = calibration or Calibration()
        self._encoder = encoder
        self.papers: Papers
        self.sensed: Sensed | None = None  # the papers as the encoder sees them

    def fit(
        self,
        papers: Iterable[Mapping[str, Any]],
        background: Space | Iterable[Mapping[str, Any]] | None = None,
        *,
        index: DayIndex | None = None,
    ) -> "Ranker":
        """Take in `papers` (id, title, abstract), which scores come in the order of.

        `background` is the ground that everything is measured on: a space, or papers to train one on beside
        the starter. Without one, these papers themselves are taken for that; below space.LEAST_PAPERS the
        starter stands alone. `index`: of the same papers, where one is at hand; making it is most of the work
        (1 ms a paper).
        """
        papers = list(papers)
        index = index or DayIndex([_document(paper) for paper in papers])
        if not isinstance(background, Space):
            background = _ground(index if background is None else background)
        self.papers = Papers(index, background)
        self.sensed = self._sensed(papers)
        return self

    def _sensed(self, papers: Sequence[Mapping[str, Any]]) -> Sensed | None:
        try:
            return Sensed(papers, self._encoder) if self._encoder else None
        except NoEncoder as error:
            logger.info("%d papers are ranked without a model: %s", len(papers), error)
            return None

    def prepare(self, profile: Profile) -> Prepared | None:
        """A profile as `score` reads it; None where it says nothing. Good for any papers on this ground."""
        prepared = features.prepare(profile, self.papers.space)
        if prepared is None or self.sensed is None:
            return prepared
        try:
            return replace(prepared, sense=self.sensed.asked(profile))
        except NoEncoder as error:
            logger.info("A profile is prepared without a model: %s", error)
            return prepared

    def shared(self, text: Prepared) -> Shared:
        """For the many who follow one interest; see `taught`."""
        return Shared(text, self.papers)

    def taught(self, shared: Shared, profile: Profile) -> tuple[Prepared, Scores]:
        """`prepare` and `score` of a profile with the words of `shared` and papers of its own, faster."""
        prepared = shared.prepare(profile.get("liked") or (), profile.get("disliked") or ())
        found = shared.measured(prepared)
        if self.sensed is not None:
            try:
                prepared = replace(prepared, sense=self.sensed.asked(profile))
            except NoEncoder as error:
                logger.info("A profile is prepared without a model: %s", error)
        return prepared, _weighed(prepared, found, self.sensed)

    def score(self, profile: Profile | Prepared | None) -> npt.NDArray[np.float32]:
        """Log-odds of relevance for each paper; nan for a profile that says nothing."""
        prepared = self._prepared(profile)
        if prepared is None:
            return np.full(len(self.papers), np.nan, np.float32)
        return log_odds(prepared, self.papers, self.sensed)

    def relevance(self, profile: Profile | Prepared | None) -> list[float] | None:
        """The probability that each paper is relevant, as far as that can be said.

        None for a profile that says nothing, and for a single liked paper, of which "similar" is all that
        can be said.
        """
        prepared = self._prepared(profile)
        if prepared is None or (not prepared.words and len(prepared.liked) == 1):
            return None
        return self.probabilities(log_odds(prepared, self.papers, self.sensed)).tolist()

    def probabilities(self, scores: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        shown = self._calibration.intercept + self._calibration.slope * scores
        return np.asarray(1 / (1 + np.exp(-np.clip(shown, -30, 30))), np.float32)

    def explain(self, profile: Profile | Prepared | None, paper_id: str | int) -> list[Reason]:
        """Why this paper has its score, the strongest first: each reason's removal would lower it.

        Fields "title" and "abstract": a phrase of the interest stands there. "liked": the title of the
        nearest liked paper. "about": a word of the paper without which it would score lower. Raises KeyError
        for a paper that was not fitted.
        """
        prepared = self._prepared(profile)
        position = self.papers.positions[str(paper_id)]
        return [] if prepared is None else explained(prepared, self.papers, position)

    @property
    def vectors(self) -> Floats:
        """(papers × dimensions), of length 1: where each paper lies."""
        return self.papers.vectors

    def vector_of(self, paper: Mapping[str, Any]) -> Floats:
        """Where any paper (title, abstract) lies."""
        return features.paper_vectors([paper], self.papers.space)[0]

    def _prepared(self, profile: Profile | Prepared | None) -> Prepared | None:
        return self.prepare(profile) if isinstance(profile, Mapping) else profile


def _ground(papers: DayIndex | Iterable[Mapping[str, Any]]) -> Space:
    """The starter, joined by a space of these papers where they are enough."""
    index = papers if isinstance(papers, DayIndex) else DayIndex([_document(paper) for paper in papers])
    if len(index.documents) < space.LEAST_PAPERS:
        return space.starter()
    return space.starter().joined(Space.trained(index))


def log_odds(prepared: Prepared, papers: Papers, sensed: Sensed | None = None) -> npt.NDArray[np.float32]:
    """`sensed`: the same papers as an encoder sees them; of use where the profile was prepared with it."""
    return _weighed(prepared, features.measured(prepared, papers), sensed)


def _weighed(prepared: Prepared, found: npt.NDArray[np.float32], sensed: Sensed | None) -> Scores:
    constants = constants_of(prepared.kind, sensed.name if sensed and prepared.sense else "")
    return np.asarray(
        _with_sense(prepared, found, sensed) @ constants.weights + constants.intercept, np.float32
    )


def measured(prepared: Prepared, papers: Papers, sensed: Sensed | None = None) -> npt.NDArray[np.float32]:
    """(papers × FEATURES, and sense.FEATURES after them where profile and papers have both)."""
    return _with_sense(prepared, features.measured(prepared, papers), sensed)


def _with_sense(
    prepared: Prepared, found: npt.NDArray[np.float32], sensed: Sensed | None
) -> npt.NDArray[np.float32]:
    if sensed is None or prepared.sense is None:
        return found
    return np.hstack([found, sensed.measured(prepared.sense)])


@cache
def constants_of(kind: str, encoder: str = "") -> Constants:
    """Those fitted for profiles of this kind, see features.kind_of, with this encoder."""
    kept = json.loads(Path(__file__).with_name(_CONSTANTS[encoder]).read_text())["kinds"][kind]
    by_name = kept["weights"] | {"disliked": DISLIKED_WEIGHT}
    names = (*FEATURES, *sense.FEATURES) if encoder else FEATURES
    weights = np.array([by_name.get(name, 0.0) for name in names], np.float32)
    return Constants(weights, float(kept["intercept"]))


# --- why ----------------------------------------------------------------------------------------------------


def explained(prepared: Prepared, papers: Papers, position: int) -> list[Reason]:
    """See Ranker.explain. About a millisecond."""
    constants = constants_of(prepared.kind)
    reasons = _phrases(prepared, papers, position)
    reasons += _liked(prepared, papers.vectors[position])
    shown = " ".join(reason.atom_text.casefold() for reason in reasons)
    return (
        reasons
        + [
            Reason(word, "about")
            for word in _carrying(prepared, papers, position, constants)
            if word.casefold() not in shown
        ][:_REASONS_ABOUT]
    )


def _phrases(prepared: Prepared, papers: Papers, position: int) -> list[Reason]:
    found = []
    for phrase in prepared.phrases:
        for place in ("title", "abstract"):
            if position in papers.index.standing(phrase, place):
                written = papers.index.as_written(phrase, place, position)
                found.append(Reason(_tidy(written or phrase), place))
                break
    return sorted(dict.fromkeys(found), key=lambda reason: reason.field != "title")


def _tidy(text: str) -> str:
    """On one line, without a bracket that is only closed or only opened here: "LLM) agents"."""
    for opening, closing in ("()", "[]", "{}"):
        if text.count(opening) != text.count(closing):
            text = text.replace(opening, " ").replace(closing, " ")
    return " ".join(text.split())


def _liked(prepared: Prepared, vector: Floats) -> list[Reason]:
    if not len(prepared.liked):
        return []
    cosines = prepared.liked @ vector
    nearest = int(cosines.argmax())
    return [Reason(prepared.liked_titles[nearest], "liked")] if cosines[nearest] >= _SIMILAR else []


def _carrying(prepared: Prepared, papers: Papers, position: int, constants: Constants) -> list[str]:
    """The words of the paper that carry its score, the most telling first, as they stand in it.

    Those that add most to the linear part are left out of the paper one at a time: exact, not estimated.
    """
    ground = papers.space
    row = papers.counts[position]
    known = row[:, : len(ground.words)]
    if not known.nnz:
        return []
    weights = ground.weights(known)
    pull = constants.weights[0] * prepared.direction + constants.weights[1] * prepared.feedback
    adds = np.asarray(ground.factors[weights.indices] @ _by_block(pull, ground, weights)) * weights.data
    wanted = {stem for stem, _ in prepared.words}
    asked = np.array([ground.words[column] in wanted for column in weights.indices])
    tells = asked | (ground.rarity[weights.indices] >= _TELLING) & ~_scholarly(ground)[weights.indices]
    order = np.argsort(-(adds + asked * np.abs(adds).max()), kind="stable")
    columns = weights.indices[order[tells[order]][:_CANDIDATES]]
    variants = Counted(ground, _each_left_out(row, columns), papers.columns)
    scores = features.measured(prepared, variants) @ constants.weights
    drops = scores[-1] - scores[:-1]
    least = max(_LEAST_DROP, _LEAST_SHARE * float(drops.max(initial=0)))
    best = [number for number in np.argsort(-drops, kind="stable") if drops[number] >= least]
    document = papers.index.documents[position]
    written = _written(document.title, document.abstract)
    names = [written.get(ground.words[columns[number]]) for number in best]
    return [name for name in names if name is not None and not _is_torn(name)]


def _scholarly(ground: Space) -> npt.NDArray[np.bool_]:
    """By column: whether it is a word of any abstract, such as "comprehensive"."""
    found: npt.NDArray[np.bool_] | None = ground.memo.get("scholarly")
    if found is None:
        found = ground.memo["scholarly"] = np.array([word in terms.SCHOLARLY for word in ground.words])
    return found


def _each_left_out(row: sp.csr_matrix, columns: npt.NDArray[np.int32]) -> sp.csr_matrix:
    """The row once without each of these columns, and at last as it is."""
    copies = len(columns) + 1
    data = np.tile(row.data, (copies, 1))
    for number, column in enumerate(columns):
        data[number, row.indices == column] = 0
    ends = np.arange(copies + 1) * row.nnz
    rows = sp.csr_matrix((data.ravel(), np.tile(row.indices, copies), ends), shape=(copies, row.shape[1]))
    rows.eliminate_zeros()
    return rows


def _is_torn(name: str) -> bool:
    """Whether it is a part of a longer one that says nothing alone: "of-thought", of "chain-of-thought"."""
    first, *others = normal.fold(name).text.split("-")
    return bool(others) and any(normal.stem(part) in terms.SILENT for part in (first, others[-1]))


def _by_block(pull: Floats, ground: Space, weights: sp.csr_matrix) -> Floats:
    """`pull` scaled so that its product with a word's factors is what the word adds to the cosine."""
    vector = np.asarray(weights @ ground.factors).ravel()
    scaled, at = pull.copy(), 0
    for block in ground.blocks:
        part = slice(at, at + block.shape[1])
        scaled[part] /= np.linalg.norm(vector[part]) + 1e-9
        at += block.shape[1]
    return scaled


@lru_cache(maxsize=2_048)
def _written(title: str, abstract: str) -> dict[str, str]:
    """By stem: the first word of the paper that has it, as it stands there."""
    found: dict[str, str] = {}
    for text in (title, abstract):
        read = normal.lattice(text)
        for edge in read.edges:
            stem = normal.stem(edge.word)
            if stem not in found:
                start, end = read.span(edge.start, edge.end)
                found[stem] = text[start:end]
    return found


def _document(paper: Mapping[str, Any]) -> Document:
    return Document(
        id=str(paper["id"]),
        title=str(paper.get("title") or ""),
        abstract=str(paper.get("abstract") or ""),
        authors=tuple(paper.get("authors") or ()),
    )
