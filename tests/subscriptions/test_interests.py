"""Interests: from what people type to keywords and a sentence, and back; when they ask for a relevance."""

import pytest

from subscriptions import interests
from subscriptions.interests import Interest
from subscriptions.models import Topic


@pytest.mark.parametrize(
    ("typed", "keywords", "sentence"),
    [
        ("agents", ("agents",), ""),
        ("agent memory, long-term recall ,, Agent Memory.", ("agent memory", "long-term recall"), ""),
        ("记忆，长期对话、智能体", ("记忆", "长期对话", "智能体"), ""),
        ("How agents keep what they learnt", (), "How agents keep what they learnt"),
        (
            "How agents in a team of many, or few, remember",
            (),
            "How agents in a team of many, or few, remember",
        ),
        (
            "memory, recall; How agents keep what they learnt",
            ("memory", "recall"),
            "How agents keep what they learnt",
        ),
        ("智能体如何记住它们在对话中学到的内容", (), "智能体如何记住它们在对话中学到的内容"),
        (" ,;\n\x00\u202e", (), ""),
    ],
)
def test_one_field_holds_keywords_or_a_sentence_or_both(typed, keywords, sentence) -> None:
    interest = Interest.read(typed)

    assert (interest.keywords, interest.sentence) == (keywords, sentence)
    assert Interest.read(interest.text) == interest


def test_are_cut_where_a_row_ends() -> None:
    interest = Interest.of([f"word {n} {'x' * 200}" for n in range(20)], "y" * 900)

    assert len(interest.keywords) == interests.MAX_KEYWORDS
    assert max(map(len, interest.keywords)) <= interests.MAX_KEYWORD
    assert len(interest.sentence) == interests.MAX_SENTENCE
    assert len(interest.name) <= interests.MAX_NAME


def test_a_catalogue_description_is_no_wish_but_a_readers_own_sentence_is() -> None:
    described = {"name": "Agents", "description": "Papers on agents."}

    assert not interests.of_topic(Topic(slug="agents", **described))
    assert interests.of_topic(Topic(slug="agents", keywords=["agent"], **described)).keywords == ("agent",)
    assert interests.of_topic(Topic(owner_id=1, **described)).sentence == "Papers on agents."


@pytest.mark.parametrize(
    ("interest", "filter", "wanted", "threshold"),
    [
        (Interest(("a",)), interests.EVERY_PAPER, None, 50),
        (Interest(("a",)), interests.EVERY_PAPER, 70, 70),
        (Interest(("a",)), "agents", None, None),
        (Interest(), "agents", 70, None),
    ],
)
def test_the_threshold_is_never_none_where_every_paper_may_enter(interest, filter, wanted, threshold) -> None:
    assert interests.threshold(interest, filter, wanted) == threshold


def test_the_nearest_pure_filter_has_any_of_the_keywords() -> None:
    wanted = Interest(("agent memory", "recall", "(", 'C++ "x"'), "How agents remember")

    assert interests.as_filter(wanted) == '"agent memory" OR recall OR "C++ x"'
    assert interests.as_filter(Interest((), "How agents remember")) == ""
