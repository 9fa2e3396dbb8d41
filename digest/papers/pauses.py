"""Services for enrichment that want to be left alone for a while: all workers ask the same row.

The rows are those of digest/sources/clock.py, which also keeps requests apart. Nothing here opens a
connection of its own: no caller holds a transaction while it asks.
"""

from datetime import datetime

from django.db.models import Q

from digest.models import UpstreamClock

_LONGEST_REASON = 1_000


def pause_of(name: str, *, now: datetime) -> UpstreamClock | None:
    """The row that says until when and why the service is left alone; None when it may be asked."""
    return UpstreamClock.objects.filter(name=name, closed_until__gt=now).first()


def pause(name: str, *, until: datetime, reason: str, now: datetime) -> None:
    """Let no worker ask before `until`; an earlier end than the one that stands changes nothing."""
    UpstreamClock.objects.get_or_create(name=name, defaults={"started_at": now})
    is_later = Q(closed_until=None) | Q(closed_until__lt=until)
    UpstreamClock.objects.filter(is_later, name=name).update(
        closed_until=until, reason=reason[:_LONGEST_REASON]
    )
