"""Digests are partitioned like the ledger, for the same reason: they go when their mailing goes."""

from django.db import migrations, models

CREATE = """
CREATE TABLE digest_digest (
    id bigint PRIMARY KEY,
    subscriber_id bigint NOT NULL,
    edition_id bigint NOT NULL,
    language varchar(10) NOT NULL,
    length varchar(8) NOT NULL,
    is_welcome boolean NOT NULL,
    sections jsonb NOT NULL,
    top jsonb NOT NULL,
    held integer NOT NULL
) PARTITION BY RANGE (id);
"""

DROP = "DROP TABLE digest_digest;"


class Migration(migrations.Migration):
    dependencies = [("digest", "0001_initial")]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunSQL(CREATE, DROP)],
            state_operations=[
                migrations.CreateModel(
                    name='Digest',
                    fields=[
                        ('id', models.BigIntegerField(primary_key=True, serialize=False)),
                        ('subscriber_id', models.BigIntegerField()),
                        ('edition_id', models.BigIntegerField()),
                        ('language', models.CharField(max_length=10)),
                        ('length', models.CharField(max_length=8)),
                        ('is_welcome', models.BooleanField(default=False)),
                        ('sections', models.JSONField(default=list)),
                        ('top', models.JSONField(default=list)),
                        ('held', models.PositiveIntegerField(default=0)),
                    ],
                ),
            ],
        )
    ]
