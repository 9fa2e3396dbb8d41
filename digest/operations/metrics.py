"""`/metrics`: the figures of the overview as Prometheus text, from counters and small tables only."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from digest.models import Edition, Source
from digest.operations import dashboard, health
from subscriptions.models import Delivery, Mailing, Notice, Subscriber

# https://prometheus.io/docs/instrumenting/exposition_formats/
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


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
    beat = health.beat_age(now)
    yield Metric(
        "paperboy_beat_seconds",
        "Since a worker last carried out something for beat; absent after 10 minutes.",
        () if beat is None else (({}, beat.total_seconds()),),
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
