"""Posts that speak of papers: "discussed at".

A post's links to arXiv, to Hugging Face's paper pages and to DOIs are remembered, a `Mention` each. For a
known paper the mention is a sighting too, of the post's source, that puts the paper on no list; its `url` is
the post's page. Unknown ones wait, and become sightings when some source brings the paper.
"""

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from django.db import transaction
from django.db.models import Count, F, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce, Substr

from digest.models import Mention, Paper, Sighting, Source
from digest.papers import merging
from digest.papers.identity import (
    NoIdentity,
    NotADoi,
    NotAnArxivId,
    canonical_arxiv_id,
    canonical_doi,
    identify,
)
from digest.sources.records import PaperRecord

DISCUSSED = "discussed"  # the sighting's announce type
MOST_PER_POST = 20  # a list of everything that appeared this week discusses nothing
MOST_AT_ONCE = 2_000

_ARXIV, _DOI = "arxiv:", "doi:"


def key_of(address: str) -> str:
    """The key of the paper whose page an address is: "arxiv:2608.18565", "doi:10.1000/x"; else empty."""
    try:
        return f"{_ARXIV}{canonical_arxiv_id(address)}"
    except NotAnArxivId:
        pass
    try:
        if (urlsplit(address).hostname or "").lower() in ("doi.org", "dx.doi.org", "www.doi.org"):
            return f"{_DOI}{canonical_doi(address)}"
    except (NotADoi, ValueError):
        pass
    return ""


def note(records: Iterable[PaperRecord], *, source: Source, now: datetime) -> int:
    """Remember which papers these posts link to, and tie them to those that are known; how many were tied.

    The posts have been ingested from `source`. Twice is safe.
    """
    keys: dict[str, list[str]] = {}
    for record in records:
        found = dict.fromkeys(key for address in record.mentions if (key := key_of(address)))
        try:
            post = identify(arxiv_id=record.arxiv_id, doi=record.doi, url=record.url).key
        except NoIdentity:  # ingest has set it aside
            continue
        if found and post.startswith("url:"):
            keys[post] = list(found)[:MOST_PER_POST]
    posts = dict(Paper.objects.filter(key__in=keys).exclude(kind=Paper.Kind.PAPER).values_list("key", "pk"))
    pairs = [(posts[post], key) for post, found in keys.items() if post in posts for key in found]
    # Each an instant of its own: two posts of one source may discuss one paper on one day.
    Mention.objects.bulk_create(
        (
            Mention(post_id=post, key=key, source=source, seen_at=now - timedelta(microseconds=place))
            for place, (post, key) in enumerate(pairs)
        ),
        ignore_conflicts=True,
    )
    return resolve(now=now)


def resolve(*, now: datetime) -> int:
    """Tie waiting mentions to papers that have become known meanwhile; how many were tied.

    One query where there is nothing to do. `now` is only when it happens; the sighting is as old as the
    mention.
    """
    by_key = Paper.objects.filter(key=OuterRef("key"))
    # A paper that was known by another identifier first keeps its key.
    by_arxiv_id = Paper.objects.filter(arxiv_id=Substr(OuterRef("key"), len(_ARXIV) + 1))
    by_doi = Paper.objects.filter(doi=Substr(OuterRef("key"), len(_DOI) + 1))
    said = Sighting.objects.filter(paper=OuterRef("post"), source=OuterRef("source")).order_by(
        "seen_at", "pk"
    )
    waiting = (
        Mention.objects.filter(paper=None, seen_at__lte=now)
        .annotate(
            known=Coalesce(
                Subquery(by_key.values("pk")[:1]),
                Subquery(by_arxiv_id.values("pk")[:1]),
                Subquery(by_doi.values("pk")[:1]),
            ),
            batch=Subquery(said.values("batch")[:1]),
            day=Subquery(said.values("listing_day")[:1]),
            page=Subquery(said.values("url")[:1]),
            address=F("post__url"),
        )
        .filter(known__isnull=False, batch__isnull=False)
        .exclude(known=F("post"))
        .order_by("pk")
    )
    if not waiting.exists():
        return 0
    with transaction.atomic():
        merging.lock()  # so that nobody takes these papers away, or ties the same mentions
        tied = list(waiting[:MOST_AT_ONCE])
        Sighting.objects.bulk_create(
            (
                Sighting(
                    paper_id=mention.known,
                    source_id=mention.source_id,
                    batch_id=mention.batch,
                    listing_day=mention.day,
                    seen_at=mention.seen_at,
                    announce_type=DISCUSSED,
                    is_listing=False,
                    url=mention.page or mention.address,
                )
                for mention in tied
            ),
            ignore_conflicts=True,
        )
        for mention in tied:
            mention.paper_id = mention.known
        Mention.objects.bulk_update(tied, ["paper"])
    return len(tied)


def posts(
    paper_ids: "Collection[int] | QuerySet[Any, Any]", *, until: datetime | None = None
) -> dict[int, int]:
    """How many posts speak of each of these papers, up to `until`: {paper id: 1 or more}. One query.

    What is said of a row merged into a paper counts for the paper; posts that turned out to be one are one.
    `paper_ids` may be a query of ids, for lists of a month.
    """
    said = Mention.objects.exclude(paper=None).annotate(
        original=Coalesce("paper__canonical_id", "paper_id"),
        speaker=Coalesce("post__canonical_id", "post_id"),
    )
    if until is not None:
        said = said.filter(seen_at__lte=until)
    counted = said.filter(original__in=paper_ids).exclude(speaker=F("original")).values("original")
    return dict(counted.annotate(posts=Count("speaker", distinct=True)).values_list("original", "posts"))
