"""A stored paper as filters see it."""

from collections.abc import Iterable

from digest.models import Paper
from digest.papers import categories
from subscriptions.filters import Document

MOST_NAMES = 25  # of institutions: a paper of a thousand authors has hundreds


def document(paper: Paper, sources: Iterable[str] = ()) -> Document:
    """`sources` are the slugs of the sources that speak of the paper, or of rows merged into it.

    A category is also found by its other names: `cat:cs.CL` finds what was listed as cmp-lg. `org:` looks in
    the organisation and in the authors' institutions.
    """
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
    names += [name for name in paper.affiliations[:MOST_NAMES] if name and name not in names]
    listed = dict.fromkeys(paper.categories)
    for code in paper.categories:
        listed |= dict.fromkeys(sorted(categories.names(code)))
    return Document(
        id=paper.arxiv_id or str(paper.pk),
        title=paper.title,
        abstract=paper.abstract,
        authors=tuple(paper.authors),
        categories=tuple(listed),
        primary=paper.primary_category or None,
        org="; ".join(name.replace("; ", ", ") for name in names),
        sources=frozenset(sources),
        kind=paper.kind,
        lang=paper.language,
        has=frozenset(has),
        upvotes=paper.votes,
        comments=paper.comments,
        stars=paper.stars,
    )
