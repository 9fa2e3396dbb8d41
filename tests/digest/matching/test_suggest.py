"""What is offered for a filter: words, other names, warnings. Counted over a few made-up papers."""

from collections.abc import Callable

import pytest

from digest.matching import suggest
from digest.matching.index import DayIndex
from subscriptions.filters import Document, Filter, parse

PAPERS = [
    *[("Agents that remember", "We study agent memory with a vector store for long dialogues.")] * 6,
    *[("Agents in the lab", "A planner moves pipettes.")] * 4,
    *[("Weather in the north", "Rain and large language models of it.")] * 20,
    *[("Text2SQL for banks", "Queries of a bank.")] * 2,
    ("NL2SQL at last", "Queries of a shop."),
]


@pytest.fixture(scope="module")
def count() -> Callable[[Filter], int]:
    documents = [Document(id=str(n), title=title, abstract=text) for n, (title, text) in enumerate(PAPERS)]
    index = DayIndex(documents)
    return lambda filter: len(index.evaluate(filter))


def proposed(count: Callable[[Filter], int], *, known: tuple[str, ...] = ()) -> list[str]:
    found = suggest.keywords(PAPERS[:10], papers=len(PAPERS), count=count, known=known)
    return [keyword.text for keyword in found]


class TestKeywords:
    def test_are_phrases_of_the_best_papers_that_others_do_not_have(self, count) -> None:
        papers = len(PAPERS) * 20  # as if the rest were about other things
        found = suggest.keywords(PAPERS[:10], papers=papers, count=count, known=["agents"])

        assert {"agent memory", "vector store"} <= {keyword.text for keyword in found}
        assert not {"we", "study", "with", "rain", "agents"} & {keyword.text.lower() for keyword in found}
        memory = next(keyword for keyword in found if keyword.text == "agent memory")
        assert (memory.best, memory.papers) == (6, 6)

    def test_leave_out_what_is_known_in_whatever_form(self, count) -> None:
        papers = len(PAPERS) * 20
        found = suggest.keywords(
            PAPERS[:10], papers=papers, count=count, known=["Agent memories", "vector-store"]
        )

        assert not {"agent memory", "memory", "vector store"} & {keyword.text for keyword in found}

    def test_do_not_run_over_commas_or_formulas(self, count) -> None:
        best = [("Red, green $x$ blue", "")] * 5
        found = suggest.keywords(best, papers=1000, count=lambda filter: 5)

        assert {keyword.text.lower() for keyword in found} == {"red", "green", "blue"}

    def test_are_none_of_two_papers(self, count) -> None:
        assert suggest.keywords(PAPERS[:2], papers=1000, count=count) == []


class TestSynonyms:
    def test_come_with_the_filter_that_takes_them_in_and_what_it_brings(self, count) -> None:
        (offer,) = suggest.synonyms(parse("text-to-SQL -survey"), count=count)

        assert offer.name == "text-to-SQL"
        assert {"text2SQL", "NL2SQL"} <= set(offer.others)
        assert offer.more == 3
        assert count(parse(offer.text)) == 3
        assert offer.text.endswith("-survey")

    def test_read_as_the_issue_writes_them(self, count) -> None:
        (offer,) = suggest.synonyms(parse("LLM"), count=count)

        assert (offer.text, offer.more) == ('LLM OR "large language model"', 20)

    @pytest.mark.parametrize(
        "text", ['LLM OR "large language models"', "-LLM rain", "au:LLM", '="LLM"', "LLM*"]
    )
    def test_are_not_offered_for_what_is_there_left_out_or_meant_exactly(self, count, text) -> None:
        assert suggest.synonyms(parse(text), count=count) == []

    def test_keep_the_field(self, count) -> None:
        (offer,) = suggest.synonyms(parse("title:LLM"), count=count)

        assert parse(offer.text) == parse('title:LLM OR title:"large language model"')

    def test_table_has_each_name_once_and_every_name_can_be_searched_for(self) -> None:
        names = [name for group in suggest.groups() for name in group]

        assert len(suggest.groups()) >= 120
        assert all(len(group) > 1 for group in suggest.groups())
        keys = [suggest.key_of(name) for name in names]
        assert sorted(key for key in set(keys) if keys.count(key) > 1) == []
        for name in names:
            assert parse(suggest.with_alternative("", name)).positive_atoms()


class TestWarnings:
    def warn(self, count, text: str, *, days: int = 1, papers: int = len(PAPERS), terms=()) -> list:
        filter = parse(text)
        return suggest.warnings(
            filter, found=count(filter), papers=papers, days=days, count=count, terms=terms
        )

    def test_say_that_nothing_was_found_and_which_word_stands_in_the_way(self, count) -> None:
        (warning,) = self.warn(count, "agents zebra")

        assert warning.kind == "nothing"
        assert [(offer.words, offer.text, offer.papers) for offer in warning.offers] == [
            ("Without zebra", "agents", 10)
        ]

    def test_say_that_a_blank_means_and(self, count) -> None:
        (warning,) = self.warn(count, "agents memory dialogues rain -survey")[1:]

        assert warning.kind == "bare-words"
        assert [(offer.text, offer.papers) for offer in warning.offers] == [
            ("(agents OR memory OR dialogues OR rain) -survey", 30),
            ('"agents memory dialogues rain" -survey', 0),
        ]

    @pytest.mark.parametrize("text", ["agents memory dialogues", "agents OR memory OR vector OR store"])
    def test_do_not_mind_three_words_or_an_or(self, count, text) -> None:
        assert self.warn(count, text, papers=10_000) == []

    def test_say_that_a_word_is_too_common(self, count) -> None:
        terms = [suggest.Keyword("vector store", 6, 6)]
        (warning,) = self.warn(count, "agents", terms=terms)

        assert warning.kind == "common"
        assert "30 %" in warning.words
        assert [(offer.text, offer.papers) for offer in warning.offers] == [('agents "vector store"', 6)]

    def test_say_that_there_are_more_than_forty_a_day(self, count) -> None:
        def many(filter: Filter) -> int:
            return 40 if filter == parse("title:agents OR title:rain") else 82

        warned = suggest.warnings(parse("agents OR rain"), found=82, papers=1000, days=2, count=many)
        (offer,) = warned[0].offers

        assert warned[0].kind == "many"
        assert (offer.papers, parse(offer.text)) == (40, parse("title:agents OR title:rain"))
        assert suggest.warnings(parse("agents OR rain"), found=80, papers=1000, days=2, count=many) == []


def test_an_added_keyword_leaves_the_typed_filter_as_it_is() -> None:
    assert suggest.with_alternative("agents -survey ", "agent memory") == 'agents -survey OR "agent memory"'
    assert suggest.with_alternative("", "memory") == "memory"
