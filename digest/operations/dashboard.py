"""The operator's overview at /admin/: today's edition, every digest accounted for, and what needs a hand.

Every figure comes from a counter or from small tables; the ledger, which has millions of rows, is never
counted. All times are UTC, as everywhere in the admin.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from urllib.parse import urlencode, urlsplit

from django.conf import settings
from django.db.models import Count, Max, Min, Q, Sum
from django.db.models.functions import TruncDate
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from digest.models import Batch, Edition, EditionMatch, EditionPaper
from digest.operations import charts, health, reading
from digest.operations.parts import Lamp, Link, Note, ago, clock, counted
from subscriptions.models import Delivery, Mailing, MailingCounter, Notice, Subscriber, Suppression

CHART_DAYS = 60
EARLIER_EDITIONS = 6
_LATE_NOTICE = timedelta(minutes=5)
_LONG_QUEUE = 100

# Order and look of the bar; `leased` and `handing` are due rows in a worker's hands and count with them.
_SEGMENTS = (
    ("Sent", "sent", ("sent",)),
    ("Due", "due", ("due", "leased", "handing")),
    ("Deferred", "deferred", ("deferred",)),
    ("Skipped", "skipped", ("skipped",)),
    ("Failed", "failed", ("failed",)),
    ("Expired", "expired", ("expired",)),
    ("Uncertain", "uncertain", ("uncertain",)),
)
_STATES = tuple(Delivery.State.values)


@dataclass(frozen=True)
class Segment:
    """One part of the bar and one term of the equation below it."""

    name: str
    look: str  # the modifier of .part--… in admin.css, and the value of the list's filter
    count: int
    url: str


@dataclass(frozen=True)
class Balance:
    """The sums of a mailing's counters: how many rows were prepared, and how many are in each state."""

    mailing_id: int
    counts: dict[str, int]

    @property
    def url(self) -> str:
        return deliveries_url(self.mailing_id)

    @property
    def prepared(self) -> int:
        return self.counts["prepared"]

    @property
    def accounted(self) -> int:
        return sum(self.counts[state] for state in _STATES)

    @property
    def difference(self) -> int:
        """Rows prepared but in no state; negative: in a state and never prepared. 0 when it adds up."""
        return self.prepared - self.accounted

    @property
    def finished(self) -> int:
        return sum(self.counts[state] for state in ("sent", "skipped", "failed", "expired", "uncertain"))

    @property
    def unfinished(self) -> int:
        return sum(self.counts[state] for state in ("due", "leased", "handing", "deferred"))

    @property
    def under_way(self) -> int:
        return self.counts["leased"] + self.counts["handing"]

    @property
    def segments(self) -> list[Segment]:
        return [
            Segment(
                name, look, sum(self.counts[state] for state in states), deliveries_url(self.mailing_id, look)
            )
            for name, look, states in _SEGMENTS
        ]

    @property
    def verdict(self) -> str:
        """Whether it adds up, in words and in rows."""
        if not self.prepared and not self.accounted:
            return "nothing prepared yet"
        if not self.difference:
            return f"{self.prepared:,} = {self.accounted:,}, balances"
        rows = counted(abs(self.difference), "row")
        if self.difference > 0:
            return f"does not balance: {rows} prepared and in no state"
        return f"does not balance: {rows} in a state and never prepared"

    @property
    def short_verdict(self) -> str:
        return f"{counted(abs(self.difference), 'row')} off" if self.difference else "balances"


@dataclass(frozen=True)
class Step:
    name: str
    state: str  # done, now, todo
    figure: str
    when: str


@dataclass(frozen=True)
class Growth:
    """Subscribers over the last CHART_DAYS days, today included."""

    confirmed: int
    paused: int
    change: int
    came: int
    left: int
    line: charts.Line
    bars: charts.Bars


@dataclass(frozen=True)
class Row:
    """One edition in the table of the others."""

    edition: Edition
    balance: Balance
    state: str

    @property
    def name(self) -> str:
        day = f"{self.edition.date:%a} {self.edition.date.day} {self.edition.date:%b}"
        return f"Week of {day}" if self.edition.kind == Edition.Kind.WEEKLY else day

    @property
    def url(self) -> str:
        return edition_url(self.edition)

    @property
    def took(self) -> str:
        seconds = self.edition.seconds.values()
        return f"{sum(seconds):,.1f} s" if seconds else ""


@dataclass(frozen=True)
class Overview:
    now: datetime
    edition: Edition | None
    title: str
    sentence: str
    balance: Balance | None
    steps: list[Step]
    notes: list[Note]
    readings: reading.Readings
    machinery: list[Lamp]
    enrichment: list[Lamp]
    mail: list[Lamp]
    growth: Growth
    others: list[Row]
    others_title: str


def add_overview(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """What django-unfold calls for the admin's index page (UNFOLD["DASHBOARD_CALLBACK"])."""
    return context | {"overview": overview(now=timezone.now()), "title": "Overview"}


def overview(*, now: datetime) -> Overview:
    """Everything on the page, in a number of queries that does not grow with readers, papers or editions."""
    editions = list(Edition.objects.select_related("mailing").order_by("-opened_at")[: EARLIER_EDITIONS + 1])
    current = _current(editions)
    balances = balances_of([edition.mailing_id for edition in editions])
    others = [edition for edition in editions if edition != current]
    growth = _growth(now)
    balance = balances[current.mailing_id] if current else None
    return Overview(
        now=now,
        edition=current,
        title=f"{current.date:%A} {current.date.day} {current.date:%B}" if current else "No edition yet",
        sentence=_sentence(current, balance, growth, now)
        if current and balance
        else _before_the_first(growth),
        balance=balance,
        steps=_steps(current, balance, now) if current and balance else [],
        notes=_notes(current, balance, now) if current and balance else [],
        readings=reading.readings(now=now),
        machinery=_machinery(now),
        enrichment=reading.enrichment(now=now),
        mail=_mail(now),
        growth=growth,
        others=[Row(edition, balances[edition.mailing_id], _state_of(edition, now)) for edition in others],
        others_title="Other editions" if others and editions[0] != current else "Earlier editions",
    )


def account(edition: Edition, *, now: datetime) -> dict[str, Any]:
    """One edition's stages, sums and notes, for its own page."""
    balance = balances_of([edition.mailing_id])[edition.mailing_id]
    steps, notes = _steps(edition, balance, now), _notes(edition, balance, now)
    return {"balance": balance, "steps": steps, "notes": notes}


def balances_of(mailing_ids: Iterable[int]) -> dict[int, Balance]:
    """The counters of these mailings, summed over their slots in one query; zeros where there are none."""
    ids = list(mailing_ids)
    names = ("prepared", *_STATES)
    rows = (
        MailingCounter.objects.filter(mailing_id__in=ids)
        .order_by()
        .values_list("mailing_id")
        .annotate(*(Sum(name) for name in names))
    )
    found = {id_: Balance(id_, dict(zip(names, sums, strict=True))) for id_, *sums in rows}
    return {id_: found.get(id_) or Balance(id_, dict.fromkeys(names, 0)) for id_ in ids}


def deliveries_url(mailing_id: int, state: str = "") -> str:
    """The list of a mailing's deliveries, `state` as the list's filter calls it."""
    query = {"mailing": mailing_id} | ({"state": state} if state else {})
    return f"{reverse('admin:subscriptions_delivery_changelist')}?{urlencode(query)}"


def edition_url(edition: Edition) -> str:
    return reverse("admin:digest_edition_change", args=[edition.pk])


# --- the current edition --------------------------------------------------------------------------


def _current(editions: Sequence[Edition]) -> Edition | None:
    """The newest daily edition: weekly ones open on Monday beside it and stand in the table."""
    daily = (edition for edition in editions if edition.kind == Edition.Kind.DAILY)
    return next(daily, editions[0] if editions else None)


def _sentence(edition: Edition, balance: Balance, growth: Growth, now: datetime) -> str:
    kind = "Weekly" if edition.kind == Edition.Kind.WEEKLY else "Daily"
    mailing = edition.mailing
    readers = f"{counted(growth.confirmed - growth.paused, 'active reader')} in all."
    if mailing.status == Mailing.Status.PAUSED:
        state = f"paused since {clock(mailing.paused_at, now)}. {_waiting(balance)}."
    elif edition.composed_at is None:
        state = f"opened at {clock(edition.opened_at, now)}, not composed yet."
    elif mailing.status == Mailing.Status.COMPLETE:
        state = f"complete since {clock(mailing.completed_at, now)}. {balance.counts['sent']:,} of "
        state += f"{counted(balance.prepared, 'digest')} sent."
    elif balance.unfinished:
        state = f"being sent. {balance.finished:,} of {counted(balance.prepared, 'digest')} finished."
    else:
        state = f"sent to {counted(balance.counts['sent'], 'reader')}. Who confirms before "
        state += f"{clock(mailing.closes_at, now)} gets it too."
    sample = " Sample data." if edition.is_sample else ""
    return f"{kind} edition, {state} {readers}{sample}"


def _before_the_first(growth: Growth) -> str:
    readers = growth.confirmed - growth.paused
    return (
        "An edition opens at 00:30 UTC after a day that has papers. "
        f"{counted(readers, 'active reader')} {'waits' if readers == 1 else 'wait'} for it."
    )


def _state_of(edition: Edition, now: datetime) -> str:
    match edition.mailing.status:
        case Mailing.Status.COMPLETE:
            return "complete"
        case Mailing.Status.PAUSED:
            return "paused"
    return f"open until {clock(edition.mailing.closes_at, now)}"


def _steps(edition: Edition, balance: Balance, now: datetime) -> list[Step]:
    mailing = edition.mailing
    days = (edition.date, edition.date + timedelta(days=6 if edition.kind == Edition.Kind.WEEKLY else 0))
    read = Batch.objects.filter(listing_day__range=days).aggregate(
        declared=Sum("declared"), parsed=Sum("parsed"), at=Max("fetched_at")
    )
    papers = EditionPaper.objects.filter(edition=edition).count()
    filters = EditionMatch.objects.filter(edition=edition).count()
    composed = edition.composed_at is not None
    sent = composed and not balance.unfinished
    closed = mailing.status == Mailing.Status.COMPLETE
    return [
        Step(
            "Fetch",
            "done",
            f"{read['parsed'] or 0:,} of {read['declared'] or 0:,} entries read, {papers:,} in the edition",
            clock(read["at"], now),
        ),
        Step(
            "Match",
            "done" if composed else "now",
            _with_seconds(counted(filters, "filter"), edition, "match"),
            clock(edition.composed_at, now),
        ),
        Step(
            "Compose",
            "done" if composed else "todo",
            _with_seconds(counted(balance.prepared, "digest"), edition, "compose"),
            clock(edition.composed_at, now),
        ),
        Step(
            "Send",
            "done" if sent else "now" if composed else "todo",
            "paused"
            if mailing.status == Mailing.Status.PAUSED
            else f"{balance.finished:,} of {balance.prepared:,} finished",
            f"since {clock(edition.opened_at, now)}" if composed and not sent else "",
        ),
        Step(
            "Close",
            "done" if closed else "now" if sent else "todo",
            "complete" if closed else "when nothing is due",
            clock(mailing.completed_at, now) if closed else f"not before {clock(mailing.closes_at, now)}",
        ),
    ]


def _with_seconds(text: str, edition: Edition, stage: str) -> str:
    seconds = edition.seconds.get(stage)
    return text if seconds is None else f"{text}, {seconds:.1f} s"


def _waiting(balance: Balance) -> str:
    return f"{counted(balance.unfinished, 'digest')} {'waits' if balance.unfinished == 1 else 'wait'}"


def _notes(edition: Edition, balance: Balance, now: datetime) -> list[Note]:
    mailing, counts = edition.mailing, balance.counts
    notes = []
    if balance.difference:
        notes.append(
            Note(
                "bad",
                "The counters do not add up.",
                f"Prepared: {balance.prepared:,}; in a state: {balance.accounted:,}. The rows "
                "of the ledger are the truth: manage.py deliveries "
                f"--date {edition.date} --kind {edition.kind} lists each.",
                (Link("Show the rows", deliveries_url(mailing.pk)),),
            )
        )
    if mailing.status == Mailing.Status.PAUSED:
        reason = f" ({mailing.pause_reason.rstrip('.')})" if mailing.pause_reason else ""
        notes.append(
            Note(
                "warn",
                "Paused by an operator",
                f"since {clock(mailing.paused_at, now)}{reason}. {_waiting(balance)}; "
                "nothing is handed to the mail server until it is resumed.",
                (Link("Resume", reverse("admin:digest_edition_resume", args=[edition.pk])),),
            )
        )
    if mailing.trouble and balance.unfinished:
        notes.append(
            Note(
                "warn",
                "Blocked because",
                f"{mailing.trouble.rstrip('.')}, last at {clock(mailing.trouble_at, now)}. "
                f"{_waiting(balance)} and will be tried again without your help; manage.py doctor asks the "
                "mail server.",
                (Link(f"Show the {balance.unfinished:,}", deliveries_url(mailing.pk, "open")),),
            )
        )
    if counts["deferred"]:
        notes.append(_deferred_note(mailing.pk, counts["deferred"], now))
    if counts["uncertain"]:
        fate = (
            "They go out again with the same Message-ID, as you set it (UNCERTAIN_POLICY=resend)."
            if settings.UNCERTAIN_POLICY == "resend"
            else "They are held, as you set it (UNCERTAIN_POLICY=hold). Look into the mail server's log, "
            "then send them again with the same Message-ID or count them as sent."
        )
        notes.append(
            Note(
                "",
                f"{counts['uncertain']:,} uncertain.",
                f"The connection broke after the last byte and before the answer. {fate}",
                (Link(f"Decide on the {counts['uncertain']:,}", deliveries_url(mailing.pk, "uncertain")),),
            )
        )
    if counts["failed"]:
        notes.append(
            Note(
                "",
                f"{counts['failed']:,} failed.",
                "The server refused them for good. Each row says in the server's words why; where that was "
                "our fault (policy, authentication), mend it and try them again.",
                (Link(f"Show the {counts['failed']:,}", deliveries_url(mailing.pk, "failed")),),
            )
        )
    problems = EditionMatch.objects.filter(edition=edition).exclude(problem="").count()
    if problems:
        notes.append(
            Note(
                "warn",
                f"{counted(problems, 'filter')} could not be evaluated.",
                "Their readers got nothing from them. The edition's page names each filter and its error.",
                (Link("Show them", edition_url(edition)),),
            )
        )
    return notes


def _deferred_note(mailing_id: int, deferred: int, now: datetime) -> Note:
    # One row stands for all: the first that the index of waiting rows gives.
    waiting = Delivery.objects.of_mailing(mailing_id).filter(
        mailing_id=mailing_id, state=Delivery.State.DEFERRED
    )
    example = waiting.values("route", "reason", "due_at").first() if deferred > 0 else None
    text = f"The server answered “later” to {counted(deferred, 'digest')}; each is tried again by itself."
    if example:
        text += f" One of them: {example['route']} answers “{example['reason']}”; the next try is "
        text += f"at {clock(example['due_at'], now)}." if example["due_at"] > now else "due now."
    return Note(
        "warn",
        "Slowed down.",
        text,
        (Link(f"Show the {deferred:,}", deliveries_url(mailing_id, "deferred")),),
    )


# --- machinery, mail ------------------------------------------------------------------------------


def _machinery(now: datetime) -> list[Lamp]:
    beat = health.beat_age(now)
    if beat is None:
        pulse = Lamp("Beat and workers", "bad", "no sign for 10 min. Start worker and beat")
    elif beat > health.BEAT_LATE:
        pulse = Lamp("Beat and workers", "warn", f"last sign {ago(beat)} ago")
    else:
        pulse = Lamp("Beat and workers", "good", f"last sign {ago(beat)} ago")
    database, broker = health.database(), health.broker()
    lamps = [pulse, Lamp("Database", "good" if database.answers else "bad", _answer(database))]
    lamps.append(Lamp("Broker", "good" if broker.answers else "bad", _answer(broker)))
    if broker.waiting is not None:
        light = "good" if broker.waiting < _LONG_QUEUE else "warn"
        lamps.append(Lamp("Queue", light, f"{counted(broker.waiting, 'task')} waiting"))
    return lamps


def _answer(probe: health.Probe) -> str:
    return (
        f"answered in {probe.milliseconds:.1f} ms" if probe.answers else f"does not answer: {probe.problem}"
    )


def _mail(now: datetime) -> list[Lamp]:
    since = now - timedelta(days=1)
    waiting = Notice.objects.due(now).aggregate(number=Count("pk"), oldest=Min("due_at"))
    recent = Notice.objects.filter(created_at__gte=since).aggregate(
        sent=Count("pk", filter=Q(status=Notice.Status.SENT)),
        refused=Count("pk", filter=Q(status__in=(Notice.Status.BOUNCED, Notice.Status.FAILED))),
        written=Count("pk"),
    )
    late = waiting["oldest"] is not None and now - waiting["oldest"] > _LATE_NOTICE
    notices = reverse("admin:subscriptions_notice_changelist")
    suppressed = Suppression.objects.in_force(now).aggregate(
        number=Count("pk"), new=Count("pk", filter=Q(created_at__gte=since))
    )
    queue = f"{waiting['number']:,} waiting"
    if late:
        queue += f", the oldest for {ago(now - waiting['oldest'])}"
    return [
        Lamp("Notices", "warn" if late else "good", queue, notices),
        Lamp(
            "Notices in 24 h",
            "warn" if recent["refused"] else "good",
            f"{recent['sent']:,} of {recent['written']:,} sent, {recent['refused']:,} refused",
            notices,
        ),
        Lamp(
            "Suppressions",
            "good",
            f"{suppressed['number']:,} in force, {suppressed['new']:,} new in 24 h",
            reverse("admin:subscriptions_suppression_changelist"),
        ),
        Lamp("Mail server", "off", f"{_mail_server()}, asked by manage.py doctor"),
    ]


def _mail_server() -> str:
    return (
        urlsplit(settings.EMAIL_URL).netloc.rpartition("@")[2] if settings.EMAIL_URL else "local mail catcher"
    )


# --- subscribers over time ------------------------------------------------------------------------


def _growth(now: datetime) -> Growth:
    """Who confirmed and has not left, by the end of each day; a paused reader has not left."""
    today = now.astimezone(UTC).date()
    days = [today - timedelta(days=CHART_DAYS - 1 - index) for index in range(CHART_DAYS)]
    start = datetime.combine(days[0], time.min, UTC)
    statuses = dict(Subscriber.objects.order_by().values_list("status").annotate(number=Count("pk")))
    came = _by_day("confirmed_at", start)
    left = _by_day("left_at", start)
    paused = statuses.get(Subscriber.Status.PAUSED, 0)
    confirmed = statuses.get(Subscriber.Status.ACTIVE, 0) + paused
    totals = [confirmed]
    for day in reversed(days[1:]):
        totals.append(max(0, totals[-1] - came.get(day, 0) + left.get(day, 0)))
    totals.reverse()
    labels = [f"{day.day} {day:%b}" for day in (days[0], days[CHART_DAYS // 2], days[-1])]
    return Growth(
        confirmed=confirmed,
        paused=paused,
        change=sum(came.values()) - sum(left.values()),
        came=sum(came.values()),
        left=sum(left.values()),
        line=charts.line(totals, labels),
        bars=charts.bars([came.get(day, 0) for day in days], [left.get(day, 0) for day in days], labels),
    )


def _by_day(field: str, start: datetime) -> dict[date, int]:
    """How many once confirmed subscribers have this instant on each UTC day since `start`."""
    rows = (
        Subscriber.objects.filter(**{f"{field}__gte": start}, confirmed_at__isnull=False)
        .annotate(day=TruncDate(field, tzinfo=UTC))
        .order_by()
        .values_list("day")
        .annotate(number=Count("pk"))
    )
    return dict(rows)
