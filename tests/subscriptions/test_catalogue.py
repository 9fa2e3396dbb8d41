"""The catalogue of topics: a tree, as the data migrations load it."""

import importlib
import itertools
import json
from collections import Counter
from pathlib import Path

import pytest
from django.apps import apps

from digest.matching.index import DayIndex
from digest.papers import categories
from digest.sources.arxiv.taxonomy import CATEGORIES
from subscriptions import topics
from subscriptions.filters import Document, parse
from subscriptions.models import FilterRevision, Topic
from tests.factories import SubscriberFactory

first = importlib.import_module("subscriptions.migrations.0003_catalogue")
migration = importlib.import_module("subscriptions.migrations.0006_topic_tree")
FIRST = json.loads(first.CATALOGUE.read_text("utf-8"))
TOPICS = json.loads(migration.TREE.read_text("utf-8"))
SUBJECTS = [topic for topic in TOPICS if topic["group"] != topics.ARXIV]
BY_SLUG = {topic["slug"]: topic for topic in TOPICS}
ACTIVE = {code: category for code, category in CATEGORIES.items() if category.is_active}


class TestTree:
    def test_has_at_least_120_subjects_and_one_topic_for_each_category_of_arxiv(self):
        assert len(SUBJECTS) >= 120
        assert len(ACTIVE) == 155
        for code, category in ACTIVE.items():
            topic = BY_SLUG[f"cat-{code.lower().replace('.', '-')}"]
            assert topic["filter"] == f"cat:{categories.canonical(code)}"
            assert topic["name"] == f"{category.name} ({code})"
            assert topic["names"]["zh-hans"].endswith(f"（{code}）")

    def test_keeps_every_topic_of_the_first_catalogue_under_its_group(self):
        assert [
            topic["slug"]
            for topic in FIRST
            if topic["slug"] not in BY_SLUG or BY_SLUG[topic["slug"]]["group"] != topic["group"]
        ] == []

    def test_names_each_slug_and_each_name_once(self):
        assert len(BY_SLUG) == len(TOPICS)
        assert len({topic["name"] for topic in TOPICS}) == len(TOPICS)
        assert len({topic["names"]["zh-hans"] for topic in TOPICS}) == len(TOPICS)

    def test_puts_every_parent_before_its_children_and_every_child_into_its_group(self):
        place = {topic["slug"]: at for at, topic in enumerate(TOPICS)}
        for topic in TOPICS:
            if topic["parent"]:
                assert place[topic["parent"]] < place[topic["slug"]]
                assert BY_SLUG[topic["parent"]]["group"] == topic["group"]
        groups = [topic["group"] for topic in TOPICS]
        assert sum(one != other for one, other in itertools.pairwise(groups)) == len(set(groups)) - 1
        assert groups[-1] == topics.ARXIV
        assert 8 <= len(set(groups)) <= 10

    def test_describes_in_both_languages_with_a_few_keywords(self):
        def is_well_described(topic):
            chinese = topic["names"]["zh-hans"], topic["descriptions"]["zh-hans"]
            return (
                20 <= len(topic["description"]) <= 300
                and topic["description"].endswith(".")
                and len(topic["name"]) <= 80
                and all(any("\u4e00" <= letter <= "\u9fff" for letter in text) for text in chinese)
                and chinese[1].endswith("。")
                and 3 <= len(topic["keywords"]) <= 6
                and len(set(topic["keywords"])) == len(topic["keywords"])
                and max(map(len, topic["keywords"])) <= 80
            )

        assert [topic["slug"] for topic in TOPICS if not is_well_described(topic)] == []

    @pytest.mark.parametrize("listed", [FIRST, TOPICS], ids=["first", "tree"])
    def test_stores_filters_that_parse_without_a_hint_and_are_canonical(self, listed):
        parsed = {topic["slug"]: parse(topic["filter"]) for topic in listed}

        assert [one["slug"] for one in listed if parsed[one["slug"]].canonical != one["filter"]] == []
        assert [slug for slug, filter in parsed.items() if filter.hints] == []

    def test_shares_a_filter_only_between_two_names_of_one_category(self):
        shared = {text for text, number in Counter(topic["filter"] for topic in TOPICS).items() if number > 1}

        assert shared == {
            f"cat:{categories.canonical(code)}" for code, one in ACTIVE.items() if one.alias in ACTIVE
        }

    @pytest.mark.shared_data
    def test_finds_something_for_every_topic_but_never_half_of_everything(self, shared_data_dir: Path):
        index = DayIndex(list(_recorded(shared_data_dir)))
        assert len(index.documents) == 535
        kept = [BY_SLUG[topic["slug"]] for topic in FIRST]

        hits = {topic["slug"]: len(index.evaluate(parse(topic["filter"]))) for topic in kept}

        assert [slug for slug, number in hits.items() if not 1 <= number <= 200] == []


@pytest.mark.django_db
class TestMigration:
    def test_loads_every_topic_in_order_under_its_parent(self):
        rows = list(Topic.objects.catalogue().select_related("parent"))

        assert [
            {"slug": row.slug, "filter": row.filter.canonical, "parent": row.parent and row.parent.slug}
            for row in rows
        ] == [{key: topic[key] for key in ("slug", "filter", "parent")} for topic in TOPICS]

    def test_changes_nothing_the_second_time(self):
        before = (Topic.objects.count(), FilterRevision.objects.count())

        migration.load(apps, None)

        assert (Topic.objects.count(), FilterRevision.objects.count()) == before

    def test_leaves_a_topic_retired_that_the_operator_has_retired(self):
        Topic.objects.filter(slug="memory").update(retired_at="2026-08-20T12:00Z")

        migration.load(apps, None)

        assert Topic.objects.get(slug="memory").retired_at

    def test_goes_back_and_forth_and_readers_keep_what_they_follow(self):
        reader = SubscriberFactory()
        followed = topics.catalogue_by_slug(["alignment", "reward-models"])
        topics.follow(reader, followed)

        migration.unload(apps, None)

        assert [topic.slug for topic in Topic.objects.catalogue()] == [topic["slug"] for topic in FIRST]
        assert Topic.objects.get(slug="alignment").filter.canonical == next(
            topic["filter"] for topic in FIRST if topic["slug"] == "alignment"
        )
        assert reader.subscribed_topics.count() == 2

        migration.load(apps, None)

        assert [topic.slug for topic in Topic.objects.catalogue()] == [topic["slug"] for topic in TOPICS]
        assert [one.topic for one in reader.subscribed_topics.all()] == followed


@pytest.mark.django_db
class TestBranches:
    def test_hang_below_their_parent_in_the_order_of_the_catalogue(self):
        roots = topics.tree(Topic.objects.catalogue())

        assert [branch.topic.slug for root in roots for branch in root.walk()] == list(BY_SLUG)
        assert roots[0].topic.slug == "language-models"
        assert {branch.depth for root in roots for branch in root.walk()} == {0, 1, 2, 3}

    def test_of_a_retired_parent_are_roots_themselves(self):
        Topic.objects.filter(slug="reasoning").update(retired_at="2026-08-20T12:00Z")

        slugs = {root.topic.slug for root in topics.tree(Topic.objects.catalogue())}

        assert {"chain-of-thought", "language-models"} < slugs

    def test_are_offered_down_to_the_first_level_and_where_chosen(self):
        catalogue = list(Topic.objects.catalogue())
        slugs = [topic.slug for topic in topics.offered(catalogue, chosen=["rlvr", "cat-cs-cl"])]

        assert {"agents", "memory", "rlvr", "cat-cs-cl"} < set(slugs)
        assert not {"mcp", "arxiv", "cat-cs"} & set(slugs)
        assert len(slugs) < 75
        assert {topic["slug"] for topic in FIRST} < set(slugs)

    def test_have_their_parent_their_siblings_and_their_children_close_by(self):
        slugs = {topic.slug for topic in topics.relatives(Topic.objects.get(slug="reasoning"))}

        assert {"language-models", "memory", "chain-of-thought", "alignment"} & slugs == {
            "language-models",
            "chain-of-thought",
            "alignment",
        }
        assert "agents" in {topic.slug for topic in topics.relatives(Topic.objects.get(slug="efficiency"))}
        cs = {topic.slug for topic in topics.relatives(Topic.objects.get(slug="cat-cs-it"))}
        assert cs == {slug for slug, topic in BY_SLUG.items() if topic["parent"] == "cat-cs"} - {
            "cat-cs-it"
        } | {"cat-cs"}


def _recorded(shared_data_dir: Path):
    papers = {}
    for path in sorted((shared_data_dir / "hf_daily_papers").glob("2026-*.json")):
        for entry in json.loads(path.read_text("utf-8")):
            paper = entry["paper"]
            papers.setdefault(paper["id"], paper)
    for paper in papers.values():
        yield Document(
            id=paper["id"],
            title=" ".join(paper["title"].split()),
            abstract=" ".join(paper["summary"].split()),
        )
