"""`/metrics`: the figures of the overview as Prometheus text, from counters and small tables only."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.conf import settings
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from digest.models import AiSpending, AiText, Alarm, Batch, Edition, Source
from digest.operations import dashboard, health, reading
from digest.papers import lookups
from subscriptions.models import Delivery, Mailing, Notice, Subscriber

# https://prometheus.io/docs/instrumenting/exposition_formats/
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
BATCH_DAYS = 7  # listing days whose lists are counted


@dataclass(frozen=True)
class Metric:
    """One gauge: `values` pairs labels with a number. A value that nobody knows is left out."""

    name: str
    help: str
    values: tuple[tuple[dict[str, str], float], ...]


@require_safe
@never_cache
def metrics(request: HttpRequest) -> HttpResponse:
    return HttpResponse(exposition(gauges(timezone.now())), content_type=CONTENT_TYPE)


def gauges(now: datetime) -> Iterator[Metric]:
    """What is worth an alarm; a bounded number of queries, none of them on the ledger."""
    running = list(
        Edition.objects.exclude(mailing__status=Mailing.Status.COMPLETE)
        .select_related("mailing")
        .order_by("mailing_id")
    )
    balances = dashboard.balances_of(edition.mailing_id for edition in running)
    states = ("prepared", *Delivery.State.values)
    yield Metric(
        "paperboy_deliveries",
        "Digests of each running mailing by state; prepared is the sum of the others.",
        tuple(
            (
                {"mailing": edition.mailing.label, "state": state},
                balances[edition.mailing_id].counts[state],
            )
            for edition in running
            for state in states
        ),
    )
    yield Metric(
        "paperboy_deliveries_unaccounted",
        "Digests prepared and in no state; anything but 0 is a fault.",
        tuple(
            ({"mailing": edition.mailing.label}, balances[edition.mailing_id].difference)
            for edition in running
        ),
    )
    yield Metric(
        "paperboy_mailing_paused",
        "1 where an operator paused the mailing.",
        tuple(
            ({"mailing": edition.mailing.label}, edition.mailing.status == Mailing.Status.PAUSED)
            for edition in running
        ),
    )
    yield Metric(
        "paperboy_active_subscribers",
        "Subscribers with status active.",
        (({}, Subscriber.objects.active().count()),),
    )
    yield Metric(
        "paperboy_notices_due",
        "Single mails that should have been sent by now.",
        (({}, Notice.objects.due(now).count()),),
    )
    sources = list(Source.objects.filter(enabled=True).order_by("slug"))
    yield Metric(
        "paperboy_source_seconds_since_success",
        "Since the source last answered; absent while it never has.",
        tuple(
            ({"source": source.slug}, (now - source.last_success_at).total_seconds())
            for source in sources
            if source.last_success_at is not None
        ),
    )
    yield Metric(
        "paperboy_source_consecutive_failures",
        "Failed attempts since the source last answered.",
        tuple(({"source": source.slug}, source.consecutive_failures) for source in sources),
    )
    yield from _lists(sources, now)
    yield from _enrichment(now)
    beat = health.beat_age(now)
    yield Metric(
        "paperboy_beat_seconds",
        "Since a worker last carried out something for beat; absent after 10 minutes.",
        () if beat is None else (({}, beat.total_seconds()),),
    )


def _lists(sources: list[Source], now: datetime) -> Iterator[Metric]:
    """How the lists of the last days were read, source by source, and what stands as an alarm."""
    since = now.astimezone(UTC).date() - timedelta(days=BATCH_DAYS)
    slugs = {source.pk: source.slug for source in sources}
    states: Counter[tuple[str, str]] = Counter()
    aside: Counter[str] = Counter()
    lists = Batch.objects.filter(source__in=slugs, listing_day__gt=since, is_sample=False)
    for batch in lists.exclude(door=lookups.DOOR):
        slug = slugs[batch.source_id]
        states[slug, reading.state_of(batch).replace(" ", "_")] += 1
        aside[slug] += batch.rejected
    yield Metric(
        "paperboy_batches",
        f"Lists of the last {BATCH_DAYS} listing days by how completely they were read.",
        tuple(({"source": slug, "state": state}, number) for (slug, state), number in sorted(states.items())),
    )
    yield Metric(
        "paperboy_entries_set_aside",
        f"Entries of the lists of the last {BATCH_DAYS} listing days that could not be read.",
        tuple(({"source": slug}, number) for slug, number in sorted(aside.items())),
    )
    raised = Counter(Alarm.objects.raised().values_list("kind", flat=True))
    yield Metric(
        "paperboy_alarms",
        "Alarms about sources that stand, by kind.",
        tuple(({"kind": kind}, raised[kind]) for kind in Alarm.Kind.values),
    )


def _enrichment(now: datetime) -> Iterator[Metric]:
    """What the language model was asked today; nothing where none is set."""
    if not settings.LLM_URL:
        return
    spent = AiSpending.objects.filter(day=now.astimezone(UTC).date()).first()
    yield Metric(
        "paperboy_ai_requests_today",
        "Requests to the language model on this day (UTC).",
        (({}, spent.requests if spent else 0),),
    )
    yield Metric(
        "paperboy_ai_requests_budget",
        "Requests that the day's budget allows (LLM_DAILY_REQUESTS).",
        (({}, settings.LLM_DAILY_REQUESTS),),
    )
    yield Metric(
        "paperboy_ai_tokens_today",
        "Tokens of the language model on this day (UTC), as the endpoint counts them.",
        (({}, spent.tokens if spent else 0),),
    )
    texts = dict(AiText.objects.order_by().values_list("status").annotate(number=Count("pk")))
    yield Metric(
        "paperboy_ai_texts",
        "Texts of the language model by status.",
        tuple(({"status": status}, texts.get(status, 0)) for status in AiText.Status.values),
    )


def exposition(found: Iterable[Metric]) -> str:
    lines = []
    for metric in found:
        lines.append(f"# HELP {metric.name} {metric.help}")
        lines.append(f"# TYPE {metric.name} gauge")
        lines += [f"{metric.name}{_labels(labels)} {float(value):g}" for labels, value in metric.values]
    return "\n".join(lines) + "\n"


def _labels(labels: dict[str, str]) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escape(value)}"' for name, value in labels.items()) + "}"


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
