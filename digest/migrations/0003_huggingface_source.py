"""The source that every installation begins with. It is asked as soon as anything runs."""

from datetime import UTC, datetime

from django.db import migrations


def add(apps, schema_editor):
    apps.get_model("digest", "Source").objects.get_or_create(
        slug="huggingface",
        defaults={
            "name": "Hugging Face Daily Papers",
            "kind": "huggingface",
            "next_fetch_at": datetime.now(UTC),
        },
    )


def remove(apps, schema_editor):
    apps.get_model("digest", "Source").objects.filter(slug="huggingface", batches=None).delete()


class Migration(migrations.Migration):
    dependencies = [("digest", "0002_digests")]
    operations = [migrations.RunPython(add, remove)]
