"""What was announced, scanned and read: the lines of an edition that are the same for all its readers."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from digest.editions import prose
from digest.models import Alarm, Edition, EditionPaper, SetAside, Source
from digest.papers import days
from subscriptions.mail.message import one_line

FEEDS_NAMED = 2  # in the line below the headline; more are counted
LISTS_NAMED = 3  # of those that were not read
FEEDS_MAY_LAG = timedelta(hours=2)  # behind the end of a day; they are read every hour
SOURCES_NAMED = 3  # in the note at the end; the others are counted together


@dataclass(frozen=True, slots=True)
class Record:
    """What is known of an edition's days, looked up once for all languages.

    `readings` by source, for each of its days and categories. `announced`: distinct papers on any list of
    these days. `set_aside`: entries that could not be read. `gaps`: lists that no way of reading could fill.
    `silent`: feeds that were not read since, of which nobody knows what they posted.
    """

    edition: Edition
    span: tuple[date, ...]
    readings: tuple[tuple[days.Reading, ...], ...]
    announced: int
    set_aside: int
    gaps: tuple[str, ...]
    silent: tuple[str, ...]

    @classmethod
    def of(cls, edition: Edition) -> "Record":
        length = 1 if edition.kind == Edition.Kind.DAILY else 7
        span = tuple(edition.date + timedelta(days=number) for number in range(length))
        by_source: dict[int, list[days.Reading]] = {}
        for day in span:
            for reading in days.readings(day):
                by_source.setdefault(reading.batch.source_id, []).append(reading)
        gaps = Alarm.objects.raised().filter(kind=Alarm.Kind.GAP, listing_day__range=(span[0], span[-1]))
        return cls(
            edition=edition,
            span=span,
            readings=tuple(tuple(own) for own in by_source.values()),
            announced=days.announced(span[0], span[-1]),
            set_aside=SetAside.objects.filter(batch__listing_day__range=(span[0], span[-1])).count(),
            gaps=tuple(
                category or one_line(name)
                for category, name in gaps.order_by("key").values_list("category", "source__name")
            ),
            silent=tuple(_silent(span[-1])),
        )

    @property
    def is_daily(self) -> bool:
        return self.edition.kind == Edition.Kind.DAILY

    def in_state(self, state: days.State) -> list[days.Reading]:
        return [reading for own in self.readings for reading in own if reading.state == state]

    def as_of(self, moment: datetime) -> str:
        return prose.clock(moment, on=self.edition.opened_at.astimezone(UTC).date())


def _silent(day: date) -> Iterator[str]:
    """Feeds without a list of this day that were last read before it was about to end: what they posted is
    unknown.

    A feed has a list of a day only if it posted something, so one that fails leaves no other trace.
    """
    read_before = Source.objects.filter(enabled=True, last_success_at__lt=_over(day) - FEEDS_MAY_LAG)
    feeds = read_before.exclude(kind__in=(Source.Kind.HUGGINGFACE, Source.Kind.ARXIV))
    feeds = feeds.exclude(batches__listing_day=day)
    for name in feeds.order_by("name").values_list("name", flat=True):
        yield one_line(name)


def _over(day: date) -> datetime:
    return datetime.combine(day + timedelta(days=1), time(), tzinfo=UTC)


def dated(edition: Edition) -> str:
    """ "Friday 21 August 2026", or for a week "17 August to 23 August 2026"."""
    if edition.kind == Edition.Kind.DAILY:
        return prose.long_day(edition.date)
    first, last = edition.date, edition.date + timedelta(days=6)
    return _("%(first)s to %(last_with_year)s") % {
        "first": prose.day_and_month(first),
        "first_with_year": prose.day_month_year(first),
        "last": prose.day_and_month(last),
        "last_with_year": prose.day_month_year(last),
    }


def facts(record: Record, members: Collection[EditionPaper]) -> dict[str, Any]:
    """What every reader's mail says of the edition.

    `total`: papers that it lists, revisions left out. `account`: how many were announced where, and whether
    all were scanned; no full stop, since the reader's own numbers follow. `counted`: as of when votes are.
    `lines`: what else has to be said below the headline.
    """
    own = [row for row in members if not row.folded_in]
    listed = [row for row in own if row.announced != EditionPaper.Announced.UPDATED]
    in_time = sum(record.span[0] <= row.listing_day <= record.span[-1] for row in listed)
    counted = max((row.counted_at for row in own if row.counted_at), default=None)
    return {
        "total": len(listed),
        "account": _account(record, scanned=in_time),
        "counted": _("Votes as of %(time)s.") % {"time": record.as_of(counted)} if counted else "",
        "lines": list(_lines(record, late=len(listed) - in_time)),
    }


def _lines(record: Record, *, late: int) -> Iterator[str]:
    if late:
        yield ngettext(
            "One paper of the days before came in late and joins them.",
            "%(count)s papers of the days before came in late and join them.",
            late,
        ) % {"count": prose.number(late)}
    if record.edition.is_sample:
        yield _("Sample data: real papers, shown under shifted days, because no source answered.")


# --- the line below the headline ------------------------------------------------------------------------


def _account(record: Record, *, scanned: int) -> str:
    """ "1,284 announced in 5 arXiv categories and on Hugging Face on 12 August, all scanned"."""
    announced = max(scanned, record.announced)
    said = _announced(record, announced)
    missing = list(_missing(record))
    if announced > scanned:
        said = _("%(announced)s, %(scanned)s of them scanned") % {
            "announced": said,
            "scanned": prose.number(scanned),
        }
    elif not missing:
        said = _("%(announced)s, all scanned") % {"announced": said}
    return prose.semicolon().join([said, *missing])


def _announced(record: Record, announced: int) -> str:
    where = prose.listing(list(_where(record)))
    if record.is_daily:
        said = _("%(count)s announced %(where)s on %(day)s") if where else _("%(count)s announced on %(day)s")
    elif where:
        said = _("%(count)s announced %(where)s in the week from %(day)s")
    else:
        said = _("%(count)s announced in the week from %(day)s")
    day = prose.day_and_month(record.edition.date)
    return prose.spaced(said % {"count": prose.number(announced), "where": where, "day": day})


def _where(record: Record) -> Iterator[str]:
    """Who announced something: arXiv's categories counted, Hugging Face, feeds by name if they are few."""
    categories: set[str] = set()
    huggingface, feeds = [], []
    for own in record.readings:
        source = own[0].batch.source
        announced = {reading.batch.category for reading in own if reading.declared}
        if source.kind == Source.Kind.ARXIV:
            categories |= announced
        elif announced and source.kind == Source.Kind.HUGGINGFACE:
            huggingface.append(_source_name(own[0]))
        elif announced:
            feeds.append(_source_name(own[0]))
    if categories:
        words = ngettext("in %(count)s arXiv category", "in %(count)s arXiv categories", len(categories))
        yield words % {"count": len(categories)}
    is_few = len(feeds) <= FEEDS_NAMED
    names = huggingface + feeds if is_few else huggingface
    for number, name in enumerate(names):
        yield name if number else _("on %(source)s") % {"source": name}
    if not is_few:
        yield _("in %(count)s feeds") % {"count": len(feeds)}


def _missing(record: Record) -> Iterator[str]:
    """What was not read, or not whole; nothing where every list was read to its end."""
    unread, partial = record.in_state(days.State.UNREAD), record.in_state(days.State.PARTIAL)
    growing = [one for one in record.in_state(days.State.GROWING) if not _is_as_good_as_over(one)]
    if unread and record.is_daily:
        words = ngettext("%(lists)s was not read", "%(lists)s were not read", len(unread))
        yield words % {"lists": _names(unread)}
    elif unread:
        listed = sorted({reading.batch.listing_day for reading in unread})
        days_named = prose.listing([prose.day_and_month(day) for day in listed])
        yield _("not every list of %(days)s was read") % {"days": days_named}
    if record.silent:
        words = ngettext("%(lists)s was not read", "%(lists)s were not read", len(record.silent))
        yield words % {"lists": _few(record.silent)}
    if growing:
        words = ngettext(
            "%(lists)s was last read before the day was over",
            "%(lists)s were last read before the day was over",
            len(growing),
        )
        yield words % {"lists": _names(growing)}
    if record.set_aside:
        words = ngettext(
            "%(count)s entry could not be read", "%(count)s entries could not be read", record.set_aside
        )
        yield words % {"count": prose.number(record.set_aside)}
    elif partial:
        words = ngettext("%(lists)s was read in part", "%(lists)s were read in part", len(partial))
        yield words % {"lists": _names(partial)}
    if record.gaps:
        yield _("a gap in %(lists)s could not be filled") % {"lists": prose.listing(record.gaps)}


def _is_as_good_as_over(reading: days.Reading) -> bool:
    """Whether a feed was read at the end of its day: what it posts after comes with the next edition."""
    source = reading.batch.source
    if source.kind in (Source.Kind.HUGGINGFACE, Source.Kind.ARXIV):
        return False
    over = _over(reading.batch.listing_day)
    read_at = [at for at in (reading.batch.fetched_at, source.last_success_at) if at is not None]
    return max(read_at) >= over - FEEDS_MAY_LAG


def _names(readings: Sequence[days.Reading]) -> str:
    """ "cs.CL and cs.LG"; many are counted."""
    names = dict.fromkeys(one.batch.category or _source_name(one) for one in readings)
    return _few(list(names))


def _few(names: Sequence[str]) -> str:
    if len(names) > LISTS_NAMED:
        return _("%(count)s lists") % {"count": len(names)}
    return prose.listing(names)


def _source_name(reading: days.Reading) -> str:
    """As in the account: "Hugging Face"."""
    source = reading.batch.source
    return "Hugging Face" if source.kind == Source.Kind.HUGGINGFACE else one_line(source.name)


# --- the note at the end --------------------------------------------------------------------------------


def completeness(record: Record) -> tuple[str, str]:
    """ "Complete." and how much of each source was read until when.

    Entries are counted here, not papers: one that arXiv lists in three categories is in three of its lists.
    """
    if not record.readings:
        return "", _("It is not on record what the sources listed.")
    by_size = sorted(record.readings, key=lambda own: -sum(reading.declared for reading in own))
    named, others = by_size[:SOURCES_NAMED], by_size[SOURCES_NAMED:]
    if len(others) == 1:
        named, others = by_size, []
    said = [_read(record, one_line(own[0].batch.source.name), own) for own in named]
    if others:
        name = _("%(count)s other sources") % {"count": len(others)}
        said.append(_read(record, name, [reading for own in others for reading in own]))
    is_whole = not list(_missing(record))
    return (_("Complete.") if is_whole else _("Not complete.")), prose.sentences(said)


def _read(record: Record, name: str, readings: Sequence[days.Reading]) -> str:
    """How much of one source, or of several taken together, was read, and when last."""
    read, declared = sum(one.read for one in readings), sum(one.declared for one in readings)
    fetched = max((one.batch.fetched_at for one in readings if one.batch.fetched_at), default=None)
    if fetched is None:
        return _("%(source)s: no answer.") % {"source": name}
    values = {
        "source": name,
        "read": prose.number(read),
        "all": prose.number(declared),
        "time": record.as_of(fetched),
    }
    if not declared:
        said = _("%(source)s: no entries, read at %(time)s.") % values
    elif read == declared:
        words = ngettext(
            "%(source)s: the one entry read by %(time)s.",
            "%(source)s: all %(all)s entries read by %(time)s.",
            declared,
        )
        said = words % values
    else:
        said = _("%(source)s: %(read)s of %(all)s entries read by %(time)s.") % values
    unread = sum(one.state == days.State.UNREAD for one in readings)
    if unread:
        words = ngettext("One list was not read.", "%(count)s lists were not read.", unread)
        said = prose.sentences((said, words % {"count": unread}))
    return said
