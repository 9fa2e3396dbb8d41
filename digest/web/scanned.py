"""The account of a day for readers: which lists were read, how many entries each had, what is missing."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from digest.models import Source
from digest.papers.days import Reading, State
from digest.web import present

_NAMED_AT_MOST = 3  # sources with a line of their own; more feeds than that share one

_WORST_FIRST = (State.UNREAD, State.PARTIAL, State.GROWING, State.COMPLETE)
_LIGHTS = {State.UNREAD: "off", State.PARTIAL: "warn", State.GROWING: "good", State.COMPLETE: "good"}


@dataclass(frozen=True)
class Scan:
    """One source's share of the day, or that of all feeds: a light, a word on completeness, the count."""

    light: str
    lead: str
    name: str
    words: str


@dataclass(frozen=True)
class List:
    """One list in the table of all: a source's, for arXiv one category's."""

    name: str
    category: str
    declared: int
    new: int
    cross: int
    updated: int
    set_aside: int
    light: str
    words: str
    read_at: str


def by_source(readings: Sequence[Reading], *, is_over: bool) -> list[Scan]:
    """What was scanned, source by source; many feeds are told together."""
    by_name: dict[str, list[Reading]] = {}
    feeds = {one.batch.source_id for one in readings if _is_feed(one)}
    for one in sorted(readings, key=_is_feed):  # lists of papers first
        is_one_of_many = _is_feed(one) and len(feeds) > _NAMED_AT_MOST
        by_name.setdefault(f"{len(feeds)} feeds" if is_one_of_many else one.batch.source.name, []).append(one)
    return [_scan(name, lists, is_over) for name, lists in by_name.items()]


def lists(readings: Sequence[Reading], now: datetime) -> list[List]:
    return [
        List(
            name=one.batch.source.name,
            category=one.batch.category,
            declared=one.declared,
            new=one.batch.new,
            cross=one.batch.cross,
            updated=one.batch.updated,
            set_aside=one.batch.rejected,
            light=_LIGHTS[one.state],
            words=_STATE_WORDS[one.state],
            read_at=present.as_of(one.batch.fetched_at, now) if one.batch.fetched_at else "",
        )
        for one in readings
    ]


_STATE_WORDS = {
    State.UNREAD: "not read",
    State.PARTIAL: "not complete",
    State.GROWING: "still open",
    State.COMPLETE: "complete",
}


def _is_feed(one: Reading) -> bool:
    return one.batch.source.kind not in (Source.Kind.HUGGINGFACE, Source.Kind.ARXIV)


def _scan(name: str, lists: Sequence[Reading], is_over: bool) -> Scan:
    worst = min((one.state for one in lists), key=_WORST_FIRST.index)
    read, declared = sum(one.read for one in lists), sum(one.declared for one in lists)
    inside = f" in {len(lists)} categories" if len(lists) > 1 and lists[0].batch.category else ""
    words = f"{read:,} of {declared:,} read{inside}"
    if worst is State.UNREAD:
        unread = [one.batch.category for one in lists if one.state is State.UNREAD]
        where = f" in {present.listing(unread)}" if len(unread) < len(lists) and any(unread) else ""
        words = f"has not answered for this day{where}"
    lead = {
        State.UNREAD: "Not read.",
        State.PARTIAL: "Not complete.",
        State.GROWING: "Complete when read." if is_over else "Complete so far.",
        State.COMPLETE: "Complete.",
    }[worst]
    return Scan(_LIGHTS[worst], lead, name, words)
