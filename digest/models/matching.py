from django.db import models


class Space(models.Model):
    """A vector space of words, trained on the installation's own papers; see matching/space.py.

    The newest that is ready is in use. Where there is none yet, the starter that ships with Paperboy is.
    """

    trained_at = models.DateTimeField()
    papers = models.PositiveIntegerField(help_text="How many papers it was trained on.")
    data = models.BinaryField(help_text="As matching/space.py writes and reads it.")
    ready_at = models.DateTimeField(
        null=True, blank=True, help_text="When all stored profiles had been projected into it."
    )

    def __str__(self) -> str:
        return f"space {self.pk}, {self.papers} papers"


class PreparedProfile(models.Model):
    """A topic's interest as the matcher compares it with papers: prepared once, asked every day.

    A cache: whoever finds it missing or made from other words makes it again.
    """

    topic = models.ForeignKey("subscriptions.Topic", on_delete=models.CASCADE, related_name="+")
    space = models.ForeignKey(
        Space, on_delete=models.CASCADE, null=True, related_name="profiles", help_text="Empty: the starter."
    )
    fingerprint = models.CharField(max_length=64, help_text="Of the words that it was made from.")
    data = models.BinaryField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["topic", "space"], name="prepared_profile_once", nulls_distinct=False
            )
        ]

    def __str__(self) -> str:
        return f"topic {self.topic_id} in space {self.space_id or 'starter'}"


class Calibration(models.Model):
    """Intercept and slope of the shown relevance, refitted on the opinions of this installation's readers.

    The newest row is in use; without one, the constants that ship with Paperboy are.
    """

    intercept = models.FloatField()
    slope = models.FloatField()
    opinions = models.PositiveIntegerField(help_text="How many it was fitted on.")
    made_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.intercept:+.2f} {self.slope:.2f}x, {self.opinions} opinions"
