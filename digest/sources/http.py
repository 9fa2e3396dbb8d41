"""The only way to the network: one polite GET, and a POST of JSON.

What the sources ask for (and upstream operators would otherwise block us for): a User-Agent that names the
installation and whom to write to, gzip, conditional requests, at most one request a second to a host, and
waiting as long as a 429 says. What we need: a limit on the time of a whole attempt (a server that sends a
byte a minute keeps every time limit of a single step), on the unpacked size while it is unpacked, few
redirects, addresses typed by people kept out of private networks, and failures that say what, where and how
to mend it.

Waits too long for a task are not slept: SourceError carries `retry_at`, for the source's row to carry.
"""

import copy
import http.client
import io
import json
import logging
import os
import random
import re
import socket
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import partial
from http import HTTPStatus
from importlib.metadata import PackageNotFoundError, version
from ipaddress import ip_address
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
from django.conf import settings
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3 import exceptions as urllib3_exceptions
from urllib3.connection import HTTPConnection, HTTPSConnection

from digest.sources import guard

CONNECT_SECONDS = 10.0
READ_SECONDS = 60.0
ATTEMPT_SECONDS = 60.0  # from look-up to last byte, redirects included
LEAST_ATTEMPT_SECONDS = 30.0  # when the run's budget is nearly spent
MOST_REDIRECTS = 5
LARGEST_ANSWER = 20_000_000  # bytes, unpacked; the largest recorded day is 230 kB
WAITS_SECONDS = (2.0, 8.0, 30.0)  # before the second, third and fourth attempt
RETRIED = frozenset({429, 500, 502, 503, 504})
SECONDS_BETWEEN_REQUESTS = 1.0  # to one host; not to this machine
START_SECONDS = 5.0

_PIECE = 65_536  # bytes that are read, or unpacked, at a time
_MOST_MEMBERS = 1_000  # parts of one gzip answer; tools that write parts make them of 64 kB
_MOST_ADDRESSES = 4  # of one name, tried in turn
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_PERMANENT = frozenset({301, 308})
_INCOMPLETE = "its answer was not complete"

_LONGEST_ASKED_WAIT = timedelta(days=7)
# RateLimit: "api";r=0;t=213 (IETF draft 9, as huggingface.co sends it): r requests left, t seconds until
# more.
_RATE_LIMIT = re.compile(r'"[^"]*"\s*;\s*r=(?P<left>\d+)\s*;\s*t=(?P<seconds>\d+)')

logger = logging.getLogger(__name__)


class SourceError(Exception):
    """A source could not be read. The message says what happened, where, and how to mend it.

    `status` is the HTTP status and `body` what came with it, where an answer came; `retry_at` when the source
    itself said to come again.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        retry_at: datetime | None = None,
        body: bytes = b"",
    ) -> None:
        super().__init__(message)
        self.status = status
        self.retry_at = retry_at
        self.body = body


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A 200, or a 304 without a body. `url` is the address that was asked, redirects not followed.

    `final_url` is where the answer came from. `moved_to` is the address to ask from now on, where the one
    asked has moved for good (301, 308); a redirect that may change again (302, 303, 307) ends that chain.
    """

    url: str
    status: int
    body: bytes = field(repr=False)
    etag: str = ""
    last_modified: str = ""
    final_url: str = ""
    moved_to: str = ""
    content_type: str = ""

    @property
    def is_unchanged(self) -> bool:
        return self.status == HTTPStatus.NOT_MODIFIED


@dataclass(frozen=True, kw_only=True)
class _Got:
    """What one attempt brought, at the end of its redirects."""

    response: requests.Response
    body: bytes = field(repr=False)
    final_url: str
    moved_to: str


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
    """Requests of one run. `budget_seconds` bounds what the whole run may spend on waiting.

    `turn` gives a context manager that is entered around each single attempt: a queue that all processes of
    the installation keep, say. With `is_public_only` the addresses come from people: every connection, after
    each redirect too, must lead to the public internet, but for settings.TRUSTED_FEED_HOSTS; proxies and
    stored passwords are not used. One thread at a time.
    """

    def __init__(
        self,
        *,
        attempts: int = 1 + len(WAITS_SECONDS),
        budget_seconds: float = 90.0,
        total_seconds: float | None = None,
        is_public_only: bool = False,
        turn: Callable[[], AbstractContextManager[None]] | None = None,
        pace: Pace = PACE,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        jitter: Callable[[], float] = lambda: random.uniform(0.8, 1.2),
    ) -> None:
        """`total_seconds` limits an attempt, its name look-up included; without it the limit is a minute, or
        half of one when less than that is left of the budget, and a look-up takes what the system allows.
        """
        self._attempts = attempts
        self._budget_seconds = budget_seconds
        self._total_seconds = total_seconds
        self._is_public_only = is_public_only
        self._turn = turn or nullcontext
        self._pace = pace
        self._sleep = sleep
        self._clock = clock
        self._now = now
        self._jitter = jitter
        self._began = clock()
        self._limit = _Limit()
        self._session = requests.Session()
        self._session.trust_env = not is_public_only
        self._session.headers.update({"User-Agent": user_agent(), "Accept-Encoding": "gzip"})
        # Pools of their own: a connection that was opened without a check is never used where one is due.
        self._open = _Adapter(self._limit, is_public_only=False)
        self._guarded = _Adapter(self._limit, is_public_only=True)

    def public_only(self) -> "Client":
        """This client for addresses that people typed, on the same budget."""
        if self._is_public_only:
            return self
        guarded = Client(
            attempts=self._attempts,
            budget_seconds=self._budget_seconds,
            total_seconds=self._total_seconds,
            is_public_only=True,
            turn=self._turn,
            pace=self._pace,
            sleep=self._sleep,
            clock=self._clock,
            now=self._now,
            jitter=self._jitter,
        )
        guarded._began = self._began
        return guarded

    @classmethod
    def for_start(cls) -> "Client":
        """For a service that starts: one attempt of at most 5 s in all, name look-up included."""
        return cls(attempts=1, total_seconds=START_SECONDS, budget_seconds=START_SECONDS)

    def taking(self, turn: Callable[[], AbstractContextManager[None]]) -> "Client":
        """This client, its budget and its connections, waiting for a turn before each attempt."""
        one = copy.copy(self)
        one._turn = turn
        return one

    def get(
        self,
        url: str,
        *,
        params: Mapping[str, str | int] | None = None,
        accept: str = "application/json",
        headers: Mapping[str, str] | None = None,
        etag: str = "",
        last_modified: str = "",
        largest: int = LARGEST_ANSWER,
    ) -> Answer:
        """The answer, in up to four attempts: connection errors, 429 and 5xx are repeated, other 4xx never.

        Raises SourceError.
        """
        asked = {"Accept": accept, **(headers or {})}
        if etag:
            asked["If-None-Match"] = etag
        if last_modified:
            asked["If-Modified-Since"] = last_modified
        return self._answered(self._prepared("GET", url, params=params or {}, headers=asked), largest)

    def post_json(
        self,
        url: str,
        body: Any,
        *,
        headers: Mapping[str, str] | None = None,
        largest: int = LARGEST_ANSWER,
    ) -> Answer:
        """The answer to a POST of `body` as JSON, in as many attempts as a GET: only for requests that may
        be repeated. Redirects are not followed: nobody but the address named gets the body and the headers.

        Raises SourceError.
        """
        asked = {"Accept": "application/json", "Content-Type": "application/json", **(headers or {})}
        data = json.dumps(body, ensure_ascii=False).encode("utf-8", "backslashreplace")
        return self._answered(self._prepared("POST", url, headers=asked, data=data), largest)

    def _answered(self, request: requests.PreparedRequest, largest: int) -> Answer:
        for attempt in range(self._attempts):
            self._keep_pace(request)
            try:
                with self._turn():
                    got = self._bounded(request, largest)
            except _WORTH_RETRYING as error:
                problem, status, asked = self._in_words(error), None, None
            except guard.NotPublic as error:
                raise _failure(
                    request,
                    f"the address {error}",
                    cure="Feeds are read from the public internet only. An operator can except a host: "
                    "TRUSTED_FEED_HOSTS in the settings.",
                ) from error
            except requests.RequestException as error:  # redirected in circles, or to what is no web address
                raise _failure(request, self._in_words(error), cure=self._cure(None)) from error
            else:
                response = got.response
                self._note_allowance(request, response)
                if response.status_code in (HTTPStatus.OK, HTTPStatus.NOT_MODIFIED):
                    return Answer(
                        url=str(request.url),
                        status=response.status_code,
                        body=got.body,
                        etag=response.headers.get("ETag", ""),
                        last_modified=response.headers.get("Last-Modified", ""),
                        final_url=got.final_url,
                        moved_to=got.moved_to,
                        content_type=response.headers.get("Content-Type", ""),
                    )
                problem, status = f"it answered {_status_line(response, got.body)}", response.status_code
                if status not in RETRIED:
                    raise _failure(request, problem, cure=self._cure(status), status=status, body=got.body)
                asked = asked_wait(response.headers, now=self._now())
            self._wait(request, attempt, problem, status, asked)
        raise AssertionError("unreachable: the last attempt returns or raises")

    # --- one attempt ---

    def _prepared(self, method: str, url: str, **parts: Any) -> requests.PreparedRequest:
        try:
            return self._web_request(method, url, **parts)
        except ValueError as error:  # requests' own are, too
            raise SourceError(
                f"{url[:300]!r} is not an address that can be asked ({error}). "
                f"Mend it in {self._place_to_mend}."
            ) from error

    def _web_request(self, method: str, url: str, **parts: Any) -> requests.PreparedRequest:
        """Raises ValueError, as requests' own errors are: requests itself takes any scheme here."""
        request = self._session.prepare_request(requests.Request(method, url, **parts))
        if urlsplit(str(request.url)).scheme.lower() not in guard.DEFAULT_PORTS:
            raise requests.exceptions.InvalidSchema("neither http nor https")
        return request

    def _bounded(self, request: requests.PreparedRequest, largest: int) -> _Got:
        if self._total_seconds is None:
            self._limit.begin(min(ATTEMPT_SECONDS, max(self._left_seconds(), LEAST_ATTEMPT_SECONDS)))
            return self._once(request, largest)
        self._limit.begin(self._total_seconds)
        # A name look-up knows no time limit, so the attempt runs beside us; a late answer is thrown away.
        outcome: list[_Got | Exception] = []

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
                raise requests.ReadTimeout("nothing came")
            case [Exception() as error]:
                raise error
            case [_Got() as got]:
                return got
        raise AssertionError(outcome)

    def _once(self, request: requests.PreparedRequest, largest: int) -> _Got:
        """One attempt through all its redirects.

        Not requests' own way of following them: that reads the body of each, whatever its size, and asks
        the next address before anybody can look at it.
        """
        hop, moved_to, is_permanent = request, "", True
        for _hop in range(MOST_REDIRECTS + 1):
            url = str(hop.url)
            with self._sent(hop, first=str(request.url)) as response:
                location = response.headers.get("Location")
                if response.status_code not in _REDIRECTS or location is None or request.method != "GET":
                    body = self._body(request, response, largest)
                    return _Got(response=response, body=body, final_url=url, moved_to=moved_to)
            hop = self._redirected(request, url, location)
            is_permanent = is_permanent and response.status_code in _PERMANENT
            moved_to = str(hop.url) if is_permanent else moved_to
        raise requests.TooManyRedirects

    def _sent(self, request: requests.PreparedRequest, *, first: str) -> requests.Response:
        url = str(request.url)
        seconds = self._limit.left()
        limits = (min(CONNECT_SECONDS, seconds), min(READ_SECONDS, seconds))
        if not self._is_public_only:
            around = self._session.merge_environment_settings(url, {}, True, None, None)
            around["verify"] = around["verify"] or True
            return self._open.send(request, timeout=limits, **around)  # type: ignore[arg-type]
        # An exception is made for what an operator named, not for whoever redirects there.
        trusted = settings.TRUSTED_FEED_HOSTS
        is_trusted = guard.is_trusted(url, trusted) and guard.is_trusted(first, trusted)
        if not is_trusted:
            guard.check(url)
        adapter = self._open if is_trusted else self._guarded
        return adapter.send(request, timeout=limits, stream=True, verify=_certificates())

    def _redirected(
        self, request: requests.PreparedRequest, url: str, location: str
    ) -> requests.PreparedRequest:
        """The request that a redirect asks for. Passwords stay behind: it is prepared from its address."""
        try:
            # Headers are read as Latin-1; what servers mean is UTF-8.
            target = urljoin(url, location.encode("latin-1").decode("utf-8", "replace"))
            headers = {name: request.headers[name] for name in _CARRIED if name in request.headers}
            return self._web_request("GET", target, headers=headers)
        except ValueError as error:  # requests' own are, too
            raise requests.exceptions.InvalidURL(str(error)) from error

    def _body(self, request: requests.PreparedRequest, response: requests.Response, largest: int) -> bytes:
        """The unpacked body. Never holds more than `largest` and a piece of it."""
        body = io.BytesIO()  # hands its bytes over without a copy
        try:
            for piece in _unpacked(response, largest):
                if body.tell() + len(piece) > largest:
                    raise _TooLarge
                body.write(piece)
        except _TooLarge as error:
            raise _failure(
                request,
                f"its answer is larger than {largest:,} bytes",
                cure=f"This is not the list that belongs there: check the address in {self._place_to_mend}.",
            ) from error
        except zlib.error as error:
            raise requests.exceptions.ContentDecodingError(str(error)) from error
        except urllib3_exceptions.ReadTimeoutError as error:
            raise requests.ReadTimeout(_INCOMPLETE) from error
        # http.client stumbles over a chunk of a negative size.
        except (urllib3_exceptions.HTTPError, http.client.HTTPException, OSError, ValueError) as error:
            raise requests.exceptions.ChunkedEncodingError(str(error)) from error
        return body.getvalue()

    @property
    def _place_to_mend(self) -> str:
        return "the source's row in the admin" if self._is_public_only else "the settings"

    def _in_words(self, error: requests.RequestException) -> str:
        if isinstance(error, requests.ReadTimeout):
            began = "its answer was not complete" if str(error) == _INCOMPLETE else "no answer"
            return f"{began} within {self._limit.seconds:g} s"
        return _in_words(error)

    def _cure(self, status: int | None) -> str:
        return _cure(status).replace("the settings", self._place_to_mend)

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
            cure = self._cure(status) + (
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


# --- under requests: connections with a limit and a guard ------------------------------------------------


class _Limit:
    """When an attempt has to be over. Real time, whatever clock the client was given."""

    def __init__(self) -> None:
        self.seconds = ATTEMPT_SECONDS
        self._ends_at = 0.0

    def begin(self, seconds: float) -> None:
        self.seconds = seconds
        self._ends_at = time.monotonic() + seconds

    def left(self) -> float:
        """Seconds, more than 0. Raises requests.ReadTimeout when none are left."""
        if self.is_over:
            raise requests.ReadTimeout("no time is left")
        return self._ends_at - time.monotonic()

    @property
    def is_over(self) -> bool:
        return time.monotonic() >= self._ends_at

    def apply(self, sock: socket.socket, longest_seconds: float = READ_SECONDS) -> None:
        """The next step on this socket takes no longer than what is left. Raises TimeoutError."""
        left = self._ends_at - time.monotonic()
        if left <= 0:
            raise TimeoutError("no time is left")
        sock.settimeout(min(left, longest_seconds))


class _LimitedReads(io.RawIOBase):
    """A socket's bytes, each of whose reads ends when the attempt has to: in headers and chunks as well."""

    def __init__(self, sock: socket.socket, limit: _Limit) -> None:
        self._sock = sock
        self._limit = limit
        self._raw = sock.makefile("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._limit.apply(self._sock)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _LimitedSocket:
    """What http.client's response asks a socket for: a file of it."""

    def __init__(self, sock: socket.socket, limit: _Limit) -> None:
        self._sock = sock
        self._limit = limit

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(_LimitedReads(self._sock, self._limit))


def _limited_response(sock: socket.socket, *, limit: _Limit, **options: Any) -> http.client.HTTPResponse:
    return http.client.HTTPResponse(_LimitedSocket(sock, limit), **options)  # type: ignore[arg-type]


class _Connects(HTTPConnection):
    """Looks the name up once and connects to what it found, after a check where one is asked for."""

    limit: _Limit
    is_public_only: bool

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.response_class = partial(_limited_response, limit=self.limit)  # type: ignore[assignment]

    def _new_conn(self) -> socket.socket:
        try:
            found = socket.getaddrinfo(self._dns_host, self.port, type=socket.SOCK_STREAM)
        except socket.gaierror as error:
            raise urllib3_exceptions.NameResolutionError(self.host, self, error) from error
        except UnicodeError as error:  # a label of more than 63 letters, say
            no_name = socket.gaierror(socket.EAI_NONAME, str(error))
            raise urllib3_exceptions.NameResolutionError(self.host, self, no_name) from error
        if self.is_public_only:
            for *_family, address in found:
                guard.check_network(str(address[0]))
        problem = OSError("the name stands for no address")
        for family, kind, protocol, _name, address in found[:_MOST_ADDRESSES]:
            sock = socket.socket(family, kind, protocol)
            try:
                for option in self.socket_options or ():
                    sock.setsockopt(*option)
                self.limit.apply(sock, CONNECT_SECONDS)
                sock.connect(address)
                if self.is_public_only:
                    guard.check_network(str(sock.getpeername()[0]))
            except OSError as error:
                sock.close()
                problem = error
            except BaseException:
                sock.close()
                raise
            else:
                return sock
        if isinstance(problem, TimeoutError):
            raise urllib3_exceptions.ConnectTimeoutError(self, "no connection") from problem
        raise urllib3_exceptions.NewConnectionError(self, str(problem)) from problem


class _Adapter(HTTPAdapter):
    """requests' way to urllib3, with connections of our own. Never tries again by itself: `Client` does, and
    knows what the headers ask.
    """

    def __init__(self, limit: _Limit, *, is_public_only: bool) -> None:
        own = {"limit": limit, "is_public_only": is_public_only}
        plain = type("Connection", (_Connects,), own)
        secure = type("SecureConnection", (_Connects, HTTPSConnection), own)
        self._pools = {
            "http": type("Pool", (HTTPConnectionPool,), {"ConnectionCls": plain}),
            "https": type("SecurePool", (HTTPSConnectionPool,), {"ConnectionCls": secure}),
        }
        super().__init__(max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = self._pools

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **kwargs)
        if not proxy.lower().startswith("socks"):  # these connect in a way of their own
            manager.pool_classes_by_scheme = self._pools
        return manager


def _certificates() -> str | bool:
    """The authorities that are believed, where the rest of the environment is not asked."""
    return os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or True


# --- unpacking --------------------------------------------------------------------------------------------


class _TooLarge(Exception):
    """More bytes than were allowed."""


def _unpacked(response: requests.Response, largest: int) -> Iterator[bytes]:
    """The body in pieces of at most 64 kB, however much is packed into how little.

    Raises _TooLarge for a length that is announced, or a packed body that is read, above `largest`;
    zlib.error for what is not packed as it says.
    """
    packing = response.headers.get("Content-Encoding", "").strip().lower()
    length = response.headers.get("Content-Length", "")
    if length.isdecimal() and int(length[:20]) > largest:
        raise _TooLarge
    packed = _pieces(response, largest)
    match packing:
        case "" | "identity":
            return packed
        case "gzip" | "x-gzip":
            return _gunzipped(packed)
        case "deflate":
            return _inflated(packed)
    raise zlib.error(f"it is packed as {packing[:40]!r}, which nobody asked for")


def _pieces(response: requests.Response, largest: int) -> Iterator[bytes]:
    read = 0
    while piece := response.raw.read(_PIECE, decode_content=False):
        read += len(piece)
        if read > largest + _PIECE:
            raise _TooLarge
        yield piece


def _gunzipped(packed: Iterator[bytes]) -> Iterator[bytes]:
    unpacker = None
    members = 0
    for piece in packed:
        rest = piece
        while rest:
            if unpacker is None:
                if members and not rest.startswith(b"\x1f"):  # padding after the last part
                    break
                members += 1
                if members > _MOST_MEMBERS:
                    raise zlib.error(f"more than {_MOST_MEMBERS} parts")
                unpacker = zlib.decompressobj(16 + zlib.MAX_WBITS)
            yield from _through(unpacker, rest)
            if not unpacker.eof:
                break
            rest, unpacker = unpacker.unused_data, None
    if unpacker is not None:
        raise zlib.error("it ends in the middle")


def _inflated(packed: Iterator[bytes]) -> Iterator[bytes]:
    """RFC 9110 says zlib; some servers leave its two bytes of header out."""
    unpacker = None
    for piece in packed:
        if unpacker is None:
            is_zlib = piece[0] & 0x0F == 8 and int.from_bytes(piece[:2], "big") % 31 == 0
            unpacker = zlib.decompressobj(zlib.MAX_WBITS if is_zlib else -zlib.MAX_WBITS)
        yield from _through(unpacker, piece)
    if unpacker is not None and not unpacker.eof:
        raise zlib.error("it ends in the middle")


def _through(unpacker: "zlib._Decompress", packed: bytes) -> Iterator[bytes]:
    while not unpacker.eof:
        if piece := unpacker.decompress(packed, _PIECE):
            yield piece
        elif not unpacker.unconsumed_tail:
            return
        packed = unpacker.unconsumed_tail


# What goes with a redirect: who asks for what. A password was for the first host.
_CARRIED = ("Accept", "If-None-Match", "If-Modified-Since")

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
    body: bytes = b"",
) -> SourceError:
    parts = urlsplit(str(request.url))
    host = parts.netloc.rpartition("@")[2]  # never a password in a message
    address = parts._replace(netloc=host).geturl()
    gave = "list" if request.method == "GET" else "answer"
    return SourceError(
        f"{host} gave no {gave}: {problem} ({request.method} {address}). {cure}",
        status=status,
        retry_at=retry_at,
        body=body,
    )


def _in_words(error: requests.RequestException) -> str:
    match error:
        case requests.exceptions.SSLError():
            return "its certificate was not accepted"
        case requests.ConnectTimeout():
            return f"no connection within {CONNECT_SECONDS:g} s"
        case requests.Timeout():
            return f"no answer within {READ_SECONDS:g} s"
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
