"""A vector space of words: which words mean nearly the same, learnt from abstracts alone.

Latent semantic analysis (Deerwester et al. 1990): the singular vectors of the papers × words matrix. A space
may have several blocks, each trained on papers of its own and each of the same weight: the starter, which
ships with Paperboy, and the installation's own. It also keeps reference papers, against which everything that
depends on "usual" is measured, so that no score depends on the other papers of a day.
"""

import hashlib
import io
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from digest.matching import terms
from digest.matching.index import DayIndex

Floats = npt.NDArray[np.float32]

DIMENSIONS = 200  # of a block that an installation trains
LEAST_PAPERS = 1_000  # fewer make no space
MOST_REFERENCES = 6_000
_IN_PAPERS = 2  # a word of fewer papers has no neighbours to learn from
_SATURATION, _LENGTH_SHARE = 1.2, 0.75  # BM25's k1 and b (Robertson and Zaragoza 2009)
# What numpy and zipfile raise of bytes that are cut off, changed, or something else altogether.
_UNREADABLE = (OSError, ValueError, KeyError, EOFError, IndexError, TypeError, zipfile.BadZipFile, zlib.error)
_STARTER = Path(__file__).with_name("starter.npz")


class BadSpaceError(ValueError):
    """The bytes are no space, or one of another version."""


@dataclass(frozen=True, eq=False)
class Space:
    """`having[w]`: in how many of `papers` word w stands. `blocks`: (words × dimensions) each.

    `counts`: (references × words), how often each word stands in a reference paper, see terms.counts; `ids`
    are the references' ids, empty where nobody may ask for them.
    """

    words: tuple[str, ...]
    papers: int
    having: npt.NDArray[np.int32]
    mean_length: float
    blocks: tuple[Floats, ...]
    counts: sp.csr_matrix
    ids: tuple[str, ...] = ()

    @cached_property
    def memo(self) -> dict[str, Any]:
        """What others have worked out in this space and keep: it goes when the space goes, of which a worker
        outlives many."""
        return {}

    @cached_property
    def columns(self) -> dict[str, int]:
        return {word: column for column, word in enumerate(self.words)}

    @cached_property
    def rarity(self) -> Floats:
        """By word: log(1 + (N - n + 0.5) / (n + 0.5)), the idf of BM25."""
        return rarity(self.having, self.papers)

    @property
    def rarity_of_new(self) -> float:
        """Of a word that the space has never seen."""
        return float(rarity(np.ones(1, np.int32), self.papers)[0])

    @cached_property
    def factors(self) -> Floats:
        """(words × all dimensions), the blocks side by side."""
        return np.hstack(self.blocks)

    @property
    def dimensions(self) -> int:
        return sum(block.shape[1] for block in self.blocks)

    @cached_property
    def directions(self) -> Floats:
        """(words × dimensions): where each word points, of length 1; 0 for a word that no block knows."""
        return self.unit(self.factors)

    @cached_property
    def references(self) -> Floats:
        """(references × dimensions), of length 1."""
        return self.vectors(self.counts)

    @cached_property
    def centre(self) -> Floats:
        return np.asarray(self.references.mean(0), np.float32)

    @cached_property
    def spread(self) -> Floats:
        """(dimensions × dimensions): how the references vary."""
        return np.cov(self.references, rowvar=False).astype(np.float32)

    def usual(self, directions: Floats) -> tuple[Floats, Floats]:
        """Mean and standard deviation of the references' cosines to each direction."""
        mean = directions @ self.centre
        variance = np.einsum("ij,ij->i", directions @ self.spread, directions)
        return mean, np.sqrt(np.maximum(variance, 0)) + 1e-6

    def usual_of_words(self, columns: Sequence[int]) -> tuple[Floats, Floats]:
        """`usual` of the directions of these words, each worked out once."""
        known: dict[int, tuple[float, float]] = self.memo.setdefault("usual", {})
        if new := [column for column in columns if column not in known]:
            mean, deviation = self.usual(self.directions[new])
            known.update(zip(new, zip(mean.tolist(), deviation.tolist(), strict=True), strict=True))
        both = np.array([known[column] for column in columns], np.float32).reshape(-1, 2)
        return both[:, 0], both[:, 1]

    def unit(self, vectors: Floats) -> Floats:
        """Rows of length 1, in which each block that says anything weighs the same."""
        parts, at = [], 0
        for block in self.blocks:
            part = vectors[:, at : at + block.shape[1]]
            parts.append(part / (np.linalg.norm(part, axis=1, keepdims=True) + 1e-9))
            at += block.shape[1]
        joined = np.hstack(parts)
        return (joined / (np.linalg.norm(joined, axis=1, keepdims=True) + 1e-9)).astype(np.float32)

    def vectors(self, counts: sp.csr_matrix) -> Floats:
        """(papers × words, or more columns) counts as (papers × dimensions) vectors of length 1."""
        weights = self.weights(counts[:, : len(self.words)])
        return self.unit(np.asarray(weights @ self.factors, np.float32))

    def weights(self, counts: sp.csr_matrix) -> sp.csr_matrix:
        """(1 + log count) × rarity of each word."""
        weights = counts.tocsr(copy=True)
        weights.data = (1 + np.log(weights.data)) * self.rarity[weights.indices]
        return weights

    def occurrence(self, counts: sp.csr_matrix) -> sp.csr_matrix:
        """How much a paper speaks of each word, between 0 and 1: BM25's share of the count, by length."""
        length = np.asarray(counts.sum(1), np.float32).ravel() / self.mean_length
        bound = _SATURATION * (1 - _LENGTH_SHARE + _LENGTH_SHARE * length)
        shares = counts.tocsr(copy=True)
        shares.data = shares.data / (shares.data + np.repeat(bound, np.diff(shares.indptr)))
        return shares.astype(np.float32)

    # --- made, joined, written ------------------------------------------------------------------------------

    @classmethod
    def trained(
        cls,
        index: DayIndex,
        *,
        dimensions: int = DIMENSIONS,
        in_papers: int = _IN_PAPERS,
        references: int = MOST_REFERENCES,
    ) -> "Space":
        """A space of one block from the titles and abstracts of an index; about 1 s for 5,000 papers.

        The same papers always make the same space. Raises ValueError below LEAST_PAPERS.
        """
        # Only here: it takes a second to import, and readers' requests never train.
        from sklearn.utils.extmath import randomized_svd

        papers = len(index.documents)
        if papers < LEAST_PAPERS:
            raise ValueError(f"A space needs {LEAST_PAPERS} papers; here are {papers}.")
        words = terms.vocabulary(index, in_papers=in_papers)
        counts = terms.counts(index, {word: column for column, word in enumerate(words)})
        having = np.diff(counts.tocsc().indptr).astype(np.int32)
        space = cls(tuple(words), papers, having, float(counts.sum() / papers), (), counts)
        weights = space.weights(counts)
        lengths = np.sqrt(np.asarray(weights.multiply(weights).sum(1)).ravel())
        weights = sp.diags(1 / (lengths + 1e-9)) @ weights
        _left, _values, right = randomized_svd(
            weights, n_components=min(dimensions, papers - 1, len(words) - 1), n_iter=4, random_state=0
        )
        kept = np.linspace(0, papers - 1, min(references, papers)).astype(int)
        return cls(
            space.words,
            papers,
            having,
            space.mean_length,
            (np.ascontiguousarray(right.T, np.float32),),
            counts[kept],
            tuple(index.documents[at].id for at in kept),
        )

    def joined(self, other: "Space") -> "Space":
        """Both spaces as one, block beside block; the words and references of either."""
        words = self.words + tuple(word for word in other.words if word not in self.columns)
        columns = {word: column for column, word in enumerate(words)}
        places = np.array([columns[word] for word in other.words])
        having = np.zeros(len(words), np.int32)
        having[: len(self.words)] = self.having
        having[places] += other.having
        blocks = [_grown(block, len(words), np.arange(len(self.words))) for block in self.blocks]
        blocks += [_grown(block, len(words), places) for block in other.blocks]
        theirs = other.counts.tocoo()
        shape = (theirs.shape[0], len(words))
        ours = sp.csr_matrix(
            (self.counts.data, self.counts.indices, self.counts.indptr),
            shape=(self.counts.shape[0], len(words)),
        )
        papers = self.papers + other.papers
        return Space(
            words,
            papers,
            having,
            (self.mean_length * self.papers + other.mean_length * other.papers) / papers,
            tuple(blocks),
            sp.vstack(
                [ours, sp.csr_matrix((theirs.data, (theirs.row, places[theirs.col])), shape=shape)], "csr"
            ),
            (self.ids or ("",) * self.counts.shape[0]) + (other.ids or ("",) * shape[0]),
        )

    def to_bytes(self) -> bytes:
        """For storage: factors in 8 bits with a scale for each word, which costs no quality that can be
        measured. Only of a space with one block."""
        (block,) = self.blocks
        scale = np.abs(block).max(1, keepdims=True) / 127 + 1e-12
        written = io.BytesIO()
        np.savez_compressed(
            written,
            words=np.frombuffer("\n".join(self.words).encode(), np.uint8),
            facts=np.array([self.papers, self.mean_length]),
            having=self.having,
            factors=np.round(block / scale).astype(np.int8),
            scale=scale.astype(np.float32),
            counts=np.minimum(self.counts.data, 255).astype(np.uint8),
            # The differences of ascending columns are small numbers, which pack well.
            steps=_steps(self.counts),
            ends=self.counts.indptr.astype(np.int32),
            ids=np.frombuffer("\n".join(self.ids).encode(), np.uint8),
        )
        return written.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> "Space":
        """What `to_bytes` wrote. Raises BadSpaceError."""
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as kept:
                words = tuple(kept["words"].tobytes().decode().split("\n"))
                papers, mean_length = kept["facts"].tolist()
                ends = kept["ends"]
                columns = _columns(kept["steps"].astype(np.int64), ends)
                counts = sp.csr_matrix(
                    (kept["counts"].astype(np.float32), columns, ends), shape=(len(ends) - 1, len(words))
                )
                ids = kept["ids"].tobytes().decode()
                block = kept["factors"].astype(np.float32) * kept["scale"]
                having = kept["having"]
        except _UNREADABLE as error:
            raise BadSpaceError(f"These bytes are no space of words: {error}") from error
        space = cls(
            words,
            int(papers),
            having,
            float(mean_length),
            (block,),
            counts,
            tuple(ids.split("\n")) if ids else (),
        )
        if not space._is_whole:
            raise BadSpaceError("These bytes are no space of words: its parts do not fit together.")
        return space

    @property
    def _is_whole(self) -> bool:
        words, references = len(self.words), self.counts.shape[0]
        columns = self.counts.indices
        return (
            all(len(part) == words for part in (self.having, *self.blocks))
            and len(self.ids) in (0, references)
            and references > 0
            and (not len(columns) or (int(columns.min()) >= 0 and int(columns.max()) < words))
            and all(bool(np.isfinite(block).all()) for block in self.blocks)
        )


@lru_cache(maxsize=1)
def starter() -> Space:
    """The space that ships: trained on titles and abstracts of arXiv, which are in the public domain (CC0).

    How it was made: docs/matching.md.
    """
    return Space.from_bytes(_STARTER.read_bytes())


@lru_cache(maxsize=1)
def starter_print() -> str:
    """Tells one starter from another: what was worked out in one means nothing in the next release's."""
    return hashlib.sha256(_STARTER.read_bytes()).hexdigest()[:8]


def rarity(having: npt.NDArray[np.int32], papers: int) -> Floats:
    return np.log(1 + (papers - having + 0.5) / (having + 0.5)).astype(np.float32)


def _grown(block: Floats, words: int, places: npt.NDArray[np.int64]) -> Floats:
    grown = np.zeros((words, block.shape[1]), np.float32)
    grown[places] = block
    return grown


def _steps(counts: sp.csr_matrix) -> npt.NDArray[np.unsignedinteger[Any]]:
    counts.sort_indices()
    steps = np.diff(counts.indices, prepend=0)
    starts = counts.indptr[:-1][np.diff(counts.indptr) > 0]
    steps[starts] = counts.indices[starts]
    return steps.astype(np.min_scalar_type(counts.shape[1]))  # 16 bits, or 32 for 65,536 words and more


def _columns(steps: npt.NDArray[np.int64], ends: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    total = np.cumsum(steps)
    before = np.concatenate(([0], total))[ends[:-1]]  # the sum up to each row's start
    return (total - np.repeat(before, np.diff(ends))).astype(np.int32)
