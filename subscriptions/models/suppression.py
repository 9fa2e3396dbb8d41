from django.db import models


class SuppressionQuerySet(models.QuerySet["Suppression"]):
    def in_force(self, now) -> "SuppressionQuerySet":
        return self.filter(lifted_at=None).exclude(expires_at__lte=now)


class Suppression(models.Model):
    """An address that must not be written to. This table is the truth; a subscriber's status follows it."""

    class Reason(models.TextChoices):
        HARD_BOUNCE = "hard_bounce", "hard bounce"
        SOFT_BOUNCE = "soft_bounce", "repeated soft bounces"
        COMPLAINT = "complaint", "complaint"
        OPERATOR = "operator", "by an operator"

    address = models.CharField(max_length=254, unique=True, help_text="Normalised.")
    reason = models.CharField(max_length=12, choices=Reason)
    evidence = models.TextField(blank=True, help_text="The server's answer or the report, as received.")
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(null=True, blank=True)
    lifted_at = models.DateTimeField(null=True, blank=True)

    objects = SuppressionQuerySet.as_manager()

    def __str__(self) -> str:
        return f"{self.address} ({self.reason})"
