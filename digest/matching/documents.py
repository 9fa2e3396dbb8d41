"""A stored paper as filters see it."""

from collections.abc import Iterable

from digest.models import Paper
from subscriptions.filters import Document


def document(paper: Paper, sources: Iterable[str] = ()) -> Document:
    """`sources` are the slugs of the sources that list the paper."""
    has = {
        name
        for name, there in (
            ("code", paper.code_url),
            ("project", paper.project_url),
            ("media", paper.has_media),
        )
        if there
    }
    names = [name for name in (paper.organization, paper.organization_handle) if name]
    return Document(
        id=paper.arxiv_id or str(paper.pk),
        title=paper.title,
        abstract=paper.abstract,
        authors=tuple(paper.authors),
        categories=tuple(paper.categories),
        primary=paper.primary_category or None,
        org="; ".join(names),
        sources=frozenset(sources),
        kind=paper.kind,
        lang=paper.language,
        has=frozenset(has),
        upvotes=paper.votes,
        comments=paper.comments,
        stars=paper.stars,
    )
