"""Every kind of source that Paperboy can read, a line each. docs/adding-a-source.md shows how to add one.

A parser is a pure function of bytes. A kind of source that is asked once for everything (a feed), or once for
each day, needs no more than a `SourceKind`; those that need several requests for one list (Hugging Face's
pages, arXiv's three doors) have a reader of their own in digest/papers/readers, and stand here for their
name.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

from digest.sources import feed
from digest.sources.records import Parsed
from digest.sources.request import Request


@dataclass(frozen=True, kw_only=True)
class SourceKind:
    """How one kind of source is read.

    `parse(body, day)` gives the records of an answer; it raises NotAList for what is no answer of this kind.
    `request(url, day)` says what to ask, `url` being the address of the source's row. With `by_day` it is
    asked for each listing day, and `day` is that; otherwise once for everything, `day` is today (UTC), and
    each record says its own day. Without `parse` the kind has a reader of its own.

    A kind with a `url` has one source, which is there by itself under the kind's name; an operator may switch
    it off or change its address. Sources of the others are added by people. `is_typed`: people may write its
    addresses, so they must not lead into private networks.
    """

    label: str
    url: str = ""
    gives: str = "paper"
    parse: Callable[[bytes, date], Parsed] | None = None
    request: Callable[[str, date], Request] = lambda url, day: Request(url=url)
    by_day: bool = False
    is_typed: bool = True


KINDS: dict[str, SourceKind] = {
    "arxiv": SourceKind(label="arXiv", by_day=True, is_typed=False),
    "feed": SourceKind(label="RSS, Atom or JSON feed", parse=feed.parse),
    "huggingface": SourceKind(label="Hugging Face Daily Papers", by_day=True, is_typed=False),
}
