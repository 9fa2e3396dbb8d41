"""A limit for pages that cost something, by sender. Where Redis does not answer, everything is allowed."""

import functools
import hashlib
import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from http import HTTPStatus

import redis
from django.core.cache import cache
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

from subscriptions import abuse

log = logging.getLogger(__name__)

View = Callable[..., HttpResponse]


def limited(name: str, *, times: int, window: timedelta = timedelta(minutes=1)) -> Callable[[View], View]:
    """At most `times` requests by one sender in each `window`; then a page that says until when to wait."""

    def decorate(view: View) -> View:
        @functools.wraps(view)
        def counted(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
            now = timezone.now()
            end = _window_end(window, now)
            if _count(f"{name}:{abuse.sender(request)}", end, window) <= times:
                return view(request, *args, **kwargs)
            context = {"tries": f"{times} in {_words(window)}", "until": end}
            template = "web/_429.html" if request.headers.get("HX-Request") else "429.html"
            response = render(request, template, context, status=HTTPStatus.TOO_MANY_REQUESTS)
            response["Retry-After"] = str(max(1, round((end - now).total_seconds())))
            return response

        return counted

    return decorate


def _count(who: str, end: datetime, window: timedelta) -> int:
    key = f"throttle:{int(end.timestamp())}:{hashlib.sha256(who.encode()).hexdigest()[:32]}"
    try:
        if cache.add(key, 1, timeout=window.total_seconds()):
            return 1
        return cache.incr(key)
    except ValueError:  # it ran out between the two
        return 1
    except (redis.RedisError, OSError) as error:
        log.warning("No limit on requests while Redis does not answer: %s", error)
        return 0


def _window_end(window: timedelta, now: datetime) -> datetime:
    seconds = int(window.total_seconds())
    return datetime.fromtimestamp((int(now.timestamp()) // seconds + 1) * seconds, UTC)


def _words(window: timedelta) -> str:
    seconds = int(window.total_seconds())
    return {60: "a minute", 3600: "an hour"}.get(seconds, f"{seconds} seconds")
