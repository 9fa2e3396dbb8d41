import pytest

from subscriptions.filters import glossary, normal


class TestMeaning:
    @pytest.mark.parametrize(
        ("word", "english"),
        [
            ("后训练", ("post-training",)),
            ("後訓練", ("post-training",)),
            ("世界模型", ("world model",)),
            ("演算法", ("algorithm",)),
            ("ＫＶ缓存", ("KV cache",)),
            ("kv 缓存", ("KV cache",)),
            ("推理", ("reasoning", "inference")),
        ],
    )
    def test_is_the_english_of_a_whole_word(self, word, english):
        assert glossary.meaning(word) == english

    @pytest.mark.parametrize(
        "word", ["生成", "模型", "用于", "后训练数据", "没有这个词", "post-training", ""]
    )
    def test_is_nothing_for_common_unknown_and_composed_words(self, word):
        assert glossary.meaning(word) == ()


class TestTranslate:
    @pytest.mark.parametrize(
        ("sentence", "english"),
        [
            (
                "用于机器人规划与策略学习的世界模型",
                ["robot planning", "policy learning", "world model"],
            ),
            ("用於機器人規劃的世界模型", ["robot planning", "world model"]),
            ("用GPT-4和Vision Transformer做3D重建", ["GPT-4", "Vision Transformer", "3D reconstruction"]),
            ("研究生成模型", ["research", "study", "generative model"]),
            ("图像、图像与图像", ["image"]),
            ("mixture of experts", ["mixture of experts"]),
            ("喵喵喵", []),
            ("", []),
        ],
    )
    def test_gives_the_english_phrases_of_a_sentence(self, sentence, english):
        assert glossary.translate(sentence) == english

    def test_survives_any_text(self):
        for text in ("\ud800后训练", "后\u0301训练", "。" * 100, "大" * 5000, "a-" * 5000, "１２３"):
            assert isinstance(glossary.translate(text), list)


class TestFile:
    def test_holds_terms_that_a_filter_can_find(self):
        terms = dict(glossary.entries())

        assert len(terms) > 1300
        for term, (english, is_general) in terms.items():
            assert term == glossary._key(term)
            assert any(map(normal.is_cjk, term)), term
            assert english or is_general, term
            assert all(normal.pattern(phrase).units for phrase in english), term

    def test_names_no_term_twice(self):
        lines = [line for line in glossary._FILE.read_text().splitlines() if line and line[0] != "#"]

        assert len(lines) == len(dict(glossary.entries()))
