"""arXiv's announcement feed, `rss.arxiv.org/rss/…` and `/atom/…`: bytes as records. Pure, no network.

What is easy to get wrong:

- The listing day is the channel's `pubDate` in its own offset (midnight in New York). Yesterday's list is
  gone at midnight, and for a while after it caches may still show it: whoever asks compares the day.
- No announcement on that day: a channel without items. That is an answer, not an error.
- An unknown category answers 400 and a feed whose description says why, for all categories of the request.
- One item per paper and feed: `new` where the paper is at home in a category that was asked for, `cross` in
  the feeds of its other categories; `replace` and `replace-cross` are revisions and put nothing on a list.
- Its abstract follows "Abstract: "; `dc:creator` is one string with all names; `guid` has the version, `link`
  has not.
- Nothing says when a paper was submitted; the items' dates are those of the announcement.

Format: the help pages rss_specifications and atom_specifications, and github.com/arXiv/arxiv-feed.
"""

import re
from collections import Counter
from dataclasses import dataclass
from datetime import date
from xml.etree.ElementTree import Element

from digest.sources.arxiv import calendar, dates, entries, names
from digest.sources.arxiv.markup import children, local_name, read, text_of, texts_of
from digest.sources.records import NotAList, PaperRecord, Parsed

CUT = 2_000  # a list of so many entries was cut there
NEW, CROSS, REPLACE, REPLACE_CROSS = "new", "cross", "replace", "replace-cross"
LISTED = (NEW, CROSS)  # in the order in which one feed's word about a paper outweighs another's
REVISED = (REPLACE, REPLACE_CROSS)

_PREAMBLE = re.compile(r"\s*arXiv:\S{1,60}\s+Announce Type:\s*(?P<type>\S{1,40})\s*")
_ABSTRACT = "Abstract:"
_ERROR = "feed error"


class Refused(NotAList):
    """The feed says that it cannot be had: an unknown category, say. The message is arXiv's own."""


@dataclass(frozen=True, kw_only=True)
class Announcement:
    """One feed: the list of `day`. Not `is_whole`: its markup broke; the rest of the entries is missing."""

    day: date
    parsed: Parsed
    is_whole: bool = True

    @property
    def is_cut(self) -> bool:
        return self.parsed.declared >= CUT


def parse(body: bytes) -> Announcement:
    """The feed's day and its entries in its order. Raises NotAList; Refused for arXiv's error feed."""
    document = read(body, entries=("item", "entry"), at_most=entries.MOST_ENTRIES)
    kind = local_name(document.root)
    if kind not in ("rss", "feed"):
        raise NotAList(f"XML with the root {kind[:40]!a} where a feed belongs")
    channels = children(document.root).get("channel", [])
    head = children(channels[0] if kind == "rss" and channels else document.root)
    if text_of(head, "title").lower().startswith(_ERROR):
        raise Refused(text_of(head, "description", "subtitle", "summary") or text_of(head, "title"))
    notes = list(document.notes)
    day = _day(head, document.entries)
    records = []
    refused = []
    for position, element in enumerate(document.entries):
        try:
            records.append(_record(element, position, day, notes))
        except entries.Unreadable as error:
            refused.append(entries.rejected(position, str(error), element))
    refused += entries.cut_off(document)
    return Announcement(
        day=day,
        parsed=Parsed(
            declared=len(document.entries) + bool(document.problem),
            records=entries.once_each(records, notes),
            rejected=tuple(refused),
            notes=tuple(notes),
        ),
        is_whole=not document.problem,
    )


def _day(head: dict[str, list[Element]], items: tuple[Element, ...]) -> date:
    """The channel's day in its own offset; else New York's when it was built; else that of most items."""
    for name in ("pubDate", "published"):
        if text := text_of(head, name):
            return _plausible(text)
    for name in ("lastBuildDate", "updated"):
        if text := text_of(head, name):
            _plausible(text)
            return calendar.today(dates.instant(text))
    days: Counter[date] = Counter()
    for item in items:
        try:
            days[dates.day(text_of(children(item), "pubDate", "published"))] += 1
        except dates.NotADate:
            continue
    if days:
        return days.most_common(1)[0][0]
    raise NotAList("a feed that does not say its day")


def _plausible(text: str) -> date:
    try:
        return dates.day(text)
    except dates.NotADate as error:
        raise NotAList(f"a feed whose day cannot be: {error}") from error


def _record(element: Element, position: int, day: date, notes: list[str]) -> PaperRecord:
    found = children(element)
    arxiv_id, version = entries.identifier(
        position, text_of(found, "guid", "id"), text_of(found, "link") or _link(found)
    )
    where = f"Entry {position} ({arxiv_id})"
    title = entries.title_of(text_of(found, "title"), where, notes)
    said, abstract = _description(text_of(found, "description", "summary"))
    categories = entries.categories_of(
        (category.get("term") or category.text or "" for category in found.get("category", ())), where, notes
    )
    people = entries.names_of(names.split(", ".join(texts_of(found, "creator"))), where, notes)
    announce_type = _announce_type(text_of(found, "announce_type") or said, version, where, notes)
    _note_other_day(text_of(found, "pubDate", "published"), day, where, notes)
    return PaperRecord(
        position=position,
        listing_day=day,
        title=title,
        arxiv_id=arxiv_id,
        doi=text_of(found, "DOI", "doi"),
        source_url=entries.ABSTRACT_PAGE + arxiv_id,
        abstract=abstract,
        authors=people.authors,
        affiliations=people.affiliations,
        primary_category=categories[0] if categories else "",
        categories=categories,
        announce_type=announce_type,
        version=version,
        is_listing=announce_type in LISTED,
        comment=text_of(found, "comment"),
        journal_ref=text_of(found, "journal_reference", "journal_ref"),
        raw=entries.as_received(element),
    )


def _link(found: dict[str, list[Element]]) -> str:
    return next((link.get("href", "") for link in found.get("link", ()) if link.get("href")), "")


def _description(text: str) -> tuple[str, str]:
    """The announce type that the text names, and the abstract."""
    preamble = _PREAMBLE.match(text)
    rest = text[preamble.end() :] if preamble else text
    if preamble and _ABSTRACT in rest:
        rest = rest.partition(_ABSTRACT)[2]
    return (preamble["type"] if preamble else ""), rest.removeprefix(_ABSTRACT).strip()


def _announce_type(said: str, version: int | None, where: str, notes: list[str]) -> str:
    announced = said.strip().lower()
    if announced in (*LISTED, *REVISED):
        return announced
    taken = REPLACE if (version or 1) > 1 else NEW
    notes.append(f"{where}: announced as {announced[:40]!a}; taken as {taken}.")
    return taken


def _note_other_day(text: str, day: date, where: str, notes: list[str]) -> None:
    if not text:
        return
    try:
        own = dates.day(text)
    except dates.NotADate as error:
        notes.append(f"{where}: its date {error} is none; the list's day counts.")
    else:
        if own != day:
            notes.append(f"{where}: its date is {own}; the list's day counts.")
