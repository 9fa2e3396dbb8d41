"""What keeps strangers from bothering others through the sign-up page: limits by sender and address, a trap.

Counters live in Redis and may be lost at any time. Where Redis does not answer, everything is allowed and a
line is logged: that somebody can join or leave matters more than a limit. A second limit stands in the
database, see lifecycle.MAILS_A_DAY.
"""

import hashlib
import ipaddress
import logging
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import redis
from django.core.cache import cache
from django.http import HttpRequest

log = logging.getLogger(__name__)

# A field that people do not see and programs fill in.
TRAP_FIELD = "website"


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `times` in a `window`; windows are fixed, so the wait is never longer than one."""

    name: str
    times: int
    window: timedelta


PER_SENDER = (Limit("minute", 10, timedelta(minutes=1)), Limit("hour", 60, timedelta(hours=1)))
PER_ADDRESS = (Limit("hour", 3, timedelta(hours=1)), Limit("day", 6, timedelta(days=1)))


class TooMany(Exception):
    """Over a limit: `tries` says which ("10 tries in one minute"), `until` when to go on."""

    def __init__(self, tries: str, until: datetime) -> None:
        super().__init__(f"The limit is {tries}. Wait until {until:%H:%M} UTC.")
        self.tries = tries
        self.until = until


def count_sender(request: HttpRequest, *, now: datetime) -> None:
    """Count one try by the sender of this request. Raises TooMany."""
    _count("tries", sender(request), PER_SENDER, now)


def count_address(address: str, *, now: datetime) -> None:
    """Count one mail asked for, for this normalised address, known to us or not. Raises TooMany."""
    _count("mails to one address", address, PER_ADDRESS, now)


def is_trapped(request: HttpRequest) -> bool:
    return bool(request.POST.get(TRAP_FIELD))


def sender(request: HttpRequest) -> str:
    """The client's network address: an IPv4 address, or the /64 that one IPv6 customer has.

    Behind a proxy (a private or loopback peer) it is what the nearest proxy noted last in X-Forwarded-For;
    anything further left in that header was written by the client.
    """
    peer = _ip(request.META.get("REMOTE_ADDR", ""))
    forwarded = request.META.get("HTTP_X_FORWARDED_FOR", "").rpartition(",")[2].strip()
    if peer is not None and peer.is_private and forwarded:
        peer = _ip(forwarded) or peer
    if peer is None:
        return "unknown"
    return str(ipaddress.ip_network((peer, 64), strict=False)) if peer.version == 6 else str(peer)


def _ip(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped or address


def _count(what: str, who: str, limits: tuple[Limit, ...], now: datetime) -> None:
    digest = hashlib.sha256(who.encode()).hexdigest()[:32]  # no address in Redis
    try:
        over = [limit for limit in limits if _times(what, digest, limit, now) > limit.times]
    except (redis.RedisError, OSError) as error:
        log.warning("No limit on sign-ups while Redis does not answer: %s", error)
        return
    if over:
        longest = max(over, key=lambda limit: limit.window)
        raise TooMany(f"{longest.times} {what} in one {longest.name}", _window_end(longest, now))


def _times(what: str, digest: str, limit: Limit, now: datetime) -> int:
    end = int(_window_end(limit, now).timestamp())
    key = f"limit:{what.replace(' ', '-')}:{limit.name}:{end}:{digest}"
    if cache.add(key, 1, timeout=limit.window.total_seconds()):
        return 1
    try:
        return cache.incr(key)
    except ValueError:  # it ran out between the two
        return 1


def _window_end(limit: Limit, now: datetime) -> datetime:
    seconds = int(limit.window.total_seconds())
    return datetime.fromtimestamp((int(now.timestamp()) // seconds + 1) * seconds, UTC)
