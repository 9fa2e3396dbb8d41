from datetime import datetime

from django.db import models


class SourceQuerySet(models.QuerySet["Source"]):
    def due(self, now: datetime) -> "SourceQuerySet":
        return self.filter(enabled=True, next_fetch_at__lte=now)


class Source(models.Model):
    """Where papers or posts come from."""

    class Kind(models.TextChoices):
        HUGGINGFACE = "huggingface", "Hugging Face Daily Papers"
        ARXIV = "arxiv", "arXiv"
        FEED = "feed", "RSS, Atom or JSON feed"

    slug = models.SlugField(max_length=80, unique=True)
    name = models.CharField(max_length=120)
    kind = models.CharField(max_length=12, choices=Kind)
    url = models.URLField(max_length=500, blank=True, help_text="Empty: the address in the settings.")
    enabled = models.BooleanField(default=True)
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
    parsed = models.PositiveIntegerField(default=0)
    new = models.PositiveIntegerField(default=0, help_text="Papers first seen through this batch.")
    updated = models.PositiveIntegerField(
        default=0, help_text="Known papers in the newest answer whose record changed."
    )
    rejected = models.PositiveIntegerField(default=0)
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
