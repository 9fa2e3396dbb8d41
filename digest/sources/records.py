"""What a parser gives: records as the source wrote them, and an account of every entry of the answer.

Texts are raw here; `digest.papers.ingest` cleans them, finds the paper's identity and stores it.
"""

from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any


class NotAList(ValueError):
    """The answer is not what this source sends. The message says what it was instead."""


@dataclass(frozen=True, kw_only=True)
class PaperRecord:
    """One entry of a source's list. None or empty means that the source did not say; a count of 0 is 0."""

    position: int  # place in the answer, from 0; pages are counted through
    listing_day: date
    title: str
    arxiv_id: str = ""
    doi: str = ""
    url: str = ""  # the work's own address, where it has no arXiv id
    source_url: str = ""  # the source's page about it
    kind: str = "paper"  # paper, post, forum or news
    abstract: str = ""
    authors: tuple[str, ...] = ()
    affiliations: tuple[str, ...] = ()  # institutions in order, once each
    organization: str = ""
    organization_handle: str = ""
    primary_category: str = ""
    categories: tuple[str, ...] = ()
    language: str = "en"
    published_at: datetime | None = None
    code_url: str = ""
    project_url: str = ""
    thumbnail_url: str = ""
    has_media: bool = False
    summary: str = ""
    summary_source: str = ""
    keywords: tuple[str, ...] = ()
    votes: int | None = None
    comments: int | None = None
    stars: int | None = None
    announce_type: str = ""  # arXiv: new, cross, replace, replace-cross
    version: int | None = None
    is_listing: bool = True  # puts the paper on the day's list; a revision does not
    comment: str = ""  # the authors' own remark
    journal_ref: str = ""
    withdrawn_at: datetime | None = None
    withdrawal: str = ""  # what is said of it
    mentions: tuple[str, ...] = ()  # addresses in the text, of which some may be papers
    raw: Any = field(default=None, repr=False, compare=False)  # the entry as received


@dataclass(frozen=True, kw_only=True)
class Rejected:
    """An entry that cannot become a record. The others of its answer are not affected."""

    position: int
    problem: str  # what is wrong, where
    raw: Any = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Parsed:
    """One answer, or several pages of one list.

    `declared` entries came; each is a record, rejected, or named in `notes` (an entry that came twice, or
    that belongs to another day). Notes also name optional values that could not be read: the record has them
    as unknown.
    """

    declared: int
    records: tuple[PaperRecord, ...] = ()
    rejected: tuple[Rejected, ...] = ()
    notes: tuple[str, ...] = ()


def joined(pages: list[Parsed]) -> Parsed:
    """Pages of one list as one; an entry that moved to the next page while we read counts once."""
    declared = 0
    records: dict[str, PaperRecord] = {}
    rejected: list[Rejected] = []
    notes: list[str] = []
    for page in pages:
        moved = 0
        for record in page.records:
            if same_entry(record) in records:
                moved += 1
            else:
                records[same_entry(record)] = replace(record, position=declared + record.position)
        rejected += [replace(one, position=declared + one.position) for one in page.rejected]
        notes += page.notes
        declared += page.declared - moved
    return Parsed(
        declared=declared, records=tuple(records.values()), rejected=tuple(rejected), notes=tuple(notes)
    )


def same_entry(record: PaperRecord) -> str:
    """What two entries of one source have in common when they are the same."""
    return record.arxiv_id or record.doi or record.url
