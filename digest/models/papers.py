from datetime import date

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Coalesce


class PaperQuerySet(models.QuerySet["Paper"]):
    def listed_on(self, day: date) -> "PaperQuerySet":
        return self.listed_between(day, day)

    def listed_between(self, first: date, last: date) -> "PaperQuerySet":
        """Papers that some source lists under a day of this span, each once; withdrawn ones left out.

        What is said of a merged row counts for its original. Revisions and mentions are no listings.
        """
        listed = Sighting.objects.filter(listing_day__range=(first, last), is_listing=True)
        return self.filter(
            pk__in=listed.values_list(Coalesce("paper__canonical_id", "paper_id")),
            canonical=None,
            withdrawn_at=None,
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
    affiliations = models.JSONField(default=list, blank=True, help_text="Institutions in order, once each.")
    primary_category = models.CharField(max_length=20, blank=True)
    categories = ArrayField(models.CharField(max_length=20), default=list, blank=True)
    language = models.CharField(max_length=10, default="en")
    published_at = models.DateTimeField(null=True, blank=True, help_text="Submission of the first version.")
    first_listed_on = models.DateField(help_text="First listing day in any source.")
    version = models.PositiveSmallIntegerField(
        null=True, blank=True, help_text="The newest version that a source spoke of."
    )
    comment = models.TextField(blank=True, help_text="The authors' own remark on arXiv.")
    venue = models.CharField(max_length=200, blank=True, help_text="Where it was accepted, as authors say.")
    journal_ref = models.CharField(max_length=300, blank=True)
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
    citations = models.PositiveIntegerField(null=True, blank=True)
    influential_citations = models.PositiveIntegerField(null=True, blank=True)
    cited_at = models.DateTimeField(null=True, blank=True, help_text="When the citations were read.")
    looked_up_at = models.DateTimeField(
        null=True, blank=True, help_text="When arXiv was last asked for what other sources do not say."
    )
    withdrawn_at = models.DateTimeField(null=True, blank=True)
    withdrawal = models.TextField(blank=True, help_text="What the authors or the source say of it.")
    title_key = models.CharField(
        max_length=40,
        blank=True,
        help_text="Hash of the title's letters and digits: the last resort of merging.",
    )
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    objects = PaperQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["first_listed_on"]),
            models.Index(fields=["title_key"], condition=~models.Q(title_key=""), name="paper_title_key"),
        ]

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
    announce_type = models.CharField(
        max_length=20, blank=True, help_text="arXiv: new, cross, replace, replace-cross. Posts: discussed."
    )
    version = models.PositiveSmallIntegerField(null=True, blank=True)
    is_listing = models.BooleanField(
        default=True,
        help_text="It puts the paper on the day's list. A revision and a mention in a post do not.",
    )
    url = models.URLField(max_length=1000, blank=True, help_text="The source's own page for the paper.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["paper", "batch", "seen_at"], name="sighting_once")]
        indexes = [
            models.Index(fields=["listing_day", "paper"]),
            models.Index(fields=["paper", "-seen_at"]),
        ]

    def __str__(self) -> str:
        return f"{self.paper_id} in {self.source_id} on {self.listing_day}"


class Mention(models.Model):
    """A post that links to a paper: "discussed at". Waits here until the paper is known."""

    post = models.ForeignKey(Paper, on_delete=models.CASCADE, related_name="mentions")
    key = models.CharField(max_length=600, help_text="The paper's key: arxiv:2608.18565.")
    paper = models.ForeignKey(
        Paper, on_delete=models.SET_NULL, null=True, blank=True, related_name="discussed_in"
    )
    source = models.ForeignKey("digest.Source", on_delete=models.CASCADE, related_name="+")
    seen_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["post", "key"], name="mention_once")]
        indexes = [models.Index(fields=["key"])]

    def __str__(self) -> str:
        return f"{self.post_id} discusses {self.key}"


class Merge(models.Model):
    """One row turned out to be the same work as another. Undone, both stand by themselves again.

    While it stands, `duplicate.canonical` is `original`. Nothing else is moved, so that it can be undone, and
    what readers have received keeps its ids.
    """

    class How(models.TextChoices):
        ARXIV_ID = "arxiv_id", "same arXiv id"
        DOI = "doi", "same DOI"
        TITLE = "title", "same title and authors"
        OPERATOR = "operator", "by an operator"

    duplicate = models.ForeignKey(Paper, on_delete=models.CASCADE, related_name="merges")
    original = models.ForeignKey(Paper, on_delete=models.CASCADE, related_name="absorbed")
    how = models.CharField(max_length=10, choices=How)
    certainty = models.FloatField(help_text="From 0 to 1; an identifier's is 1.")
    evidence = models.TextField(help_text="What the two have in common, in a sentence.")
    merged_at = models.DateTimeField()
    undone_at = models.DateTimeField(null=True, blank=True, help_text="Never merged again by itself.")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["duplicate"], condition=models.Q(undone_at=None), name="merge_stands_once"
            ),
            models.CheckConstraint(condition=~models.Q(duplicate=models.F("original")), name="merge_of_two"),
        ]

    def __str__(self) -> str:
        return f"{self.duplicate_id} is {self.original_id}"


class AiText(models.Model):
    """One text that a language model wrote for a paper, made once and kept: wanted, written or given up.

    The row is the truth: a worker claims what is due, asks the model, and stores the answer.
    """

    class Kind(models.TextChoices):
        SUMMARY = "summary", "one-line summary"
        TITLE = "title", "translated title"
        ABSTRACT = "abstract", "translated abstract"

    class Status(models.TextChoices):
        WANTED = "wanted", "wanted"
        WRITTEN = "written", "written"
        FAILED = "failed", "given up"

    paper = models.ForeignKey(Paper, on_delete=models.CASCADE, related_name="ai_texts")
    language = models.CharField(max_length=10)
    kind = models.CharField(max_length=8, choices=Kind)
    status = models.CharField(max_length=7, choices=Status, default=Status.WANTED)
    text = models.TextField(blank=True)
    model = models.CharField(
        max_length=100, blank=True, help_text="The model that wrote it, as it calls itself."
    )
    attempts = models.PositiveSmallIntegerField(default=0)
    due_at = models.DateTimeField()
    problem = models.TextField(blank=True)
    made_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = "AI text"
        verbose_name_plural = "AI texts"
        constraints = [models.UniqueConstraint(fields=["paper", "language", "kind"], name="ai_text_once")]
        indexes = [models.Index(fields=["due_at"], condition=models.Q(status="wanted"), name="ai_text_due")]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} of {self.paper_id} in {self.language}"


class AiSpending(models.Model):
    """What the language model cost on one day (UTC): the per-day budget is kept against this row."""

    day = models.DateField(primary_key=True)
    requests = models.PositiveIntegerField(default=0)
    tokens = models.PositiveBigIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.day}: {self.requests} requests, {self.tokens} tokens"
