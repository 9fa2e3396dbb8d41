"""How fast this installation may send: MAX_RATE messages a second over all workers together.

The clock is one number in Redis, the time at which the next message may go (the "generic cell rate
algorithm"). Redis may be flushed at any moment: then the next second is a little too fast, no more.
"""

import logging
import time
from functools import lru_cache
from typing import cast

import redis
from django.conf import settings

log = logging.getLogger(__name__)

_KEY = "paperboy:mail:next"
# Takes the next place in the queue of all workers; gives how many microseconds away it is. Redis's own clock.
_TAKE = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local place = math.max(now, tonumber(redis.call('GET', KEYS[1]) or 0))
local after = place + tonumber(ARGV[1])
redis.call('SET', KEYS[1], string.format('%.0f', after), 'PX', math.ceil((after - now) / 1000) + 60000)
return string.format('%.0f', place - now)
"""


def wait_for_turn() -> None:
    """Sleep until this message may go; at once where there is no limit or Redis does not answer."""
    if settings.MAX_RATE <= 0:
        return
    gap_microseconds = int(1_000_000 / settings.MAX_RATE)
    try:
        wait = int(cast("bytes", _client().eval(_TAKE, 1, _KEY, str(gap_microseconds))))
    except redis.RedisError:
        log.warning("Redis does not answer; MAX_RATE is kept by this worker alone.", exc_info=True)
        wait = gap_microseconds
    time.sleep(wait / 1_000_000)


@lru_cache(maxsize=1)
def _client() -> redis.Redis:
    location = str(settings.CACHES["default"]["LOCATION"])
    return redis.Redis.from_url(location, socket_timeout=5, socket_connect_timeout=5)
