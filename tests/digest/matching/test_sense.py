import hashlib

import numpy as np
import pytest

from digest.matching import encoders, sense
from digest.matching.encoders import DIMENSIONS, Encoder, NoEncoder
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
    found = Sensed(papers, encoder or BagOfWords()).measured(profile)
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
