"""How often papers are cited, by Semantic Scholar: read daily while they are new, weekly afterwards.

Optional (SEMANTIC_SCHOLAR_URL) and never waited for. Where no other source has summed a paper up, its
one-sentence summary is taken too, under its name. Whatever shows these numbers says whose they are.
"""

import logging
import re
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial

from django.db import connection, transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet

from digest.models import Paper, Sighting
from digest.papers import merging
from digest.papers.pauses import pause, pause_of
from digest.papers.proofreading import Refused, proofread
from digest.sources import clock, semanticscholar
from digest.sources.http import Client, SourceError
from digest.sources.records import NotAList
from digest.sources.semanticscholar import NAME, Cited

CLOCK = "semanticscholar"  # the whole installation asks one after the other
SECONDS_APART = 1.0
LOCK = 0x63697465  # "cite": one run at a time

NEW_FOR = timedelta(days=30)  # since a source listed the paper
WHILE_NEW = timedelta(days=1)
AFTERWARDS = timedelta(days=7)
_CLOSED_AFTER_429 = timedelta(minutes=10)  # where it does not say how long
_CLOSED_AFTER_TROUBLE = timedelta(minutes=20)
_CLOSED_AFTER_REFUSAL = timedelta(hours=6)  # a wrong key or address: an operator must mend it
_LEAST_SECONDS = 20.0  # with less time left no request is begun
_DOI = re.compile(r"10\.\d{4,9}/\S+")

TIME_IS_OVER = "The time of this run is over."

logger = logging.getLogger(__name__)


@dataclass(kw_only=True)
class Refreshed:
    """What one run did, in papers; `requests` in requests. `stopped` says why it ended."""

    requests: int = 0
    asked: int = 0
    known: int = 0  # to Semantic Scholar
    summaries: int = 0  # taken over, where there was none
    problems: list[str] = field(default_factory=list)
    stopped: str = ""
    has_failed: bool = False


def due(*, now: datetime) -> QuerySet[Paper]:
    """Papers whose citations should be read: those never asked for first, then the longest ago."""
    listed = Sighting.objects.filter(
        paper=OuterRef("pk"), is_listing=True, listing_day__gte=(now - NEW_FOR).astimezone(UTC).date()
    )
    return (
        Paper.objects.filter(canonical=None, withdrawn_at=None)
        .exclude(arxiv_id=None, doi=None)
        .filter(
            Q(cited_at=None)
            | Q(cited_at__lte=now - AFTERWARDS)
            | Q(Exists(listed), cited_at__lte=now - WHILE_NEW)
        )
        .order_by(F("cited_at").asc(nulls_first=True), "-first_listed_on", "pk")
    )


def refresh_due(
    *,
    now: datetime,
    seconds: float = 90.0,
    client: Client | None = None,
    papers: QuerySet[Paper] | None = None,
) -> Refreshed:
    """Ask for what is due (or for `papers`), 500 at a time, for at most `seconds`.

    Safe beside other workers: the second finds that somebody is at it. Trouble closes the service to all of
    them for a while, and is never raised.
    """
    done = Refreshed()
    began = time.monotonic()
    with _only_one() as is_mine:
        while not done.stopped:
            left = seconds - (time.monotonic() - began)
            if not semanticscholar.is_on():
                done.stopped = "No address is set."
            elif not is_mine:
                done.stopped = "Another worker is at it."
            elif closing := pause_of(CLOCK, now=now):
                done.stopped = (
                    f"{NAME} is left alone until {closing.closed_until:%H:%M} UTC. {closing.reason}"
                )
            elif left < _LEAST_SECONDS:
                done.stopped = TIME_IS_OVER
            elif not (batch := _batch((due(now=now) if papers is None else papers), now)):
                done.stopped = "Nothing is due."
            else:
                own = client or Client(attempts=1, total_seconds=left, budget_seconds=left, turn=_turn)
                _refresh(batch, client=own, now=now, done=done)
    return done


_turn = partial(clock.turn, CLOCK, seconds=SECONDS_APART, longest_wait_seconds=10.0)


def _batch(papers: QuerySet[Paper], now: datetime) -> list[tuple[str, Paper]]:
    """Up to 500 papers that were not asked in this run, each with its name there."""
    waiting = papers.filter(Q(cited_at=None) | Q(cited_at__lt=now))[: semanticscholar.MOST_IDS]
    return list(_named(waiting))


def _named(papers: Iterable[Paper]) -> Iterator[tuple[str, Paper]]:
    for paper in papers:
        if paper.arxiv_id:
            yield f"ARXIV:{paper.arxiv_id}", paper
        else:
            doi = paper.doi or ""
            yield f"DOI:{doi}" if _DOI.fullmatch(doi) else "", paper


def _refresh(batch: Sequence[tuple[str, Paper]], *, client: Client, now: datetime, done: Refreshed) -> None:
    asked = [(name, paper) for name, paper in batch if name]
    found: Sequence[Cited | None] = ()
    if asked:
        done.requests += 1
        try:
            answered = semanticscholar.ask([name for name, _paper in asked], client=client)
        except (SourceError, NotAList) as error:
            _close(error, now=now)
            done.problems.append(str(error))
            done.stopped, done.has_failed = f"{NAME} is left alone for a while.", True
            return
        found = answered.papers
        done.problems += answered.problems
    done.asked += len(asked)
    said = {paper.pk: one for (_name, paper), one in zip(asked, found, strict=True)}
    for _name, paper in batch:
        cited = said.get(paper.pk)
        # A paper that it no longer knows has no number of today.
        paper.citations = cited.citations if cited else None
        paper.influential_citations = cited.influential if cited else None
        paper.cited_at = now
        if cited is not None:
            done.known += 1
            done.summaries += _take_summary(paper, cited, done=done)
    with transaction.atomic():
        merging.lock()  # ingest may be writing the same papers in another order
        Paper.objects.bulk_update(
            [paper for _name, paper in batch],
            ["citations", "influential_citations", "cited_at"],
            batch_size=500,
        )


def _take_summary(paper: Paper, cited: Cited, *, done: Refreshed) -> bool:
    """Where there is none, and it is plausible; a summary from elsewhere is never replaced."""
    if not cited.tldr or paper.summary or paper.language != "en":
        return False
    try:
        summary = proofread("summary", cited.tldr, title=paper.title, abstract=paper.abstract, language="en")
    except Refused as error:
        done.problems.append(f"{paper.key}: its summary is refused. {error}")
        return False
    # Another source may have given one meanwhile.
    mine = Paper.objects.filter(pk=paper.pk, summary="")
    return mine.update(summary=summary, summary_source=NAME) == 1


def _close(error: SourceError | NotAList, *, now: datetime) -> None:
    status = error.status if isinstance(error, SourceError) else None
    asked = error.retry_at if isinstance(error, SourceError) else None
    match status:
        case 429:
            wait = _CLOSED_AFTER_429
        case 400 | 401 | 403 | 404 | 410:
            wait = _CLOSED_AFTER_REFUSAL
        case _:
            wait = _CLOSED_AFTER_TROUBLE
    pause(CLOCK, until=asked or now + wait, reason=str(error), now=now)


@contextmanager
def _only_one() -> Iterator[bool]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [LOCK])
        (is_mine,) = cursor.fetchone()
    try:
        yield is_mine
    finally:
        if is_mine:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [LOCK])
