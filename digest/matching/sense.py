"""What a sentence encoder adds to the features of a paper; see encoders.py and docs/matching-extras.md.

Like the other features, these look at one paper alone, never at the other papers of the day. An encoder puts
all papers into one corner of its space, so that any two look alike; what all have in common is taken away
first. It was measured once, on 2,500 papers and their titles, and ships as `centres.npz`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from digest.matching.encoders import DIMENSIONS, Encoder, Vectors, paper_text

FEATURES = (
    "sense",  # cosine between the interest's words and liked papers, and the paper
    "sense_nearest",  # cosine to the nearest liked paper
)

_CENTRES = Path(__file__).with_name("centres.npz")


@dataclass(frozen=True, eq=False)
class Asked:
    """A profile as an encoder sees it. All vectors have length 1, or 0."""

    direction: Vectors
    liked: Vectors  # (papers × DIMENSIONS)


class Sensed:
    """Papers as an encoder sees them. `name` is the encoder's. Raises NoEncoder when it cannot."""

    def __init__(self, papers: Sequence[Mapping[str, Any]], encoder: Encoder) -> None:
        self.name = encoder.name
        self._encoder = encoder
        self._vectors = _of_papers(papers, encoder)

    def asked(self, profile: Mapping[str, Any]) -> Asked:
        """A profile to measure papers by. Raises NoEncoder."""
        liked = _of_papers(profile.get("liked") or (), self._encoder)
        direction = np.zeros(DIMENSIONS, np.float32)
        if texts := _texts(profile):
            vectors = self._encoder.encode(texts, is_query=True)
            direction += _unit(_centred(vectors, _centre(self.name, "queries")).sum(0))
        if len(liked):
            direction += _unit(liked.mean(0))
        return Asked(_unit(direction), liked)

    def measured(self, asked: Asked) -> npt.NDArray[np.float32]:
        """(papers × FEATURES)."""
        if len(asked.liked):
            nearest = (self._vectors @ asked.liked.T).max(axis=1)
        else:
            nearest = np.zeros(len(self._vectors), np.float32)
        return np.stack([self._vectors @ asked.direction, nearest], axis=1).astype(np.float32)


def _texts(profile: Mapping[str, Any]) -> list[str]:
    """Name, keywords together, sentence: as the reader wrote them, in any language."""
    given = profile.get("keywords") or ()
    keywords = given if isinstance(given, str) else ", ".join(str(word) for word in given if word)
    parts = (str(profile.get("name") or ""), keywords, str(profile.get("sentence") or ""))
    return [part for part in parts if part.strip()]


def _of_papers(papers: Sequence[Mapping[str, Any]], encoder: Encoder) -> Vectors:
    texts = [paper_text(str(paper.get("title") or ""), str(paper.get("abstract") or "")) for paper in papers]
    return _centred(encoder.encode(texts), _centre(encoder.name, "papers"))


@lru_cache
def _centre(name: str, of: str) -> Vectors:
    with np.load(_CENTRES, allow_pickle=False) as centres:
        return np.asarray(centres[f"{name}_{of}"], np.float32)


def _centred(vectors: Vectors, centre: Vectors) -> Vectors:
    moved = vectors - centre
    return np.asarray(moved / (np.linalg.norm(moved, axis=1, keepdims=True) + 1e-9), np.float32)


def _unit(vector: npt.NDArray[Any]) -> Vectors:
    return np.asarray(vector / (np.linalg.norm(vector) + 1e-9), np.float32)
