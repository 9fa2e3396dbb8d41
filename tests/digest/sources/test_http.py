"""The polite GET, over a real socket."""

import gzip
import json
import socket
import time
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, BinaryIO

import pytest

from digest.sources import guard as http_guard
from digest.sources.http import Client, Pace, SourceError, asked_wait, user_agent
from tests.servers import Asked, HuggingFaceServer, Reply, WebServer, huggingface_server, web_server

NOON = datetime(2026, 7, 24, 12, tzinfo=UTC)


@pytest.fixture
def server() -> Iterator[HuggingFaceServer]:
    with huggingface_server() as running:
        yield running


class Clock:
    """Time that passes only by sleeping."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.seconds += seconds

    def now(self) -> datetime:
        return NOON + timedelta(seconds=self.seconds)


@pytest.fixture
def clock() -> Clock:
    return Clock()


def client(clock: Clock, **options: Any) -> Client:
    return Client(
        **{
            "sleep": clock.sleep,
            "clock": clock,
            "now": clock.now,
            "jitter": lambda: 1.0,
            "pace": Pace(),
            **options,
        }
    )


class TestGet:
    def test_gives_the_answer_unpacked(self, server: HuggingFaceServer, clock: Clock) -> None:
        server.replies = [
            Reply(body=b"[1]", headers={"ETag": '"x"', "Last-Modified": "Fri, 24 Jul 2026 00:00:00 GMT"})
        ]

        answer = client(clock).get(server.url, params={"date": "2026-07-24"})

        assert (answer.body, answer.etag, answer.last_modified) == (
            b"[1]",
            '"x"',
            "Fri, 24 Jul 2026 00:00:00 GMT",
        )
        assert answer.url == f"{server.url}/?date=2026-07-24"

    def test_says_who_asks(self, server: HuggingFaceServer, clock: Clock, settings: Any) -> None:
        settings.SITE_URL, settings.CONTACT = "https://paperboy.example", "editor@paperboy.example"
        server.replies = [Reply(body=b"[]")]

        client(clock).get(server.url)

        headers = server.asked[0].headers
        assert headers["user-agent"] == user_agent()
        assert user_agent().endswith(" (+https://paperboy.example; mailto:editor@paperboy.example)")
        assert headers["accept-encoding"] == "gzip"

    def test_asks_conditionally(self, server: HuggingFaceServer, clock: Clock) -> None:
        server.replies = [Reply(status=304)]

        answer = client(clock).get(server.url, etag='"x"', last_modified="Fri, 24 Jul 2026 00:00:00 GMT")

        assert answer.is_unchanged
        assert server.asked[0].headers["if-none-match"] == '"x"'
        assert server.asked[0].headers["if-modified-since"] == "Fri, 24 Jul 2026 00:00:00 GMT"

    @pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
    def test_tries_again_after_2_8_and_30_seconds(
        self, server: HuggingFaceServer, clock: Clock, status: int
    ) -> None:
        server.replies = [Reply(status=status)] * 3 + [Reply(body=b"[]")]

        assert client(clock).get(server.url).body == b"[]"
        assert clock.slept == [2, 8, 30]

    def test_gives_up_after_four_attempts(self, server: HuggingFaceServer, clock: Clock) -> None:
        server.replies = [Reply(status=503, body=b"upstream   is\ndown", headers={"X-Request-Id": "r-1"})] * 9

        with pytest.raises(SourceError) as raised:
            client(clock).get(server.url + "/api")

        assert str(raised.value) == (
            f"{server.url[7:]} gave no list: it answered 503 Service Unavailable "
            f"(request r-1, it said 'upstream is down') (4 attempts) (GET {server.url}/api). "
            "The source has trouble of its own; Paperboy asks again later."
        )
        assert (raised.value.status, raised.value.retry_at, len(server.asked)) == (503, None, 4)

    @pytest.mark.parametrize("status", [400, 401, 403, 404, 410])
    def test_never_repeats_a_refused_request(
        self, server: HuggingFaceServer, clock: Clock, status: int
    ) -> None:
        server.replies = [Reply(status=status)] * 2

        with pytest.raises(SourceError, match=str(status)) as raised:
            client(clock).get(server.url)

        assert (raised.value.status, len(server.asked), clock.slept) == (status, 1, [])

    @pytest.mark.parametrize(
        "headers",
        [
            {"Retry-After": "20"},
            {"Retry-After": "Fri, 24 Jul 2026 12:00:20 GMT"},
            {"RateLimit": '"api";r=0;t=19', "RateLimit-Policy": '"fixed window";"api";q=500;w=300'},
        ],
    )
    def test_waits_as_long_as_it_is_asked_to(
        self, server: HuggingFaceServer, clock: Clock, headers: dict[str, str]
    ) -> None:
        server.replies = [Reply(status=429, headers=headers), Reply(body=b"[]")]

        client(clock).get(server.url)

        assert sum(clock.slept) == 20

    def test_a_wait_too_long_for_a_task_is_handed_on(self, server: HuggingFaceServer, clock: Clock) -> None:
        server.replies = [Reply(status=429, headers={"Retry-After": "213"})]

        with pytest.raises(SourceError, match="left alone until 2026-07-24 12:03:33 UTC") as raised:
            client(clock, budget_seconds=90).get(server.url)

        assert raised.value.retry_at == NOON + timedelta(seconds=213)
        assert clock.slept == []

    def test_waits_for_a_new_allowance_before_the_next_request(
        self, server: HuggingFaceServer, clock: Clock
    ) -> None:
        server.replies = [Reply(body=b"[]", headers={"RateLimit": '"api";r=0;t=7'}), Reply(body=b"[]")]
        asking = client(clock)

        asking.get(server.url)
        asking.get(server.url)

        assert clock.slept == [8]

    def test_an_allowance_that_comes_too_late_is_handed_on(
        self, server: HuggingFaceServer, clock: Clock
    ) -> None:
        server.replies = [Reply(body=b"[]", headers={"RateLimit": '"api";r=0;t=299'})]
        asking = client(clock, budget_seconds=90)
        asking.get(server.url)

        with pytest.raises(SourceError, match="allowance of requests is used up") as raised:
            asking.get(server.url)

        assert raised.value.retry_at == NOON + timedelta(seconds=300)
        assert len(server.asked) == 1

    def test_an_allowance_that_is_left_costs_no_wait(self, server: HuggingFaceServer, clock: Clock) -> None:
        server.replies = [Reply(body=b"[]", headers={"RateLimit": '"api";r=489;t=213'})] * 2
        asking = client(clock)

        asking.get(server.url)
        asking.get(server.url)

        assert clock.slept == []

    def test_tries_again_when_the_connection_breaks(self, server: HuggingFaceServer, clock: Clock) -> None:
        server.replies = [Reply(body=b"[1, 2, 3]" * 50, cut_at=5), Reply(body=b"[]")]

        assert client(clock).get(server.url).body == b"[]"

    def test_says_when_nobody_listens(self, clock: Clock) -> None:
        with pytest.raises(SourceError, match=r"refused \(4 attempts\).*Check the network"):
            client(clock).get("http://127.0.0.1:9/api")

    def test_one_attempt_at_the_start_and_no_longer_than_its_limit(self, server: HuggingFaceServer) -> None:
        server.replies = [Reply(delay_seconds=2)]

        with pytest.raises(SourceError, match=r"no answer within 0\.2 s"):
            Client(attempts=1, total_seconds=0.2, budget_seconds=0.2, pace=Pace()).get(server.url)

        assert len(server.asked) == 1

    def test_refuses_an_answer_that_is_too_large_however_small_it_travels(
        self, server: HuggingFaceServer, clock: Clock
    ) -> None:
        server.replies = [Reply(body=b"[" + b" " * 1_000_000 + b"]")]  # a kilobyte when packed

        with pytest.raises(SourceError, match="larger than 500,000 bytes"):
            client(clock).get(server.url, largest=500_000)

    def test_follows_five_redirects_and_no_more(self, server: HuggingFaceServer, clock: Clock) -> None:
        away = Reply(status=302, headers={"Location": "/elsewhere"})
        server.replies = [away] * 5 + [Reply(body=b"[]")]
        assert client(clock).get(server.url).body == b"[]"

        server.replies = [away] * 6
        with pytest.raises(SourceError, match="redirected more than 5 times"):
            client(clock).get(server.url)

    @pytest.mark.parametrize("address", ["nonsense", "http://", "https://[bad"])
    def test_names_an_address_that_is_none(self, clock: Clock, address: str) -> None:
        with pytest.raises(SourceError, match="not an address that can be asked"):
            client(clock).get(address)

    def test_never_shows_a_password(self, clock: Clock) -> None:
        with pytest.raises(SourceError) as raised:
            client(clock, attempts=1).get("http://user:secret@127.0.0.1:9/")

        assert "secret" not in str(raised.value)


@pytest.fixture
def site() -> Iterator[WebServer]:
    with web_server() as running:
        yield running


def bomb(size: int) -> bytes:
    """One gzip stream that unpacks to `size` zeros (a multiple of 16 MB), made in no time.

    A flushed block depends on nothing before it, so it may be repeated. The check sum at the end would be
    wrong; whoever gets there has unpacked everything.
    """
    packer = zlib.compressobj(9, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    head = packer.flush(zlib.Z_FULL_FLUSH)
    block = packer.compress(bytes(16_000_000)) + packer.flush(zlib.Z_FULL_FLUSH)
    return head + block * (size // 16_000_000)


class TestLargeAnswers:
    def test_a_gigabyte_of_zeros_in_a_megabyte_costs_no_more_than_the_limit(
        self, site: WebServer, clock: Clock
    ) -> None:
        packed = bomb(1_008_000_000)
        assert len(packed) < 1_100_000
        site.pages["/"] = Reply(body=packed, headers={"Content-Encoding": "gzip"})
        asking = client(clock)

        tracemalloc.start()
        began = time.perf_counter()
        try:
            with pytest.raises(SourceError, match="larger than 5,000,000 bytes"):
                asking.get(site.url, largest=5_000_000)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

        assert peak < 6_000_000 + len(packed) + 100_000  # the server's copies are in this process too
        assert time.perf_counter() - began < 5
        assert len(site.asked) == 1

    def test_an_announced_length_above_the_limit_is_not_read(self, site: WebServer, clock: Clock) -> None:
        sent = []

        def hundred_megabytes(wire: BinaryIO) -> None:
            wire.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n")
            for _piece in range(1_000):
                wire.write(bytes(100_000))
                sent.append(100_000)

        site.pages["/"] = Reply(raw=hundred_megabytes)

        with pytest.raises(SourceError, match="larger than 5,000,000 bytes"):
            client(clock).get(site.url, largest=5_000_000)

        assert sum(sent) < 20_000_000  # what the system's buffers take

    def test_a_length_that_is_not_announced_is_read_up_to_the_limit(
        self, site: WebServer, clock: Clock
    ) -> None:
        sent = []

        def endless(wire: BinaryIO) -> None:
            wire.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            while True:
                wire.write(b"186a0\r\n" + bytes(100_000) + b"\r\n")
                sent.append(100_000)

        site.pages["/"] = Reply(raw=endless)

        with pytest.raises(SourceError, match="larger than 5,000,000 bytes"):
            client(clock).get(site.url, largest=5_000_000)

        assert sum(sent) < 25_000_000

    def test_the_body_of_a_redirect_is_not_read(self, site: WebServer, clock: Clock) -> None:
        site.pages["/"] = Reply(
            status=302,
            body=bomb(160_000_000),
            headers={"Content-Encoding": "gzip", "Location": "/list"},
        )
        site.pages["/list"] = b"[]"

        tracemalloc.start()
        try:
            assert client(clock).get(site.url).body == b"[]"
            assert tracemalloc.get_traced_memory()[1] < 2_000_000
        finally:
            tracemalloc.stop()

    @pytest.mark.parametrize(
        ("packing", "packed"),
        [
            ("gzip", gzip.compress(b"[1]", mtime=0)),
            ("x-gzip", gzip.compress(b"[", mtime=0) + gzip.compress(b"1]", mtime=0) + b"\0" * 10),
            ("deflate", zlib.compress(b"[1]")),
            ("deflate", zlib.compress(b"[1]")[2:-4]),
            ("identity", b"[1]"),
            ("", b"[1]"),
        ],
    )
    def test_unpacks_what_servers_send(
        self, site: WebServer, clock: Clock, packing: str, packed: bytes
    ) -> None:
        site.pages["/"] = Reply(body=packed, headers={"Content-Encoding": packing})

        assert client(clock).get(site.url).body == b"[1]"

    @pytest.mark.parametrize(
        ("packing", "packed"),
        [
            ("gzip", b"[1]"),
            ("gzip", gzip.compress(b"[1]", mtime=0)[:-9]),
            ("gzip", gzip.compress(b"", mtime=0) * 2_000),
            ("deflate", b"\xff\xff\xff"),
            ("br", b"[1]"),
            ("gzip, gzip", gzip.compress(gzip.compress(b"[1]", mtime=0), mtime=0)),
        ],
    )
    def test_says_when_it_cannot_unpack(
        self, site: WebServer, clock: Clock, packing: str, packed: bytes
    ) -> None:
        site.pages["/"] = Reply(body=packed, headers={"Content-Encoding": packing})

        with pytest.raises(SourceError, match="could not be unpacked"):
            client(clock, attempts=1).get(site.url)


def drip(*, before: bytes = b"", piece: bytes, seconds: float = 0.02) -> Callable[[BinaryIO], None]:
    """Sends `before`, then `piece` after piece until the other side hangs up."""

    def write(wire: BinaryIO) -> None:
        wire.write(before)
        while True:
            wire.write(piece)
            wire.flush()
            time.sleep(seconds)

    return write


@pytest.mark.parametrize("size", [b"-5", b"zz"])
def test_a_chunk_of_no_size_is_a_broken_answer(site: WebServer, clock: Clock, size: bytes) -> None:
    def answer(out: BinaryIO) -> None:
        out.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + size + b"\r\nabc")

    site.pages["/"] = Reply(raw=answer)

    with pytest.raises(SourceError, match="broke in the middle"):
        client(clock, attempts=1).get(site.url + "/")


class TestSlowAnswers:
    @pytest.mark.parametrize(
        ("before", "piece"),
        [
            (b"HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n", b"x"),
            (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\n", b"x"),  # inside one chunk
            (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
            (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"0"),  # in a chunk's length
            (b"HTTP/1.1 200 OK\r\nX-Long: ", b"x"),  # in a header
            (b"HTTP/1.1 200 OK\r\n", b"X-More: y\r\n"),
            (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        ],
    )
    def test_a_drip_ends_with_the_time_of_the_attempt(
        self, site: WebServer, clock: Clock, before: bytes, piece: bytes, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("digest.sources.http.ATTEMPT_SECONDS", 0.3)
        site.pages["/"] = Reply(raw=drip(before=before, piece=piece))
        began = time.monotonic()

        with pytest.raises(SourceError, match=r"within 0\.3 s"):
            client(clock, attempts=1).get(site.url)

        assert time.monotonic() - began < 2

    def test_redirects_share_the_time_of_one_attempt(
        self, site: WebServer, clock: Clock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("digest.sources.http.ATTEMPT_SECONDS", 0.3)
        site.pages["/"] = Reply(status=302, headers={"Location": "/"}, delay_seconds=0.2)
        began = time.monotonic()

        with pytest.raises(SourceError, match=r"within 0\.3 s"):
            client(clock, attempts=1).get(site.url)

        assert time.monotonic() - began < 2

    def test_with_little_left_of_the_budget_an_attempt_is_shorter(self, site: WebServer) -> None:
        site.pages["/"] = b"[]"
        asking = Client(budget_seconds=10, pace=Pace())

        asking.get(site.url)

        assert asking._limit.seconds == 30

    def test_headers_without_end_are_refused(self, site: WebServer, clock: Clock) -> None:
        site.pages["/"] = Reply(raw=drip(before=b"HTTP/1.1 200 OK\r\n", piece=b"X: y\r\n" * 500, seconds=0))

        with pytest.raises(SourceError, match="connection failed"):
            client(clock, attempts=1).get(site.url)


class TestRedirects:
    @pytest.mark.parametrize(
        ("statuses", "moved_to"),
        [([301], "/1"), ([308, 301], "/2"), ([302], ""), ([301, 302], "/1"), ([307, 301], ""), ([], "")],
    )
    def test_says_where_a_list_has_moved_for_good(
        self, site: WebServer, clock: Clock, statuses: list[int], moved_to: str
    ) -> None:
        for number, status in enumerate(statuses):
            site.pages[f"/{number}"] = Reply(status=status, headers={"Location": f"/{number + 1}"})
        site.pages[f"/{len(statuses)}"] = b"[]"

        answer = client(clock).get(f"{site.url}/0")

        assert answer.url == f"{site.url}/0"
        assert answer.final_url == f"{site.url}/{len(statuses)}"
        assert answer.moved_to == (site.url + moved_to if moved_to else "")

    def test_a_password_stays_with_its_host(self, site: WebServer, clock: Clock) -> None:
        with web_server() as elsewhere:
            elsewhere.pages["/"] = b"[]"
            site.pages["/"] = Reply(status=302, headers={"Location": elsewhere.url})

            client(clock).get(f"http://user:secret@{site.host}/", headers={"X-Key": "secret"})

            assert site.asked[0].headers["authorization"].startswith("Basic ")
            assert elsewhere.asked[0].headers.keys().isdisjoint({"authorization", "x-key"})

    @pytest.mark.parametrize(
        "target", ["ftp://127.0.0.1/", "file:///etc/passwd", "http://", "http://[bad", "gopher://x", ""]
    )
    def test_leads_to_the_web_only(self, site: WebServer, clock: Clock, target: str) -> None:
        site.pages["/"] = Reply(status=301, headers={"Location": target})

        with pytest.raises(SourceError, match=r"no web address|more than 5 times"):
            client(clock).get(site.url)

    def test_an_address_in_utf_8_is_followed(self, site: WebServer, clock: Clock) -> None:
        site.pages["/"] = Reply(
            raw=lambda wire: wire.write(  # type: ignore[arg-type,return-value]
                "HTTP/1.1 302 Found\r\nLocation: /für\r\nContent-Length: 0\r\n\r\n".encode()
            )
        )
        site.pages["/f%C3%BCr"] = b"[]"

        assert client(clock).get(site.url).body == b"[]"


class TestPostJson:
    def test_sends_json_and_gives_the_answer(self, site: WebServer, clock: Clock) -> None:
        site.pages["/batch"] = b'{"a": 1}'

        answer = client(clock).post_json(
            f"{site.url}/batch", {"ids": ["ARXIV:2608.00001", "é"]}, headers={"x-api-key": "k"}
        )

        assert answer.body == b'{"a": 1}'
        (asked,) = site.asked
        assert (asked.method, json.loads(asked.body)) == ("POST", {"ids": ["ARXIV:2608.00001", "é"]})
        assert (asked.headers["content-type"], asked.headers["x-api-key"]) == ("application/json", "k")

    def test_is_repeated_like_a_get(self, site: WebServer, clock: Clock) -> None:
        replies = iter([Reply(status=503), Reply(body=b"{}")])
        site.pages["/"] = lambda _asked: next(replies)

        assert client(clock).post_json(site.url, {}).body == b"{}"
        assert [asked.body for asked in site.asked] == [b"{}", b"{}"]

    @pytest.mark.parametrize("status", [301, 307, 308])
    def test_never_follows_a_redirect(self, site: WebServer, clock: Clock, status: int) -> None:
        site.pages["/"] = Reply(status=status, headers={"Location": "/elsewhere"})

        with pytest.raises(SourceError, match=rf"gave no answer: it answered {status}.*\(POST "):
            client(clock).post_json(site.url, {"secret": 1})

        assert len(site.asked) == 1


class TestTurn:
    def test_is_taken_for_each_attempt_and_given_back_before_the_wait(
        self, site: WebServer, clock: Clock
    ) -> None:
        happened: list[str] = []

        @contextmanager
        def turn() -> Iterator[None]:
            happened.append("in")
            yield
            happened.append("out")

        replies = iter([Reply(status=503), Reply(body=b"[]")])

        def answer(_asked: Asked) -> Reply:
            happened.append("asked")
            return next(replies)

        site.pages["/"] = answer

        client(clock, turn=turn, sleep=lambda _seconds: happened.append("wait")).get(site.url)

        assert happened == ["in", "asked", "out", "wait", "in", "asked", "out"]

    def test_that_is_refused_asks_nobody(self, site: WebServer, clock: Clock) -> None:
        @contextmanager
        def closed() -> Iterator[None]:
            raise SourceError("closed until noon", retry_at=NOON)
            yield

        with pytest.raises(SourceError, match="closed until noon"):
            client(clock, turn=closed).get(site.url)

        assert site.asked == []


class TestPublicOnly:
    @pytest.fixture
    def asking(self, clock: Clock) -> Client:
        return client(clock, is_public_only=True)

    @pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "0.0.0.0", "2130706433", "0x7f.1"])
    def test_never_connects_to_this_machine(
        self, site: WebServer, asking: Client, host: str, clock: Clock
    ) -> None:
        site.pages["/"] = b"secret"
        port = site.host.partition(":")[2]

        with pytest.raises(
            SourceError, match=r"the address leads to .* not on the public internet"
        ) as raised:
            asking.get(f"http://{host}:{port}/")

        assert site.asked == []
        assert "TRUSTED_FEED_HOSTS" in str(raised.value)
        assert clock.slept == []  # it will not be another address in two seconds

    @pytest.mark.parametrize("by", ["host", "host and port"])
    def test_an_operator_may_except_a_host(
        self, site: WebServer, asking: Client, settings: Any, by: str
    ) -> None:
        settings.TRUSTED_FEED_HOSTS = ["127.0.0.1" if by == "host" else site.host]
        site.pages["/"] = b"a feed"

        assert asking.get(site.url).body == b"a feed"

    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    def test_is_checked_after_each_redirect(
        self, site: WebServer, asking: Client, settings: Any, status: int
    ) -> None:
        with web_server() as private:
            private.pages["/"] = b"secret"
            settings.TRUSTED_FEED_HOSTS = [site.host]
            site.pages["/"] = Reply(status=302, headers={"Location": "/next"})
            site.pages["/next"] = Reply(status=status, headers={"Location": private.url})

            with pytest.raises(SourceError, match="the address leads to 127"):
                asking.get(site.url)

            assert private.asked == []

    def test_a_stranger_cannot_redirect_to_an_excepted_host(
        self, site: WebServer, asking: Client, settings: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The first server plays one on the internet: the check of its connection is left out."""
        settings.TRUSTED_FEED_HOSTS = ["127.0.0.1:9999", site.host]
        site.pages["/"] = b"secret"
        with web_server() as stranger:
            stranger.pages["/"] = Reply(status=302, headers={"Location": site.url})
            checked: list[str] = []

            def check(address: str) -> None:
                checked.append(address)
                if len(checked) > 2:
                    raise http_guard.NotPublic(f"leads to {address}")

            monkeypatch.setattr("digest.sources.guard.check_network", check)

            with pytest.raises(SourceError, match=r"leads to 127\.0\.0\.1"):
                asking.get(stranger.url)

        assert site.asked == []

    def test_a_name_that_changes_its_meaning_changes_nothing(
        self, site: WebServer, asking: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """DNS rebinding: public when it is checked, private when it is used. It is looked up once."""
        looked_up: list[str] = []
        connected: list[Any] = []

        def getaddrinfo(host: str, port: int, *_args: Any, **_kwargs: Any) -> list[Any]:
            looked_up.append(host)
            address = "93.184.215.14" if len(looked_up) == 1 else "127.0.0.1"
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

        def connect(_sock: socket.socket, address: Any) -> None:
            connected.append(address)
            raise ConnectionRefusedError("refused")

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
        monkeypatch.setattr(socket.socket, "connect", connect)
        port = int(site.host.partition(":")[2])

        with pytest.raises(SourceError, match="leads to 127"):  # at the second attempt: looked up, checked
            asking.get(f"http://feed.example:{port}/")

        assert looked_up == ["feed.example", "feed.example"]
        assert connected == [("93.184.215.14", port)]

    def test_one_private_address_among_public_ones_is_enough(
        self, asking: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def getaddrinfo(_host: str, port: int, *_args: Any, **_kwargs: Any) -> list[Any]:
            return [
                (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("93.184.215.14", port)),
                (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("fd00:ec2::254", port, 0, 0)),
            ]

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)

        with pytest.raises(SourceError, match="leads to fd00:ec2::254"):
            asking.get("http://feed.example/")

    def test_goes_through_no_proxy(
        self, site: WebServer, asking: Client, settings: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A proxy would look the name up itself, and connect wherever it likes."""
        with web_server() as proxy:
            for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
                monkeypatch.setenv(name, proxy.url)
            settings.TRUSTED_FEED_HOSTS = [site.host]
            site.pages["/"] = b"a feed"

            asking.get(site.url)

            assert proxy.asked == []

    def test_still_verifies_the_host_name(self, asking: Client) -> None:
        """The connection goes to a number, the certificate is that of the name."""
        pools = asking._guarded.poolmanager.connection_from_url("https://feed.example/")
        connection = pools._new_conn()

        assert (connection.host, connection.assert_hostname) == ("feed.example", None)
        assert connection.is_public_only

    @pytest.mark.parametrize(
        ("address", "problem"),
        [
            ("http://feed.example:22/", "port 22"),
            ("http://feed.example:6379/", "port 6379"),
            ("http://user:secret@feed.example/", "name or a password"),
        ],
    )
    def test_refuses_what_is_no_feed_s_address(self, asking: Client, address: str, problem: str) -> None:
        with pytest.raises(SourceError, match=problem) as raised:
            asking.get(address)

        assert "secret" not in str(raised.value)


class TestPace:
    def test_one_request_a_second_to_a_host(self) -> None:
        pace = Pace()

        waits = [
            pace.take(host, now=10.0, longest_seconds=60) for host in ("a.example", "a.example", "b.example")
        ]

        assert waits == [0, 1, 0]

    def test_this_machine_is_not_paced(self) -> None:
        pace = Pace()

        assert [pace.take("127.0.0.1", now=10.0, longest_seconds=60) for _turn in range(3)] == [0, 0, 0]


class TestAskedWait:
    @pytest.mark.parametrize(
        ("headers", "seconds"),
        [
            ({}, None),
            ({"Retry-After": "120"}, 120),
            ({"Retry-After": "Fri, 24 Jul 2026 12:01:00 GMT"}, 60),
            ({"Retry-After": "Fri, 24 Jul 2020 12:01:00 GMT"}, 0),
            ({"Retry-After": "soon"}, None),
            ({"Retry-After": "-5"}, None),
            ({"Retry-After": "9" * 40}, 7 * 86_400),
            ({"RateLimit": '"api";r=0;t=213'}, 214),
            ({"RateLimit": '"api";r=1;t=213'}, None),
            ({"Retry-After": "5", "RateLimit": '"api";r=0;t=213'}, 5),
            ({"RateLimit": "nonsense"}, None),
        ],
    )
    def test_reads_both_headers(self, headers: dict[str, str], seconds: int | None) -> None:
        assert asked_wait(headers, now=NOON) == (None if seconds is None else timedelta(seconds=seconds))
