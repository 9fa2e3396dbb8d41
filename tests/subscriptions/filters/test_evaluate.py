import subprocess
import sys

import pytest

from subscriptions.filters import Document, matches, parse

PAPER = Document(
    id="2501.01234v2",
    title="$\\tau$-Bench for Mid-Training LLMs",
    abstract="We study multi-agent tool use. Pretraining on 10^{25} tokens (后训练 and π₀) beats Gaussian "
    "splatting in 3-D. World models of Schrödinger’s agents, step by step; no table is left. Reward. Models.",
    authors=("Yann LeCun", "Jean-Luc Picard", "何恺明"),
    categories=("cs.CL", "cs.AI", "quant-ph"),
    primary="cs.CL",
    org="Google DeepMind; google-deepmind",
    sources=("huggingface",),
    lang="zh-Hans",
    has=frozenset({"code"}),
    upvotes=20,
    comments=0,
)


class TestMatches:
    @pytest.mark.parametrize(
        "text",
        [
            # normal form
            "llm",
            "LLMs",
            "tau-bench",
            "τ-bench",
            '"tau bench"',
            "taubench",
            '"$\\tau$-bench"',
            "schrodinger",
            "Schrödinger",
            "agent",
            "10²⁵",
            "10^25",
            "pi0",
            "π_0",
            # compounds
            "mid-training",
            "midtraining",
            '"mid training"',
            "mid–training",
            "pre-training",
            "pretraining",
            '"pre training"',
            "pretrained",
            "multiagent",
            '"multi agents"',
            "tool-use",
            "3D",
            "3-d",
            "world-model",
            "worldmodels",
            # phrases and exact text
            '"tool use"',
            '"use tool" OR "tool use"',
            '"step by step"',
            '="Mid-Training"',
            '="10^{25} tokens"',
            '="agents"',
            '"reward models"',
            # prefixes
            "agen*",
            "mid-tr*",
            "midtrain*",
            "splat*",
            # Chinese
            "后训练",
            "训练",
            "“后训练”",
            # fields
            "title:llm",
            "abstract:splatting",
            'au:"Y. LeCun"',
            "au:picard",
            "au:pic*",
            'au:="luc picard"',
            "au:恺明",
            "org:deepmind",
            'org:"google deepmind"',
            "cat:cs.AI",
            "cat:cs",
            "cat:quant-ph",
            "primary:cs.CL",
            "source:huggingface",
            "kind:paper",
            "lang:zh",
            "id:2501.01234",
            "has:code",
            "all:lecun",
            "all:deepmind",
            "all:cs.AI",
            # numbers
            "upvotes>=20",
            "upvotes=20",
            "upvotes>19",
            "comments<1",
            "comments<=0",
            # logic
            "agent -survey",
            "agent -(survey OR poem)",
            "poem OR agent",
            "agent llm splatting",
            "agent NOT stars>5",
        ],
    )
    def test_finds(self, text):
        assert matches(parse(text), PAPER)

    @pytest.mark.parametrize(
        "text",
        [
            '"use tool"',
            '"llms we"',  # from the title into the abstract
            '="trainings"',
            '="benchmark"',
            '="pretrained"',
            '="mid training"',
            '="gent"',
            "notable",
            '"mid llm"',
            "训后",
            "title:splatting",
            "abstract:tau-bench",
            'au:"Yann Picard"',
            'au:="lecun yann"',
            "org:mind",
            "org:openai",
            '"deepmind google"',
            'org:"deepmind google"',  # from one name into the other
            "lecun",
            "cat:cs.LG",
            "cat:math",
            "primary:cs.AI",
            "source:arxiv",
            "kind:media",
            "lang:en",
            "id:2501.0123",
            "has:project",
            "upvotes>20",
            "upvotes<20",
            "stars>=0",  # unknown
            "stars<5",
            "agent -llm",
            "agent survey",
            "agent -upvotes>=20",
        ],
    )
    def test_does_not_find(self, text):
        assert not matches(parse(text), PAPER)

    def test_takes_media_for_all_but_papers(self):
        for kind in ("post", "forum", "news"):
            assert matches(parse("kind:media"), Document(id="x", title="x", kind=kind))

    def test_does_not_search_chinese_across_a_comma(self):
        paper = Document(id="x", title="先后，训练; 强化 学习")

        assert not matches(parse("后训练"), paper)
        assert matches(parse("强化学习"), paper)

    def test_takes_a_comparison_with_zero_as_known(self):
        assert matches(parse("stars=0"), Document(id="x", title="x", stars=0))


class TestPackage:
    def test_needs_no_django_and_no_settings(self):
        code = "import sys, subscriptions.filters, digest.matching.index; sys.exit('django' in sys.modules)"

        assert subprocess.run([sys.executable, "-c", code], check=False, env={}).returncode == 0
