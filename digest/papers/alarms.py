"""What an operator should look at, raised once and cleared when it is mended.

An alarm is a row with a key; while it stands, the same key raises nothing again. Raising logs an error, since
that is what reaches operators who watch no page; clearing logs it too.
"""

import logging
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from statistics import median

from django.db.models import Q

from digest.models import Alarm, Batch, Source

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
    keys = {f"shrunken:{source.slug}:{batch.category}:{batch.listing_day}": batch for batch in batches}
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
