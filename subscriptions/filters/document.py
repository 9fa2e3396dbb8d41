"""What a filter can ask about a paper."""

from collections.abc import Collection
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One paper as filters see it. Unknown is None (or empty), and an atom that asks for it is false.

    `org` may hold several names of one organisation, separated by a semicolon and a blank
    ("Google DeepMind; google-deepmind"): a phrase never runs from one name into the next.
    `has` holds some of "code", "project" and "media"; `kind` is "paper", "post", "forum" or "news".
    """

    id: str
    title: str
    abstract: str = ""
    authors: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()  # arXiv's, cross-lists included: ("cs.CL", "cs.AI")
    primary: str | None = None
    org: str = ""
    sources: Collection[str] = ()  # slugs: "huggingface", "arxiv", a feed's
    kind: str = "paper"
    lang: str = "en"
    has: Collection[str] = frozenset()
    upvotes: int | None = None
    comments: int | None = None
    stars: int | None = None
