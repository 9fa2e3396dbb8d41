"""arXiv, switched off: an operator chooses its categories and switches it on."""

from datetime import UTC, datetime

from django.db import migrations

CATEGORIES = ["cs.AI", "cs.CL", "cs.CV", "cs.LG", "stat.ML"]  # where Hugging Face's daily papers mostly are


def add(apps, schema_editor):
    apps.get_model("digest", "Source").objects.get_or_create(
        slug="arxiv",
        defaults={
            "name": "arXiv",
            "kind": "arxiv",
            "categories": CATEGORIES,
            "enabled": False,
            "next_fetch_at": datetime.now(UTC),
        },
    )


def remove(apps, schema_editor):
    apps.get_model("digest", "Source").objects.filter(slug="arxiv", batches=None).delete()


class Migration(migrations.Migration):
    dependencies = [("digest", "0004_every_source")]
    operations = [migrations.RunPython(add, remove)]
