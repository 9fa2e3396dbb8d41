"""The ledger: one partition a mailing, so that an old mailing is dropped in milliseconds."""

from django.db import migrations, models

CREATE = """
CREATE SEQUENCE subscriptions_lease_token AS bigint;
CREATE TABLE subscriptions_delivery (
    id bigint PRIMARY KEY,
    mailing_id integer NOT NULL,
    subscriber_id bigint NOT NULL,
    email varchar(254) NOT NULL,
    route varchar(100) NOT NULL,
    seq integer NOT NULL,
    state varchar(9) NOT NULL,
    reason varchar(300) NOT NULL DEFAULT '',
    due_at timestamptz NOT NULL,
    planned_at timestamptz NOT NULL,
    attempts smallint NOT NULL DEFAULT 0,
    lease_token bigint,
    lease_expires_at timestamptz,
    dated_at timestamptz,
    done_at timestamptz,
    CONSTRAINT delivery_key CHECK (id = (mailing_id::bigint << 32) + subscriber_id),
    CONSTRAINT delivery_state CHECK (state IN ('due', 'leased', 'handing', 'sent', 'deferred', 'failed',
                                               'skipped', 'expired', 'uncertain')),
    CONSTRAINT delivery_lease CHECK ((state IN ('leased', 'handing')) = (lease_expires_at IS NOT NULL))
) PARTITION BY RANGE (id);
-- what a worker claims, in the order in which it claims it
CREATE INDEX delivery_claim ON subscriptions_delivery (mailing_id, route, due_at, seq)
    WHERE state IN ('due', 'deferred');
-- what the sweep heals
CREATE INDEX delivery_lease_expiry ON subscriptions_delivery (lease_expires_at)
    WHERE state IN ('leased', 'handing');
-- "when did this reader get what"
CREATE INDEX delivery_subscriber ON subscriptions_delivery (subscriber_id);
"""

DROP = """
DROP TABLE subscriptions_delivery;
DROP SEQUENCE subscriptions_lease_token;
"""


class Migration(migrations.Migration):
    dependencies = [("subscriptions", "0001_initial")]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunSQL(CREATE, DROP)],
            state_operations=[
                migrations.CreateModel(
                    name='Delivery',
                    fields=[
                        ('id', models.BigIntegerField(help_text='mailing << 32 | subscriber', primary_key=True, serialize=False)),
                        ('mailing_id', models.IntegerField()),
                        ('subscriber_id', models.BigIntegerField()),
                        ('email', models.CharField(help_text='Where it went, or would have gone.', max_length=254)),
                        ('route', models.CharField(help_text='Recipient-domain group.', max_length=100)),
                        ('seq', models.IntegerField(help_text='Order within a route at equal due_at.')),
                        ('state', models.CharField(choices=[('due', 'due'), ('leased', 'leased'), ('handing', 'handing'), ('sent', 'sent'), ('deferred', 'deferred'), ('failed', 'failed'), ('skipped', 'skipped'), ('expired', 'expired'), ('uncertain', 'uncertain')], default='due', max_length=9)),
                        ('reason', models.CharField(blank=True, help_text="Why skipped; else the server's answer.", max_length=300)),
                        ('due_at', models.DateTimeField(help_text='Next time a worker may take it.')),
                        ('planned_at', models.DateTimeField(help_text='The first due_at; what lateness and expiry are measured by.')),
                        ('attempts', models.PositiveSmallIntegerField(default=0)),
                        ('lease_token', models.BigIntegerField(blank=True, null=True)),
                        ('lease_expires_at', models.DateTimeField(blank=True, null=True)),
                        ('dated_at', models.DateTimeField(blank=True, help_text='The Date header: first handing; later tries keep it.', null=True)),
                        ('done_at', models.DateTimeField(blank=True, null=True)),
                    ],
                    options={
                        'verbose_name_plural': 'deliveries',
                    },
                ),
            ],
        )
    ]
