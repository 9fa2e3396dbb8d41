"""Why a filter finds a paper or not, part by part."""

import random

import pytest

from subscriptions.filters import Document, Filter, matches, parse
from subscriptions.filters.account import account, distance, faults, holding, in_words
from tests.subscriptions.filters import trees

PAPER = Document(
    id="2608.18565",
    title="Tool use of language agents: a survey",
    abstract="We study how agents call tools.",
    authors=("Ada Lovelace", "Émilie du Châtelet"),
    categories=("cs.CL", "cs.AI"),
    primary="cs.CL",
    org="Google DeepMind; google-deepmind",
    sources=frozenset({"huggingface"}),
    has=frozenset({"project"}),
    upvotes=12,
)


def said(text: str, document: Document = PAPER) -> list[str]:
    return [fault.words for fault in faults(account(parse(text), document), document)]


class TestAccount:
    def test_tells_each_part_of_the_filter_apart(self) -> None:
        truth = account(parse('agents ("reward model" OR tools) -survey'), PAPER)

        assert not truth.holds
        assert [(part.text, part.holds) for part in truth.parts] == [
            ("agents", True),
            ('"reward model" OR tools', True),
            ("NOT survey", False),
        ]
        assert [(part.text, part.holds) for part in truth.parts[1].parts] == [
            ('"reward model"', False),
            ("tools", True),
        ]
        assert truth.as_json()["parts"][2] == {  # type: ignore[index]
            "text": "NOT survey",
            "holds": False,
            "parts": [{"text": "survey", "holds": True, "found": [["title", "survey"]]}],
        }

    def test_names_what_makes_it_hold(self) -> None:
        truth = account(parse('(agents OR "reward model") cat:cs.CL -robot'), PAPER)

        assert [part.text for part in holding(truth)] == ["agents", "cat:cs.CL"]
        assert faults(truth, PAPER) == []


class TestFaults:
    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("robot", "“robot” is not in its title or abstract"),
            ("robot*", "“robot*” is not in its title or abstract"),
            ('title:"call tools"', "“call tools” is not in its title"),
            ('abstract:="Tool use"', "“Tool use” is not exactly in its abstract"),
            (
                'au:"Yann LeCun"',
                "“Yann LeCun” is not among its authors (their names are Ada Lovelace, Émilie du Châtelet)",
            ),
            (
                "org:meta",
                "“meta” is not among its organisations (their names are Google DeepMind, google-deepmind)",
            ),
            ("cat:math.CO", "math.CO is not among its categories (they are cs.CL, cs.AI)"),
            ("primary:cs.AI", "cs.AI is not its primary category (it is cs.CL)"),
            ("source:arxiv", "arxiv is not among its sources (they are huggingface)"),
            ("kind:post", "it is a paper, not post"),
            ("has:code", "no code of it is known"),
            ("upvotes>=20", "it has 12 votes, not >= 20"),
            ("stars>=20", "how many stars it has is not known, so it cannot be >= 20"),
            ("all:robot", "“robot” is not in its title, abstract, authors, categories or organisations"),
            ("agents -survey", "NOT survey leaves it out: “survey” is in its title"),
            ("agents -upvotes<20", "NOT upvotes<20 leaves it out: it has 12 votes"),
            ("agents -cat:cs.AI", "NOT cat:cs.AI leaves it out: “cs.AI” is among its categories"),
        ],
    )
    def test_are_said_in_the_reader_s_words_with_the_place(self, text: str, words: str) -> None:
        assert said(text) == [words]

    def test_are_every_word_that_is_missing_and_none_that_is_there(self) -> None:
        assert said("agents (robot OR planes) -survey") == [
            "“robot” is not in its title or abstract",
            "“planes” is not in its title or abstract",
            "NOT survey leaves it out: “survey” is in its title",
        ]

    def test_of_a_paper_of_which_little_is_known_say_so(self) -> None:
        bare = Document(id="7", title="Agents")

        assert said("cat:cs.CL", bare) == ["cs.CL is not among its categories (none is known)"]

    def test_of_one_place_are_said_together(self) -> None:
        text = "(robot OR planes) title:(ships OR cars OR trains OR mills OR bells) upvotes>=20 -survey"

        assert in_words(faults(account(parse(text), PAPER), PAPER)) == [
            "neither “robot” nor “planes” is in its title or abstract",
            "none of “ships”, “cars”, “trains”, “mills” and 1 more is in its title",
            "it has 12 votes, not >= 20",
            "NOT survey leaves it out: “survey” is in its title",
        ]

    @pytest.mark.parametrize(
        ("text", "changes"),
        [
            ("agents", 0),
            ("robot", 1),
            ("agents -survey", 1),
            ("robot planes", 2),
            ("(robot planes) OR ships", 1),
        ],
    )
    def test_are_as_many_as_must_be_otherwise_at_least(self, text: str, changes: int) -> None:
        assert distance(account(parse(text), PAPER)) == changes

    def test_stand_by_what_the_language_finds(self) -> None:
        rng = random.Random(4)
        for _ in range(400):
            filter, paper = Filter(trees.node(rng)), trees.document(rng)

            truth = account(filter, paper)

            assert truth.holds == matches(filter, paper), filter
            assert bool(faults(truth, paper)) != truth.holds, filter
            assert (distance(truth) == 0) == truth.holds, filter
