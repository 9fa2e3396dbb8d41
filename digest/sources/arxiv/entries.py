"""What the answers of all three doors have in common: one entry as a record, or why it cannot be one."""

from collections.abc import Iterable
from datetime import UTC, datetime
from xml.etree.ElementTree import Element

from digest.sources.arxiv import dates, ids, names, taxonomy
from digest.sources.arxiv.markup import Document, as_received
from digest.sources.records import PaperRecord, Rejected

MOST_ENTRIES = 20_000  # headers on a page of OAI-PMH; no list of records is longer
ABSTRACT_PAGE = "https://arxiv.org/abs/"

_MOST_CATEGORIES = 50
_REPLACED = "\ufffd"


class Unreadable(ValueError):
    """The entry cannot become a record. The message is a sentence."""


def identifier(position: int, *texts: str) -> tuple[str, int | None]:
    """Id and version from the first of these texts that has them. Raises Unreadable."""
    given = [text for text in texts if text]
    for text in given:
        try:
            return ids.split(text)
        except ids.NotAnId:
            continue
    if not given:
        raise Unreadable(f"Entry {position} has no arXiv id.")
    raise Unreadable(f"Entry {position}: {given[0][:60]!a} is no arXiv id.")


def title_of(text: str, where: str, notes: list[str]) -> str:
    """The title, which may be "0". Raises Unreadable where there is none."""
    if not text.strip():
        raise Unreadable(f"{where} has no title.")
    if _REPLACED in text:
        notes.append(f"{where}: a character of the title could not be read.")
    return text


def categories_of(codes: Iterable[str], where: str, notes: list[str]) -> tuple[str, ...]:
    """The categories among these codes, once each; subject classes of other systems (68T05) left out."""
    found: dict[str, None] = {}
    unknown = []
    for code in codes:
        spelled = taxonomy.spelled(code[:40])
        if not taxonomy.is_category(spelled):
            unknown.append(code)
        elif len(found) < _MOST_CATEGORIES:
            found[spelled] = None
    if unknown and not found:
        notes.append(f"{where}: {unknown[0][:40]!a} is no category.")
    return tuple(found)


def names_of(found: names.Names, where: str, notes: list[str]) -> names.Names:
    notes += [f"{where}: {note}." for note in found.notes]
    return found


def instant_of(text: str, what: str, where: str, notes: list[str]) -> datetime | None:
    """The instant in UTC; None for none, and for one that cannot be, which is noted."""
    if not text:
        return None
    try:
        return dates.instant(text).astimezone(UTC)
    except dates.NotADate as error:
        notes.append(f"{where}: {what} {error} is no date; taken as unknown.")
        return None


def rejected(position: int, problem: str, element: Element) -> Rejected:
    return Rejected(position=position, problem=problem, raw=as_received(element))


def cut_off(document: Document) -> list[Rejected]:
    """Of an answer that breaks in the middle: one rejected entry in place of those that could not be read."""
    if not document.problem:
        return []
    position = len(document.entries)
    return [
        Rejected(
            position=position,
            problem=f"Entry {position} and what follows could not be read: {document.problem}.",
            raw=None,
        )
    ]


def once_each(records: Iterable[PaperRecord], notes: list[str]) -> tuple[PaperRecord, ...]:
    """Of entries about the same paper the first; the others are noted."""
    found: dict[str, PaperRecord] = {}
    for record in records:
        if first := found.get(record.arxiv_id):
            notes.append(f"Entry {record.position} repeats {record.arxiv_id}; entry {first.position} counts.")
        else:
            found[record.arxiv_id] = record
    return tuple(found.values())
