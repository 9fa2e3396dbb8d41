from django.db import models

SUBSCRIBER_BITS = 32


def delivery_id(mailing_id: int, subscriber_id: int) -> int:
    """The ledger key: unique by construction, and a mailing's rows are one range of it."""
    return mailing_id << SUBSCRIBER_BITS | subscriber_id


class DeliveryQuerySet(models.QuerySet["Delivery"]):
    def of_mailing(self, mailing_id: int) -> "DeliveryQuerySet":
        """By key range, so that PostgreSQL reads one partition only."""
        return self.filter(id__gte=mailing_id << SUBSCRIBER_BITS, id__lt=(mailing_id + 1) << SUBSCRIBER_BITS)


class Delivery(models.Model):
    """One email to one subscriber in one mailing: one row of the ledger.

    The table is partitioned by range of the key, one partition a mailing (see migration 0002 and
    mail/ledger.py). It has no database foreign keys, so that an old mailing is dropped in
    milliseconds. Only mail/outbox.py moves rows; design.md section 4 lists the moves.
    """

    class State(models.TextChoices):
        DUE = "due", "due"  # waits for due_at, then for a worker
        LEASED = "leased", "leased"  # claimed by a worker until lease_expires_at
        HANDING = "handing", "handing"  # committed before any byte of DATA; the server may have it
        SENT = "sent", "sent"  # the server accepted it
        DEFERRED = "deferred", "deferred"  # the server said "later"; due again at due_at
        FAILED = "failed", "failed"  # the server said "never"
        SKIPPED = "skipped", "skipped"  # nothing was to be sent; `reason` says why
        EXPIRED = "expired", "expired"  # too late to be news
        UNCERTAIN = "uncertain", "uncertain"  # handed over, and the answer was lost

    id = models.BigIntegerField(primary_key=True, help_text="mailing << 32 | subscriber")
    mailing_id = models.IntegerField()
    subscriber_id = models.BigIntegerField()
    email = models.CharField(max_length=254, help_text="Where it went, or would have gone.")
    route = models.CharField(max_length=100, help_text="Recipient-domain group.")
    seq = models.IntegerField(help_text="Order within a route at equal due_at.")
    state = models.CharField(max_length=9, choices=State, default=State.DUE)
    reason = models.CharField(max_length=300, blank=True, help_text="Why skipped; else the server's answer.")
    due_at = models.DateTimeField(help_text="Next time a worker may take it.")
    planned_at = models.DateTimeField(help_text="The first due_at; what lateness and expiry are measured by.")
    attempts = models.PositiveSmallIntegerField(default=0)
    lease_token = models.BigIntegerField(null=True, blank=True)
    lease_expires_at = models.DateTimeField(null=True, blank=True)
    dated_at = models.DateTimeField(
        null=True, blank=True, help_text="The Date header: first handing; later tries keep it."
    )
    done_at = models.DateTimeField(null=True, blank=True)

    objects = DeliveryQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "deliveries"
        # indexes are made by hand with the partitioned table, in migration 0002

    def __str__(self) -> str:
        return f"{self.email} ({self.state})"
