"""Texts that a language model writes for papers: wanted, written in the background, kept for good.

Each text is made once for a paper and language, whatever the number of readers, and nothing ever waits for
it: whoever composes a mail or shows a page takes what is there (`texts_of`). Rows decide what is asked and
when: a text that could not be had is due again later, and given up after the fourth try. The endpoint is left
alone for as long as it asks; no more than the day's budget of requests is made, whatever the number of
workers.

A paper's texts stay when its votes, or its abstract in some other source's words, change. A new version is
another matter: texts older than the first word of it are wanted again, once, and the old ones shown until
the new are there.
"""

import logging
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

from django.conf import settings
from django.db import connection, transaction
from django.db.models import F, Min

from digest.models import AiSpending, AiText, Paper, Sighting
from digest.papers.pauses import pause, pause_of
from digest.papers.proofreading import Refused, gives_orders, proofread
from digest.sources import llm
from digest.sources.http import Client, SourceError

LOCK = 0x61697478  # "aitx": the advisory lock of claiming, held for milliseconds
CLOCK = "language model"  # the clock that says until when the endpoint wants to be left alone

REQUEST_SECONDS = 45.0
_LEAST_REQUEST_SECONDS = 10.0  # with less time left no request is begun
LEASE = timedelta(minutes=10)  # a worker that died with a text in hand: it is due again after this
AFTER_FAILURE = (timedelta(minutes=2), timedelta(minutes=15), timedelta(hours=2))  # by the number of tries
MOST_TRIES = len(AFTER_FAILURE) + 1
REST_AFTER_GIVING_UP = timedelta(days=1)  # then the text may be wanted anew

_CLOSED_AFTER_429 = timedelta(minutes=5)  # where the endpoint does not say how long
_CLOSED_AFTER_SILENCE = timedelta(minutes=5)
_CLOSED_AFTER_REFUSAL = timedelta(hours=1)  # a wrong key or address: an operator must mend it
_LONGEST_CLOSED = timedelta(days=1)
_NOT_OF_THE_TEXT = frozenset({401, 402, 403, 404, 405, 410, 429})
_MOST_FAILURES_IN_A_ROW = 3  # then this run ends; the next goes on

SHORTEST_ABSTRACT = 200  # characters; of less there is nothing to sum up
LONGEST_ABSTRACT = 6_000  # posts can be longer; those are summed up from their beginning, never translated
_LONGEST_PROBLEM = 1_000

TIME_IS_OVER = "The time of this run is over."

logger = logging.getLogger(__name__)


class Text(NamedTuple):
    """A text to be shown, and who wrote it: to be labelled as a machine's."""

    text: str
    model: str


@dataclass(kw_only=True)
class Written:
    """What one run did, in texts; `requests` in requests. `stopped` says why it ended early, if it did."""

    requests: int = 0
    written: int = 0
    put_off: int = 0  # due again later
    given_up: int = 0
    problems: list[str] = field(default_factory=list)
    stopped: str = ""


@dataclass(frozen=True, kw_only=True)
class Standing:
    """How the model's work stands, for operators."""

    is_on: bool
    wanted: int
    written: int
    given_up: int
    requests_today: int
    requests_a_day: int
    closed_until: datetime | None
    reason: str


# --- wishes -------------------------------------------------------------------------------------------------


def want(paper_ids: Sequence[int], *, language: str, kinds: Collection[str], now: datetime) -> int:
    """Note that these texts are wanted, best paper first; how many were not wanted or there before.

    Twice is safe. What makes no sense is left out: a translation into the paper's own language, a summary of
    next to nothing, a translation of a text that goes on for pages, anything of a paper that gives orders to
    models. What was given up is wanted again after a day.
    """
    if language not in llm.LANGUAGES:
        raise ValueError(f"No texts are written in {language!r}; there are {', '.join(llm.LANGUAGES)}.")
    papers = Paper.objects.filter(canonical=None, withdrawn_at=None).in_bulk(paper_ids)
    wanted = [
        (papers[pk], kind)
        for pk in dict.fromkeys(paper_ids)
        if pk in papers
        for kind in _sensible(papers[pk], language, kinds)
    ]
    if not wanted:
        return 0
    rows = AiText.objects.filter(paper__in={paper.pk for paper, _kind in wanted}, language=language)
    known = {(row.paper_id, row.kind) for row in rows}
    AiText.objects.bulk_create(
        (
            AiText(paper=paper, language=language, kind=kind, due_at=now)
            for paper, kind in wanted
            if (paper.pk, kind) not in known
        ),
        ignore_conflicts=True,
    )
    again = _outdated(row for row in rows if (row.status == AiText.Status.WRITTEN))
    again += [row.pk for row in rows if row.status == AiText.Status.FAILED and row.due_at <= now]
    wishes = {(paper.pk, kind) for paper, kind in wanted}
    renewed = [row.pk for row in rows if row.pk in set(again) and (row.paper_id, row.kind) in wishes]
    AiText.objects.filter(pk__in=renewed).exclude(status=AiText.Status.WANTED).update(
        status=AiText.Status.WANTED, attempts=0, due_at=now, problem=""
    )
    return len(wishes - known) + len(renewed)


def _sensible(paper: Paper, language: str, kinds: Collection[str]) -> list[str]:
    if gives_orders(f"{paper.title}\n{paper.abstract}"):
        return []
    is_foreign = paper.language != language
    length = len(paper.abstract)
    sense = {
        AiText.Kind.SUMMARY: length >= SHORTEST_ABSTRACT,
        AiText.Kind.TITLE: is_foreign,
        AiText.Kind.ABSTRACT: is_foreign and 0 < length <= LONGEST_ABSTRACT,
    }
    return [kind for kind in AiText.Kind.values if kind in kinds and sense[AiText.Kind(kind)]]


def _outdated(rows: Iterable[AiText]) -> list[int]:
    """Texts that were made before any source spoke of the paper's newest version; one query."""
    rows = list(rows)
    said = (
        Sighting.objects.filter(
            paper__in={row.paper_id for row in rows}, version=F("paper__version"), version__gt=1
        )
        .values_list("paper_id")
        .annotate(first=Min("seen_at"))
    )
    since = dict(said)
    return [
        row.pk
        for row in rows
        if row.made_at is not None and row.paper_id in since and row.made_at < since[row.paper_id]
    ]


# --- what is there ------------------------------------------------------------------------------------------


def texts_of(paper_ids: Collection[int], language: str) -> dict[int, dict[str, Text]]:
    """The texts of these papers that are there now, by kind; papers without any are left out. One query."""
    found: dict[int, dict[str, Text]] = {}
    rows = AiText.objects.filter(paper__in=paper_ids, language=language).exclude(text="")
    for paper_id, kind, text, model in rows.values_list("paper_id", "kind", "text", "model"):
        found.setdefault(paper_id, {})[kind] = Text(text, model)
    return found


def text(paper: Paper, language: str, kind: str) -> Text | None:
    """One text of a paper, if it is there."""
    return texts_of([paper.pk], language).get(paper.pk, {}).get(kind)


def standing(*, now: datetime) -> Standing:
    """How the work stands at `now`; a few small queries."""
    count = AiText.objects.filter
    spent = AiSpending.objects.filter(day=now.date()).values_list("requests", flat=True).first()
    closing = pause_of(CLOCK, now=now)
    return Standing(
        is_on=llm.is_on(),
        wanted=count(status=AiText.Status.WANTED).count(),
        written=count(status=AiText.Status.WRITTEN).count(),
        given_up=count(status=AiText.Status.FAILED).count(),
        requests_today=spent or 0,
        requests_a_day=settings.LLM_DAILY_REQUESTS,
        closed_until=closing.closed_until if closing else None,
        reason=closing.reason if closing else "",
    )


# --- writing ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class _Claim:
    """Rows of one paper and language that this worker has taken."""

    paper: Paper
    language: str
    rows: Sequence[AiText]

    @property
    def kinds(self) -> list[str]:
        return [row.kind for row in self.rows]


def write_due(
    *,
    now: datetime,
    seconds: float = 90.0,
    client: Callable[[float], Client] | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> Written:
    """Ask for what is due, newest papers first, for at most `seconds`; a request more is never begun.

    Safe beside other workers, here and elsewhere: each takes other papers, and the budget is everybody's.
    `client` makes a client for a request of at most so many seconds.
    """
    done = Written()
    make = client or (lambda most: Client(attempts=1, total_seconds=most, budget_seconds=most))
    began = time.monotonic()
    failures = 0
    while not done.stopped:
        left = seconds - (time.monotonic() - began)
        if not llm.is_on():
            done.stopped = "No endpoint is set."
        elif closing := pause_of(CLOCK, now=now):
            done.stopped = (
                f"The endpoint is left alone until {closing.closed_until:%H:%M} UTC. {closing.reason}"
            )
        elif failures >= _MOST_FAILURES_IN_A_ROW:
            done.stopped = f"{failures} requests in a row brought nothing."
        elif left < _LEAST_REQUEST_SECONDS or stop():
            done.stopped = TIME_IS_OVER
        elif isinstance(claim := _claim(now), str):
            done.stopped = claim
        else:
            is_good = _write(claim, client=make(min(left, REQUEST_SECONDS)), now=now, done=done)
            failures = 0 if is_good else failures + 1
    return done


def _claim(now: datetime) -> _Claim | str:
    """The next paper with all that is due of it in one language, or why there is none.

    Claims go one after the other, so that no two workers take parts of one paper. The try is counted here: a
    text that kills its worker is not tried for ever. A request is taken from the day's budget in the same
    transaction.
    """
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
        due = AiText.objects.filter(status=AiText.Status.WANTED, due_at__lte=now)
        first = due.order_by("-paper__first_listed_on", "due_at", "pk").first()
        if first is None:
            return "Nothing is due."
        rows = list(
            due.filter(paper=first.paper_id, language=first.language)
            .select_for_update(skip_locked=True)
            .order_by("kind")
        )
        if not rows:
            return "Nothing is due that nobody else has in hand."
        if not spend_request(now):
            return f"The day's budget of {settings.LLM_DAILY_REQUESTS:,} requests is used up."
        for row in rows:
            row.attempts += 1
            row.due_at = now + LEASE
        AiText.objects.bulk_update(rows, ["attempts", "due_at"])
    return _Claim(paper=Paper.objects.get(pk=first.paper_id), language=first.language, rows=rows)


def spend_request(now: datetime, *, leave: int = 0) -> bool:
    """Take one request from the day's budget, UTC; False if no more than `leave` are left of it."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO digest_aispending AS spending (day, requests, tokens)
            SELECT %(day)s, 1, 0 WHERE %(most)s > 0
            ON CONFLICT (day) DO UPDATE SET requests = spending.requests + 1
            WHERE spending.requests < %(most)s
            """,
            {"day": now.date(), "most": settings.LLM_DAILY_REQUESTS - leave},
        )
        return cursor.rowcount == 1


def _write(claim: _Claim, *, client: Client, now: datetime, done: Written) -> bool:
    """Ask for the claimed texts and store the outcome; False if nothing came of it."""
    question = llm.Question(
        title=claim.paper.title,
        abstract=claim.paper.abstract[:LONGEST_ABSTRACT],
        language=claim.language,
        kinds=claim.kinds,
    )
    done.requests += 1
    try:
        completion = llm.ask(question, client=client)
    except SourceError as error:
        _after_no_answer(claim, error, now=now, done=done)
        return False
    except llm.Unusable as error:
        count_tokens(error.tokens, now)
        _put_off(claim.rows, str(error), now=now, done=done)
        return False
    count_tokens(completion.tokens, now)
    good, refused = _judged(claim, completion)
    for row in claim.rows:
        if row.kind in good:
            row.text, row.model, row.made_at = good[row.kind], completion.model, now
            row.status, row.problem = AiText.Status.WRITTEN, ""
            done.written += _store(row)
    for problem in dict.fromkeys(refused.values()):
        rows = [row for row in claim.rows if refused.get(row.kind) == problem]
        _put_off(rows, problem, now=now, done=done)
    return bool(good)


def _judged(claim: _Claim, completion: llm.Completion) -> tuple[dict[str, str], dict[str, str]]:
    """The texts that may be shown, and why the others may not. One hostile text discredits all of them."""
    good: dict[str, str] = {}
    refused: dict[str, str] = {}
    paper = claim.paper
    for kind, raw in completion.texts.items():
        try:
            good[kind] = proofread(
                kind, raw, title=paper.title, abstract=paper.abstract, language=claim.language
            )
        except Refused as error:
            refused[kind] = f"{AiText.Kind(kind).label} by {completion.model} refused. {error}"
            if error.is_hostile:
                return {}, dict.fromkeys(completion.texts, refused[kind])
    return good, refused


def _after_no_answer(claim: _Claim, error: SourceError, *, now: datetime, done: Written) -> None:
    """Put the texts off; where the fault is not the paper's, nobody asks the endpoint for a while.

    A text loses no try by an endpoint that is busy or that an operator must mend. It does by a time-out and
    by trouble on the other side: the text may be what causes them.
    """
    leave_alone_after(error, now=now)
    if error.status in _NOT_OF_THE_TEXT:
        done.problems.append(str(error))
        for row in claim.rows:
            tries = row.attempts
            row.attempts, row.due_at, row.problem = tries - 1, now, str(error)[:_LONGEST_PROBLEM]
            done.put_off += _store(row, tries=tries)
    else:
        _put_off(claim.rows, str(error), now=now, done=done)


def leave_alone_after(error: SourceError, *, now: datetime) -> None:
    """Nobody asks the endpoint for a while, where this failure says that it is busy, down or set up wrong."""
    match error.status:
        case 429:
            _close(error.retry_at or now + _CLOSED_AFTER_429, error, now=now)
        case 401 | 402 | 403 | 404 | 405 | 410:
            _close(now + _CLOSED_AFTER_REFUSAL, error, now=now)
        case None:
            _close(error.retry_at or now + _CLOSED_AFTER_SILENCE, error, now=now)
        case status if status >= 500:
            _close(error.retry_at or now + _CLOSED_AFTER_SILENCE, error, now=now)


def _put_off(rows: Sequence[AiText], problem: str, *, now: datetime, done: Written) -> None:
    """Due again later, or given up after the last try."""
    done.problems.append(problem)
    for row in rows:
        row.problem = problem[:_LONGEST_PROBLEM]
        if row.attempts < MOST_TRIES:
            row.due_at = now + AFTER_FAILURE[row.attempts - 1]
            done.put_off += _store(row)
        else:
            row.status, row.due_at = AiText.Status.FAILED, now + REST_AFTER_GIVING_UP
            done.given_up += _store(row)
    logger.info("AI texts of paper %s: %s", rows[0].paper_id, problem)


def _store(row: AiText, *, tries: int | None = None) -> bool:
    """Write the outcome, unless the row was taken up by somebody else after this worker's lease had ended."""
    mine = AiText.objects.filter(
        pk=row.pk, status=AiText.Status.WANTED, attempts=row.attempts if tries is None else tries
    )
    return (
        mine.update(
            status=row.status,
            text=row.text,
            model=row.model,
            attempts=row.attempts,
            due_at=row.due_at,
            problem=row.problem,
            made_at=row.made_at,
        )
        == 1
    )


def count_tokens(tokens: int, now: datetime) -> None:
    """Add what a request of the day has cost."""
    if tokens:
        AiSpending.objects.filter(day=now.date()).update(tokens=F("tokens") + tokens)


def _close(until: datetime, error: SourceError, *, now: datetime) -> None:
    until = min(until, now + _LONGEST_CLOSED)
    pause(CLOCK, until=until, reason=str(error), now=now)
    logger.warning("The language model is left alone until %s: %s", until, error)
