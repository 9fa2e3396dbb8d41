from django.contrib.postgres.fields import ArrayField
from django.db import models


class FilterRevision(models.Model):
    """A filter as it was at one time, never changed: shared by all who use the same canonical text."""

    canonical = models.TextField(help_text="The filter in the filter language's canonical form.")
    fingerprint = models.CharField(
        max_length=64, unique=True, help_text="SHA-256 of the canonical text, hex."
    )
    created_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.canonical


ARXIV = "arXiv"  # the group of the topics that are arXiv's categories and archives


class TopicQuerySet(models.QuerySet["Topic"]):
    def catalogue(self) -> "TopicQuerySet":
        return self.filter(owner=None, retired_at=None).select_related("filter").order_by("position", "name")

    def subjects(self) -> "TopicQuerySet":
        """The catalogue without arXiv's categories: what a paper can be said to be about."""
        return self.catalogue().exclude(group=ARXIV)


class Topic(models.Model):
    """A named filter with an interest: from the catalogue (shared, with a public page) or a reader's own.

    The filter says which papers may enter; name, keywords and description say what is wanted of them, and
    give each a relevance. A topic without keywords is a pure filter: its papers match, no more is said.
    """

    owner = models.ForeignKey(
        "subscriptions.Subscriber",
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="own_topics",
        help_text="Empty for topics of the catalogue.",
    )
    slug = models.SlugField(max_length=80, unique=True, null=True, blank=True)
    name = models.CharField(max_length=80)
    description = models.CharField(max_length=300, blank=True)
    names = models.JSONField(default=dict, blank=True, help_text='Translated names: {"zh-hans": "后训练"}.')
    descriptions = models.JSONField(default=dict, blank=True, help_text="Translated descriptions.")
    keywords = ArrayField(models.CharField(max_length=80), default=list, blank=True)
    group = models.CharField(max_length=40, blank=True, help_text="Heading in the catalogue.")
    parent = models.ForeignKey(
        "self",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="children",
        help_text="The wider topic of the catalogue that this one is part of.",
    )
    filter = models.ForeignKey(FilterRevision, on_delete=models.PROTECT, related_name="topics")
    position = models.PositiveSmallIntegerField(default=0)
    retired_at = models.DateTimeField(null=True, blank=True, help_text="No longer offered; readers keep it.")

    objects = TopicQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(owner=None) ^ models.Q(slug=None), name="topic_has_owner_or_slug"
            )
        ]

    def __str__(self) -> str:
        return self.name


class SubscribedTopic(models.Model):
    """A reader follows a topic: one section of their digest."""

    subscriber = models.ForeignKey(
        "subscriptions.Subscriber", on_delete=models.CASCADE, related_name="subscribed_topics"
    )
    topic = models.ForeignKey(Topic, on_delete=models.CASCADE, related_name="subscribed")
    position = models.PositiveSmallIntegerField(default=0, help_text="Order of the sections.")
    max_papers = models.PositiveSmallIntegerField(
        null=True, blank=True, help_text="Empty: no cap of its own."
    )
    muted = models.BooleanField(default=False)
    min_relevance = models.PositiveSmallIntegerField(
        null=True,
        blank=True,
        help_text="Percent; papers below it stay out. Empty: all that the filter finds.",
    )

    class Meta:
        ordering = ["position", "pk"]
        constraints = [
            models.UniqueConstraint(fields=["subscriber", "topic"], name="subscribed_topic_once"),
        ]

    def __str__(self) -> str:
        return f"{self.subscriber} follows {self.topic}"


class Mute(models.Model):
    """What a reader never wants, whichever topic finds it: papers that match this filter stay out."""

    subscriber = models.ForeignKey("subscriptions.Subscriber", on_delete=models.CASCADE, related_name="mutes")
    filter = models.ForeignKey(FilterRevision, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["subscriber", "filter"], name="mute_once")]

    def __str__(self) -> str:
        return f"{self.subscriber} never wants {self.filter}"
