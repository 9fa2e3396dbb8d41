"""What the score of a paper is made of: an interest, prepared once, measured against papers.

Every feature looks at one paper and the space alone, never at the other papers of the day: a quiet day stays
quiet. All grow with relevance, except `disliked`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from digest.matching import terms
from digest.matching.index import DayIndex
from digest.matching.sense import Asked
from digest.matching.space import Floats, Space
from subscriptions.filters import Document, glossary, normal

FEATURES = (
    "meaning",  # cosine between the interest's words and liked papers, and the paper
    "feedback",  # cosine to the reference papers that fit the interest best
    "words",  # share of the interest's words that the paper speaks of, by rarity (BM25)
    "title_phrase",  # 1 where a keyword, or the name, stands in the title
    "abstract_phrases",  # how many of them stand in the abstract: 0, 0.5 for one, 1 for more
    "name",  # whether it speaks of each word of the name, or of what is near: the weakest counts most
    "best_keyword",  # the same, of the keyword that fits best
    "keywords",  # the same, mean of the best three
    "sentence",  # the same, of the sentence
    "nearest",  # cosine to the nearest liked paper
    "disliked",  # how much nearer the nearest disliked paper is than the nearest liked one
)

_MEANING, _FEEDBACK, _NEAREST, _DISLIKED = map(FEATURES.index, ("meaning", "feedback", "nearest", "disliked"))
_FEEDBACK_PAPERS = 20
_LOOKED_AT = 600  # references whose words are looked at closely for feedback
_COVER_WEIGHT = 2.0  # of the words' coverage beside meaning and words, in choosing them
_IN_ONE_FIELD = 0.3  # cosine
_MOST_VECTORS = 8_192  # of liked and disliked papers, remembered: 16 MB
LOWEST = 0.03  # a word that is missing altogether leaves the others some say
MOST_RARE = 5.0  # one strange word must not decide alone
_STEEP, _MIDDLE = 1.2, 2.0  # a word is half spoken of at two standard deviations above the usual

Words = tuple[tuple[str, float], ...]  # stem and weight


@dataclass(frozen=True, eq=False)
class Prepared:
    """A profile as papers are measured by it, in one space. All vectors have length 1, or 0."""

    kind: str  # which constants count: see `kind_of`
    direction: Floats
    feedback: Floats
    words: Words  # of name, keywords and sentence together
    phrases: tuple[str, ...]
    name: Words
    keywords: tuple[Words, ...]
    sentence: Words
    liked: Floats  # (papers × dimensions)
    disliked: Floats
    liked_titles: tuple[str, ...]
    sense: Asked | None = None  # the same as an encoder sees it, where there is one


class Counted:
    """Papers by the words that stand in them, and where they lie in a space."""

    def __init__(self, space: Space, counts: sp.csr_matrix, columns: Mapping[str, int]) -> None:
        self.space = space
        self.counts = counts  # (papers × columns), see terms.counts
        self.columns = columns  # those of the space first

    def __len__(self) -> int:
        return int(self.counts.shape[0])

    @cached_property
    def vectors(self) -> Floats:
        return self.space.vectors(self.counts)

    @cached_property
    def occurrence(self) -> sp.csc_matrix:
        return self.space.occurrence(self.counts).tocsc()

    def standing(self, phrase: str, place: str) -> npt.NDArray[np.int64]:
        """Which papers have the phrase in their "title" or "abstract"; counts alone cannot tell."""
        return np.empty(0, np.int64)

    def spoken(self, words: Sequence[str]) -> Floats:
        """(words × papers): how much each paper speaks of each word itself, between 0 and 1."""
        spoken = np.zeros((len(words), len(self)), np.float32)
        occurrence = self.occurrence
        for row, word in enumerate(words):
            column = self.columns.get(word)
            if column is not None:
                begin, end = occurrence.indptr[column], occurrence.indptr[column + 1]
                spoken[row, occurrence.indices[begin:end]] = occurrence.data[begin:end]
        return spoken

    def touched(self, words: Sequence[str]) -> Floats:
        """(words × papers): how much each paper speaks of each word or of what is near it, 0 to 1."""
        touched = np.minimum(1.5 * self.spoken(words), 1)
        known = [
            (row, self.space.columns[word]) for row, word in enumerate(words) if word in self.space.columns
        ]
        if known:
            rows, columns = [row for row, _ in known], [column for _, column in known]
            directions = self.space.directions[columns]
            mean, deviation = self.space.usual_of_words(columns)
            above = (directions @ self.vectors.T - mean[:, None]) / deviation[:, None]
            is_placed = np.linalg.norm(directions, axis=1, keepdims=True) > 0
            near = is_placed / (1 + np.exp(-_STEEP * (above - _MIDDLE)))
            touched[rows] = np.maximum(touched[rows], near)
        return touched


class Papers(Counted):
    """Papers of an index, measured in a space."""

    def __init__(self, index: DayIndex, space: Space) -> None:
        known = space.columns
        new = (word for word in terms.vocabulary(index, in_papers=1) if word not in known)
        columns = known | {word: len(known) + number for number, word in enumerate(new)}
        super().__init__(space, terms.counts(index, columns), columns)
        self.index = index

    @cached_property
    def positions(self) -> dict[str, int]:
        return {document.id: at for at, document in enumerate(self.index.documents)}

    def standing(self, phrase: str, place: str) -> npt.NDArray[np.int64]:
        return self.index.standing(phrase, place)


# --- a profile, prepared ------------------------------------------------------------------------------------


def prepare(profile: Mapping[str, Any], space: Space) -> Prepared | None:
    """None for a profile that says nothing: no text that can be read, no liked paper."""
    name, keywords, sentence, is_translated = _texts(profile)
    liked, disliked = profile.get("liked") or (), profile.get("disliked") or ()
    said = [terms.of_text(text) for text in (name, *keywords, sentence)]
    words = _words(said, space)
    if not words and not liked:
        return None
    likes = paper_vectors(liked, space)
    direction = _sum(likes.mean(0, keepdims=True), space) if len(likes) else np.zeros(space.dimensions)
    if words:
        direction = direction + _sum(_query(said, space)[None, :], space)
    direction = space.unit(np.asarray(direction, np.float32)[None, :])[0]
    given = Prepared(
        kind=kind_of(
            name=name, keywords=keywords, sentence=sentence, liked=len(liked), is_translated=is_translated
        ),
        direction=direction,
        feedback=direction,
        words=words,
        phrases=tuple(keywords) or ((name,) if name else ()),
        name=_single(name, space),
        keywords=tuple(group for word in keywords if (group := _single(word, space))),
        sentence=_single(sentence, space),
        liked=likes,
        disliked=paper_vectors(disliked, space),
        liked_titles=tuple(_shown_title(paper) for paper in liked),
    )
    return _with_feedback(given, space, (*liked, *disliked))


def _with_feedback(
    given: Prepared, space: Space, examples: Sequence[Mapping[str, Any]], shared: "Shared | None" = None
) -> Prepared:
    known = {str(paper.get("id", "")) for paper in examples} - {""}
    feedback = _fitting(given, space, without=known, shared=shared)
    if len(given.liked):
        feedback = feedback + _sum(given.liked.mean(0, keepdims=True), space)
    return replace(given, feedback=space.unit(feedback[None, :])[0])


class Shared:
    """The words of an interest that many readers share, each with papers of their own beside them.

    Whatever those papers make no difference to is worked out once, for reference papers and for the day's.
    """

    def __init__(self, text: Prepared, papers: "Papers") -> None:
        """`text` was prepared without examples, and has words."""
        self._text = text
        self._papers = papers

    def prepare(self, liked: Sequence[Mapping[str, Any]], disliked: Sequence[Mapping[str, Any]]) -> Prepared:
        """As `prepare` of the same words and these papers has it, in a fraction of the time."""
        text, space = self._text, self._papers.space
        likes = paper_vectors(liked, space)
        direction = text.direction
        if len(likes):
            direction = space.unit((direction + _sum(likes.mean(0, keepdims=True), space))[None, :])[0]
        given = replace(
            text,
            kind=text.kind + _kind_of_examples(len(liked)),
            direction=direction,
            feedback=direction,
            liked=likes,
            disliked=paper_vectors(disliked, space),
            liked_titles=tuple(_shown_title(paper) for paper in liked),
            sense=None,
        )
        return _with_feedback(given, space, (*liked, *disliked), self)

    def measured(self, prepared: Prepared) -> npt.NDArray[np.float32]:
        """The day's papers by what `prepare` gave; as `measured` does."""
        return _by_place(prepared, self._papers, self._measured.copy())

    @cached_property
    def _measured(self) -> npt.NDArray[np.float32]:
        return measured(self._text, self._papers)

    @cached_property
    def said(self) -> Floats:
        """How much each reference paper speaks of the words."""
        space = self._papers.space
        return _share(_references(space).spoken([word for word, _ in self._text.words]), self._text)

    @cached_property
    def covers(self) -> Floats:
        """How well each reference paper covers name, keywords and sentence, together."""
        return _all_covers(self._text, _references(self._papers.space))


def _shown_title(paper: Mapping[str, Any]) -> str:
    """As the paper has it, where the title that counts lacks words which its reader has taken out."""
    return " ".join(str(paper.get("shown_title") or paper.get("title") or "").split())


def kind_of(*, name: str, keywords: Sequence[str], sentence: str, liked: int, is_translated: bool) -> str:
    """Profiles of one kind share their constants: "NKS" of name, keywords and sentence, "L3" of some liked
    papers, "KL1" of keywords and one or two; "Z" in front where the words were translated."""
    text = ("N" if name else "") + ("K" if keywords else "") + ("S" if sentence else "")
    return ("Z" if is_translated and text else text) + _kind_of_examples(liked)


def _kind_of_examples(liked: int) -> str:
    return "" if not liked else "L1" if liked < 3 else "L3" if liked < 8 else "L10"


def paper_vectors(papers: Sequence[Mapping[str, Any]], space: Space) -> Floats:
    """(papers × dimensions), for mappings with title and abstract."""
    if not papers:
        return np.zeros((0, space.dimensions), np.float32)
    texts = [(str(paper.get("title") or ""), str(paper.get("abstract") or "")) for paper in papers]
    known: dict[tuple[str, str], Floats] = space.memo.setdefault("vectors", {})
    found = {text: vector for text in texts if (vector := known.get(text)) is not None}
    if new := [text for text in dict.fromkeys(texts) if text not in found]:
        index = DayIndex([Document(id="", title=title, abstract=abstract) for title, abstract in new])
        made = dict(zip(new, space.vectors(terms.counts(index, space.columns)), strict=True))
        if len(known) + len(made) > _MOST_VECTORS:
            known.clear()
        known.update(list(made.items())[:_MOST_VECTORS])
        found |= made
    return np.vstack([found[text] for text in texts])


def _texts(profile: Mapping[str, Any]) -> tuple[str, list[str], str, bool]:
    """Name, keywords and sentence; Chinese ones in English, as far as the glossary goes."""
    name = str(profile.get("name") or "")
    given = profile.get("keywords") or ()
    words = given.split(",") if isinstance(given, str) else given
    keywords = [str(word).strip() for word in words if word is not None and str(word).strip()]
    sentence = str(profile.get("sentence") or "")
    if not any(map(normal.is_cjk, "".join((name, *keywords, sentence)))):
        return name, keywords, sentence, False
    return _english(name), [word for word in map(_english, keywords) if word], _english(sentence), True


def _english(text: str) -> str:
    if not any(map(normal.is_cjk, text)):
        return text
    # Commas, since neighbours in one language need not be neighbours in the other.
    return ", ".join(glossary.translate(text))


def _words(said: Iterable[terms.Stems], space: Space) -> Words:
    """With their rarity. Neighbours that were joined count only where the space knows the joined word."""
    stems: dict[str, None] = {}
    for text in said:
        stems |= dict.fromkeys(text.single)
        stems |= dict.fromkeys(stem for stem in text.joined if stem in space.columns)
    return _weighted(stems, space)


def _single(text: str, space: Space) -> Words:
    return _weighted(dict.fromkeys(terms.of_text(text).single), space)


def _weighted(stems: Iterable[str], space: Space) -> Words:
    known = space.columns
    return tuple(
        (stem, float(space.rarity[known[stem]]) if stem in known else space.rarity_of_new) for stem in stems
    )


def _query(said: Iterable[terms.Stems], space: Space) -> Floats:
    vector = np.zeros(space.dimensions, np.float32)
    for text in said:
        for stem in (*text.single, *text.joined):
            column = space.columns.get(stem)
            if column is not None:
                vector += space.rarity[column] * space.factors[column]
    return vector


def _sum(vectors: Floats, space: Space) -> Floats:
    return space.unit(np.asarray(vectors, np.float32))[0]


def _fitting(given: Prepared, space: Space, *, without: set[str], shared: "Shared | None" = None) -> Floats:
    """The mean of the reference papers that fit best, after a first look at all and a closer one at some."""
    cosines = space.references @ given.direction
    mean, deviation = (float(one[0]) for one in space.usual(given.direction[None, :]))
    first = (cosines - mean) / deviation
    if given.words:
        words = [word for word, _ in given.words]
        said = shared.said if shared else _share(_references(space).spoken(words), given)
        first = first + 0.7 * np.minimum((said - said.mean()) / (said.std() + 0.02), 6)
    if without and space.ids:
        first[[at for at, pk in enumerate(space.ids) if pk in without]] = -np.inf
    close = np.argpartition(-first, min(_LOOKED_AT, len(first) - 1))[:_LOOKED_AT]
    score = first[close]
    if given.words:
        covers = (
            shared.covers[close]
            if shared
            else _all_covers(given, Counted(space, space.counts[close], space.columns))
        )
        score = score + _COVER_WEIGHT * covers
    best = close[np.argsort(-score, kind="stable")[:_FEEDBACK_PAPERS]]
    return _sum(space.references[best].sum(0, keepdims=True), space)


def _all_covers(given: Prepared, papers: Counted) -> Floats:
    name, _best, best_three, sentence = _covers(given, papers)
    return name + best_three + sentence


def _references(space: Space) -> Counted:
    counted: Counted = space.memo.setdefault("references", Counted(space, space.counts, space.columns))
    return counted


# --- papers, measured ---------------------------------------------------------------------------------------


def measured(prepared: Prepared, papers: Counted) -> npt.NDArray[np.float32]:
    """(papers × FEATURES)."""
    zeros = np.zeros(len(papers), np.float32)
    title, abstract = zeros.copy(), zeros.copy()
    for phrase in prepared.phrases:
        title[papers.standing(phrase, "title")] = 1
        abstract[papers.standing(phrase, "abstract")] += 0.5
    words = _share(papers.spoken([word for word, _ in prepared.words]), prepared) if prepared.words else zeros
    said = (words, title, np.minimum(abstract, 1), *_covers(prepared, papers))
    found = np.stack([zeros, zeros, *said, zeros, zeros], axis=1).astype(np.float32)
    return _by_place(prepared, papers, found)


def _by_place(prepared: Prepared, papers: Counted, found: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """`found` with those features that depend on where papers lie, not on which words they say."""
    vectors = papers.vectors
    found[:, _MEANING] = vectors @ prepared.direction
    found[:, _FEEDBACK] = vectors @ prepared.feedback
    found[:, _NEAREST] = (vectors @ prepared.liked.T).max(1) if len(prepared.liked) else 0
    found[:, _DISLIKED] = 0
    if len(prepared.disliked):
        bad = (vectors @ prepared.disliked.T).max(1)
        found[:, _DISLIKED] = too_near(bad, found[:, _NEAREST])
    return found


def too_near(disliked: npt.NDArray[Any], liked: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """How much nearer papers lie to the nearest disliked paper than to the nearest liked one, or than papers
    of one field lie to each other anyway; 0 or more."""
    return np.maximum(disliked - np.maximum(liked, _IN_ONE_FIELD), 0)


def _share(spoken: Floats, prepared: Prepared) -> Floats:
    rare = np.array([weight for _, weight in prepared.words], np.float32)
    return np.asarray(rare @ spoken / rare.sum(), np.float32)


def _covers(prepared: Prepared, papers: Counted) -> tuple[Floats, Floats, Floats, Floats]:
    """Of the name, of the best keyword, of the best three, of the sentence; each (papers)."""
    zeros = np.zeros(len(papers), np.float32)
    name = _cover(prepared.name, papers) if prepared.name else zeros
    sentence = _cover(prepared.sentence, papers) if prepared.sentence else zeros
    if not prepared.keywords:
        return name, zeros, zeros, sentence
    best_first = np.sort(np.stack([_cover(group, papers) for group in prepared.keywords]), axis=0)[::-1]
    return name, best_first[0], best_first[:3].mean(0), sentence


def _cover(words: Words, papers: Counted) -> Floats:
    """The geometric mean of how much a paper speaks of each word: what is missing cannot be made up for."""
    weights = np.minimum(np.array([weight for _, weight in words], np.float32), MOST_RARE)
    spoken = papers.touched([word for word, _ in words])
    return np.asarray(np.exp(weights @ np.log(spoken + LOWEST) / weights.sum()), np.float32)
