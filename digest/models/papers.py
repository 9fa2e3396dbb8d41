from datetime import date

from django.contrib.postgres.fields import ArrayField
from django.db import models


class PaperQuerySet(models.QuerySet["Paper"]):
    def listed_on(self, day: date) -> "PaperQuerySet":
        return self.listed_between(day, day)

    def listed_between(self, first: date, last: date) -> "PaperQuerySet":
        """Papers that some source lists under a day of this span; merged and withdrawn ones left out."""
        sightings = Sighting.objects.filter(listing_day__range=(first, last))
        return self.filter(
            models.Exists(sightings.filter(paper=models.OuterRef("pk"))), canonical=None, withdrawn_at=None
        )


class Paper(models.Model):
    """One work, whatever the number of places that mention it.

    `key` is its identity: `arxiv:2608.18565`, else `doi:10.1000/xyz`, else `url:https://…`. Votes, comments
    and stars are those of the newest sighting; unknown is NULL, zero is 0.
    """

    class Kind(models.TextChoices):
        PAPER = "paper", "paper"
        POST = "post", "post"
        FORUM = "forum", "forum"
        NEWS = "news", "news"

    key = models.CharField(max_length=600, unique=True)
    kind = models.CharField(max_length=5, choices=Kind, default=Kind.PAPER)
    arxiv_id = models.CharField(max_length=20, unique=True, null=True, blank=True)
    doi = models.CharField(max_length=300, unique=True, null=True, blank=True)
    url = models.URLField(
        max_length=1000, help_text="Where a reader finds it: arXiv's abstract page, or its own."
    )
    canonical = models.ForeignKey(
        "self",
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="merged",
        help_text="The paper that this one turned out to be; empty for itself.",
    )
    title = models.TextField(help_text="Readable Unicode, one line.")
    abstract = models.TextField(blank=True, help_text="Readable Unicode, one paragraph.")
    authors = models.JSONField(default=list, help_text='Names in order: ["Ada Lovelace"].')
    organization = models.CharField(max_length=200, blank=True)
    organization_handle = models.CharField(max_length=100, blank=True)
    primary_category = models.CharField(max_length=20, blank=True)
    categories = ArrayField(models.CharField(max_length=20), default=list, blank=True)
    language = models.CharField(max_length=10, default="en")
    published_at = models.DateTimeField(null=True, blank=True, help_text="Submission of the first version.")
    first_listed_on = models.DateField(help_text="First listing day in any source.")
    code_url = models.URLField(max_length=500, blank=True)
    project_url = models.URLField(max_length=500, blank=True)
    thumbnail_url = models.URLField(max_length=500, blank=True)
    has_media = models.BooleanField(default=False)
    summary = models.TextField(blank=True, help_text="One machine-written line, where a source gives it.")
    summary_source = models.CharField(max_length=100, blank=True, help_text="Who wrote the summary.")
    keywords = models.JSONField(default=list, blank=True)
    votes = models.PositiveIntegerField(null=True, blank=True)
    comments = models.PositiveIntegerField(null=True, blank=True)
    stars = models.PositiveIntegerField(null=True, blank=True)
    counted_at = models.DateTimeField(null=True, blank=True, help_text="When those three were read.")
    withdrawn_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    objects = PaperQuerySet.as_manager()

    class Meta:
        indexes = [models.Index(fields=["first_listed_on"])]

    def __str__(self) -> str:
        return self.title

    @property
    def public_id(self) -> str:
        """What stands in `/paper/<id>/`: the arXiv id where there is one, else the row's number."""
        return self.arxiv_id or f"p{self.pk}"


class Sighting(models.Model):
    """One source saying something about one paper at one time. Rows are added, never changed."""

    paper = models.ForeignKey(Paper, on_delete=models.CASCADE, related_name="sightings")
    source = models.ForeignKey("digest.Source", on_delete=models.CASCADE, related_name="sightings")
    batch = models.ForeignKey("digest.Batch", on_delete=models.CASCADE, related_name="sightings")
    listing_day = models.DateField()
    seen_at = models.DateTimeField()
    votes = models.PositiveIntegerField(null=True, blank=True)
    comments = models.PositiveIntegerField(null=True, blank=True)
    stars = models.PositiveIntegerField(null=True, blank=True)
    announce_type = models.CharField(max_length=20, blank=True, help_text="arXiv: new, cross, replace …")
    url = models.URLField(max_length=1000, blank=True, help_text="The source's own page for the paper.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["paper", "batch", "seen_at"], name="sighting_once")]
        indexes = [
            models.Index(fields=["listing_day", "paper"]),
            models.Index(fields=["paper", "-seen_at"]),
        ]

    def __str__(self) -> str:
        return f"{self.paper_id} in {self.source_id} on {self.listing_day}"
