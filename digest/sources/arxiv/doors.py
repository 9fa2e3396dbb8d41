"""Asking arXiv: the announcement feed, OAI-PMH and the API, one request at a time for all three.

Each answer is parsed, and what is no answer becomes a SourceError that says what to mend. Where arXiv wants
to be left alone, everybody of this installation leaves it alone: after a 403 for the rest of the day, all
doors (who goes on is taken for an attack); after a 429 that lasted through all attempts the one door, half an
hour and then an hour at a time, since the API refuses for hours while the feed and OAI-PMH answer.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from http import HTTPStatus
from typing import TypeVar
from urllib.parse import quote

from django.conf import settings

from digest.sources import clock
from digest.sources.arxiv import api, oai, rss, taxonomy
from digest.sources.http import Answer, Client, SourceError
from digest.sources.records import NotAList, Parsed, joined

CLOCK = "arxiv"
FEED_DOOR, OAI_DOOR, API_DOOR = "arxiv rss", "arxiv oai", "arxiv api"

TOO_MANY = timedelta(minutes=30)  # after a 429 that lasted
STILL_TOO_MANY = timedelta(minutes=60)
LEAST_AFTER_403 = timedelta(hours=6)

LARGEST_ANSWER = 30_000_000  # bytes, unpacked
MOST_PAGES = 200  # of one harvest: half a million records
HOLE_ATTEMPTS = 3  # an answer with nothing in it, in the middle, is asked for again

T = TypeVar("T")


class Refused(SourceError):
    """arXiv answers, and says that it does not have this: an unknown category, say."""


class Interrupted(SourceError):
    """A harvest whose token died: it has to begin anew."""


# --- the announcement feed ----------------------------------------------------------------------------------


def announcement(
    client: Client, categories: Sequence[str], *, address: str = ""
) -> tuple[rss.Announcement, Answer]:
    """The feed of these categories together, and the answer it came in. `address` was typed by somebody.

    Raises Refused where arXiv does not take one of them, SourceError for anything else.
    """
    root = (address or settings.ARXIV_RSS_URL).rstrip("/")
    url = f"{root}/rss/" + "+".join(quote(category, safe=".-") for category in categories)
    try:
        asking = client.public_only() if address else client
        answer = _ask(asking, url, {}, door=FEED_DOOR, accept="application/rss+xml, application/xml")
    except SourceError as error:
        if error.status is None or not _is_refusal(error.status):
            raise
        raise Refused(_refusal(error, categories), status=error.status) from error
    return _read(answer, rss.parse, "ARXIV_RSS_URL"), answer


def _is_refusal(status: int) -> bool:
    """Other 4xx are about us rather than about what was asked for."""
    return 400 <= status < 500 and status not in (401, 403, 407, 408, 429)


def _refusal(error: SourceError, categories: Sequence[str]) -> str:
    try:
        rss.parse(error.body)
        said = str(error)
    except rss.Refused as refused:
        said = str(refused)
    except NotAList:
        said = str(error)
    return f"arXiv does not take {', '.join(categories)}: {said[:500]}"


# --- OAI-PMH ------------------------------------------------------------------------------------------------


def harvest(client: Client, category: str, day: date, *, asked: Collection[str]) -> Parsed:
    """What was announced in one category (or archive) on `day`, as OAI-PMH has it now; all pages.

    A harvest whose token dies on the way is begun anew once. Records that changed without an announcement are
    not part of it. Raises Refused for a set that arXiv does not have, SourceError for anything else.
    """
    try:
        pages = _pages(client, category, day, asked=asked)
    except Interrupted:
        pages = _pages(client, category, day, asked=asked)
    found = joined([page.parsed for page in pages])
    left_out = found.declared - len(found.records) - len(found.rejected)
    notes = [note for note in found.notes if note.startswith("Entry ") or not note.endswith("left out.")]
    # A list of announcements: what else changed on that day does not belong to it.
    return Parsed(
        declared=found.declared - left_out,
        records=found.records,
        rejected=found.rejected,
        notes=tuple(notes),
    )


def _pages(client: Client, category: str, day: date, *, asked: Collection[str]) -> list[oai.Page]:
    first = {
        "verb": "ListRecords",
        "metadataPrefix": "arXivRaw",
        "set": taxonomy.oai_set(category),
        "from": day.isoformat(),
        "until": day.isoformat(),
    }
    pages: list[oai.Page] = []
    params = first
    tokens: set[str] = set()
    while True:
        page = _page(client, params, day, asked=asked)
        match page.error:
            case "":
                pages.append(page)
            case oai.NO_RECORDS_MATCH:
                return pages
            case oai.BAD_TOKEN:
                raise Interrupted(f"OAI-PMH ended the harvest of {category} for {day}: {page.message}")
            case oai.BAD_ARGUMENT:
                raise Refused(f"OAI-PMH does not take {category} ({params.get('set', '')}): {page.message}")
            case _:
                raise SourceError(f"OAI-PMH answered {page.error} for {category}, {day}: {page.message}")
        if page.is_last:
            return pages
        if page.token in tokens or len(pages) >= MOST_PAGES:
            raise SourceError(f"OAI-PMH comes to no end with {category} for {day} ({len(pages)} pages).")
        tokens.add(page.token)
        params = {"verb": "ListRecords", "resumptionToken": page.token}


def _page(client: Client, params: dict[str, str], day: date, *, asked: Collection[str]) -> oai.Page:
    """One page; asked for again where it is a hole, or its markup broke."""
    for _attempt in range(HOLE_ATTEMPTS):
        answer = _ask(client, settings.ARXIV_OAI_URL, params, door=OAI_DOOR, accept="text/xml")
        page = _read(answer, lambda body: oai.parse(body, day, asked=asked), "ARXIV_OAI_URL")
        if page.error or page.is_last or page.token:
            return page
    raise SourceError(
        f"OAI-PMH gave {HOLE_ATTEMPTS} times an answer that is not complete (GET {answer.url}). "
        "Paperboy asks again later."
    )


# --- the API ------------------------------------------------------------------------------------------------


def look_up(client: Client, ids: Sequence[str], *, listing_day: date | None = None) -> api.Page:
    """The records of these ids; unknown ones are missing without a word.

    Raises Refused where arXiv takes one of them for no id, which spoils the answer for all.
    """
    params: dict[str, str | int] = {"id_list": ",".join(ids), "start": 0, "max_results": len(ids)}
    for _attempt in range(HOLE_ATTEMPTS):
        try:
            answer = _ask(
                client, settings.ARXIV_API_URL, params, door=API_DOOR, accept="application/atom+xml"
            )
        except SourceError as error:
            if error.status is None or not _is_refusal(error.status):
                raise
            raise Refused(f"The API does not take these ids: {error}", status=error.status) from error
        page = _read(answer, lambda body: api.parse(body, listing_day), "ARXIV_API_URL")
        if page.error:
            raise Refused(f"The API does not take these ids: {page.error}", status=HTTPStatus.BAD_REQUEST)
        if not page.is_hole:
            return page
    raise SourceError(
        f"The API found records and gave none of them, {HOLE_ATTEMPTS} times (GET {answer.url}). "
        "Paperboy asks again later."
    )


# --- one request --------------------------------------------------------------------------------------------


def _ask(client: Client, url: str, params: Mapping[str, str | int], *, door: str, accept: str) -> Answer:
    asking = client.taking(lambda: clock.turn(CLOCK, heeding=(door,)))
    try:
        answer = asking.get(url, params=params, accept=accept, largest=LARGEST_ANSWER)
    except SourceError as error:
        retry_at = _left_alone(error, door)
        if retry_at is None:
            raise
        raise SourceError(
            f"{error} Paperboy leaves it alone until {retry_at:%Y-%m-%d %H:%M} UTC.",
            status=error.status,
            retry_at=retry_at,
            body=error.body,
        ) from error
    clock.reopen(CLOCK, door)
    return answer


def _left_alone(error: SourceError, door: str) -> datetime | None:
    """Close the clock where arXiv asks for it; until when."""
    match error.status:
        case HTTPStatus.FORBIDDEN:
            now = clock.now()
            midnight = datetime.combine(now.date() + timedelta(days=1), time(), tzinfo=now.tzinfo)
            until = max(midnight, now + LEAST_AFTER_403)
            clock.close(CLOCK, until=until, reason="arXiv answered 403 and is left alone for the day.")
            return until
        case HTTPStatus.TOO_MANY_REQUESTS:
            reason = "arXiv answered 429, too many requests."
            until = clock.close_for(door, TOO_MANY, then=STILL_TOO_MANY, reason=reason)
            if error.retry_at is not None and error.retry_at > until:
                until = error.retry_at
                clock.close(door, until=until, reason=reason)
            return until
    return None


def _read(answer: Answer, parse: Callable[[bytes], T], setting: str) -> T:
    try:
        return parse(answer.body)
    except NotAList as error:
        raise SourceError(
            f"The answer is {error} (GET {answer.url}). If that goes on, check {setting} in the settings."
        ) from error
