"""arXiv's query API, `export.arxiv.org/api/query`: Atom as records. Pure, no network.

Three forms are in the recordings: today's (since November 2025), that of the days of the change (links
without `rel`), and the one before (hard-wrapped texts, namespaces on each element). What is easy to get
wrong:

- An error is an entry titled "Error" whose id holds `/api/errors`, in an answer of status 400.
- Unknown ids are left out without a word; before November 2025 the total counted them.
- An answer without entries in the middle of a search is no end: ask again while start < total.
- `itemsPerPage` is what was asked for. A title may be "0". `category` holds ACM and MSC terms as well.
"""

from dataclasses import dataclass
from datetime import date
from xml.etree.ElementTree import Element

from digest.sources.arxiv import entries, ids, names
from digest.sources.arxiv.markup import children, local_name, read, text_of, texts_of
from digest.sources.records import NotAList, PaperRecord, Parsed

LARGEST_PAGE = 2_000  # results of one request

_ERRORS = "/api/errors"


@dataclass(frozen=True, kw_only=True)
class Page:
    """One answer. `total`, `start` and `per_page` as it says; `error` is arXiv's own message."""

    parsed: Parsed
    total: int | None
    start: int | None
    per_page: int | None
    error: str = ""

    @property
    def is_hole(self) -> bool:
        """Nothing came though there should be more."""
        return not self.error and not self.parsed.declared and (self.start or 0) < (self.total or 0)


def parse(body: bytes, listing_day: date | None = None) -> Page:
    """The answer's entries. A look-up puts nothing on a list, whatever the day it is recorded under.

    Without `listing_day` a record's is the day of its first version. Raises NotAList.
    """
    document = read(body, entries=("entry",), at_most=entries.MOST_ENTRIES)
    if local_name(document.root) != "feed":
        raise NotAList(f"XML with the root {local_name(document.root)[:40]!a} where a feed belongs")
    head = children(document.root)
    notes = list(document.notes)
    records = []
    refused = []
    error = ""
    for position, element in enumerate(document.entries):
        found = children(element)
        if _ERRORS in text_of(found, "id"):
            error = error or text_of(found, "summary") or "an error without a message"
            continue
        try:
            records.append(_record(found, element, position, listing_day, notes))
        except entries.Unreadable as problem:
            refused.append(entries.rejected(position, str(problem), element))
    refused += entries.cut_off(document)
    if error:
        notes.append(f"arXiv answered with an error: {error[:300]}")
    return Page(
        parsed=Parsed(
            declared=len(document.entries) + bool(document.problem),
            records=entries.once_each(records, notes),
            rejected=tuple(refused),
            notes=tuple(notes),
        ),
        total=_number(text_of(head, "totalResults")),
        start=_number(text_of(head, "startIndex")),
        per_page=_number(text_of(head, "itemsPerPage")),
        error=error,
    )


def _record(
    found: dict[str, list[Element]],
    element: Element,
    position: int,
    listing_day: date | None,
    notes: list[str],
) -> PaperRecord:
    arxiv_id, version = entries.identifier(position, text_of(found, "id"), *_links(found))
    where = f"Entry {position} ({arxiv_id})"
    title = entries.title_of(text_of(found, "title"), where, notes)
    published_at = entries.instant_of(text_of(found, "published"), "published", where, notes)
    day = listing_day or (published_at.date() if published_at else None)
    if day is None:
        raise entries.Unreadable(f"{where} does not say when it was published.")
    codes = [category.get("term") or "" for category in found.get("category", ())]
    home = [category.get("term") or "" for category in found.get("primary_category", ())]
    primary = entries.categories_of(home, where, notes)
    categories = entries.categories_of((*home, *codes), where, notes)
    people = entries.names_of(_people(found), where, notes)
    return PaperRecord(
        position=position,
        listing_day=day,
        title=title,
        arxiv_id=arxiv_id,
        doi=text_of(found, "doi", "DOI"),
        source_url=entries.ABSTRACT_PAGE + arxiv_id,
        abstract=text_of(found, "summary"),
        authors=people.authors,
        affiliations=people.affiliations,
        primary_category=next(iter(primary), "") or next(iter(categories), ""),
        categories=categories,
        published_at=published_at,
        version=version,
        is_listing=False,
        comment=text_of(found, "comment"),
        journal_ref=text_of(found, "journal_ref", "journal_reference"),
        raw=entries.as_received(element),
    )


def _links(found: dict[str, list[Element]]) -> list[str]:
    return [link.get("href") or "" for link in found.get("link", ())]


def _people(found: dict[str, list[Element]]) -> names.Names:
    authors = []
    affiliations = []
    for author in found.get("author", ()):
        of_author = children(author)
        if name := text_of(of_author, "name"):
            authors.append(name)
        affiliations += texts_of(of_author, "affiliation")
    return names.bounded(authors, affiliations)


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 12 else None


def is_askable(arxiv_id: str) -> bool:
    """Whether an id has a form that the API takes: one that it does not take spoils the whole list."""
    try:
        return ids.split(arxiv_id)[0] == arxiv_id
    except ids.NotAnId:
        return False
