from django.db import models


class Feedback(models.Model):
    """What one reader said of one paper: more or less like this, kept for later, or both.

    It counts for the topic under which the paper came, where that is known, else for the nearest of the
    reader's topics. Taking it back deletes the row.
    """

    class Opinion(models.TextChoices):
        MORE = "more", "more like this"
        LESS = "less", "less like this"

    subscriber = models.ForeignKey(
        "subscriptions.Subscriber", on_delete=models.CASCADE, related_name="feedback"
    )
    paper = models.ForeignKey("digest.Paper", on_delete=models.PROTECT, related_name="+")
    topic = models.ForeignKey(
        "subscriptions.Topic", on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    opinion = models.CharField(max_length=4, choices=Opinion, blank=True)
    saved_at = models.DateTimeField(null=True, blank=True, help_text="Kept for later; counts as a like.")
    at = models.DateTimeField(help_text="When the reader last said something of it.")
    relevance = models.FloatField(
        null=True, blank=True, help_text="Probability that was given before this was said; for calibration."
    )

    class Meta:
        verbose_name_plural = "feedback"
        constraints = [
            models.UniqueConstraint(fields=["subscriber", "paper"], name="feedback_once"),
            models.CheckConstraint(
                condition=~models.Q(opinion="", saved_at=None), name="feedback_says_something"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.subscriber_id} on {self.paper_id}: {self.opinion or 'saved'}"


class ReaderModel(models.Model):
    """A linear model of one reader's own, learnt from what they said; see matching/learning.py.

    Takes over from the default weights where it was better on the reader's own held-out opinions. It is made
    again from `Feedback` at any time; only the words that the reader took out stand nowhere else.
    """

    subscriber = models.OneToOneField(
        "subscriptions.Subscriber", on_delete=models.CASCADE, related_name="reader_model"
    )
    weights = models.JSONField(help_text="As matching/learning.py writes and reads them.")
    examples = models.PositiveIntegerField(help_text="Opinions it was learnt from.")
    is_better = models.BooleanField(help_text="Better than the default on held-out opinions, so in use.")
    made_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"of {self.subscriber_id}, from {self.examples} opinions"
