"""The first catalogue of topics, from the JSON file beside this one.

The filters stand there in canonical form (a test holds them to it), so that this migration keeps its meaning when the
parser changes. Later changes of the catalogue are new migrations.
"""

import hashlib
import json
from pathlib import Path

from django.db import migrations
from django.utils import timezone

CATALOGUE = Path(__file__).with_suffix(".json")


def load(apps, schema_editor):
    """Idempotent by slug: a topic that is there already takes these words and this filter."""
    FilterRevision = apps.get_model("subscriptions", "FilterRevision")
    Topic = apps.get_model("subscriptions", "Topic")
    for position, topic in enumerate(json.loads(CATALOGUE.read_text("utf-8")), start=1):
        canonical = topic.pop("filter")
        revision, _ = FilterRevision.objects.get_or_create(
            fingerprint=hashlib.sha256(canonical.encode()).hexdigest(),
            defaults={"canonical": canonical, "created_at": timezone.now()},
        )
        Topic.objects.update_or_create(
            slug=topic.pop("slug"), defaults={**topic, "filter": revision, "position": position}
        )


def unload(apps, schema_editor):
    """Takes the topics away. Their filters stay: revisions are shared, and past editions refer to them."""
    slugs = [topic["slug"] for topic in json.loads(CATALOGUE.read_text("utf-8"))]
    apps.get_model("subscriptions", "Topic").objects.filter(slug__in=slugs).delete()


class Migration(migrations.Migration):
    dependencies = [("subscriptions", "0002_ledger")]

    operations = [migrations.RunPython(load, unload)]
