from django.db import models


class Consent(models.Model):
    """What a person agreed to or withdrew, when and how. Rows are only ever added."""

    class Act(models.TextChoices):
        ASKED = "asked", "asked for the digest"
        CONFIRMED = "confirmed", "confirmed the address"
        IMPORTED = "imported", "imported with recorded consent"
        PAUSED = "paused", "paused"
        RESUMED = "resumed", "resumed"
        UNSUBSCRIBED = "unsubscribed", "unsubscribed"
        SUPPRESSED = "suppressed", "suppressed"
        ERASED = "erased", "erased"

    subscriber = models.ForeignKey(
        "subscriptions.Subscriber", on_delete=models.CASCADE, related_name="consents"
    )
    act = models.CharField(max_length=12, choices=Act)
    at = models.DateTimeField()
    source = models.CharField(max_length=200, help_text="Where: sign-up page, preferences, a file's name.")
    wording = models.CharField(max_length=20, blank=True, help_text="Version of the text that was agreed to.")

    class Meta:
        indexes = [models.Index(fields=["act", "at"])]  # the dashboard's chart

    def __str__(self) -> str:
        return f"{self.subscriber}: {self.act}"
