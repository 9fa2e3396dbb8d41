from django.db import models


class Mailing(models.Model):
    """A bulk send: its clock, its state and, through its counters, the sum that must add up."""

    class Status(models.TextChoices):
        OPEN = "open", "open"  # rows may be added and are being sent
        PAUSED = "paused", "paused"  # by an operator: nothing is leased
        COMPLETE = "complete", "complete"  # closed for additions and every row has an end state

    kind = models.CharField(max_length=10, help_text="daily, weekly or test.")
    label = models.CharField(max_length=80, help_text="For people: daily 2026-08-21.")
    status = models.CharField(max_length=8, choices=Status, default=Status.OPEN)
    domain = models.CharField(
        max_length=255, help_text="Right side of the Message-IDs; kept here so that they never change."
    )
    opened_at = models.DateTimeField()
    closes_at = models.DateTimeField(help_text="Until then readers without a row get one.")
    paused_at = models.DateTimeField(null=True, blank=True)
    pause_reason = models.TextField(blank=True)
    trouble = models.TextField(blank=True, help_text="Why the last attempt to deliver stopped early.")
    trouble_at = models.DateTimeField(null=True, blank=True)
    completed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(id__gt=0) & models.Q(id__lt=2**31), name="mailing_id_fits_the_ledger_key"
            )
        ]
        indexes = [
            models.Index(fields=["opened_at"], condition=~models.Q(status="complete"), name="mailing_running")
        ]

    def __str__(self) -> str:
        return self.label


class MailingCounter(models.Model):
    """How many rows of a mailing are in each state, as the sum over slots.

    Each worker adds its moves to its own slot, in the transaction that moves the rows, so that no two
    workers wait for one counter. A slot alone may be negative; the sum never is.
    """

    mailing = models.ForeignKey(Mailing, on_delete=models.CASCADE, related_name="counters")
    slot = models.PositiveSmallIntegerField()
    prepared = models.BigIntegerField(default=0)
    due = models.BigIntegerField(default=0)
    leased = models.BigIntegerField(default=0)
    handing = models.BigIntegerField(default=0)
    sent = models.BigIntegerField(default=0)
    deferred = models.BigIntegerField(default=0)
    failed = models.BigIntegerField(default=0)
    skipped = models.BigIntegerField(default=0)
    expired = models.BigIntegerField(default=0)
    uncertain = models.BigIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["mailing", "slot"], name="mailing_counter_slot")]

    def __str__(self) -> str:
        return f"{self.mailing} slot {self.slot}"
