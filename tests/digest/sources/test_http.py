"""The polite GET, over a real socket."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from digest.sources.http import Client, Pace, SourceError, asked_wait, user_agent
from tests.servers import HuggingFaceServer, Reply, huggingface_server

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
