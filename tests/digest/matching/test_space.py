"""A space of words: what is read is what was written, what is damaged is refused, what is old goes."""

import gc
import io
import random
import weakref

import numpy as np
import pytest
import scipy.sparse as sp

from digest.matching import features, space
from digest.matching.index import DayIndex
from digest.matching.rank import Ranker
from digest.matching.space import BadSpaceError, Space
from subscriptions.filters import Document

WORDS = [f"word{'abcdefghij'[n // 10]}{'klmnopqrst'[n % 10]}" for n in range(100)]


def small(**parts):
    counts = sp.csr_matrix(np.eye(3, 4, dtype=np.float32))
    block = np.ones((4, 2), np.float32)
    kept = {
        "words": ("a", "b", "c", "d"),
        "papers": 3,
        "having": np.ones(4, np.int32),
        "mean_length": 1.0,
        "blocks": (block,),
        "counts": counts,
        "ids": ("x", "y", "z"),
    }
    return Space(**(kept | parts))


@pytest.fixture(scope="module")
def trained():
    some = random.Random(3)
    documents = [
        Document(
            id=str(n), title=" ".join(some.sample(WORDS, 4)), abstract=" ".join(some.choices(WORDS, k=12))
        )
        for n in range(1_000)
    ]
    return Space.trained(DayIndex(documents), dimensions=20)


class TestBytes:
    def test_give_back_the_space_that_was_written(self, trained):
        read = Space.from_bytes(trained.to_bytes())

        assert (read.words, read.papers, read.ids) == (trained.words, trained.papers, trained.ids)
        assert (read.counts != trained.counts).nnz == 0
        assert np.abs(read.references - trained.references).max() < 0.02

    def test_hold_more_words_than_16_bits_can_count(self):
        words = tuple(f"w{n}" for n in range(70_000))
        far = sp.csr_matrix(([1.0, 1.0], ([0, 1], [69_999, 66_000])), shape=(2, 70_000), dtype=np.float32)
        wide = small(
            words=words,
            having=np.ones(70_000, np.int32),
            blocks=(np.ones((70_000, 1), np.float32),),
            counts=far,
            ids=(),
        )

        assert (Space.from_bytes(wide.to_bytes()).counts != far).nnz == 0

    @pytest.mark.parametrize("damage", [b"", b"PK\x03\x04" + b"0" * 50, b"no space at all"])
    def test_that_are_something_else_are_refused(self, damage):
        with pytest.raises(BadSpaceError):
            Space.from_bytes(damage)

    def test_are_refused_wherever_one_of_them_is_changed_or_the_end_is_missing(self, trained):
        data = trained.to_bytes()
        some = random.Random(5)
        damaged = [data[: some.randrange(len(data))] for _ in range(20)]
        for _ in range(40):
            changed = bytearray(data)
            changed[some.randrange(len(data))] ^= 1 << some.randrange(8)
            damaged.append(bytes(changed))

        for one in damaged:
            try:
                read = Space.from_bytes(one)
            except BadSpaceError:
                continue
            assert read.words == trained.words  # changed where nothing is said, as in a date of the archive

    @pytest.mark.parametrize(
        "part",
        [
            {"words": np.frombuffer(b"a\nb", np.uint8)},
            {"having": np.ones(2, np.int32)},
            {"steps": np.array([9, 9, 9], np.uint16)},
            {"scale": np.full((4, 1), np.nan, np.float32)},
            {"ids": np.frombuffer(b"x", np.uint8)},
        ],
    )
    def test_whose_parts_do_not_fit_together_are_refused(self, part):
        with np.load(io.BytesIO(small().to_bytes())) as kept:
            parts = dict(kept)
        written = io.BytesIO()
        np.savez(written, **(parts | part))

        with pytest.raises(BadSpaceError):
            Space.from_bytes(written.getvalue())


class TestMemory:
    def test_of_a_space_that_nobody_uses_any_more_is_freed(self, trained):
        joined = space.starter().joined(trained)
        ranker = Ranker().fit([{"id": "1", "title": WORDS[0]}], joined)
        ranker.score({"keywords": WORDS[:3], "liked": [{"id": "2", "title": WORDS[1]}]})
        gone = weakref.ref(joined)

        del joined, ranker
        gc.collect()

        assert gone() is None

    def test_is_bounded_however_many_papers_were_liked(self, trained, monkeypatch):
        monkeypatch.setattr(features, "_MOST_VECTORS", 5)
        papers = [{"title": word} for word in WORDS[:20]]

        vectors = features.paper_vectors(papers, trained)

        assert len(trained.memo["vectors"]) <= 5
        assert np.allclose(vectors, features.paper_vectors(papers, trained))
