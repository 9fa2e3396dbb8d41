"""arXiv's OAI-PMH service, `oaipmh.arxiv.org/oai`: bytes as records. Pure, no network.

What is easy to get wrong:

- Errors come with status 200. `noRecordsMatch` means that nothing changed on those days; `badResumptionToken`
  that the harvest must begin anew (tokens die at midnight UTC).
- A datestamp is the day of the record's last change, whatever was changed; it is no day of submission, and a
  record moves to a later day with every change. So a new paper is one with exactly one version, dated within
  the last days, and a revision one whose newest version is: only the format arXivRaw tells. Changes without
  a version (a journal reference) were not announced; they are counted in the notes and left out.
- An answer with no `resumptionToken` element is all there is; the last page of several has an empty one. A
  page without records that has neither is a hole in the middle.
- In `arXiv` the element `created` is the date of the version that is shown, not of the first.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from xml.etree.ElementTree import Element

from digest.sources.arxiv import entries, names, rss, taxonomy
from digest.sources.arxiv.markup import children, local_name, read, text_of, texts_of
from digest.sources.records import NotAList, PaperRecord, Parsed, Rejected

NO_RECORDS_MATCH = "noRecordsMatch"
BAD_TOKEN = "badResumptionToken"
BAD_ARGUMENT = "badArgument"

# Moderation holds some papers for a week or two; older ones with a single version were changed otherwise.
NEW_WITHIN = timedelta(days=14)

_VERBS = ("ListRecords", "GetRecord", "ListIdentifiers")
_VERSION = re.compile(r"v?([1-9]\d{0,3})")


@dataclass(frozen=True, kw_only=True)
class Page:
    """One answer. `error` is OAI-PMH's code for what went wrong, `message` its text; empty if nothing did.

    `token` asks for the next page. `is_last`: none follows. `unannounced`: records that changed on the day
    without an announcement.
    """

    parsed: Parsed
    token: str = ""
    is_last: bool = True
    expires_at: datetime | None = None
    answered_at: datetime | None = None
    error: str = ""
    message: str = ""
    unannounced: int = 0

    @property
    def is_hole(self) -> bool:
        """Nothing came, and nothing says that this is the end."""
        return not self.error and not self.parsed.declared and not self.token and not self.is_last


def parse(body: bytes, listing_day: date | None = None, *, asked: Collection[str] = ()) -> Page:
    """The records of an answer (ListRecords or GetRecord in arXivRaw, arXiv or oai_dc).

    With `listing_day`, those that were announced on it: `new` where the paper is at home in one of the
    categories `asked` (in any, when none is named), else `cross`; revisions likewise. Without, every record,
    as of the day of its last change and on no list. Headers without a record (ListIdentifiers) and deleted
    records are counted and noted. Raises NotAList.
    """
    document = read(body, entries=("record", "header"), at_most=entries.MOST_ENTRIES)
    if local_name(document.root) != "OAI-PMH":
        raise NotAList(f"XML with the root {local_name(document.root)[:40]!a} where OAI-PMH belongs")
    head = children(document.root)
    answered_at = entries.instant_of(text_of(head, "responseDate"), "responseDate", "The answer", [])
    if problems := head.get("error"):
        return Page(
            parsed=Parsed(declared=0),
            error=(problems[0].get("code") or "unknown")[:60],
            message=" ".join("".join(problems[0].itertext()).split())[:500],
            answered_at=answered_at,
        )
    verb = next((name for name in _VERBS if name in head), "")
    if not verb:
        what = next((name for name in head if name not in ("responseDate", "request")), "nothing")
        raise NotAList(f"OAI-PMH with {what[:40]!a} where records belong")
    reading = _Reading(listing_day, frozenset(asked))
    for position, element in enumerate(document.entries):
        reading.add(position, element)
    notes = [*document.notes, *reading.all_notes()]
    tokens = children(head[verb][0]).get("resumptionToken", [])
    token = (tokens[0].text or "").strip()[:5_000] if tokens else ""
    expiry = tokens[0].get("expirationDate", "") if tokens else ""
    return Page(
        parsed=Parsed(
            declared=len(document.entries) + bool(document.problem),
            records=entries.once_each(reading.records, notes),
            rejected=(*reading.rejected, *entries.cut_off(document)),
            notes=tuple(notes),
        ),
        token=token,
        is_last=bool(tokens or document.entries) and not token and not document.problem,
        expires_at=entries.instant_of(expiry, "expirationDate", "The token", []),
        answered_at=answered_at,
        unannounced=reading.unannounced,
    )


class _Reading:
    """The records of one page, and the account of those that are none."""

    def __init__(self, listing_day: date | None, asked: frozenset[str]) -> None:
        self._day = listing_day
        self._asked = asked | {
            category.alias for code in asked if (category := taxonomy.CATEGORIES.get(code)) and category.alias
        }
        self.records: list[PaperRecord] = []
        self.rejected: list[Rejected] = []
        self.notes: list[str] = []
        self.unannounced = 0
        self._other_days = 0
        self._headers = 0

    def add(self, position: int, element: Element) -> None:
        try:
            self._read(position, element)
        except entries.Unreadable as error:
            self.rejected.append(entries.rejected(position, str(error), element))

    def all_notes(self) -> list[str]:
        counted = (
            (self.unannounced, "changed without an announcement"),
            (self._other_days, f"changed on another day than {self._day}"),
            (self._headers, "came as a header without a record"),
        )
        return self.notes + [
            f"{count:,} {'paper' if count == 1 else 'papers'} {what}; left out."
            for count, what in counted
            if count
        ]

    def _read(self, position: int, element: Element) -> None:
        parts = children(element)
        is_header = local_name(element) == "header"
        head = element if is_header else next(iter(parts.get("header", ())), element)
        header = children(head)
        if head.get("status") == "deleted":
            shown = text_of(header, "identifier")[:60]
            self.notes.append(f"Entry {position}: {shown!a} is marked as deleted; left out.")
            return
        if is_header:
            self._headers += 1
            return
        form = next((child for metadata in parts.get("metadata", ()) for child in metadata), None)
        if form is None:
            raise entries.Unreadable(f"Entry {position} has no metadata.")
        found = children(form)
        arxiv_id, _version = entries.identifier(
            position, text_of(found, "id"), text_of(header, "identifier"), *texts_of(found, "identifier")
        )
        where = f"Entry {position} ({arxiv_id})"
        changed_on = entries.instant_of(text_of(header, "datestamp"), "datestamp", where, self.notes)
        if self._day and changed_on and changed_on.date() != self._day:
            self._other_days += 1
            return
        versions = _versions(found, where, self.notes)
        categories = self._categories(found, header, where)
        announced = self._announced(arxiv_id, versions, categories[:1])
        if self._day and not announced:
            self.unannounced += 1
            return
        people = entries.names_of(_people(local_name(form), found), where, self.notes)
        descriptions = texts_of(found, "description")
        day = self._day or (changed_on.date() if changed_on else None)
        if day is None:
            raise entries.Unreadable(f"{where} does not say when it was changed.")
        self.records.append(
            PaperRecord(
                position=position,
                listing_day=day,
                title=entries.title_of(text_of(found, "title"), where, self.notes),
                arxiv_id=arxiv_id,
                doi=text_of(found, "doi") or _doi(texts_of(found, "identifier")),
                source_url=entries.ABSTRACT_PAGE + arxiv_id,
                abstract=text_of(found, "abstract") or next(iter(descriptions), ""),
                authors=people.authors,
                affiliations=people.affiliations,
                primary_category=categories[0] if categories and local_name(form) != "dc" else "",
                categories=categories,
                published_at=versions[0][1] if versions else None,
                announce_type=announced,
                version=versions[-1][0] if versions else None,
                is_listing=announced in rss.LISTED,
                comment=text_of(found, "comments") or next(iter(descriptions[1:]), ""),
                journal_ref=text_of(found, "journal-ref"),
                raw=entries.as_received(element),
            )
        )

    def _categories(
        self, found: dict[str, list[Element]], header: dict[str, list[Element]], where: str
    ) -> tuple[str, ...]:
        if codes := text_of(found, "categories"):
            return entries.categories_of(codes.split(), where, self.notes)
        sets = [taxonomy.of_oai_set(name) for name in texts_of(header, "setSpec")]
        return entries.categories_of([code for code in sets if code], where, self.notes)

    def _announced(
        self, arxiv_id: str, versions: list[tuple[int, datetime | None]], primary: tuple[str, ...]
    ) -> str:
        """How the paper was announced on the day; empty if it was not, or nobody can tell."""
        if self._day is None or not versions:
            return ""
        number, at = versions[-1]
        age = self._day - at.date() if at else None
        is_recent = (
            timedelta(0) <= age <= NEW_WITHIN if age is not None else _is_of_month(arxiv_id, self._day)
        )
        if not is_recent:
            return ""
        is_home = not self._asked or any({code, code.partition(".")[0]} & self._asked for code in primary)
        if number == 1:
            return rss.NEW if is_home else rss.CROSS
        return rss.REPLACE if is_home else rss.REPLACE_CROSS


def _versions(
    found: dict[str, list[Element]], where: str, notes: list[str]
) -> list[tuple[int, datetime | None]]:
    """Number and date of each version, in order; a date that cannot be is None."""
    versions: dict[int, datetime | None] = {}
    for place, element in enumerate(found.get("version", ()), start=1):
        match = _VERSION.fullmatch(element.get("version", ""))
        number = int(match[1]) if match else place
        text = text_of(children(element), "date")
        versions[number] = entries.instant_of(text, f"the date of version {number}", where, notes)
    return sorted(versions.items())


def _is_of_month(arxiv_id: str, day: date) -> bool:
    """Whether the id was given in the month of this day: ids carry the month of their announcement."""
    return arxiv_id.rpartition("/")[2].startswith(f"{day:%y%m}")


def _people(form: str, found: dict[str, list[Element]]) -> names.Names:
    if form == "dc":
        return names.bounded([names.turned(name) for name in texts_of(found, "creator")], [])
    authors = found.get("authors", [])
    one_by_one = children(authors[0]).get("author", []) if authors else []
    if not one_by_one:
        return names.split(text_of(found, "authors"))
    people = [children(author) for author in one_by_one]
    return names.bounded(
        [
            name
            for one in people
            if (
                name := names.joined(
                    given=text_of(one, "forenames"),
                    family=text_of(one, "keyname"),
                    suffix=text_of(one, "suffix"),
                )
            )
        ],
        [institution for one in people for institution in texts_of(one, "affiliation")],
    )


def _doi(identifiers: list[str]) -> str:
    return next((text.removeprefix("doi:") for text in identifiers if text.startswith("doi:")), "")
