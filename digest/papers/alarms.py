"""What an operator should look at, raised once and cleared when it is mended.

An alarm is a row with a key; while it stands, the same key raises nothing again. Raising logs an error, since
that is what reaches operators who watch no page; clearing logs it too.
"""

import logging
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from statistics import median
from typing import Any

from django.db.models import Q

from digest.models import Alarm, Batch, Source
from digest.papers.text import spelled_out
from digest.sources.arxiv import calendar

# Of one list, read again: entries may be taken back, a dozen of 25 at most in the recorded days; less than
# six tenths of what there was is an answer cut short.
SHRUNKEN_TO = 0.6
# Of a day's list, beside those of the same weekday: arXiv's Tuesday has up to twice its Friday, hence the
# weekday; Hugging Face's lists of one weekday go from half to twice their median (recorded: 11 to 38), so
# that two fifths are out of the ordinary, and holidays are few enough to be looked at.
UNUSUAL_BELOW = 0.4
USUAL_WEEKS = 8  # a summer's lull or a conference's rush moves the median within two months
FEWEST_WEEKS = 4  # three lists are no basis for "usual"
SMALLEST_USUAL = 10  # small categories have days with one paper
FAILING_AFTER = timedelta(hours=24)  # a night's outage mends itself; a day's costs an edition
FAILING_TRIES = 3  # arXiv is asked on weekdays only: after a weekend one failure is no day's

# Days whose lists are looked at: Hugging Face's lists change for three days, and a weekend lies between two
# of arXiv's. Older gaps are found by whoever looks at the ledger.
LOOK_BACK_DAYS = 4

logger = logging.getLogger(__name__)


def raise_(
    key: str,
    *,
    kind: str,
    source: Source,
    message: str,
    now: datetime,
    category: str = "",
    listing_day: date | None = None,
) -> Alarm:
    """Raise an alarm, or bring the message of the one that stands up to date."""
    message = spelled_out(message)
    alarm, is_new = Alarm.objects.get_or_create(
        key=key[:200],
        cleared_at=None,
        defaults={
            "kind": kind,
            "source": source,
            "category": category,
            "listing_day": listing_day,
            "message": message,
            "raised_at": now,
        },
    )
    if is_new:
        logger.error("Alarm %s: %s", alarm.key, message)
    elif alarm.message != message:
        alarm.message = message
        alarm.save(update_fields=["message"])
    return alarm


def clear(key_or_prefix: str, *, now: datetime) -> int:
    """What this key, or every key that begins with it and a colon, stood for is mended; how many did."""
    standing = Alarm.objects.raised().filter(
        Q(key=key_or_prefix) | Q(key__startswith=f"{key_or_prefix.removesuffix(':')}:")
    )
    return _clear(list(standing), now=now)


def _clear(alarms: Sequence[Alarm], *, now: datetime) -> int:
    cleared = 0
    for alarm in alarms:
        # Conditional, so that of two at once only one says so.
        if Alarm.objects.raised().filter(pk=alarm.pk).update(cleared_at=now):
            cleared += 1
            logger.info("Alarm %s is over: %s", alarm.key, alarm.message)
    return cleared


# --- when a list has been read ------------------------------------------------------------------------------


def weigh(batches: Sequence[Batch], *, source: Source, now: datetime) -> None:
    """Raise an alarm for each of these lists that has shrunk or is far below the usual; clear it otherwise.

    A day's list is compared with other days only once it is settled: before that it is still growing.
    """
    keys = {
        f"{Alarm.Kind.SHRUNKEN}:{source.slug}:{batch.category}:{batch.listing_day}": batch
        for batch in batches
    }
    usual = _usual([batch for batch in batches if batch.settled_at and not batch.is_sample], source=source)
    mended = []
    for key, batch in keys.items():
        if message := _shrunken(batch, usual.get((batch.category, batch.listing_day)), source=source):
            raise_(
                key,
                kind=Alarm.Kind.SHRUNKEN,
                source=source,
                message=message,
                now=now,
                category=batch.category,
                listing_day=batch.listing_day,
            )
        else:
            mended.append(key)
    _clear(list(Alarm.objects.raised().filter(key__in=mended)), now=now)


def _shrunken(batch: Batch, usual: float | None, *, source: Source) -> str:
    """What is wrong with the length of a list, in a sentence; empty when nothing is."""
    name = f"{source.name}{' ' + batch.category if batch.category else ''}, {batch.listing_day}"
    again = f"Read it again: manage.py fetch_papers --source {source.slug} --date {batch.listing_day}."
    most = batch.most_declared
    if most >= SMALLEST_USUAL and batch.declared < SHRUNKEN_TO * most:
        return (
            f"{name}: the list had {most} entries and now has {batch.declared}. Stored papers stay. {again}"
        )
    if usual is not None and usual >= SMALLEST_USUAL and batch.declared < UNUSUAL_BELOW * usual:
        return (
            f"{name}: {batch.declared} entries, where {batch.listing_day:%A}s have about {usual:.0f}. {again}"
        )
    return ""


def _usual(batches: Sequence[Batch], *, source: Source) -> dict[tuple[str, date], float]:
    """The median length of each list's predecessors of the same weekday, where there are enough of them."""
    if not batches:
        return {}
    weeks = range(1, USUAL_WEEKS + 1)
    before = {
        (category, day): declared
        for category, day, declared in Batch.objects.filter(
            source=source,
            category__in={batch.category for batch in batches},
            listing_day__in={
                batch.listing_day - timedelta(weeks=week) for batch in batches for week in weeks
            },
            fetched_at__isnull=False,
            is_sample=False,
        ).values_list("category", "listing_day", "declared")
    }
    usual = {}
    for batch in batches:
        days = (batch.listing_day - timedelta(weeks=week) for week in weeks)
        lengths = [before[batch.category, day] for day in days if (batch.category, day) in before]
        if len(lengths) >= FEWEST_WEEKS:
            usual[batch.category, batch.listing_day] = median(lengths)
    return usual


# --- as time goes by ----------------------------------------------------------------------------------------


def check(*, now: datetime) -> None:
    """Raise what the clock alone shows: sources that do not answer, lists that are late or came empty.

    Clears those that are mended. A few queries; may be called every minute.
    """
    sources = list(Source.objects.filter(enabled=True))
    kinds = (Alarm.Kind.FAILING, Alarm.Kind.LATE, Alarm.Kind.EMPTY)
    standing = {alarm.key: alarm for alarm in Alarm.objects.raised().filter(kind__in=kinds)}
    today = now.astimezone(UTC).date()
    days = {today - timedelta(days=age) for age in range(LOOK_BACK_DAYS)}
    # What was late once stays so until it is read.
    days |= {alarm.listing_day for alarm in standing.values() if alarm.listing_day}
    found = {
        f"{kind}:{key}": (kind, source, category, day, message)
        for finding in (_failing(sources, now=now), _late_and_empty(sources, sorted(days), now=now))
        for kind, key, source, category, day, message in finding
    }
    for key, (kind, source, category, day, message) in found.items():
        if key not in standing or standing[key].message != message:
            raise_(
                key, kind=kind, source=source, category=category, listing_day=day, message=message, now=now
            )
    _clear([alarm for key, alarm in standing.items() if key not in found], now=now)


# Kind, rest of the key, source, category, listing day, message.
_Finding = tuple[str, str, Source, str, date | None, str]


def _failing(sources: Sequence[Source], *, now: datetime) -> Iterator[_Finding]:
    for source in sources:
        if source.consecutive_failures < FAILING_TRIES:
            continue
        last = source.last_success_at
        if last is not None and now - last < FAILING_AFTER:
            continue
        since = f"since {last.astimezone(UTC):%-d %B %Y, %H:%M} UTC" if last else "yet"
        message = (
            f"{source.name} has not answered {since}. Last error: {source.last_error or 'none noted'} "
            f"Try it by hand: manage.py fetch_papers --source {source.slug}."
        )
        yield Alarm.Kind.FAILING, source.slug, source, "", None, message


def _late_and_empty(sources: Sequence[Source], days: Sequence[date], *, now: datetime) -> Iterator[_Finding]:
    lists = [source for source in sources if source.kind in (Source.Kind.ARXIV, Source.Kind.HUGGINGFACE)]
    today = now.astimezone(UTC).date()
    batches = {
        (batch.source_id, batch.category, batch.listing_day): batch
        for batch in Batch.objects.filter(
            source__in=lists, listing_day__in=days, fetched_at__isnull=False, is_sample=False
        )
    }
    # A source that was just added has no late lists; the bundled sample is no reading of it.
    was_read: set[Any] = set(
        Batch.objects.filter(
            source__in=lists, listing_day__lt=days[0], fetched_at__isnull=False, is_sample=False
        )
        .values_list("source_id", "category")
        .distinct()
    )
    for source in lists:
        is_arxiv = source.kind == Source.Kind.ARXIV
        for day in days:
            if is_arxiv and calendar.is_expected(day):
                own = [batches.get((source.pk, category, day)) for category in source.categories]
                if own and all(batch is not None and not batch.declared for batch in own):
                    yield Alarm.Kind.EMPTY, f"{source.slug}::{day}", source, "", day, empty(source, day)
                if now >= calendar.late_at(day):
                    by = f"{calendar.late_at(day):%H:%M} UTC"
                    for category, batch in zip(source.categories, own, strict=True):
                        if batch is None and (source.pk, category) in was_read:
                            yield _late(source, category, day, by=by)
            elif not is_arxiv and not calendar.is_weekend(day) and day < today:
                batch = batches.get((source.pk, "", day))
                if batch is None and (source.pk, "") in was_read:
                    yield _late(source, "", day, by="the end of the day")
                elif batch is not None and batch.settled_at and not batch.declared:
                    yield Alarm.Kind.EMPTY, f"{source.slug}::{day}", source, "", day, empty(source, day)


def _late(source: Source, category: str, day: date, *, by: str) -> _Finding:
    name = f"{source.name} {category}".rstrip()
    message = (
        f"{name}: the list of {day:%A} {day} was not read by {by}. "
        f"Read it now: manage.py fetch_papers --source {source.slug} --date {day}."
    )
    return Alarm.Kind.LATE, f"{source.slug}:{category}:{day}", source, category, day, message


def empty(source: Source, day: date) -> str:
    """What is said of a list that should hold something."""
    return (
        f"{source.name}: the list of {day:%A} {day} is empty: a holiday, or trouble at the source. "
        f"Read it again: manage.py fetch_papers --source {source.slug} --date {day}."
    )
