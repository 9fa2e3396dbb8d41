import json

import numpy as np
import pytest

from digest.matching import learning
from digest.matching.learning import Background, LinearModel

DIMENSIONS = 40


def opinions(number: int, *, seed: int, taste: float) -> tuple[np.ndarray, list[bool], np.ndarray]:
    """Papers as unit vectors, opinions that follow a direction of the space as strongly as `taste` says (0:
    at random), and a default that knows nothing of it."""
    random = np.random.default_rng(seed)
    vectors = random.normal(size=(number, DIMENSIONS))
    direction = np.zeros(DIMENSIONS)
    direction[:3] = 1
    along = vectors @ direction + random.normal(size=number) / max(taste, 1e-9)
    liked = along > np.median(along)
    vectors[:, :3] *= 3 if taste else 1
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors, liked.tolist(), random.normal(size=number) + 0.5


class TestLearn:
    @pytest.mark.parametrize("number", [24, 40, 80])
    def test_consistent_opinions_make_a_model_that_takes_over(self, number):
        made = learning.learn(*opinions(number, seed=1, taste=5))

        assert made.is_better
        assert made.own_loss < made.default_loss - learning.MARGIN
        assert made.own_auc > 0.8

    def test_random_opinions_make_none(self):
        taken = [
            learning.learn(*opinions(number, seed=seed, taste=0)).is_better
            for number in (10, 20, 40)
            for seed in range(5)
        ]
        assert sum(taken) <= 1  # chance may be lucky once in a while

    def test_a_default_that_foresees_everything_stays(self):
        vectors, liked, _ = opinions(40, seed=1, taste=5)
        knows = np.where(liked, 3.0, -3.0)

        assert not learning.learn(vectors, liked, knows).is_better

    def test_that_somebody_likes_most_of_what_comes_is_no_taste(self):
        vectors, _, default = opinions(40, seed=2, taste=0)
        liked = [number % 10 != 0 for number in range(40)]

        assert not learning.learn(vectors, liked, default - 3).is_better

    @pytest.mark.parametrize(("likes", "dislikes"), [(9, 0), (10, 0), (10, 2), (2, 10), (5, 4)])
    def test_few_opinions_or_all_of_a_kind_make_none(self, likes, dislikes):
        vectors = np.eye(likes + dislikes, DIMENSIONS)
        liked = [True] * likes + [False] * dislikes

        assert learning.learn(vectors, liked, np.zeros(len(liked))) is None

    def test_the_same_opinions_make_the_same_model(self):
        first, second = (learning.learn(*opinions(30, seed=3, taste=5)) for _ in range(2))
        assert first.model.as_json() == second.model.as_json()
        assert learning.folds(opinions(30, seed=3, taste=5)[1]) == learning.folds(
            opinions(30, seed=3, taste=5)[1]
        )

    def test_papers_without_a_score_or_a_place_do_no_harm(self):
        vectors, liked, default = opinions(40, seed=1, taste=5)
        default[::5] = np.nan
        vectors[3] = 0

        made = learning.learn(vectors, liked, default)

        assert np.isfinite(made.model.vector).all()
        assert made.is_better

    def test_each_opinion_is_held_out_once(self):
        parts = learning.folds([True] * 9 + [False] * 4)
        assert sorted(number for part in parts for number in part) == list(range(13))


class TestAdjust:
    def test_likes_lift_and_dislikes_lower_papers_that_are_near(self):
        vectors, liked, default = opinions(60, seed=1, taste=5)
        model = learning.learn(vectors, liked, default, space="s").model
        toward = np.zeros((2, DIMENSIONS))
        toward[0, :3], toward[1, :3] = 1, -1

        better, worse = learning.adjust([0.0, 0.0], toward, model, space="s")

        assert better > 0.5 > -0.5 > worse

    def test_what_was_not_matched_stays_so(self):
        model = LinearModel(0.0, 1.0, np.ones(2))
        assert np.isnan(learning.adjust([np.nan], np.ones((1, 2)), model)).all()

    @pytest.mark.parametrize(
        "model",
        [None, LinearModel(9.0, 1.0, np.ones(2), "old"), LinearModel(9.0, 1.0, np.ones(3), "new")],
        ids=["none", "another space", "another size"],
    )
    def test_a_model_that_does_not_fit_changes_nothing(self, model):
        assert learning.adjust([0.5, -1], np.ones((2, 2)), model, space="new").tolist() == [0.5, -1]

    def test_a_model_survives_being_stored(self):
        made = learning.learn(*opinions(40, seed=1, taste=5), space="17").model
        written = json.dumps(made.as_json())
        read = LinearModel.from_json(json.loads(written))

        vectors = np.eye(DIMENSIONS)
        assert len(written) < 4_000
        assert read.space == "17"
        assert learning.adjust(np.zeros(DIMENSIONS), vectors, read) == pytest.approx(
            learning.adjust(np.zeros(DIMENSIONS), vectors, made), abs=0.01
        )

    def test_a_removed_word_has_no_weight_left(self):
        model = LinearModel(0.0, 1.0, np.array([2.0, 1.0, 0.5]))
        word = np.array([[1.0, 1.0, 0.0]])

        blind = model.blind_to(word)

        assert learning.adjust([0.0], word, blind)[0] == pytest.approx(0)
        assert blind.vector[2] == 0.5
        assert model.blind_to(np.zeros((0, 0))).vector.tolist() == [2.0, 1.0, 0.5]


class TestScale:
    def shown(self, number: int, *, intercept: float, slope: float) -> tuple[list[float], list[bool]]:
        """Probabilities, and readers who answer as if the truth were intercept + slope * log-odds."""
        random = np.random.default_rng(5)
        odds = random.normal(1.0, 1.2, number)
        true = 1 / (1 + np.exp(-(intercept + slope * odds)))
        return (1 / (1 + np.exp(-odds))).tolist(), (random.random(number) < true).tolist()

    def test_readers_who_disagree_move_the_scale(self):
        intercept, slope = learning.refit_calibration(*self.shown(3_000, intercept=-1, slope=0.6))

        assert intercept == pytest.approx(-1, abs=0.2)
        assert slope == pytest.approx(0.6, abs=0.15)

    def test_readers_who_agree_leave_it(self):
        intercept, slope = learning.refit_calibration(*self.shown(3_000, intercept=0, slope=1))
        assert (intercept, slope) == (pytest.approx(0, abs=0.15), pytest.approx(1, abs=0.15))

    def test_200_opinions_are_enough_and_199_are_not(self):
        probabilities, liked = self.shown(200, intercept=-0.5, slope=1)

        assert learning.refit_calibration(probabilities, liked) is not None
        assert learning.refit_calibration(probabilities[:199], liked[:199]) is None

    @pytest.mark.parametrize(
        ("probabilities", "liked"),
        [
            ([0.7] * 300, [True] * 300),
            ([0.7] * 300, [True] * 290 + [False] * 10),
            ([0.9] * 150 + [0.55] * 150, [False] * 150 + [True] * 150),
            ([float("nan")] * 300, [True, False] * 150),
        ],
        ids=["all likes", "hardly a dislike", "the ranker contradicted", "nothing known"],
    )
    def test_what_cannot_be_believed_leaves_the_scale(self, probabilities, liked):
        assert learning.refit_calibration(probabilities, liked) is None

    def test_opinions_that_fall_apart_perfectly_stay_finite(self):
        found = learning.refit_calibration(
            [1.0] * 150 + [0.6] * 100 + [0.0] * 50, [True] * 250 + [False] * 50
        )
        assert found is None or (np.isfinite(found).all() and found[1] <= learning.SLOPES[1])

    def test_a_shown_probability_leads_back_to_the_rankers(self):
        odds = np.log(0.8 / 0.2)
        shown = 1 / (1 + np.exp(-(-0.4 + 1.3 * odds)))
        assert learning.before_calibration(shown, -0.4, 1.3) == pytest.approx(0.8)


LIKED = [
    ("Speculative decoding with small draft models", "A draft model proposes tokens; the model is faster."),
    ("Faster speculative decoding", "We propose a draft model for speculative decoding of LLMs."),
    ("Draft trees for LLMs", "Speculative decoding significantly accelerates LLMs."),
]
DISLIKED = [
    ("A survey of quantization", "We survey quantization of LLMs."),
    ("Quantization of weights: a survey", "Weights are quantized; a survey of methods."),
]
EVERYBODY = Background.of(
    [*LIKED, *DISLIKED, *[(f"Paper {n}", "We propose a new model.") for n in range(40)]]
)


class TestWords:
    def test_what_liked_and_disliked_papers_are_about(self):
        more, less = learning.telling_words(LIKED, DISLIKED, background=EVERYBODY)

        assert more[0].text == "speculative decoding"
        assert (more[0].liked, more[0].disliked) == (3, 0)
        assert {word.text for word in less} >= {"survey", "quantization"}

    def test_words_of_both_and_of_every_abstract_do_not_tell(self):
        more, less = learning.telling_words(LIKED, DISLIKED, background=EVERYBODY)

        told = {word.text.casefold() for word in (*more, *less)}
        assert told.isdisjoint({"propose", "we", "significantly", "methods", "of", "model"})

    def test_a_pair_stands_for_its_parts(self):
        more, _ = learning.telling_words(LIKED, DISLIKED, background=EVERYBODY)
        assert {word.text for word in more}.isdisjoint({"speculative", "decoding"})

    def test_a_removed_word_is_gone_in_any_inflection(self):
        _, less = learning.telling_words(LIKED, DISLIKED, background=EVERYBODY, removed=["Surveys"])
        assert "survey" not in {word.text for word in less}

    def test_a_single_paper_is_told_by_its_title(self):
        more, less = learning.telling_words(LIKED[:1], [], background=EVERYBODY)
        assert "speculative decoding" in {word.text.lower() for word in more}
        assert not less

    def test_nothing_said_tells_nothing(self):
        assert learning.telling_words([], [], background=EVERYBODY) == ([], [])

    @pytest.mark.parametrize(
        ("text", "words", "rest"),
        [
            ("World models for agents", ["agent"], "World models for "),
            ("WorldModels and a world-model", ["world model"], " and a "),
            ("Nothing of it", ["agent"], "Nothing of it"),
            ("A (b", ['"', "(", "OR"], "A (b"),
        ],
    )
    def test_a_word_is_taken_out_as_filters_find_it(self, text, words, rest):
        assert learning.without(text, words) == rest
