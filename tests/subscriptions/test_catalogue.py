"""The catalogue of topics, as the data migration loads it."""

import importlib
import itertools
import json
from pathlib import Path

import pytest
from django.apps import apps

from digest.matching.index import DayIndex
from subscriptions.filters import Document, parse
from subscriptions.models import FilterRevision, Topic

catalogue = importlib.import_module("subscriptions.migrations.0003_catalogue")
TOPICS = json.loads(catalogue.CATALOGUE.read_text("utf-8"))
BY_SLUG = pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic["slug"])


class TestCatalogue:
    def test_has_at_least_34_topics_in_about_seven_groups(self):
        assert len(TOPICS) >= 34
        assert 5 <= len({topic["group"] for topic in TOPICS}) <= 9

    def test_names_each_slug_and_each_name_once(self):
        assert len({topic["slug"] for topic in TOPICS}) == len(TOPICS)
        assert len({topic["name"] for topic in TOPICS}) == len(TOPICS)
        assert len({topic["names"]["zh-hans"] for topic in TOPICS}) == len(TOPICS)

    def test_keeps_a_group_together(self):
        groups = [topic["group"] for topic in TOPICS]
        changes = sum(1 for before, after in itertools.pairwise(groups) if before != after)
        assert changes == len(set(groups)) - 1

    @BY_SLUG
    def test_describes_in_both_languages_with_a_few_keywords(self, topic):
        assert 20 <= len(topic["description"]) <= 300
        assert "\u4e00" <= topic["names"]["zh-hans"][0] <= "\u9fff"
        assert topic["descriptions"]["zh-hans"].endswith("。")
        assert 3 <= len(topic["keywords"]) <= 5
        assert max(map(len, topic["keywords"])) <= 80

    @BY_SLUG
    def test_stores_filters_that_parse_without_a_hint_and_are_canonical(self, topic):
        parsed = parse(topic["filter"])

        assert parsed.canonical == topic["filter"]
        assert not parsed.hints

    @pytest.mark.shared_data
    def test_finds_something_for_every_topic_but_never_half_of_everything(self, shared_data_dir: Path):
        index = DayIndex(list(_recorded(shared_data_dir)))
        assert len(index.documents) == 535

        hits = {topic["slug"]: len(index.evaluate(parse(topic["filter"]))) for topic in TOPICS}

        assert [slug for slug, number in hits.items() if not 1 <= number <= 200] == []


@pytest.mark.django_db
class TestMigration:
    def test_loads_every_topic_in_order(self):
        topics = list(Topic.objects.catalogue())

        assert [topic.slug for topic in topics] == [topic["slug"] for topic in TOPICS]
        assert [topic.filter.canonical for topic in topics] == [topic["filter"] for topic in TOPICS]
        assert topics[0].group == "Language models"

    def test_changes_nothing_the_second_time(self):
        before = (Topic.objects.count(), FilterRevision.objects.count())

        catalogue.load(apps, None)

        assert (Topic.objects.count(), FilterRevision.objects.count()) == before

    def test_goes_back_and_forth(self):
        catalogue.unload(apps, None)
        assert not Topic.objects.filter(owner=None).exists()

        catalogue.load(apps, None)
        assert Topic.objects.catalogue().count() == len(TOPICS)


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
