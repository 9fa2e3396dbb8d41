"""Single records from arXiv's API: what other sources do not say of papers that arXiv has.

Hugging Face's lists have no categories, and a post that links to a paper says nothing of it but its id. Both
are looked up here, many ids in one request. A look-up puts nothing on a day's list: its sightings are no
listings, and hang at a batch of their own for the day of the look-up (its door), which is always settled.

Who was asked for is remembered, since an id that arXiv does not know is left out of its answer without a
word: papers in `looked_up_at`; ids that posts mention by the batch, whose `fetched_at` says when mentions
were last looked up. New ones are asked for at once, those still unknown once a day.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from django.db import transaction
from django.db.models import Max, Q

from digest.models import Batch, Mention, Paper, Source
from digest.papers import days, merging
from digest.papers.ingest import ingest_all_days
from digest.sources import clock
from digest.sources.arxiv import api, doors
from digest.sources.http import Client, SourceError
from digest.sources.records import PaperRecord, Parsed, Rejected

DOOR = days.LOOK_UP
WITHIN = timedelta(days=14)  # older papers are nobody's news
AGAIN_AFTER = timedelta(
    days=3
)  # a paper of which arXiv said nothing: ids are listed elsewhere at most hours early
MOST_IDS = 200  # in one request
BUDGET_SECONDS = 50.0

_SLACK = timedelta(minutes=10)  # a mention is stored a while after the instant that it carries
_KEY = "arxiv:"

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Filled:
    """What one run did. `unknown` ids are not in arXiv's answer; `problem` says why nobody could be asked."""

    asked: int = 0
    found: int = 0
    unknown: tuple[str, ...] = ()
    problem: str = ""


def fill(*, now: datetime, client: Client | None = None, limit: int = MOST_IDS) -> Filled:
    """Look up at most `limit` papers that lack what only arXiv says. Does nothing where none does.

    Beat pokes this every ten minutes. Trouble is logged and told, never raised: arXiv is left alone for half
    an hour then, or as long as it wants.
    """
    today = now.astimezone(UTC).date()
    wanted = _wanted(now=now, today=today)[:limit]
    if not wanted or clock.closed_until(doors.CLOCK, doors.API_DOOR) is not None:
        return Filled()
    asking = client or Client(budget_seconds=BUDGET_SECONDS)
    pages: list[Parsed] = []
    problem = ""
    for at in range(0, len(wanted), MOST_IDS):
        some = wanted[at : at + MOST_IDS]
        try:
            pages.append(_look_up(asking, some, listing_day=today))
        except SourceError as error:
            problem = str(error)
            if error.retry_at is None:
                clock.close_for(
                    doors.API_DOOR,
                    doors.TOO_MANY,
                    then=doors.STILL_TOO_MANY,
                    reason="The API did not answer.",
                )
            logger.warning("Look-up of %d papers: %s", len(some), problem)
            wanted = wanted[:at]
            break
    if not pages:
        return Filled(problem=problem)
    found = {record.arxiv_id for page in pages for record in page.records}
    _store(pages, wanted, now=now)
    return Filled(
        asked=len(wanted),
        found=len(found & set(wanted)),
        unknown=tuple(one for one in wanted if one not in found),
        problem=problem,
    )


def find(arxiv_id: str, *, client: Client | None = None) -> PaperRecord | None:
    """arXiv's record of one paper, not stored; None where it has none. Raises SourceError."""
    if not api.is_askable(arxiv_id):
        return None
    try:
        page = doors.look_up(client or Client(budget_seconds=BUDGET_SECONDS), [arxiv_id])
    except doors.Refused:
        return None
    return next((record for record in page.parsed.records if record.arxiv_id == arxiv_id), None)


# --- who is asked for ---------------------------------------------------------------------------------------


def _wanted(*, now: datetime, today: date) -> list[str]:
    """Ids to ask for, those of listed papers first; only such as the API takes."""
    papers = Paper.objects.filter(
        Q(looked_up_at=None) | Q(looked_up_at__lte=now - AGAIN_AFTER),
        arxiv_id__isnull=False,
        categories=[],
        first_listed_on__gt=today - WITHIN,
    ).exclude(sightings__batch__is_sample=True)
    ids = list(papers.order_by("-first_listed_on", "pk").values_list("arxiv_id", flat=True))
    ids += _mentioned(now=now, today=today)
    return [one for one in dict.fromkeys(ids) if one and api.is_askable(one)]


def _mentioned(*, now: datetime, today: date) -> list[str]:
    look_ups = Batch.objects.filter(source__kind=Source.Kind.ARXIV, category="", door=DOOR)
    last = look_ups.aggregate(at=Max("fetched_at"))["at"]
    since = now - WITHIN
    if last is not None and look_ups.filter(listing_day=today).exists():
        since = max(since, last - _SLACK)
    waiting = Mention.objects.filter(paper=None, key__startswith=_KEY, seen_at__gt=since)
    keys = list(waiting.order_by("-seen_at").values_list("key", flat=True))
    known = set(Paper.objects.filter(key__in=keys).values_list("key", flat=True))
    return [key.removeprefix(_KEY) for key in keys if key not in known]


# --- asking and storing -------------------------------------------------------------------------------------


def _look_up(client: Client, ids: Sequence[str], *, listing_day: date) -> Parsed:
    """The records of these ids. Where arXiv takes one for no id, halves are asked for until it is alone."""
    try:
        return doors.look_up(client, ids, listing_day=listing_day).parsed
    except doors.Refused as error:
        if len(ids) == 1:
            problem = f"Entry 0: {error}"
            return Parsed(declared=1, rejected=(Rejected(position=0, problem=problem, raw=ids[0]),))
    middle = len(ids) // 2
    halves = [_look_up(client, half, listing_day=listing_day) for half in (ids[:middle], ids[middle:])]
    return Parsed(
        declared=sum(half.declared for half in halves),
        records=tuple(record for half in halves for record in half.records),
        rejected=tuple(one for half in halves for one in half.rejected),
        notes=tuple(note for half in halves for note in half.notes),
    )


def _store(pages: Sequence[Parsed], asked: Sequence[str], *, now: datetime) -> None:
    source = Source.objects.filter(kind=Source.Kind.ARXIV).order_by("pk").first()
    if source is None:
        raise Source.DoesNotExist("Look-ups are stored as arXiv's, and the list of sources has no arXiv.")
    wanted = set(asked)
    # What was not asked for is not taken: an answer may be somebody else's, out of a cache.
    records = tuple(record for page in pages for record in page.records if record.arxiv_id in wanted)
    rejected = tuple(one for page in pages for one in page.rejected)
    parsed = Parsed(declared=len(records) + len(rejected), records=records, rejected=rejected)
    with transaction.atomic():
        merging.lock()  # another run may be writing the same papers in another order
        done = ingest_all_days(parsed, source=source, now=now, door=DOOR)
        # Nobody waits for look-ups: they never keep a day open.
        batch_ids = [batch.pk for batch in done.batches]
        Batch.objects.filter(pk__in=batch_ids, settled_at=None).update(settled_at=now)
        Paper.objects.filter(arxiv_id__in=wanted).update(looked_up_at=now)
