"""Many profiles at once get the scores that each gets by itself; packed ones come back as they were."""

import random
from dataclasses import replace

import numpy as np
import pytest

from digest.matching import batch, features, packing, rank, sense, space
from digest.matching.encoders import DIMENSIONS
from digest.matching.features import Papers, Prepared
from digest.matching.index import DayIndex
from digest.matching.packing import BadProfileError, Profiles
from tests.digest.matching import interests

PAPERS = 150


@pytest.fixture(scope="module")
def papers() -> Papers:
    rng = random.Random(1)
    own = [interests.paper(rng, number) for number in range(PAPERS)]
    return Papers(DayIndex([interests.document(one) for one in own]), space.starter())


@pytest.fixture(scope="module")
def prepared(papers: Papers) -> list[Prepared]:
    rng = random.Random(2)
    known = [
        {"id": one.id, "title": one.title, "abstract": one.abstract} for one in papers.index.documents[:40]
    ]
    made = (features.prepare(interests.profile(rng, known), papers.space) for _ in range(36))
    return [one for one in made if one is not None]


@pytest.fixture(scope="module")
def hits(prepared: list[Prepared]) -> list[int]:
    """Of each profile: all papers, half of them, some, or none."""
    rng = random.Random(3)
    everything = (1 << PAPERS) - 1
    some = (everything, rng.getrandbits(PAPERS), 0, rng.getrandbits(PAPERS) & rng.getrandbits(PAPERS))
    return [some[number % 4] & everything for number in range(len(prepared))]


def assert_as_alone(
    scored: batch.Scored, prepared: list[Prepared], hits: list[int], papers: Papers, *, within: float
) -> None:
    for number, one in enumerate(prepared):
        positions, log_odds = scored.of(number)
        assert positions.tolist() == [at for at in range(PAPERS) if hits[number] >> at & 1]
        alone = rank.log_odds(one, papers)[positions]
        np.testing.assert_allclose(log_odds, alone, atol=within, err_msg=one.kind)


class TestScorer:
    def test_gives_each_profile_the_scores_that_it_has_alone(self, papers, prepared, hits):
        assert len({one.kind for one in prepared}) > 10

        scored = batch.Scorer(papers).score(Profiles.of(prepared), batch.as_bits(hits, PAPERS))

        assert_as_alone(scored, prepared, hits, papers, within=1e-3)

    def test_scores_in_blocks_as_in_one(self, papers, prepared, hits, monkeypatch):
        monkeypatch.setattr(batch, "_AT_ONCE", 7)
        scorer = batch.Scorer(papers)

        for some in (slice(0, 16), slice(16, None)):
            scored = scorer.score(Profiles.of(prepared[some]), batch.as_bits(hits[some], PAPERS))
            assert_as_alone(scored, prepared[some], hits[some], papers, within=1e-3)

    def test_forgets_phrases_when_there_are_too_many(self, papers, prepared, hits, monkeypatch):
        monkeypatch.setattr(batch, "_MOST_PHRASES", 30)
        scorer = batch.Scorer(papers)

        for some in (slice(0, 10), slice(10, 20), slice(0, 10)):
            scored = scorer.score(Profiles.of(prepared[some]), batch.as_bits(hits[some], PAPERS))
            assert_as_alone(scored, prepared[some], hits[some], papers, within=1e-3)

    def test_knows_an_encoders_features_of_profiles_that_were_prepared_with_it(self, papers, prepared, hits):
        vectors = np.random.default_rng(4).standard_normal((PAPERS, DIMENSIONS)).astype(np.float32) / 20
        sensed = sense.Sensed.__new__(sense.Sensed)  # as if an encoder had seen the papers
        sensed.name, sensed._vectors = "minilm", vectors
        asked = sense.Asked(vectors[3] * 2, vectors[5:8])
        some = [replace(one, sense=asked) if number % 3 else one for number, one in enumerate(prepared[:12])]

        for profiles, within in (
            (Profiles.of(some), 1e-3),
            (Profiles.read([packing.pack(one) for one in some]), 1e-2),
        ):
            scored = batch.Scorer(papers, sensed).score(profiles, batch.as_bits(hits[:12], PAPERS))
            for number, one in enumerate(some):
                positions, log_odds = scored.of(number)
                alone = rank.log_odds(one, papers, sensed)[positions]
                np.testing.assert_allclose(log_odds, alone, atol=within)


class TestPack:
    def test_moves_scores_by_less_than_a_hundredth(self, papers, prepared, hits):
        # A paper as near to a disliked one as to a liked one may go either way.
        some = [replace(one, disliked=one.disliked[:0]) for one in prepared]
        stored = Profiles.read([packing.pack(one) for one in some])

        scored = batch.Scorer(papers).score(stored, batch.as_bits(hits, PAPERS))

        assert_as_alone(scored, some, hits, papers, within=1e-2)

    def test_gives_back_what_was_packed(self, prepared):
        for one in prepared:
            exact = packing.unpack(packing.pack(one, exactly=True))
            short = packing.unpack(packing.pack(one))

            for name in ("kind", "phrases", "liked_titles"):
                assert getattr(exact, name) == getattr(short, name) == getattr(one, name)
            for name in ("direction", "feedback", "liked", "disliked"):
                np.testing.assert_array_equal(getattr(exact, name), getattr(one, name))
                np.testing.assert_allclose(getattr(short, name), getattr(one, name), atol=5e-4)
            for ours, theirs in (
                (exact.words, one.words),
                (exact.name, one.name),
                (exact.sentence, one.sentence),
                *zip(exact.keywords, one.keywords, strict=True),
            ):
                assert [stem for stem, _ in ours] == [stem for stem, _ in theirs]
                assert [weight for _, weight in ours] == pytest.approx([weight for _, weight in theirs])

    def test_takes_a_few_kilobytes(self, prepared):
        assert (
            max(len(packing.pack(one)) for one in prepared if not len(one.liked) + len(one.disliked)) < 2_500
        )

    @pytest.mark.parametrize(
        "spoil",
        [
            lambda packed: b"",
            lambda packed: packed[:-1],
            lambda packed: packed + b"x",
            lambda packed: b"\x09" + packed[1:],
            lambda packed: packed[:-2] + b"\0\0",
            lambda packed: packed[:-2] + b"\xff\xff",
        ],
    )
    def test_says_what_is_no_packed_profile(self, prepared, spoil):
        with pytest.raises(BadProfileError):
            packing.unpack(spoil(packing.pack(prepared[0])))
