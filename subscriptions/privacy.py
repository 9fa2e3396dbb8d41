"""All that is known about one person, told and forgotten. Other apps take part through `register`."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.db import transaction

from subscriptions import lifecycle
from subscriptions.mail import notices
from subscriptions.models import Delivery, Mailing, Subscriber, Suppression
from subscriptions.models.delivery import delivery_id

# By the name under which its part stands in the export.
Exporter = Callable[[int], Any]  # subscriber id → what json can write
Eraser = Callable[[int], None]  # subscriber id; called in the transaction that erases
_registered: dict[str, tuple[Exporter, Eraser]] = {}


def register(name: str, exporter: Exporter, eraser: Eraser) -> None:
    """Take part in export and erasure. Call from AppConfig.ready(); a name registered again is replaced."""
    _registered[name] = (exporter, eraser)


def export(subscriber_id: int) -> dict[str, Any]:
    """Everything we hold about one reader, as JSON can write it; times in ISO 8601, UTC."""
    subscriber = Subscriber.objects.get(pk=subscriber_id)
    known: dict[str, Any] = {
        "subscriber": {
            "email": subscriber.email,
            "status": subscriber.status,
            "language": subscriber.language,
            "timezone": subscriber.timezone,
            "frequency": subscriber.frequency,
            "hour": subscriber.hour,
            "weekday": subscriber.weekday,
            "length": subscriber.length,
            "max_papers": subscriber.max_papers,
            "top_papers_if_none": subscriber.top_papers_if_none,
            "wants_updates": subscriber.wants_updates,
            "paused_until": _iso(subscriber.paused_until),
            "created_at": _iso(subscriber.created_at),
            "confirmed_at": _iso(subscriber.confirmed_at),
            "left_at": _iso(subscriber.left_at),
        },
        "topics": [
            {
                "name": line.topic.name,
                "filter": line.topic.filter.canonical,
                "keywords": line.topic.keywords,
                "description": line.topic.description,
                "own": line.topic.owner_id is not None,
                "position": line.position,
                "muted": line.muted,
                "max_papers": line.max_papers,
                "min_relevance": line.min_relevance,
            }
            for line in subscriber.subscribed_topics.select_related("topic__filter")
        ],
        "mutes": [
            {"filter": row.filter.canonical, "since": _iso(row.created_at)}
            for row in subscriber.mutes.order_by("pk").select_related("filter")
        ],
        "former_own_filters": [
            {"name": topic.name, "filter": topic.filter.canonical, "until": _iso(topic.retired_at)}
            for topic in subscriber.own_topics.exclude(retired_at=None).select_related("filter")
        ],
        "consent": [
            {"act": row.act, "at": _iso(row.at), "source": row.source, "wording": row.wording}
            for row in subscriber.consents.order_by("pk")
        ],
        "notices": [
            {
                "kind": row.kind,
                "to": row.to,
                "status": row.status,
                "created_at": _iso(row.created_at),
                "sent_at": _iso(row.sent_at),
                "content": row.context,
            }
            for row in notices.of_subscriber(subscriber_id).order_by("pk")
        ],
        "deliveries": [
            {
                "to": row.email,
                "state": row.state,
                "reason": row.reason,
                "due_at": _iso(row.due_at),
                "done_at": _iso(row.done_at),
            }
            for row in Delivery.objects.filter(
                id__in=[delivery_id(pk, subscriber_id) for pk in Mailing.objects.values_list("pk", flat=True)]
            ).order_by("pk")
        ],
        "suppressions": [
            {
                "reason": row.reason,
                "evidence": row.evidence,
                "since": _iso(row.created_at),
                "lifted_at": _iso(row.lifted_at),
            }
            for row in Suppression.objects.filter(address=subscriber.address)
        ],
    }
    return known | {name: exporter(subscriber_id) for name, (exporter, _) in _registered.items()}


def erase(subscriber_id: int, *, now: datetime) -> None:
    """Forget one reader everywhere, in one transaction."""
    with transaction.atomic():
        for _, eraser in _registered.values():
            eraser(subscriber_id)
        lifecycle.erase(subscriber_id, now=now)


def _iso(value: Any) -> str | None:
    return value.isoformat() if value is not None else None
