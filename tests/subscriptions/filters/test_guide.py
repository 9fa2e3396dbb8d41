"""The reader's page, docs/filters.md, claims nothing that does not work."""

import re
from pathlib import Path

import pytest

from subscriptions.filters import Document, FilterError, fields, matches, parse

GUIDE = (Path(__file__).resolve().parents[3] / "docs" / "filters.md").read_text()
EXAMPLES = [
    *GUIDE.partition("```filter\n")[2].partition("```")[0].splitlines(),
    *(
        example
        for row in GUIDE.splitlines()
        if row.startswith("|")
        for example in re.findall(r"`([^`]+)`", row)
        if re.search(r"[a-z]:.|\d", example)
    ),
]


class TestGuide:
    @pytest.mark.parametrize("example", EXAMPLES)
    def test_gives_examples_that_can_be_read(self, example):
        assert parse(f"{example} x")

    def test_names_every_field(self):
        assert {name for name in fields.FIELDS if f"| `{name}:`" not in GUIDE} == set()

    def test_shows_the_error_that_comes(self):
        with pytest.raises(FilterError) as caught:
            parse("harness (agent")

        assert f"{caught.value.caret}\n{caught.value}" in GUIDE

    def test_shows_the_echo_that_comes(self):
        assert parse("harness -survey has:code").canonical == "harness AND NOT survey AND has:code"
        assert "`harness AND NOT survey AND has:code`" in GUIDE

    @pytest.mark.parametrize(
        ("text", "title"),
        [
            ("agent", "Agentic"),
            ("agent*", "AgentBench"),
            ('"reward model"', "RewardModel"),
            ('="Reward Model"', "a reward model"),
            ("GPT-4", "gpt4"),
            ("\\alpha", "α"),
            ("10²⁵", "10^{25}"),
            ("zig-zagging", "zig zagging"),
            ("zig-zagging", "zigzagging"),
            ("zigzagging", "zig-zagging"),
            ("后训练", "PostTraining"),
            ("後訓練", "post-training"),
            ("推理", "inference"),
            ("title:世界模型", "world models"),
            ("生成", "图像生成"),
            ("世界模型训练", "世界模型训练"),
        ],
    )
    def test_tells_what_words_find(self, text, title):
        assert matches(parse(text), Document(id="x", title=title))

    @pytest.mark.parametrize(
        ("text", "title"),
        [
            ("agents -机器人", "agents for robots"),
            ("abstract:世界模型", "world models"),
            ("世界模型训练", "world model training"),
            ("生成", "generation"),
            ("模型", "model"),
            ('="后训练"', "post-training"),
        ],
    )
    def test_tells_what_words_do_not_find(self, text, title):
        assert not matches(parse(text), Document(id="x", title=title))

    @pytest.mark.parametrize("example", re.findall(r"`([^`\n]*[\u4e00-\u9fff][^`\n]*)`", GUIDE))
    def test_gives_chinese_examples_that_can_be_read(self, example):
        assert parse(f"{example} x")

    def test_shows_the_meaning_that_is_shown(self):
        assert parse("后训练").also == ("后训练, also post-training",)
        assert "`后训练` reads as `后训练`, also post-training." in GUIDE
        assert "Le Cun is LeCun" in GUIDE
        assert matches(parse('au:"Le Cun"'), Document(id="x", title="x", authors=("Yann LeCun",)))

    @pytest.mark.parametrize("example", ["agents or tools", "au:Yann LeCun", "upvotes 20"])
    def test_names_filters_that_give_a_hint(self, example):
        assert f"`{example}`" in GUIDE
        assert parse(example).hints
