"""What was read from the sources, as an operator sees it: newest lists, whether they are whole, alarms.

Also what the optional enrichers did today. Small tables only, in a number of queries that does not grow.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.conf import settings
from django.db.models import Max
from django.urls import reverse

from digest.models import AiSpending, Alarm, Batch, Paper, Source
from digest.operations.parts import Lamp, Link, Note, ago, clock, counted, short_day
from digest.papers import ai, lookups

STALE = timedelta(hours=24)  # a source that has not answered for so long needs a look
SHOWN_LINES = 60
SHOWN_ALARMS = 5
_LISTS_OF_PAPERS = (Source.Kind.HUGGINGFACE, Source.Kind.ARXIV)  # before the feeds
_BUDGET_LOW = 0.9  # of the day's AI requests
_NEW_PAPERS = timedelta(days=14)  # whose citations are still looked for

_COMPLETE, _OPEN, _PARTIAL, _UNREAD = "complete", "still open", "not complete", "not read"
_LIGHTS = {_COMPLETE: "good", _OPEN: "good", _PARTIAL: "warn", _UNREAD: "warn"}


@dataclass(frozen=True)
class Line:
    """One list in the table of what was read: a source's newest day, for arXiv a category of it."""

    source: Source
    batch: Batch
    url: str
    state: str
    light: str
    read_at: str
    next_at: str
    is_first: bool  # of its source's lines

    @property
    def day(self) -> str:
        return short_day(self.batch.listing_day)


@dataclass(frozen=True)
class Readings:
    """`verdict` is the glance: whether the newest lists were read as they should be, in one sentence."""

    verdict: Lamp
    alarms: list[Note]
    more_alarms: int
    sources: list[Lamp]
    lines: list[Line]
    more_lines: int


def readings(*, now: datetime) -> Readings:
    sources = sorted(
        Source.objects.all(), key=lambda one: (not one.enabled, one.kind not in _LISTS_OF_PAPERS, one.name)
    )
    batches = _newest()
    lamps = [_lamp(source, batches.get(source.pk, []), now) for source in sources]
    lines = [line for source in sources if source.enabled for line in _lines(source, batches, now)]
    raised = list(
        Alarm.objects.raised().select_related("source").order_by("-raised_at", "pk")[: SHOWN_ALARMS + 100]
    )
    return Readings(
        verdict=_verdict(lamps, lines, raised),
        alarms=[_note(alarm, now) for alarm in raised[:SHOWN_ALARMS]],
        more_alarms=max(len(raised) - SHOWN_ALARMS, 0),
        sources=lamps,
        lines=lines[:SHOWN_LINES],
        more_lines=max(len(lines) - SHOWN_LINES, 0),
    )


def state_of(batch: Batch) -> str:
    """complete, still open, not complete or not read."""
    if batch.fetched_at is None:
        return _UNREAD
    if batch.rejected or (batch.errors and not batch.declared):
        return _PARTIAL
    return _COMPLETE if batch.settled_at else _OPEN


def light_of(batch: Batch) -> str:
    return "warn" if batch.is_sample else _LIGHTS[state_of(batch)]


def _newest() -> dict[int, list[Batch]]:
    """Each source's batches of its newest listing day, by source."""
    lists = Batch.objects.exclude(door=lookups.DOOR)  # a look-up of single papers is nobody's list
    newest_of_each = lists.order_by("source", "category", "-listing_day").distinct("source", "category")
    found: dict[int, list[Batch]] = {}
    for batch in newest_of_each:
        found.setdefault(batch.source_id, []).append(batch)
    return {
        source: [batch for batch in batches if batch.listing_day == max(one.listing_day for one in batches)]
        for source, batches in found.items()
    }


def _lamp(source: Source, batches: Sequence[Batch], now: datetime) -> Lamp:
    url = reverse("admin:digest_source_change", args=[source.pk])
    if not source.enabled:
        switch = Link("Switch on", reverse("admin:digest_source_on", args=[source.pk]))
        return Lamp(source.name, "off", "switched off", url, switch)
    if source.consecutive_failures:
        since = now - source.last_success_at if source.last_success_at else None
        light = "warn" if since is not None and since < STALE else "bad"
        last = f"last answer {ago(since)} ago" if since is not None else "never answered"
        failures = counted(source.consecutive_failures, "failure")
        return Lamp(source.name, light, f"{failures} in a row, {last}: {source.last_error}", url)
    if not batches:
        if source.last_success_at:
            return Lamp(source.name, "good", f"answered {clock(source.last_success_at, now)}, no entry", url)
        return Lamp(source.name, "off", f"not read yet, next try {clock(source.next_fetch_at, now)}", url)
    declared = sum(batch.declared for batch in batches)
    aside = sum(batch.rejected for batch in batches)
    figure = f"{sum(batch.parsed for batch in batches):,} of {declared:,}"
    if len(batches) > 1:
        figure += f" in {len(batches)} categories"
    figure += f" for {short_day(batches[0].listing_day)}"
    if batches[0].is_sample:
        return Lamp(source.name, "warn", f"{figure}, sample data", url)
    unread = sum(batch.fetched_at is None for batch in batches)
    read_at = max((batch.fetched_at for batch in batches if batch.fetched_at), default=None)
    answered_at = max((at for at in (read_at, source.last_success_at) if at), default=None)
    late = answered_at is None or now - answered_at > STALE
    figure += f", read {clock(read_at, now)}" if read_at else ""
    if unread:
        figure += f", {counted(unread, 'list')} not read"
    else:
        figure += ", settled" if all(batch.settled_at for batch in batches) else ", still open"
    if aside:
        figure += f", {aside:,} set aside"
    elif late:
        figure += f", {ago(now - answered_at)} old" if answered_at else ""
    is_whole = all(_LIGHTS[state_of(batch)] == "good" for batch in batches)
    return Lamp(source.name, "good" if is_whole and not late else "warn", figure, url)


def _lines(source: Source, batches: dict[int, list[Batch]], now: datetime) -> list[Line]:
    return [
        Line(
            source=source,
            batch=batch,
            url=reverse("admin:digest_batch_change", args=[batch.pk]),
            state="sample data" if batch.is_sample else state_of(batch),
            light=light_of(batch),
            read_at=clock(batch.fetched_at, now),
            next_at="now" if source.next_fetch_at <= now else clock(source.next_fetch_at, now),
            is_first=place == 0,
        )
        for place, batch in enumerate(batches.get(source.pk, []))
    ]


def _verdict(lamps: Sequence[Lamp], lines: Sequence[Line], alarms: Sequence[Alarm]) -> Lamp:
    """Alarms and dead sources are bad; set-aside entries and lists that are not whole want a look."""
    on = [lamp for lamp in lamps if lamp.light != "off"]
    if not on:
        return Lamp("Nothing has been read yet.", "off", "")
    states = [line.state for line in lines]
    complete, still_open = states.count(_COMPLETE), states.count(_OPEN)
    parts = [f"{complete:,} of {counted(len(lines), 'list')} complete"] if lines else []
    parts += [f"{still_open:,} still open"] if still_open else []
    parts += [f"{states.count(_PARTIAL):,} not complete"] if _PARTIAL in states else []
    parts += [f"{states.count(_UNREAD):,} not read"] if _UNREAD in states else []
    aside = sum(line.batch.rejected for line in lines)
    parts += [f"{counted(aside, 'entry', 'entries')} set aside"] if aside else []
    failing = sum(lamp.light == "bad" for lamp in lamps)
    parts += [f"{counted(failing, 'source')} failing"] if failing else []
    parts.append(counted(len(alarms), "alarm") if alarms else "no alarm")
    figure = f"{', '.join(parts)}."
    if alarms or failing:
        return Lamp("Something is missing.", "bad", figure)
    if any(lamp.light == "warn" for lamp in lamps):
        return Lamp("Read, with something to look at.", "warn", figure)
    return Lamp("All is read.", "good", figure)


def _note(alarm: Alarm, now: datetime) -> Note:
    return Note(
        "warn" if alarm.kind in (Alarm.Kind.LATE, Alarm.Kind.EMPTY, Alarm.Kind.STALE) else "bad",
        f"{alarm.get_kind_display().capitalize()} since {clock(alarm.raised_at, now)}.",
        alarm.message,
        (
            Link(alarm.source.name, reverse("admin:digest_source_change", args=[alarm.source_id])),
            Link("Clear", reverse("admin:digest_alarm_clear", args=[alarm.pk])),
        ),
    )


# --- enrichment ---------------------------------------------------------------------------------


def enrichment(*, now: datetime) -> list[Lamp]:
    """The optional enrichers: what the language model cost today, and when citations were read."""
    return [_language_model(now), _citations(now)]


def _language_model(now: datetime) -> Lamp:
    url = reverse("admin:digest_aitext_changelist")
    if not settings.LLM_URL:
        return Lamp("AI text", "off", "LLM_URL is not set; the sources' own summaries are used", url)
    work = ai.standing(now=now)
    spent = AiSpending.objects.filter(day=now.astimezone(UTC).date()).values_list("tokens", flat=True).first()
    figure = f"{work.requests_today:,} of {work.requests_a_day:,} requests today, {spent or 0:,} tokens, "
    figure += f"{work.wanted:,} wanted, {work.written:,} written"
    figure += f", {work.given_up:,} given up" if work.given_up else ""
    if work.closed_until:
        figure += f". Left alone until {clock(work.closed_until, now)}: {work.reason}"
        return Lamp("AI text", "warn", figure, url)
    is_low = work.requests_today >= _BUDGET_LOW * work.requests_a_day
    return Lamp("AI text", "warn" if is_low else "good", figure, url)


def _citations(now: datetime) -> Lamp:
    if not settings.SEMANTIC_SCHOLAR_URL:
        return Lamp("Citations", "off", "SEMANTIC_SCHOLAR_URL is not set")
    recent = Paper.objects.filter(first_listed_on__gt=(now - _NEW_PAPERS).date())
    read = recent.aggregate(newest=Max("cited_at"))["newest"]
    if read is None:
        return Lamp("Citations", "off", "not read yet")
    return Lamp("Citations", "good", f"Semantic Scholar, read {clock(read, now)}")
