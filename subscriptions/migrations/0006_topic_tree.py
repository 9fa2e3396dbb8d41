"""The catalogue as a tree, from the JSON file beside this one: topics of AI, and arXiv's categories by archive.

The topics of 0003 keep their slugs, and with them their readers; some find other papers from now on. The filters
stand in canonical form (a test holds them to it). How the tree is kept: docs/topics.md.
"""

import hashlib
import importlib
import json
from pathlib import Path

from django.db import migrations
from django.utils import timezone

TREE = Path(__file__).with_suffix(".json")
catalogue = importlib.import_module("subscriptions.migrations.0003_catalogue")  # no name that can be written


def _read(path):
    return json.loads(path.read_text("utf-8"))


def _fingerprint(canonical):
    return hashlib.sha256(canonical.encode()).hexdigest()


def load(apps, schema_editor):
    """Idempotent by slug: a topic that is there already takes these words, this filter and this place."""
    FilterRevision = apps.get_model("subscriptions", "FilterRevision")
    Topic = apps.get_model("subscriptions", "Topic")
    tree = _read(TREE)
    prints = {_fingerprint(topic["filter"]): topic["filter"] for topic in tree}
    now = timezone.now()
    FilterRevision.objects.bulk_create(
        [FilterRevision(fingerprint=key, canonical=text, created_at=now) for key, text in prints.items()],
        ignore_conflicts=True,
    )
    revisions = FilterRevision.objects.in_bulk(prints, field_name="fingerprint")
    words = ["group", "name", "names", "description", "descriptions", "keywords"]
    Topic.objects.bulk_create(
        [
            Topic(
                slug=topic["slug"],
                filter=revisions[_fingerprint(topic["filter"])],
                position=position,
                **{field: topic[field] for field in words},
            )
            for position, topic in enumerate(tree, start=1)
        ],
        update_conflicts=True,
        unique_fields=["slug"],
        update_fields=[*words, "filter", "position"],
    )
    rows = Topic.objects.in_bulk([topic["slug"] for topic in tree], field_name="slug")
    for topic in tree:
        rows[topic["slug"]].parent = rows[topic["parent"]] if topic["parent"] else None
    Topic.objects.bulk_update(rows.values(), ["parent"])
    Topic.objects.filter(slug__in=_new(tree)).update(retired_at=None)  # from an earlier way back


def unload(apps, schema_editor):
    """The topics of 0003 as they were; the others are retired, not deleted: readers keep what they follow."""
    Topic = apps.get_model("subscriptions", "Topic")
    tree = _read(TREE)
    Topic.objects.filter(slug__in=[topic["slug"] for topic in tree]).update(parent=None)
    Topic.objects.filter(slug__in=_new(tree), retired_at=None).update(retired_at=timezone.now())
    catalogue.load(apps, schema_editor)


def _new(tree):
    known = {topic["slug"] for topic in _read(catalogue.CATALOGUE)}
    return [topic["slug"] for topic in tree if topic["slug"] not in known]


class Migration(migrations.Migration):
    dependencies = [("subscriptions", "0005_topic_tree_and_mutes")]

    operations = [migrations.RunPython(load, unload)]
