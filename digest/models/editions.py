from django.contrib.postgres.fields import ArrayField
from django.db import models


class Edition(models.Model):
    """One dated run: `daily` for a listing day, `weekly` for an ISO week (dated by its Monday)."""

    class Kind(models.TextChoices):
        DAILY = "daily", "daily"
        WEEKLY = "weekly", "weekly"

    kind = models.CharField(max_length=6, choices=Kind)
    date = models.DateField()
    mailing = models.OneToOneField("subscriptions.Mailing", on_delete=models.PROTECT, related_name="edition")
    opened_at = models.DateTimeField()
    composed_at = models.DateTimeField(null=True, blank=True, help_text="End of the last compose run.")
    is_sample = models.BooleanField(default=False)
    seconds = models.JSONField(default=dict, blank=True, help_text='What took how long: {"match": 0.4}.')

    class Meta:
        constraints = [models.UniqueConstraint(fields=["kind", "date"], name="edition_once")]

    def __str__(self) -> str:
        return f"{self.kind} {self.date}"


class EditionPaper(models.Model):
    """Membership of a paper in an edition, frozen at opening, with its numbers as of then."""

    class Announced(models.TextChoices):
        NEW = "new", "new"
        CROSS = "cross", "cross-listed"
        UPDATED = "updated", "updated"  # a revision: only for readers who asked for updates

    edition = models.ForeignKey(Edition, on_delete=models.CASCADE, related_name="edition_papers")
    paper = models.ForeignKey("digest.Paper", on_delete=models.PROTECT, related_name="edition_papers")
    listing_day = models.DateField()
    announced = models.CharField(max_length=7, choices=Announced, default=Announced.NEW)
    version = models.PositiveSmallIntegerField(null=True, blank=True, help_text="Of an updated paper.")
    position = models.PositiveIntegerField(help_text="Place by trending score, from 1.")
    score = models.FloatField(help_text="Trending score at opening; see papers/trending.py.")
    folded_in = models.BooleanField(
        default=False,
        help_text="Not a member: here only for readers whose undelivered earlier digest joined theirs.",
    )
    votes = models.PositiveIntegerField(null=True, blank=True)
    comments = models.PositiveIntegerField(null=True, blank=True)
    stars = models.PositiveIntegerField(null=True, blank=True)
    counted_at = models.DateTimeField(null=True, blank=True)
    gained = models.PositiveIntegerField(
        null=True, blank=True, help_text="Votes gained in the day before the opening, where that is known."
    )
    top_percent = models.PositiveSmallIntegerField(
        null=True,
        blank=True,
        help_text="Place by votes in its field and the last 7 days: 5 is among the top 5 %.",
    )

    class Meta:
        ordering = ["position"]
        constraints = [models.UniqueConstraint(fields=["edition", "paper"], name="edition_paper_once")]

    def __str__(self) -> str:
        return f"{self.edition}: {self.paper_id}"


class EditionMatch(models.Model):
    """What one distinct filter found in one edition: evaluated once, whatever the number of its readers.

    `hits` is [[paper id, [[field, words], …]], …] in rank order; the reasons become the why-lines.
    """

    edition = models.ForeignKey(Edition, on_delete=models.CASCADE, related_name="matches")
    filter = models.ForeignKey("subscriptions.FilterRevision", on_delete=models.PROTECT, related_name="+")
    hits = models.JSONField(default=list)
    problem = models.TextField(blank=True, help_text="Why the filter could not be evaluated; then no hits.")

    class Meta:
        verbose_name_plural = "edition matches"
        constraints = [models.UniqueConstraint(fields=["edition", "filter"], name="edition_match_once")]

    def __str__(self) -> str:
        return f"{self.edition}: {self.filter_id} finds {len(self.hits)}"


class EditionRelevance(models.Model):
    """How relevant an edition's papers are to one topic: worked out once, however many follow it.

    `scored` is [[paper id, probability, [[field, words], …]], …] of the papers that the topic's filter
    found; the reasons are those of the score, beside the filter's own in EditionMatch. Immutable, for the
    same reason as cards.
    """

    edition = models.ForeignKey(Edition, on_delete=models.CASCADE, related_name="relevances")
    topic = models.ForeignKey("subscriptions.Topic", on_delete=models.CASCADE, related_name="+")
    scored = models.JSONField(default=list)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["edition", "topic"], name="edition_relevance_once")]

    def __str__(self) -> str:
        return f"{self.edition}: {len(self.scored)} papers for topic {self.topic_id}"


class Card(models.Model):
    """One paper's fragment of the email: rendered, inlined and transfer-encoded once, then only joined.

    The why-line goes between head and tail. All bytes are whole quoted-printable lines ending in CRLF.
    Immutable, so that any sent mail can be rebuilt exactly.
    """

    class Form(models.TextChoices):
        LEAD = "lead", "lead"
        STORY = "story", "story"
        BRIEF = "brief", "brief"

    edition = models.ForeignKey(Edition, on_delete=models.CASCADE, related_name="cards")
    paper = models.ForeignKey("digest.Paper", on_delete=models.PROTECT, related_name="+")
    language = models.CharField(max_length=10)
    length = models.CharField(max_length=8)
    form = models.CharField(max_length=5, choices=Form)
    html_head = models.BinaryField()
    html_tail = models.BinaryField()
    text_head = models.BinaryField()
    text_tail = models.BinaryField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["edition", "paper", "language", "length", "form"], name="card_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.edition}: {self.paper_id} as {self.form} in {self.language}"


class Shell(models.Model):
    """What surrounds the cards of an edition in one language: inlined, encoded pieces by name."""

    edition = models.ForeignKey(Edition, on_delete=models.CASCADE, related_name="shells")
    language = models.CharField(max_length=10)
    length = models.CharField(max_length=8)
    pieces = models.JSONField(help_text="Name of the piece: its ASCII text with slots for personal lines.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["edition", "language", "length"], name="shell_once")]

    def __str__(self) -> str:
        return f"{self.edition} in {self.language}"


class Digest(models.Model):
    """One subscriber's share of an edition, frozen at compose: paper ids with what picked them.

    The key is the ledger key (mailing << 32 | subscriber); partitioned like the ledger, for the same
    reason. `sections` is [{"topic": id, "filter": id, "papers": [id, …], "also": {"paper": [filter, …]}},
    …] in reader order; the reasons of each paper stand in EditionMatch, those of papers folded in from
    an earlier edition in the section's own "why": {"paper id": [[field, words], …]}. "updated": {"paper id":
    version} are those that come as revisions, "newest" those listed anew together with a version, which must
    not come again as one. "relevance": {"paper id": probability} where the reader's own examples change what
    EditionRelevance says of the topic; "why" then holds those reasons too. `held` counts matching papers that
    a cap left out. `top` lists papers of the fallback for readers without a match.
    """

    id = models.BigIntegerField(primary_key=True)
    subscriber_id = models.BigIntegerField()
    edition_id = models.BigIntegerField()
    language = models.CharField(max_length=10)
    length = models.CharField(max_length=8)
    is_welcome = models.BooleanField(default=False)
    sections = models.JSONField(default=list)
    top = models.JSONField(default=list)
    held = models.PositiveIntegerField(default=0)

    def __str__(self) -> str:
        return f"digest {self.id}"


class Received(models.Model):
    """Which papers a subscriber's digest holds: what keeps a paper from coming twice. Kept 400 days.

    Written at compose with the ledger key as its own. Counts unless that delivery failed, was skipped or
    expired; stored ids are never rewritten, both sides map through the paper's canonical id. A revision that
    was sent as such stands as a negative number, -(paper id << 8 | version): it excludes itself only.
    """

    id = models.BigIntegerField(primary_key=True, help_text="The delivery's key.")
    subscriber_id = models.BigIntegerField()
    day = models.DateField()
    paper_ids = ArrayField(models.BigIntegerField())

    class Meta:
        verbose_name_plural = "received"
        indexes = [models.Index(fields=["subscriber_id", "day"]), models.Index(fields=["day"])]

    def __str__(self) -> str:
        return f"{self.subscriber_id}: {len(self.paper_ids)} papers on {self.day}"
