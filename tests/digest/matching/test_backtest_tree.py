"""The back-test of the whole catalogue, and its command."""

import gzip
import json
from datetime import timedelta
from itertools import islice
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from digest.matching import backtest_tree
from digest.matching.backtest_tree import Papers, backtest
from subscriptions.filters import Document
from subscriptions.models import Topic
from tests.factories import (
    DAY,
    FilterRevisionFactory,
    PaperFactory,
    SightingFactory,
    TopicFactory,
    listed_paper,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def catalogue():
    """A small tree of its own in the place of the real one: pets, with cats and dogs; felines; birds."""
    Topic.objects.update(retired_at="2026-08-20T12:00Z")
    cat = FilterRevisionFactory(canonical="cat")
    pets = TopicFactory(slug="pets", filter__canonical="cat OR dog", position=1)
    TopicFactory(slug="cats", filter=cat, parent=pets, position=2)
    TopicFactory(slug="dogs", filter__canonical="dog", parent=pets, position=3)
    TopicFactory(slug="felines", filter__canonical="cat OR lion", position=4)
    TopicFactory(slug="birds", filter__canonical="bird", position=5)
    TopicFactory(slug="same-cats", filter=cat, position=6)
    return list(Topic.objects.catalogue())


def papers(*titles: str, days: int = 2) -> Papers:
    return Papers([Document(id=str(at), title=title) for at, title in enumerate(titles)], days)


class TestBackTest:
    def test_counts_what_each_topic_finds_in_all_and_a_day(self, catalogue):
        report = backtest(catalogue, papers("A cat", "Cats and dogs", "Dogs", "A fish"))

        assert [(one.topic.slug, one.depth, one.found) for one in report.measured] == [
            ("pets", 0, 3),
            ("cats", 1, 2),
            ("dogs", 1, 2),
            ("felines", 0, 2),
            ("birds", 0, 0),
            ("same-cats", 0, 2),
        ]
        assert report.measured[0].a_day == 1.5
        assert report.measured[0].share == 0.75
        assert [one.topic.slug for one in report.without_hits] == ["birds"]

    def test_names_pairs_that_find_nearly_the_same_unless_one_is_part_of_the_other(self, catalogue):
        report = backtest(catalogue, papers(*["A cat"] * 9, "A lion", "A dog"))

        assert [(pair.one.slug, pair.other.slug, round(pair.jaccard, 2)) for pair in report.alike] == [
            ("pets", "same-cats", 0.9),
            ("cats", "felines", 0.9),
            ("felines", "same-cats", 0.9),
            ("pets", "felines", 0.82),
        ]
        assert [(one.slug, other.slug) for one, other in report.same] == [("cats", "same-cats")]

    def test_names_topics_that_find_too_much(self, catalogue):
        report = backtest(catalogue, papers(*["A cat"] * 90, *["A fish"] * 10))

        assert "cats" in [one.topic.slug for one in report.with_many]
        assert "cats" in [one.topic.slug for one in report.broad]
        assert "dogs" not in [one.topic.slug for one in report.broad]

    def test_takes_stored_papers_of_the_last_days_once_each(self, catalogue):
        paper = listed_paper(title="A cat")
        SightingFactory(paper=paper, listing_day=DAY - timedelta(days=1))
        SightingFactory(
            paper=PaperFactory(title="The same cat", canonical=paper), listing_day=DAY - timedelta(days=1)
        )
        listed_paper(DAY - timedelta(days=3), title="A dog of old")

        found = backtest_tree.stored(days=2)

        assert [document.title for document in found.documents] == ["A cat"]
        assert found.days == 2

    @pytest.mark.shared_data
    def test_the_catalogue_finds_papers_without_finding_everything(
        self, shared_data_dir: Path, tmp_path: Path
    ):
        path = shared_data_dir / "corpus" / "arxiv_listings_2026-04_2026-07.jsonl.gz"
        some = tmp_path / "papers.jsonl"
        with gzip.open(path, "rt") as lines:
            some.write_text("".join(islice(lines, 0, 20_000, 20)))

        report = backtest(Topic.objects.catalogue(), backtest_tree.recorded(some))

        assert report.papers == 1_000
        subjects = [one for one in report.measured if not one.is_category]
        assert sum(one.found > 0 for one in subjects) > 0.95 * len(subjects)
        assert max(one.share for one in subjects) < 0.25
        assert sum(one.share > 0.1 for one in subjects) <= 6
        subject_pairs = [pair for pair in report.alike if "arXiv" not in (pair.one.group, pair.other.group)]
        assert subject_pairs == []
        assert ("cat-cs-it", "cat-math-it") in [(one.slug, other.slug) for one, other in report.same]


class TestCommand:
    def test_prints_a_table_and_figures_as_json(self, catalogue, tmp_path, capsys):
        path = tmp_path / "papers.jsonl.gz"
        record = {
            "id": "2501.00001",
            "title": "A cat of \u202e[red]stripes[/]",
            "abstract": "It purrs.",
            "authors": ["Ann Example"],
            "categories": ["cs.IT"],
            "listed": "2026-08-20",
        }
        with gzip.open(path, "wt") as file:
            file.write(json.dumps(record) + "\n")

        call_command("backtest_topics", papers=path, titles=1, json=True)

        printed = capsys.readouterr().out
        figures = json.loads(printed.splitlines()[-1])
        assert figures["papers"] == figures["days"] == 1
        assert figures["topics"][1] == {"slug": "cats", "depth": 1, "papers": 1, "a_day": 1.0, "share": 1.0}
        assert figures["without_hits"] == ["dogs", "birds"]
        assert "more than 15% of everything" in printed
        assert "A cat of \\u202e[red]stripes[/]" in printed

    def test_looks_at_some_topics_only(self, catalogue, capsys):
        listed_paper(title="A cat")

        call_command("backtest_topics", topic=["cats"], json=True)

        figures = json.loads(capsys.readouterr().out.splitlines()[-1])
        assert [one["slug"] for one in figures["topics"]] == ["cats"]

    @pytest.mark.parametrize(
        ("options", "problem"),
        [
            ({}, "There are no stored papers"),
            ({"days": 0}, "--days 0"),
            ({"topic": ["unicorns"]}, "no such topic"),
            ({"papers": Path("/nowhere/papers.jsonl")}, "--papers: "),
        ],
    )
    def test_says_what_is_missing(self, options, problem):
        with pytest.raises(CommandError, match=problem):
            call_command("backtest_topics", **options)

    def test_says_which_line_cannot_be_read(self, tmp_path):
        path = tmp_path / "papers.jsonl"
        path.write_text('{"id": "1"}\n')

        with pytest.raises(CommandError, match="line 1: KeyError"):
            call_command("backtest_topics", papers=path)
