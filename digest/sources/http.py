"""The only way to the network: one polite GET.

What the sources ask for (and upstream operators would otherwise block us for): a User-Agent that names the
installation and whom to write to, gzip, conditional requests, at most one request a second to a host, and
waiting as long as a 429 says. What we need: time limits everywhere, a size limit, few redirects, and failures
that say what, where and how to mend it.

Waits too long for a task are not slept: SourceError carries `retry_at`, for the source's row to carry.
"""

import logging
import random
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from importlib.metadata import PackageNotFoundError, version
from ipaddress import ip_address
from urllib.parse import urlsplit

import requests
from django.conf import settings
from requests.adapters import HTTPAdapter

CONNECT_SECONDS = 10.0
READ_SECONDS = 60.0
MOST_REDIRECTS = 5
LARGEST_ANSWER = 20_000_000  # bytes, unpacked; the largest recorded day is 230 kB
WAITS_SECONDS = (2.0, 8.0, 30.0)  # before the second, third and fourth attempt
RETRIED = frozenset({429, 500, 502, 503, 504})
SECONDS_BETWEEN_REQUESTS = 1.0  # to one host; not to this machine
START_SECONDS = 5.0

_LONGEST_ASKED_WAIT = timedelta(days=7)
# RateLimit: "api";r=0;t=213 (IETF draft 9, as huggingface.co sends it): r requests left, t seconds until
# more.
_RATE_LIMIT = re.compile(r'"[^"]*"\s*;\s*r=(?P<left>\d+)\s*;\s*t=(?P<seconds>\d+)')

logger = logging.getLogger(__name__)


class SourceError(Exception):
    """A source could not be read. The message says what happened, where, and how to mend it.

    `status` is the HTTP status, where one came; `retry_at` when the source itself said to come again.
    """

    def __init__(self, message: str, *, status: int | None = None, retry_at: datetime | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.retry_at = retry_at


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A 200, or a 304 without a body. `url` is the address that was asked, redirects not followed."""

    url: str
    status: int
    body: bytes = field(repr=False)
    etag: str = ""
    last_modified: str = ""

    @property
    def is_unchanged(self) -> bool:
        return self.status == HTTPStatus.NOT_MODIFIED


class Pace:
    """When the next request to each host may start, for all clients of a process. Loopback is free."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._free_at: dict[str, float] = {}

    def take(self, host: str, *, now: float, longest_seconds: float) -> float:
        """Seconds to wait before the next request. Above `longest_seconds` the turn is left to others."""
        with self._lock:
            start = max(now, self._free_at.get(host, 0.0))
            if start - now <= longest_seconds and not _is_this_machine(host):
                self._free_at[host] = start + SECONDS_BETWEEN_REQUESTS
            return start - now

    def close_until(self, host: str, instant: float) -> None:
        with self._lock:
            self._free_at[host] = max(self._free_at.get(host, 0.0), instant)


PACE = Pace()


class Client:
    """GETs for one run. `budget_seconds` bounds what the whole run may spend on waiting."""

    def __init__(
        self,
        *,
        attempts: int = 1 + len(WAITS_SECONDS),
        budget_seconds: float = 90.0,
        total_seconds: float | None = None,
        pace: Pace = PACE,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        jitter: Callable[[], float] = lambda: random.uniform(0.8, 1.2),
    ) -> None:
        """`total_seconds` limits a request from name look-up to last byte; without it only its steps are."""
        self._attempts = attempts
        self._budget_seconds = budget_seconds
        self._total_seconds = total_seconds
        self._pace = pace
        self._sleep = sleep
        self._clock = clock
        self._now = now
        self._jitter = jitter
        self._began = clock()
        self._session = requests.Session()
        self._session.max_redirects = MOST_REDIRECTS
        self._session.headers.update({"User-Agent": user_agent(), "Accept-Encoding": "gzip"})
        adapter = HTTPAdapter(max_retries=0)  # our own loop below retries, and knows what the headers ask
        self._session.mount("http://", adapter)
        self._session.mount("https://", adapter)

    @classmethod
    def for_start(cls) -> "Client":
        """For a service that starts: one attempt of at most 5 s in all, name look-up included."""
        return cls(attempts=1, total_seconds=START_SECONDS, budget_seconds=START_SECONDS)

    def get(
        self,
        url: str,
        *,
        params: Mapping[str, str | int] | None = None,
        accept: str = "application/json",
        etag: str = "",
        last_modified: str = "",
        largest: int = LARGEST_ANSWER,
    ) -> Answer:
        """The answer, in up to four attempts: connection errors, 429 and 5xx are repeated, other 4xx never.

        Raises SourceError.
        """
        headers = {"Accept": accept}
        if etag:
            headers["If-None-Match"] = etag
        if last_modified:
            headers["If-Modified-Since"] = last_modified
        request = self._prepared(url, params or {}, headers)
        for attempt in range(self._attempts):
            self._keep_pace(request)
            try:
                response, body = self._bounded(request, largest)
            except _WORTH_RETRYING as error:
                problem, status, asked = _in_words(error), None, None
            except requests.RequestException as error:  # redirected in circles, or to what is no web address
                raise _failure(request, _in_words(error), cure=_cure(None)) from error
            else:
                self._note_allowance(request, response)
                if response.status_code in (HTTPStatus.OK, HTTPStatus.NOT_MODIFIED):
                    return Answer(
                        url=str(request.url),
                        status=response.status_code,
                        body=body,
                        etag=response.headers.get("ETag", ""),
                        last_modified=response.headers.get("Last-Modified", ""),
                    )
                problem, status = f"it answered {_status_line(response, body)}", response.status_code
                if status not in RETRIED:
                    raise _failure(request, problem, cure=_cure(status), status=status)
                asked = asked_wait(response.headers, now=self._now())
            self._wait(request, attempt, problem, status, asked)
        raise AssertionError("unreachable: the last attempt returns or raises")

    # --- one attempt ---

    def _prepared(
        self, url: str, params: Mapping[str, str | int], headers: Mapping[str, str]
    ) -> requests.PreparedRequest:
        try:
            return self._session.prepare_request(requests.Request("GET", url, params=params, headers=headers))
        except (ValueError, requests.RequestException) as error:
            raise SourceError(
                f"{url!r} is not an address that can be asked ({error}). Mend it in the settings."
            ) from error

    def _bounded(self, request: requests.PreparedRequest, largest: int) -> tuple[requests.Response, bytes]:
        if self._total_seconds is None:
            return self._once(request, largest)
        # A name look-up knows no time limit, so the attempt runs beside us; a late answer is thrown away.
        outcome: list[tuple[requests.Response, bytes] | Exception] = []

        def attempt() -> None:
            try:
                outcome.append(self._once(request, largest))
            except Exception as error:  # handed to the caller below
                outcome.append(error)

        thread = threading.Thread(target=attempt, daemon=True, name="first request")
        thread.start()
        thread.join(self._total_seconds)
        match outcome:
            case []:
                raise requests.Timeout(f"no answer within {self._total_seconds:g} s")
            case [Exception() as error]:
                raise error
            case [(response, body)]:
                return response, body
        raise AssertionError(outcome)

    def _once(self, request: requests.PreparedRequest, largest: int) -> tuple[requests.Response, bytes]:
        total = self._total_seconds
        limits = (min(CONNECT_SECONDS, total or CONNECT_SECONDS), min(READ_SECONDS, total or READ_SECONDS))
        proxies = self._session.merge_environment_settings(request.url, {}, True, None, None)
        began = self._clock()
        with self._session.send(request, timeout=limits, **proxies) as response:
            body = bytearray()
            for chunk in response.iter_content(65_536):
                body += chunk
                if len(body) > largest:
                    raise _failure(
                        request,
                        f"its answer is larger than {largest:,} bytes",
                        cure="This is not the list that belongs there: check the address in the settings.",
                    )
                if self._clock() - began > 2 * READ_SECONDS:
                    raise requests.Timeout(
                        f"its answer came too slowly, {len(body):,} bytes in {2 * READ_SECONDS:g} s"
                    )
            return response, bytes(body)

    # --- waiting ---

    @property
    def is_spent(self) -> bool:
        """Whether the budget is used up: a longer run should end here and go on in the next one."""
        return self._left_seconds() <= 0

    def _left_seconds(self) -> float:
        return self._budget_seconds - (self._clock() - self._began)

    def _wait(
        self,
        request: requests.PreparedRequest,
        attempt: int,
        problem: str,
        status: int | None,
        asked: timedelta | None,
    ) -> None:
        """Sleep before the next attempt; SourceError if there is none, or the wait is too long for a task."""
        is_last = attempt + 1 >= self._attempts
        own = 0.0 if is_last else WAITS_SECONDS[min(attempt, len(WAITS_SECONDS) - 1)] * self._jitter()
        seconds = max(own, asked.total_seconds() if asked else 0.0)
        if is_last or seconds > self._left_seconds():
            retry_at = self._now() + asked if asked else None
            cure = _cure(status) + (
                f" It asks to be left alone until {retry_at:%Y-%m-%d %H:%M:%S} UTC." if retry_at else ""
            )
            tries = f" ({attempt + 1} attempts)" if attempt else ""
            raise _failure(request, problem + tries, cure=cure, status=status, retry_at=retry_at)
        logger.info("%s: %s; trying again in %.0f s", request.url, problem, seconds)
        self._sleep(seconds)

    def _keep_pace(self, request: requests.PreparedRequest) -> None:
        longest = max(self._left_seconds(), 2 * SECONDS_BETWEEN_REQUESTS)
        seconds = self._pace.take(_host(request), now=self._clock(), longest_seconds=longest)
        if seconds > longest:
            retry_at = self._now() + timedelta(seconds=seconds)
            raise _failure(
                request,
                "its allowance of requests is used up",
                cure=f"It gives new ones at {retry_at:%H:%M:%S} UTC; Paperboy waits until then.",
                retry_at=retry_at,
            )
        if seconds > 0:
            self._sleep(seconds)

    def _note_allowance(self, request: requests.PreparedRequest, response: requests.Response) -> None:
        """Where a source says that nothing is left, the next request to it waits for the new window."""
        allowance = _RATE_LIMIT.search(response.headers.get("RateLimit", ""))
        if allowance and int(allowance["left"]) == 0:
            seconds = min(int(allowance["seconds"]) + 1.0, _LONGEST_ASKED_WAIT.total_seconds())
            self._pace.close_until(_host(request), self._clock() + seconds)


_WORTH_RETRYING = (
    requests.ConnectionError,
    requests.Timeout,
    requests.exceptions.ChunkedEncodingError,
    requests.exceptions.ContentDecodingError,
)


def user_agent() -> str:
    """Who asks, and whom to write to when we do something wrong."""
    try:
        number = version("paperboy")
    except PackageNotFoundError:  # run from a checkout that was not installed
        number = "0.1.0"
    return f"Paperboy/{number} (+{settings.SITE_URL}; mailto:{settings.CONTACT})"


def asked_wait(headers: Mapping[str, str], *, now: datetime) -> timedelta | None:
    """How long the server wants us away: Retry-After in seconds or as a date, else an empty RateLimit."""
    text = headers.get("Retry-After", "").strip()
    seconds: float | None = None
    if text.isdigit():
        seconds = float(text)
    elif text:
        try:
            instant = parsedate_to_datetime(text)
        except ValueError:
            instant = None
        if instant is not None:
            aware = instant if instant.tzinfo else instant.replace(tzinfo=UTC)
            seconds = max((aware - now).total_seconds(), 0.0)
    if seconds is None:
        allowance = _RATE_LIMIT.search(headers.get("RateLimit", ""))
        if allowance is None or int(allowance["left"]) > 0:
            return None
        seconds = int(allowance["seconds"]) + 1.0
    return timedelta(seconds=min(seconds, _LONGEST_ASKED_WAIT.total_seconds()))


def _host(request: requests.PreparedRequest) -> str:
    return urlsplit(str(request.url)).hostname or ""


def _is_this_machine(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


# --- failures in words --------------------------------------------------------------------------------------


def _failure(
    request: requests.PreparedRequest,
    problem: str,
    *,
    cure: str,
    status: int | None = None,
    retry_at: datetime | None = None,
) -> SourceError:
    parts = urlsplit(str(request.url))
    host = parts.netloc.rpartition("@")[2]  # never a password in a message
    address = parts._replace(netloc=host).geturl()
    return SourceError(
        f"{host} gave no list: {problem} (GET {address}). {cure}", status=status, retry_at=retry_at
    )


def _in_words(error: requests.RequestException) -> str:
    match error:
        case requests.exceptions.SSLError():
            return "its certificate was not accepted"
        case requests.ConnectTimeout():
            return f"no connection within {CONNECT_SECONDS:g} s"
        case requests.Timeout():
            return (
                str(error)
                if str(error).startswith(("no answer", "its answer"))
                else f"no answer within {READ_SECONDS:g} s"
            )
        case requests.TooManyRedirects():
            return f"it redirected more than {MOST_REDIRECTS} times"
        case requests.exceptions.ContentDecodingError():
            return "its answer could not be unpacked"
        case requests.exceptions.ChunkedEncodingError():
            return "the connection broke in the middle of the answer"
        case requests.exceptions.InvalidURL() | requests.exceptions.InvalidSchema():
            return "it redirected to what is no web address"
    text = str(error)
    if "NameResolution" in text or "getaddrinfo" in text:
        return "its name could not be looked up"
    if "refused" in text:
        return "the connection was refused"
    return "the connection failed"


def _status_line(response: requests.Response, body: bytes) -> str:
    """Status and the beginning of the body, which is for people to read and never parsed."""
    reason = f" {response.reason}" if response.reason else ""
    said = " ".join(body[:500].decode("utf-8", "replace").split())
    request_id = response.headers.get("X-Request-Id", "")
    marks = [f"request {request_id[:80]}"] if request_id else []
    marks += [f"it said {said[:200]!r}"] if said else []
    return f"{response.status_code}{reason}" + (f" ({', '.join(marks)})" if marks else "")


def _cure(status: int | None) -> str:
    match status:
        case None:
            return "Check the network of this machine and the source's address in the settings."
        case 401 | 403:
            return "The source refuses this installation: check its address and its terms of use."
        case 404 | 410:
            return "Nothing is there: check the source's address in the settings."
        case 429:
            return "Too many requests came from this address."
        case _ if status >= 500:
            return "The source has trouble of its own; Paperboy asks again later."
        case _:
            return "The source does not take this request: check the date and the address."
