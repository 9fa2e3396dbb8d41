"""Prepared profiles as bytes, for storage, and many of them side by side as arrays, for batch.py.

Pure. A packed profile of 500 dimensions and a dozen words has some 2.3 kB with vectors in 16 bits. To read it
takes a thousandth of the time that preparing one does.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from digest.matching import encoders
from digest.matching.features import Prepared, Words
from digest.matching.sense import Asked
from digest.matching.space import Floats

VERSION = 3
_HEAD = np.dtype(
    [
        ("version", "u1"),
        ("bytes", "u1"),  # of a number in a vector: 2 or 4
        ("has_name", "u1"),
        ("has_sentence", "u1"),
        ("dimensions", "<u2"),
        ("words", "<u2"),
        ("groups", "<u2"),  # the name's words, each keyword's, the sentence's
        ("members", "<u2"),  # words of all groups together
        ("phrases", "<u2"),
        ("liked", "<u2"),
        ("disliked", "<u2"),
        ("sensed", "<u2"),  # vectors of an encoder: 0, or 1 and one for each liked paper
        ("kind", "<u2"),  # texts, in bytes
        ("stems", "<u4"),
        ("said", "<u4"),
        ("titles", "<u4"),
    ]
)
_VECTORS: dict[int, np.dtype[Any]] = {2: np.dtype("<f2"), 4: np.dtype("<f4")}
_BETWEEN = "\0"  # texts; none holds it


class BadProfileError(ValueError):
    """The bytes are no packed profile, or one of another version or space."""


def pack(prepared: Prepared, *, exactly: bool = False) -> bytes:
    """For storage. Vectors in 16 bits, which moves a cosine by less than 0.0005; `exactly`: in 32.

    The words of name, keywords and sentence are among all `words`, as features.prepare makes them.
    """
    groups = [prepared.name] if prepared.name else []
    groups += prepared.keywords
    groups += [prepared.sentence] if prepared.sentence else []
    place = {stem: number for number, (stem, _) in enumerate(prepared.words)}
    members = [place[stem] for group in groups for stem, _ in group]
    texts = [
        _BETWEEN.join([one.replace(_BETWEEN, " ") for one in some]).encode()
        for some in ((prepared.kind,), place, prepared.phrases, prepared.liked_titles)
    ]
    vectors = [prepared.direction[None, :], prepared.feedback[None, :], prepared.liked, prepared.disliked]
    sensed = [prepared.sense.direction[None, :], prepared.sense.liked] if prepared.sense else []
    head = np.zeros((), _HEAD)
    head["version"] = VERSION
    head["bytes"] = 4 if exactly else 2
    head["has_name"] = bool(prepared.name)
    head["has_sentence"] = bool(prepared.sentence)
    head["dimensions"] = len(prepared.direction)
    head["words"] = len(prepared.words)
    head["groups"] = len(groups)
    head["members"] = len(members)
    head["phrases"] = len(prepared.phrases)
    head["liked"] = len(prepared.liked)
    head["disliked"] = len(prepared.disliked)
    head["sensed"] = sum(map(len, sensed))
    for name, text in zip(("kind", "stems", "said", "titles"), texts, strict=True):
        head[name] = len(text)
    return b"".join(
        (
            head.tobytes(),
            *(np.asarray(some, _VECTORS[4 if exactly else 2]).tobytes() for some in (*vectors, *sensed)),
            np.array([weight for _, weight in prepared.words], "<f4").tobytes(),
            np.array([*map(len, groups), *members], "<u2").tobytes(),
            *texts,
        )
    )


def unpack(packed: bytes) -> Prepared:
    """What `pack` wrote. Raises BadProfileError."""
    return Profiles.read([packed]).prepared(0)


@dataclass(frozen=True, eq=False)
class Profiles:
    """Prepared profiles in one space, side by side. Lists of unequal lengths follow each other in one."""

    kinds: list[str]
    vectors: npt.NDArray[Any]  # (profiles × 2 × dimensions): direction and feedback; in 16 or 32 bits
    stems: list[str]  # the words of all
    weights: Floats  # of the stems
    words: npt.NDArray[np.int64]  # by profile: how many words
    groups: npt.NDArray[
        np.int64
    ]  # by profile: how many groups; the name's is the first, the sentence's the last
    group_sizes: npt.NDArray[np.int64]  # by group: how many words
    members: npt.NDArray[np.int64]  # which of `stems` are the words of the groups
    has_name: npt.NDArray[np.bool_]
    has_sentence: npt.NDArray[np.bool_]
    phrases: list[str]
    phrase_counts: npt.NDArray[np.int64]  # by profile
    examples: dict[int, tuple[Floats, Floats]]  # liked and disliked, of the profiles that have any
    liked_titles: dict[int, tuple[str, ...]]
    senses: dict[int, Asked]  # of the profiles that were prepared with an encoder

    def __len__(self) -> int:
        return len(self.kinds)

    @classmethod
    def of(cls, prepared: Sequence[Prepared]) -> "Profiles":
        return cls.read([pack(one, exactly=True) for one in prepared])

    @classmethod
    def read(cls, packed: Sequence[bytes]) -> "Profiles":
        """Profiles that `pack` wrote, all of one space. 3 µs each. Raises BadProfileError."""
        if not packed:
            raise BadProfileError("Here are no profiles to read.")
        if min(map(len, packed)) < _HEAD.itemsize:
            raise BadProfileError("These bytes are too few for a profile.")
        heads = np.frombuffer(b"".join([one[: _HEAD.itemsize] for one in packed]), _HEAD)
        if (heads["version"] != VERSION).any() or heads["bytes"][0] not in _VECTORS:
            raise BadProfileError(f"These profiles were not packed in version {VERSION}.")
        for name in ("bytes", "dimensions"):
            if (heads[name] != heads[name][0]).any():
                raise BadProfileError(f"These profiles differ in the {name} of their vectors.")
        number = _VECTORS[int(heads["bytes"][0])]
        dimensions = int(heads["dimensions"][0])
        count = {name: heads[name].astype(np.int64) for name in _HEAD.names or ()}
        cuts = np.cumsum(
            [
                np.full(len(packed), _HEAD.itemsize),
                np.full(len(packed), 2 * dimensions * number.itemsize),
                (count["liked"] + count["disliked"]) * dimensions * number.itemsize,
                count["sensed"] * encoders.DIMENSIONS * number.itemsize,
                count["words"] * 4,
                (count["groups"] + count["members"]) * 2,
                *(count[name] for name in ("kind", "stems", "said", "titles")),
            ],
            axis=0,
        )
        if (cuts[-1] != [len(one) for one in packed]).any():
            raise BadProfileError("A packed profile is not as long as it says.")

        def part(number: int) -> list[bytes]:
            begins, ends = cuts[number].tolist(), cuts[number + 1].tolist()
            return [one[begin:end] for one, begin, end in zip(packed, begins, ends, strict=True)]

        kinds = _texts(part(5), np.ones(len(packed), np.int64))
        stems = _texts(part(6), count["words"])
        phrases = _texts(part(7), count["phrases"])
        titles = {}
        numbers = np.frombuffer(b"".join(part(4)), "<u2").astype(np.int64)
        is_member = np.repeat(
            np.tile([False, True], len(packed)), np.stack([count["groups"], count["members"]], 1).ravel()
        )
        first_word = np.cumsum(count["words"]) - count["words"]
        vectors = np.frombuffer(b"".join(part(0)), number).reshape(len(packed), 2, dimensions)
        examples, senses = {}, {}
        for row in np.flatnonzero(count["liked"] + count["disliked"]).tolist():
            begin, end = cuts[1][row], cuts[2][row]
            both = np.frombuffer(packed[row][begin:end], number).astype(np.float32).reshape(-1, dimensions)
            titles[row] = tuple(_texts([packed[row][cuts[8][row] :]], count["liked"][row : row + 1]))
            examples[row] = both[: count["liked"][row]], both[count["liked"][row] :]
        for row in np.flatnonzero(count["sensed"]).tolist():
            begin, end = cuts[2][row], cuts[3][row]
            seen = np.frombuffer(packed[row][begin:end], number).astype(np.float32)
            seen = seen.reshape(-1, encoders.DIMENSIONS)
            senses[row] = Asked(seen[0], seen[1:])
        return cls(
            kinds,
            vectors,
            stems,
            np.frombuffer(b"".join(part(3)), "<f4"),
            count["words"],
            count["groups"],
            numbers[~is_member],
            numbers[is_member] + np.repeat(first_word, count["members"]),
            count["has_name"] > 0,
            count["has_sentence"] > 0,
            phrases,
            count["phrases"],
            examples,
            titles,
            senses,
        )

    def prepared(self, row: int) -> Prepared:
        """One of them by itself again."""
        first = int(self.words[:row].sum())
        own = slice(first, first + int(self.words[row]))
        words: Words = tuple(zip(self.stems[own], self.weights[own].tolist(), strict=True))
        begin = int(self.groups[:row].sum())
        ends = np.cumsum(self.group_sizes)
        groups = [
            tuple(
                words[member - first] for member in self.members[ends[at] - self.group_sizes[at] : ends[at]]
            )
            for at in range(begin, begin + int(self.groups[row]))
        ]
        name = groups.pop(0) if self.has_name[row] else ()
        sentence = groups.pop() if self.has_sentence[row] else ()
        begin = int(self.phrase_counts[:row].sum())
        none = np.zeros((0, self.vectors.shape[2]), np.float32)
        liked, disliked = self.examples.get(row, (none, none))
        return Prepared(
            kind=self.kinds[row],
            direction=self.vectors[row, 0].astype(np.float32),
            feedback=self.vectors[row, 1].astype(np.float32),
            words=words,
            phrases=tuple(self.phrases[begin : begin + int(self.phrase_counts[row])]),
            name=name,
            keywords=tuple(groups),
            sentence=sentence,
            liked=liked,
            disliked=disliked,
            liked_titles=self.liked_titles.get(row, ()),
            sense=self.senses.get(row),
        )


def _texts(parts: list[bytes], counts: npt.NDArray[np.int64]) -> list[str]:
    """Those of all, one after the other."""
    some = [part for part, count in zip(parts, counts.tolist(), strict=True) if count]
    try:
        texts = _BETWEEN.encode().join(some).decode().split(_BETWEEN) if some else []
    except UnicodeDecodeError as error:
        raise BadProfileError("The words of a packed profile cannot be read.") from error
    if len(texts) != counts.sum():
        raise BadProfileError("A packed profile has not as many words as it says.")
    return texts
