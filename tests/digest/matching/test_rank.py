"""The ranker: what it prefers, what it says of itself, and that a quiet day stays quiet."""

import random

import numpy as np
import pytest

from digest.matching import evaluation, rank, space
from digest.matching.evaluation import Labelled, WordsOnly
from digest.matching.explain import Reason
from digest.matching.features import FEATURES, kind_of
from digest.matching.rank import Calibration, Ranker, constants_of
from tests.conftest import SHARED_DATA
from tests.digest.matching import interests


def paper(paper_id, title, abstract="", **more):
    return {"id": paper_id, "title": title, "abstract": abstract, "authors": [], "published": "", **more}


PAPERS = [
    paper(
        "agents",
        "Tool-using agents that plan over long horizons",
        "We train language model agents to call tools and to plan many steps ahead in web environments.",
    ),
    paper(
        "splats",
        "Compact Gaussian splatting for novel view synthesis",
        "A radiance field of 3D Gaussians is pruned and quantized, so that scenes render in real time.",
    ),
    paper(
        "proteins",
        "Protein structure prediction with equivariant networks",
        "We predict folded structures of proteins from amino acid sequences with geometric deep learning.",
    ),
    paper(
        "decoding",
        "Faster speculative decoding with a shared draft head",
        "A small draft model proposes tokens that the large language model verifies in parallel.",
    ),
]
INTEREST = {
    "name": "Tool use",
    "keywords": ["tool use", "function calling"],
    "sentence": "Agents that call tools.",
}


@pytest.fixture(scope="module")
def ranker():
    return Ranker().fit(PAPERS)


class TestScore:
    def test_prefers_the_paper_that_the_interest_is_about(self, ranker):
        scores = ranker.score({"keywords": ["gaussian splatting", "view synthesis"]})

        assert PAPERS[int(scores.argmax())]["id"] == "splats"

    def test_finds_by_meaning_what_shares_no_word_with_the_interest(self, ranker):
        scores = ranker.score({"name": "NeRF"})

        assert PAPERS[int(scores.argmax())]["id"] == "splats"

    def test_finds_english_papers_by_a_chinese_sentence(self, ranker):
        scores = ranker.score({"sentence": "用草稿模型加速大模型解码", "lang": "zh"})

        assert PAPERS[int(scores.argmax())]["id"] == "decoding"

    def test_prefers_what_is_like_a_liked_paper(self, ranker):
        liked = paper(
            "old", "Folding proteins from sequence alone", "Structures of proteins by deep learning."
        )

        scores = ranker.score({"liked": [liked]})

        assert PAPERS[int(scores.argmax())]["id"] == "proteins"

    def test_a_disliked_paper_lowers_those_near_to_it(self, ranker):
        bad = paper("bad", "Agents that call tools on the web", "Language model agents call tools and plan.")

        before, after = ranker.score(INTEREST), ranker.score({**INTEREST, "disliked": [bad]})

        assert after[0] < before[0] - 1
        assert after[1:] == pytest.approx(before[1:], abs=0.6)

    @pytest.mark.parametrize(
        "profile",
        [{}, {"name": "", "keywords": [], "sentence": ""}, {"sentence": "我和你"}, {"name": "of the"}],
    )
    def test_says_nothing_of_a_profile_that_says_nothing(self, ranker, profile):
        assert np.isnan(ranker.score(profile)).all()
        assert ranker.relevance(profile) is None

    def test_does_not_depend_on_the_other_papers_of_the_day(self, ranker):
        alone = Ranker().fit(PAPERS[:1]).score(INTEREST)

        assert alone[0] == pytest.approx(ranker.score(INTEREST)[0], abs=1e-4)

    def test_is_the_same_for_a_prepared_profile(self, ranker):
        assert ranker.score(ranker.prepare(INTEREST)) == pytest.approx(ranker.score(INTEREST))


class TestWhatItIsGiven:
    """A plug-in is handed whatever its caller has; nothing of it may end in an exception."""

    @pytest.mark.parametrize(
        "odd",
        [
            {"id": "1"},
            {"id": "1", "title": None, "abstract": None, "authors": None, "published": None},
            {"id": "1", "title": "a\0b", "abstract": "\ud800 agents"},
            {"id": "1", "title": "", "abstract": "agents " * 20_000},
        ],
    )
    def test_any_paper_has_a_score_and_reasons(self, odd):
        fitted = Ranker().fit([odd, *PAPERS])

        assert np.isfinite(fitted.score(INTEREST)).all()
        assert isinstance(fitted.explain(INTEREST, "1"), list)
        assert np.isfinite(fitted.score({"liked": [odd], "disliked": [odd]})).all()

    def test_a_missing_title_is_not_the_word_none(self):
        liked = {"id": "1", "title": None, "abstract": "Speculative decoding."}

        fitted = Ranker().fit(PAPERS)

        without = {key: value for key, value in liked.items() if key != "title"}
        assert fitted.score({"liked": [liked]}) == pytest.approx(fitted.score({"liked": [without]}))

    def test_no_papers_have_no_scores(self):
        empty = Ranker().fit([])

        assert len(empty.score(INTEREST)) == 0
        assert empty.relevance(INTEREST) == []

    def test_papers_with_numbers_for_ids_are_explained_by_them(self):
        fitted = Ranker().fit({**one, "id": number} for number, one in enumerate(PAPERS))

        assert fitted.explain(INTEREST, 0) == fitted.explain(INTEREST, "0") != []

    def test_keywords_in_one_text_are_those_between_its_commas(self, ranker):
        in_one = ranker.score({"keywords": "gaussian splatting, view synthesis"})

        assert in_one == pytest.approx(ranker.score({"keywords": ["gaussian splatting", "view synthesis"]}))

    def test_none_for_any_part_of_a_profile_is_nothing(self, ranker):
        assert np.isnan(ranker.score(dict.fromkeys(["name", "keywords", "sentence", "liked", "lang"]))).all()
        with_none = ranker.score({"keywords": [None, "planning"]})
        assert with_none == pytest.approx(ranker.score({"keywords": ["planning"]}))


class TestRelevance:
    def test_is_high_for_what_fits_and_low_for_a_quiet_day(self, ranker):
        fitting, *others = ranker.relevance({"name": "Tool use by agents", "keywords": ["agents", "tools"]})

        assert fitting > 0.6
        assert max(others) < 0.2

    def test_is_not_said_for_a_single_liked_paper(self, ranker):
        assert ranker.relevance({"liked": PAPERS[1:2]}) is None
        assert not np.isnan(ranker.score({"liked": PAPERS[1:2]})).any()

    def test_is_shifted_by_what_readers_taught(self):
        strict = Ranker(calibration=Calibration(intercept=-2.0, slope=1.0)).fit(PAPERS)
        plain = Ranker().fit(PAPERS)

        assert strict.relevance(INTEREST)[0] < plain.relevance(INTEREST)[0]
        assert strict.score(INTEREST) == pytest.approx(plain.score(INTEREST))


class TestExplain:
    def test_names_phrases_in_the_words_of_the_paper_and_where_they_stand(self, ranker):
        reasons = ranker.explain({"keywords": ["draft heads", "language models"]}, "decoding")

        assert Reason("draft head", "title") in reasons
        assert Reason("language model", "abstract") in reasons

    def test_names_the_nearest_liked_paper(self, ranker):
        liked = [
            paper("a", "Protein folding by deep learning", "Structures of proteins from their sequences."),
            paper("b", "Cooking", "Soups."),
        ]

        assert Reason("Protein folding by deep learning", "liked") in ranker.explain(
            {"liked": liked}, "proteins"
        )

    @pytest.mark.parametrize(
        ("profile", "paper_id"),
        [
            (INTEREST, "agents"),
            ({"name": "3D reconstruction"}, "splats"),
            ({"sentence": "Making inference of language models cheaper."}, "decoding"),
            ({"liked": [paper("x", "Protein design", "Sequences that fold.")]}, "proteins"),
        ],
    )
    def test_without_the_word_it_names_first_the_paper_would_score_lower(self, ranker, profile, paper_id):
        words = [reason.atom_text for reason in ranker.explain(profile, paper_id) if reason.field == "about"]
        place = next(at for at, one in enumerate(PAPERS) if one["id"] == paper_id)
        before = ranker.score(profile)[place]
        assert words

        for word in words:
            cut = {
                key: value.replace(word, " ").replace(word.capitalize(), " ")
                if key in ("title", "abstract")
                else value
                for key, value in PAPERS[place].items()
            }
            assert Ranker().fit([cut]).score(profile)[0] < before

    def test_refuses_a_paper_that_was_not_fitted(self, ranker):
        with pytest.raises(KeyError):
            ranker.explain(INTEREST, "nobody's")


class TestShared:
    """Many readers follow one topic, each with papers of their own: their scores are those of anybody."""

    @pytest.mark.parametrize("number", range(12))
    def test_words_give_each_reader_the_scores_of_their_whole_profile(self, number):
        rng = random.Random(number)
        papers = [interests.paper(rng, at) for at in range(40)]
        ranker = Ranker().fit(papers[:25], space.starter())
        profile = {"name": "Graphs", "keywords": ["graph neural networks"]} | interests.profile(rng, papers)
        profile["name"] = profile["name"] or "Graphs"
        examples = {"liked": rng.sample(papers, number % 5), "disliked": rng.sample(papers, number % 3)}
        text = ranker.prepare({**profile, "liked": [], "disliked": []})

        prepared, scores = ranker.taught(ranker.shared(text), examples)

        whole = ranker.prepare(profile | examples)
        assert (prepared.kind, prepared.liked_titles) == (whole.kind, whole.liked_titles)
        assert np.abs(prepared.feedback - whole.feedback).max() < 1e-4
        assert scores == pytest.approx(ranker.score(profile | examples), abs=1e-3)


class TestNamedWords:
    def test_are_none_that_any_abstract_has_nor_torn_from_a_longer_one(self):
        odd = paper(
            "cot",
            "A comprehensive study of chain-of-thought",
            "Extensive experiments with chain-of-thought prompting show comprehensive reasoning traces.",
        )
        fitted = Ranker().fit([odd, *PAPERS])

        about = {reason.atom_text for reason in fitted.explain({"liked": [odd]}, "cot")} - {odd["title"]}

        assert about
        assert not about & {"comprehensive", "Extensive", "of-thought", "chain-of"}

    def test_are_named_though_any_abstract_has_them_where_somebody_asks_for_them(self):
        odd = paper("ttc", "Test-time compute", "We scale compute at test time: more test-time search.")
        fitted = Ranker().fit([odd, *PAPERS])

        reasons = fitted.explain({"sentence": "Scaling of the time that a test takes"}, "ttc")

        assert {"test", "time", "test-time"} & {reason.atom_text.casefold() for reason in reasons}


class TestConstants:
    def test_every_kind_of_profile_has_some_and_none_is_negative(self):
        kinds = {
            kind_of(name=name, keywords=keywords, sentence=sentence, liked=liked, is_translated=translated)
            for name in ("", "Agents")
            for keywords in ([], ["agents"])
            for sentence in ("", "Agents.")
            for liked in (0, 1, 2, 3, 7, 8, 50)
            for translated in (False, True)
            if name or keywords or sentence or liked
        }

        for kind in kinds:
            weights = constants_of(kind).weights
            assert (np.delete(weights, FEATURES.index("disliked")) >= 0).all()
            assert weights[FEATURES.index("disliked")] == rank.DISLIKED_WEIGHT
            assert weights[:2].sum() > 0


def _reduced(folder):
    """Every fourth paper that nobody labelled, all that somebody did."""
    data = Labelled.read(folder)
    labelled = {paper_id for grades in data.grades.values() for paper_id in grades}
    kept = [one for at, one in enumerate(data.papers) if one["id"] in labelled or at % 4 == 0]
    return Labelled(kept, data.topics, data.grades)


@pytest.fixture(scope="module")
def labelled():
    return _reduced(SHARED_DATA / "matching")


@pytest.fixture(scope="module")
def fitted(labelled):
    return Ranker().fit(labelled.papers)


@pytest.mark.shared_data
class TestQuality:
    """Fails when the matcher gets worse by more than 0.03 in mean average precision on the reduced set."""

    @pytest.mark.parametrize(
        ("mode", "expected"),
        [
            ("name", 0.781),
            ("keywords", 0.835),
            ("sentence", 0.733),
            ("zh", 0.764),
            ("k3", 0.659),
            ("mix3", 0.850),
        ],
    )
    def test_is_as_good_as_it_was(self, labelled, fitted, mode, expected):
        found = evaluation.quality(fitted, labelled, mode, kinds=("list",), draws=1)

        assert found.mean_average_precision > expected - 0.03

    def test_is_better_than_plain_words_and_honest(self, labelled, fitted):
        ours = evaluation.quality(fitted, labelled, "keywords", kinds=("list",))
        words = evaluation.quality(WordsOnly(fitted), labelled, "keywords", kinds=("list",))
        _gain, low, _high = evaluation.compared(ours, words)

        assert low > 0.05
        assert (
            ours.calibration_error < 0.15
        )  # fewer papers outside than it was fitted for: it says too little
        assert ours.precision_at_70 > 0.8
