"""Papers and people for benchmarks, as they may be: whoever is number 7 is always the same.

Papers hold the words of real ones (the starter space's references, whose bags of words are known) and
keywords of catalogue topics near them. People mix two topics of the catalogue, with words and filters of
their own: no two have the same filter or the same interest.
"""

import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import numpy as np

from digest.matching import terms
from digest.matching.features import Papers, Prepared, Words, kind_of
from digest.matching.gather import Readers
from digest.matching.space import Floats, Space
from subscriptions.filters.tree import Node, Value, all_of, any_of, negated, words

Topic = Mapping[str, Any]  # name, keywords, sentence: a profile as the ranker reads it
_NEAR = 4  # topics of which a paper may hold keywords
_BROAD = 0.03  # of people filter nothing but a word they do not want, and leave the rest to their interest
_TOGETHER = 1_000
_HEADS, _TAILS = 400, 250  # words of which people make phrases that no topic has


def texts(count: int, *, ground: Space, topics: Sequence[tuple[Topic, Prepared]]) -> list[tuple[str, str]]:
    """Titles and abstracts. `ground` is the starter space; `topics` are prepared in it."""
    dice = random.Random(17)
    rows = dice.sample(range(ground.counts.shape[0]), min(count, ground.counts.shape[0]))
    directions = np.stack([prepared.direction for _, prepared in topics])
    made = []
    for number in range(count):
        row = rows[number % len(rows)]
        bag = ground.counts[row]
        said = [ground.words[column] for column in np.repeat(bag.indices, bag.data.astype(int))]
        near = np.argsort(-(directions @ ground.references[row]))[:_NEAR]
        keywords = [word for at in near for word in topics[at][0]["keywords"]]
        said += dice.sample(keywords, min(len(keywords), dice.randint(1, 6)))
        dice.shuffle(said)
        title = [*said[:7], *dice.sample(keywords, min(len(keywords), 1))]
        made.append((" ".join(title), " ".join(said[7:])))
    return made


@dataclass(frozen=True, eq=False)
class _Vocabulary:
    """What people draw from, the common more often."""

    items: Sequence[Node | str]
    weights: Sequence[float]  # running totals

    @classmethod
    def of(cls, items: Sequence[Node | str]) -> "_Vocabulary":
        return cls(items, list(accumulate(1 / (rank + 20) for rank in range(len(items)))))

    def draw(self, dice: random.Random, count: int) -> list[Any]:
        return dice.choices(self.items, cum_weights=self.weights, k=count)


class Crowd:
    """People by number, over one day's papers."""

    def __init__(self, papers: Papers, topics: Sequence[tuple[Topic, Prepared]]) -> None:
        """`topics` are prepared in the papers' space."""
        self._ground = papers.space
        self._topics = topics
        self._directions = np.stack([prepared.direction for _, prepared in topics])
        self._feedbacks = np.stack([prepared.feedback for _, prepared in topics])
        self._vectors = papers.vectors
        dice = random.Random(19)
        common = _rare_enough(papers)
        dice.shuffle(common)
        self._heads, self._tails = (_Vocabulary.of(some) for some in (common[:_HEADS], common[-_TAILS:]))
        authors = sorted({name for document in papers.index.documents for name in document.authors})
        keywords = list(dict.fromkeys(word for topic, _ in topics for word in _plain(topic["keywords"])))
        atoms: list[Node] = [words(text) for text in (*keywords, *common)]
        dice.shuffle(atoms)
        self._atoms = _Vocabulary.of([*atoms, *(words(name, "author") for name in authors)])
        self._own_atoms = [[words(text) for text in _plain(topic["keywords"])] for topic, _ in topics]
        self._categories = [
            Value("cat", name)
            for name in sorted({document.primary or "cs.AI" for document in papers.index.documents})
        ]

    def trees(self, count: int) -> Iterator[Node]:
        """Distinct filters, by number."""
        seen: set[int] = set()
        for number in range(count):
            dice = random.Random(number)
            while (mark := hash(tree := self._tree(dice))) in seen:
                pass
            seen.add(mark)
            yield tree

    def _tree(self, dice: random.Random) -> Node:
        own = self._own_atoms[dice.randrange(len(self._topics))]
        some = [
            *dice.sample(own, min(len(own), dice.randint(1, 3))),
            *self._atoms.draw(dice, dice.randint(1, 3)),
        ]
        if dice.random() < 0.2:
            some.append(words(self._phrase(dice)))
        shape = dice.random()
        if shape < _BROAD:
            return all_of([Value("kind", "paper"), *map(negated, self._atoms.draw(dice, 2))])
        if shape < 0.5:
            return any_of(some)
        if shape < 0.7:
            return all_of([dice.choice(own), *self._atoms.draw(dice, 1)])
        if shape < 0.8:
            return all_of([any_of(some), any_of(self._atoms.draw(dice, 3))])
        if shape < 0.9:
            return all_of([any_of(some), *map(negated, self._atoms.draw(dice, 1))])
        return all_of([dice.choice(self._categories), any_of(some)])

    def _phrase(self, dice: random.Random) -> str:
        """One of a hundred thousand."""
        return f"{self._heads.draw(dice, 1)[0]} {self._tails.draw(dice, 1)[0]}"

    def prepared(self, first: int, last: int) -> Iterator[Prepared]:
        """The interests of those from number `first` up to `last`."""
        for group in range(first // _TOGETHER, -(-last // _TOGETHER)):
            begin = group * _TOGETHER
            yield from self._group(group, range(max(first - begin, 0), min(last - begin, _TOGETHER)))

    def _group(self, group: int, numbers: range) -> Iterator[Prepared]:
        """Some of the _TOGETHER people whose vectors are mixed at once."""
        mixing = np.random.default_rng(group)
        # The same topic that the filter's dice begin with.
        people = [random.Random(group * _TOGETHER + number) for number in range(_TOGETHER)]
        one = np.array([dice.randrange(len(self._topics)) for dice in people])
        other = mixing.integers(0, len(self._topics), _TOGETHER)
        share = mixing.uniform(0.4, 1, (_TOGETHER, 1)).astype(np.float32)

        def mixed(vectors: Floats) -> Floats:
            own = mixing.normal(0, 0.2 / vectors.shape[1] ** 0.5, (_TOGETHER, vectors.shape[1]))
            return self._ground.unit(
                share * vectors[one] + (1 - share) * vectors[other] + own.astype(np.float32)
            )

        directions, feedbacks = mixed(self._directions), mixed(self._feedbacks)
        for number in numbers:
            pair = self._topics[one[number]][0], self._topics[other[number]][0]
            yield self._prepared(people[number], pair, directions[number], feedbacks[number])

    def _prepared(
        self, dice: random.Random, topics: tuple[Topic, Topic], direction: Floats, feedback: Floats
    ) -> Prepared:
        keywords = [
            word
            for topic, most in zip(topics, (3, 2), strict=True)
            for word in dice.sample(topic["keywords"], min(len(topic["keywords"]), dice.randint(1, most)))
        ]
        if dice.random() < 0.5:
            keywords.append(self._phrase(dice))
        keywords = list(dict.fromkeys(keywords))
        sentence = topics[0]["sentence"] if dice.random() < 0.25 else ""
        liked = dice.choices(range(len(self._vectors)), k=dice.randint(1, 10)) if dice.random() < 0.05 else []
        said = list(
            dict.fromkeys(stem for text in (*keywords, sentence) for stem in terms.of_text(text).single)
        )
        return Prepared(
            kind=kind_of(
                name="", keywords=keywords, sentence=sentence, liked=len(liked), is_translated=False
            ),
            direction=direction,
            feedback=feedback,
            words=self._weighted(said),
            phrases=tuple(keywords),
            name=(),
            keywords=tuple(
                group for text in keywords if (group := self._weighted(terms.of_text(text).single))
            ),
            sentence=self._weighted(terms.of_text(sentence).single),
            liked=self._vectors[liked],
            disliked=self._vectors[liked[:1]],
            liked_titles=("A paper",) * len(liked),
        )

    def _weighted(self, stems: Sequence[str]) -> Words:
        known, rarity = self._ground.columns, self._ground.rarity
        return tuple(
            (stem, float(rarity[known[stem]]) if stem in known else self._ground.rarity_of_new)
            for stem in dict.fromkeys(stems)
        )


def readers(count: int, *, topics: int, seed: int) -> Readers:
    """People who follow one to ten of these topics, the first ones most; one in five has a cap of its own."""
    dice = np.random.default_rng(seed)
    follows = dice.integers(1, 11, count)
    ends = np.concatenate(([0], np.cumsum(follows)))
    popular = ((dice.zipf(1.2, ends[-1]) - 1) % topics).astype(np.int32)
    caps = np.where(dice.random(ends[-1]) < 0.8, -1, dice.integers(3, 11, ends[-1])).astype(np.int32)
    return Readers(ends, popular, caps, np.full(count, 20, np.int32))


def _plain(keywords: Sequence[str]) -> list[str]:
    """Those without signs that mean something to filters."""
    return [text for text in keywords if text.replace("-", "").replace(" ", "").isalnum()] or ["learning"]


def _rare_enough(papers: Papers) -> list[str]:
    """Words that say something: those of one paper in fifty at most."""
    having: Counter[str] = Counter()
    for place in ("title", "abstract"):
        for stem, found in papers.index.stems(place):
            having[stem] += len(found)
    most = max(2, len(papers) // 50)
    return sorted(
        stem for stem, number in having.items() if stem.isalpha() and len(stem) > 3 and number <= most
    )
