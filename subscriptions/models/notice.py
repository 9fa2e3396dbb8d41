from datetime import datetime

from django.db import models
from django.db.models import F


class NoticeQuerySet(models.QuerySet["Notice"]):
    def due(self, now: datetime) -> "NoticeQuerySet":
        return self.filter(status=Notice.Status.QUEUED, due_at__lte=now)

    def claim(self, pk: int, now: datetime) -> bool:
        """Take one due notice for this worker; False if there is nothing to take.

        One conditional UPDATE, so two workers never both get True. The attempt is counted here, so that
        a mail which kills its worker is not tried for ever.
        """
        return (
            self.due(now)
            .filter(pk=pk)
            .update(status=Notice.Status.SENDING, claimed_at=now, attempts=F("attempts") + 1)
            == 1
        )


class Notice(models.Model):
    """One single mail (confirmation, link, goodbye): sent at once, before digests, at least once."""

    class Status(models.TextChoices):
        QUEUED = "queued", "queued"  # due at due_at, for the first time or again
        SENDING = "sending", "sending"  # claimed; stays here only if a worker died
        SENT = "sent", "sent"  # the mail server accepted it
        BOUNCED = "bounced", "bounced"  # the address was refused for good
        FAILED = "failed", "failed"  # given up; an operator may queue it again

    key = models.CharField(max_length=100, unique=True, help_text="Such as confirm:42:1. A key is sent once.")
    kind = models.CharField(max_length=30, help_text="The template folder under templates/email/.")
    to = models.EmailField(max_length=254)
    language = models.CharField(max_length=10, default="en")
    context = models.JSONField(default=dict, help_text="What the template needs; links without secrets.")
    message_id = models.CharField(max_length=250, help_text="Fixed before the first attempt.")
    status = models.CharField(max_length=8, choices=Status, default=Status.QUEUED)
    attempts = models.PositiveSmallIntegerField(default=0)
    created_at = models.DateTimeField()
    due_at = models.DateTimeField()
    claimed_at = models.DateTimeField(null=True, blank=True)
    sent_at = models.DateTimeField(null=True, blank=True)
    last_error = models.TextField(blank=True)

    objects = NoticeQuerySet.as_manager()

    class Meta:
        indexes = [  # read every few seconds by tasks.send_due
            models.Index(fields=["due_at"], condition=models.Q(status="queued"), name="notice_due"),
            models.Index(fields=["claimed_at"], condition=models.Q(status="sending"), name="notice_stuck"),
        ]

    def __str__(self) -> str:
        return f"{self.key} to {self.to} ({self.status})"
