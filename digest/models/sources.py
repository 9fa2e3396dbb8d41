from datetime import datetime

from django.contrib.postgres.fields import ArrayField
from django.db import models


class SourceQuerySet(models.QuerySet["Source"]):
    def due(self, now: datetime) -> "SourceQuerySet":
        return self.filter(enabled=True, next_fetch_at__lte=now)


class Source(models.Model):
    """Where papers or posts come from."""

    class Kind(models.TextChoices):
        """The kinds that the code speaks of by name; digest.sources.registry lists all that can be read."""

        HUGGINGFACE = "huggingface", "Hugging Face Daily Papers"
        ARXIV = "arxiv", "arXiv"
        FEED = "feed", "RSS, Atom or JSON feed"

    class Gives(models.TextChoices):
        PAPER = "paper", "papers"
        POST = "post", "posts"
        FORUM = "forum", "forum threads"
        NEWS = "news", "news"

    slug = models.SlugField(max_length=80, unique=True)
    name = models.CharField(max_length=120)
    # No choices here: a new kind of source is one file and one line of the registry, and no migration.
    kind = models.CharField(max_length=40)
    gives = models.CharField(max_length=5, choices=Gives, default=Gives.PAPER)
    url = models.URLField(max_length=500, blank=True, help_text="Empty: the address in the settings.")
    categories = ArrayField(
        models.CharField(max_length=20),
        default=list,
        blank=True,
        help_text="arXiv: the categories that are read, such as cs.CL.",
    )
    enabled = models.BooleanField(default=True)
    # Conditional requests of sources with one address for all days; others keep these in their batches.
    etag = models.CharField(max_length=250, blank=True)
    last_modified = models.CharField(max_length=100, blank=True)
    payload_sha256 = models.CharField(max_length=64, blank=True)
    next_fetch_at = models.DateTimeField(help_text="When the worker asks next.")
    last_success_at = models.DateTimeField(null=True, blank=True)
    last_failure_at = models.DateTimeField(null=True, blank=True)
    last_error = models.TextField(blank=True)
    consecutive_failures = models.PositiveIntegerField(default=0)

    objects = SourceQuerySet.as_manager()

    def __str__(self) -> str:
        return self.name


class Batch(models.Model):
    """One source's list for one listing day: how we know that the day is complete."""

    source = models.ForeignKey(Source, on_delete=models.CASCADE, related_name="batches")
    category = models.CharField(max_length=40, blank=True, help_text="arXiv category; else empty.")
    listing_day = models.DateField()
    declared = models.PositiveIntegerField(default=0, help_text="Entries in the newest answer.")
    most_declared = models.PositiveIntegerField(
        default=0, help_text="The most entries that any answer had: a list that shrinks is noticed."
    )
    parsed = models.PositiveIntegerField(default=0)
    new = models.PositiveIntegerField(default=0, help_text="Papers first seen through this batch.")
    updated = models.PositiveIntegerField(
        default=0, help_text="Known papers in the newest answer whose record changed."
    )
    cross = models.PositiveIntegerField(default=0, help_text="Listed here, at home in another category.")
    rejected = models.PositiveIntegerField(default=0)
    door = models.CharField(max_length=20, blank=True, help_text="How it was read: rss, oai, api, feed …")
    errors = models.JSONField(default=list, blank=True, help_text="What went wrong, in sentences.")
    fetched_at = models.DateTimeField(null=True, blank=True, help_text="The last good answer.")
    settled_at = models.DateTimeField(
        null=True, blank=True, help_text="Read completely after the day was over; may still gain votes."
    )
    # Conditional requests: what the source answered last time.
    etag = models.CharField(max_length=250, blank=True)
    last_modified = models.CharField(max_length=100, blank=True)
    payload_sha256 = models.CharField(max_length=64, blank=True)
    is_sample = models.BooleanField(default=False, help_text="From the bundled sample, days shifted.")

    class Meta:
        verbose_name_plural = "batches"
        constraints = [
            models.UniqueConstraint(fields=["source", "category", "listing_day"], name="batch_once")
        ]
        indexes = [models.Index(fields=["listing_day"])]

    def __str__(self) -> str:
        return f"{self.source} {self.category} {self.listing_day}".replace("  ", " ")


class SetAside(models.Model):
    """One entry of a batch that could not be read: kept as received, so that nothing is lost."""

    batch = models.ForeignKey(Batch, on_delete=models.CASCADE, related_name="set_aside")
    position = models.PositiveIntegerField(help_text="Place in the answer, from 0.")
    problem = models.TextField(help_text="What is wrong, where.")
    raw = models.TextField(help_text="The entry as received, cut at 20,000 characters.")
    seen_at = models.DateTimeField()

    class Meta:
        verbose_name_plural = "set aside"
        constraints = [models.UniqueConstraint(fields=["batch", "position"], name="set_aside_once")]

    def __str__(self) -> str:
        return f"{self.batch}, entry {self.position}: {self.problem}"


class UpstreamClock(models.Model):
    """When this installation may ask a service next, for services that count all its machines as one.

    One row per service, read and written under a session-wide advisory lock; see digest/sources/clock.py.
    """

    name = models.CharField(max_length=40, primary_key=True)
    started_at = models.DateTimeField(help_text="When the last request began, by the database's clock.")
    closed_until = models.DateTimeField(
        null=True, blank=True, help_text="The service asked to be left alone."
    )
    reason = models.TextField(blank=True)

    def __str__(self) -> str:
        return self.name


class AlarmQuerySet(models.QuerySet["Alarm"]):
    def raised(self) -> "AlarmQuerySet":
        return self.filter(cleared_at=None)


class Alarm(models.Model):
    """Something that an operator should look at: a list that is stale, late or has shrunk, say."""

    class Kind(models.TextChoices):
        STALE = "stale", "stale"  # the source still shows an older day
        LATE = "late", "late"  # the day's list should be there by now
        SHRUNKEN = "shrunken", "shrunken"  # far fewer entries than before, or than is usual
        EMPTY = "empty", "empty"  # nothing on a day that has always had something
        GAP = "gap", "gap"  # a day that no door could fill
        FAILING = "failing", "failing"  # a source that has not answered for long
        GONE = "gone", "gone"  # a source that is no more; it was switched off

    key = models.CharField(max_length=200, help_text="Such as late:arxiv:cs.CL:2026-06-23.")
    kind = models.CharField(max_length=10, choices=Kind)
    source = models.ForeignKey(Source, on_delete=models.CASCADE, related_name="alarms")
    category = models.CharField(max_length=40, blank=True)
    listing_day = models.DateField(null=True, blank=True)
    message = models.TextField(help_text="What happened, where, how to mend it.")
    raised_at = models.DateTimeField()
    cleared_at = models.DateTimeField(null=True, blank=True)

    objects = AlarmQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["key"], condition=models.Q(cleared_at=None), name="alarm_raised_once"
            )
        ]

    def __str__(self) -> str:
        return self.message
