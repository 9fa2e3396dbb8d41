import pytest

from digest.matching.explain import Reason, spans
from digest.matching.index import DayIndex
from subscriptions.filters import Document, parse

PAPER = Document(
    id="1",
    title="Tool-Using Agents",
    abstract="Agents trained for world models; a multi-agent\n benchmark and midtraining of LLMs.",
    authors=("Yann LeCun", "Kaiming He"),
    categories=("cs.AI", "cs.CL"),
    org="Google DeepMind",
    has=frozenset({"code"}),
    upvotes=54,
)


class TestReasons:
    @pytest.mark.parametrize(
        ("text", "reasons"),
        [
            ("agent", [("Agents", "title")]),
            ("agents OR agent", [("Agents", "title")]),
            ("benchmark agent", [("Agents", "title"), ("benchmark", "abstract")]),
            ('"world model"', [("world models", "abstract")]),
            ("multiagent", [("multi-agent", "abstract")]),
            ('"multi agent benchmark"', [("multi-agent benchmark", "abstract")]),
            ('models "world models"', [("world models", "abstract")]),
            ("mid-training", [("midtraining", "abstract")]),
            ("llm*", [("LLMs", "abstract")]),
            ('="world models"', [("world models", "abstract")]),
            ("agent -survey", [("Agents", "title")]),
            ("agent OR survey", [("Agents", "title")]),
            ("(agent survey) OR benchmark", [("benchmark", "abstract")]),
            ("abstract:agent", [("Agents", "abstract")]),
            ("au:lecun", [("Yann LeCun", "author")]),
            ("cat:cs", [("cs.AI", "category")]),
            ("org:deepmind", [("DeepMind", "organization")]),
            ("upvotes>=20 has:code", [("code", "has"), ("54", "upvotes")]),
            ("upvotes>=20 tool au:he lang:en", None),
        ],
    )
    def test_are_the_words_of_the_paper(self, text, reasons):
        hits = DayIndex([PAPER]).evaluate(parse(text))
        if reasons is None:
            reasons = [("Tool", "title"), ("Kaiming He", "author"), ("54", "upvotes"), ("en", "language")]

        assert hits.reasons(0) == [Reason(*reason) for reason in reasons]

    def test_are_none_for_a_paper_that_is_no_hit(self):
        hits = DayIndex([PAPER]).evaluate(parse("agent survey"))

        assert hits.reasons(0) == []
        assert hits.reasons(7) == []


class TestSpans:
    @pytest.mark.parametrize(
        ("text", "marked"),
        [
            ("agent", ["Agents", "agent"]),
            ("agent -llm", ["Agents", "agent"]),
            ('"multi agent benchmark" OR agent', ["Agents", "multi-agent\n benchmark"]),
            ("title:agent", []),
            ("au:lecun upvotes>3", []),
            ('="of LLMs"', ["of LLMs"]),
        ],
    )
    def test_mark_the_words_in_the_text(self, text, marked):
        found = spans(parse(text), PAPER.abstract, field="abstract")

        assert [PAPER.abstract[start:end] for start, end in found] == marked
