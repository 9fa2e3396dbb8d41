import pytest

from subscriptions.filters import glossary, normal


class TestMeaning:
    @pytest.mark.parametrize(
        ("word", "english"),
        [
            ("后训练", ("post-training",)),
            ("後訓練", ("post-training",)),
            ("世界模型", ("world model",)),
            ("機器學習", ("machine learning",)),
            ("视讯", ("video",)),
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

    @pytest.mark.parametrize(
        ("sentence", "named"),
        [
            ("让语言模型根据人类偏好进行对齐的训练方法", {"language model", "human preference", "alignment"}),
            ("面向低资源语言的机器翻译", {"low-resource language", "machine translation"}),
            ("检测人工智能生成的文本与图像", {"detection", "AI", "text", "image"}),
            ("从单张图片重建三维人体", {"single image", "3D reconstruction", "human body"}),
            ("大模型推理服务的调度与键值缓存管理", {"LLM serving", "scheduling", "KV cache"}),
            ("提示注入与越狱攻击的防御", {"prompt injection", "jailbreak attack", "defense"}),
            (
                "能看懂屏幕并操作手机和电脑的智能体",
                {"screen", "operation", "mobile phone", "computer", "agent"},
            ),
            ("基于扩散模型的蛋白质结构设计", {"diffusion model", "protein structure", "design"}),
            ("用图神经网络预测分子性质", {"graph neural network", "molecular property prediction"}),
            ("求解偏微分方程的神经网络", {"partial differential equation", "neural network"}),
            ("四足机器人越野行走", {"quadruped robot", "off-road", "locomotion"}),
            ("引力波与黑洞的数据分析", {"gravitational wave", "black hole", "data analysis"}),
            ("素数分布与解析数论", {"prime number", "distribution", "analytic number theory"}),
            ("洪水与干旱的早期预警", {"flood", "drought", "early warning"}),
            ("大模型在金融、法律中的应用", {"large language model", "finance", "law", "application"}),
            ("图着色与近似算法", {"graph coloring", "approximation algorithm"}),
            ("会反思和自我修正的智能体", {"reflection", "self-correction", "agent"}),
            ("面向盲人的辅助技术", {"blind people", "assistive technology"}),
        ],
    )
    def test_covers_what_a_sentence_is_about(self, sentence, named):
        assert named <= set(glossary.translate(sentence))

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
