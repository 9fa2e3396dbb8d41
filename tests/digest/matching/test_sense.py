import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from digest.matching import encoders, rank, sense
from digest.matching.encoders import DIMENSIONS, Encoder, NoEncoder
from digest.matching.rank import Ranker
from digest.matching.sense import FEATURES, Sensed


def paper(title: str, abstract: str = "") -> dict[str, str]:
    return {"id": title, "title": title, "abstract": abstract}


AGENTS, GOATS, REWARD = paper("agents use tools"), paper("goats graze"), paper("a reward model")


class BagOfWords:
    """An encoder without a model: texts with common words lie near each other, all in one corner."""

    def __init__(self, name: str = "minilm") -> None:
        self.name = name

    def encode(self, texts, *, is_query=False):
        centre = sense._centre(self.name, "queries" if is_query else "papers")
        rows = np.array([centre + 0.3 * self._sum(text) for text in texts], np.float32)
        return rows.reshape(len(texts), DIMENSIONS)

    def _sum(self, text):
        words = text.casefold().replace(",", " ").replace(".", " ").split()
        seeds = [list(hashlib.sha256(word.encode()).digest()) for word in words]
        return sum((np.random.default_rng(seed).standard_normal(DIMENSIONS) for seed in seeds), np.zeros(1))


def measured(profile, *papers, encoder: Encoder | None = None):
    sensed = Sensed(papers, encoder or BagOfWords())
    found = sensed.measured(sensed.asked(profile))
    assert found.shape == (len(papers), len(FEATURES))
    return found


@pytest.mark.parametrize(
    "profile",
    [
        {"name": "Agents"},
        {"keywords": ["tools", "agents"]},
        {"sentence": "What agents do."},
        {"liked": [paper("tools that agents use")]},
        {"name": "Agents", "liked": [paper("tools")], "lang": "en"},
    ],
)
def test_papers_on_the_interest_come_before_others(profile):
    agents, goats, reward = measured(profile, AGENTS, GOATS, REWARD)

    assert agents[0] > max(goats[0], reward[0])


def test_the_nearest_liked_paper_counts_beside_the_interest():
    found = measured({"name": "goats", "liked": [REWARD, AGENTS]}, AGENTS, GOATS, REWARD)

    nearest = found[:, FEATURES.index("sense_nearest")]
    assert nearest[0] == pytest.approx(1, abs=1e-4)
    assert nearest[2] == pytest.approx(1, abs=1e-4)
    assert nearest[1] < 0.5


def test_no_feature_depends_on_the_other_papers():
    profile = {"name": "agents", "liked": [REWARD]}

    assert np.allclose(measured(profile, AGENTS), measured(profile, GOATS, REWARD, AGENTS)[2:], atol=1e-6)


def test_a_profile_that_says_nothing_measures_nothing():
    assert not measured({}, AGENTS, GOATS).any()
    assert not measured({"name": " ", "keywords": [], "liked": []}, AGENTS).any()


def test_an_encoder_that_fails_is_told_to_whoever_asks():
    class Failing(BagOfWords):
        def encode(self, texts, *, is_query=False):
            raise NoEncoder("No.")

    with pytest.raises(NoEncoder):
        Sensed([AGENTS], Failing())


@pytest.mark.parametrize("name", encoders.MODELS)
@pytest.mark.parametrize("of", ["papers", "queries"])
def test_each_model_has_the_centre_of_what_it_makes_of_texts(name, of):
    centre = sense._centre(name, of)

    assert centre.shape == (DIMENSIONS,)
    assert 0.1 < np.linalg.norm(centre) < 1


class TestInTheRanker:
    PAPERS = (
        paper("Agents that use tools", "We train agents to call functions."),
        paper("Goats on alpine pastures", "Herds graze."),
        paper("A reward model of preferences", "People compare answers."),
    )

    class Failing(BagOfWords):
        def encode(self, texts, *, is_query=False):
            raise NoEncoder("No.")

    class FailingLater(BagOfWords):
        def encode(self, texts, *, is_query=False):
            if is_query:
                raise NoEncoder("No.")
            return super().encode(texts)

    @pytest.mark.parametrize("name", encoders.MODELS)
    def test_an_encoder_adds_to_the_score_with_constants_of_its_own(self, name):
        profile = {"keywords": ["function calling", "agents"], "sentence": "Tools for agents."}
        default = Ranker().fit(self.PAPERS)
        with_encoder = Ranker(encoder=BagOfWords(name)).fit(self.PAPERS)

        assert with_encoder.sensed.name == name
        assert not np.allclose(with_encoder.score(profile), default.score(profile), atol=1e-3)
        assert with_encoder.score(profile).argmax() == 0
        assert with_encoder.relevance(profile)[0] == max(with_encoder.relevance(profile))
        assert with_encoder.explain(profile, self.PAPERS[0]["id"]) == default.explain(
            profile, self.PAPERS[0]["id"]
        )

    @pytest.mark.parametrize("encoder", [Failing, FailingLater])
    def test_an_encoder_that_gives_no_vectors_changes_nothing(self, encoder):
        profile = {"name": "Tool use", "liked": [self.PAPERS[0]]}

        found = Ranker(encoder=encoder()).fit(self.PAPERS)

        assert np.array_equal(found.score(profile), Ranker().fit(self.PAPERS).score(profile))
        assert found.relevance(profile) == Ranker().fit(self.PAPERS).relevance(profile)

    def test_a_profile_prepared_without_it_is_scored_without_it(self):
        default = Ranker().fit(self.PAPERS)
        prepared = default.prepare({"name": "Tool use"})

        found = Ranker(encoder=BagOfWords()).fit(self.PAPERS).score(prepared)

        assert np.array_equal(found, default.score(prepared))

    @pytest.mark.parametrize("name", encoders.MODELS)
    def test_every_kind_of_profile_has_constants_in_which_the_encoder_never_lowers_a_paper(self, name):
        files = {encoder: Path(rank.__file__).with_name(file) for encoder, file in rank._CONSTANTS.items()}
        kinds = json.loads(files[""].read_text())["kinds"].keys()

        assert json.loads(files[name].read_text())["kinds"].keys() == kinds
        for kind in kinds:
            weights = rank.constants_of(kind, name).weights
            assert len(weights) == len(rank.FEATURES) + len(FEATURES)
            assert (weights[len(rank.FEATURES) :] >= 0).all()
