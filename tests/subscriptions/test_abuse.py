import logging
from datetime import UTC, datetime, timedelta

import pytest
from django.core.cache import cache
from django.test import RequestFactory

from subscriptions import abuse
from subscriptions.abuse import TooMany

NOON = datetime(2026, 8, 21, 12, 0, 5, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _empty_cache():
    cache.clear()


def request(peer: str, forwarded: str = ""):
    headers = {"HTTP_X_FORWARDED_FOR": forwarded} if forwarded else {}
    return RequestFactory().post("/subscribe/", REMOTE_ADDR=peer, **headers)


class TestSender:
    @pytest.mark.parametrize(
        ("peer", "forwarded", "sender"),
        [
            ("203.0.114.9", "", "203.0.114.9"),
            ("203.0.114.9", "8.8.8.8", "203.0.114.9"),  # not from a proxy of ours: made up
            ("127.0.0.1", "8.8.8.8", "8.8.8.8"),
            ("10.1.2.3", "1.2.3.4, 8.8.8.8", "8.8.8.8"),  # the client wrote 1.2.3.4
            ("10.1.2.3", "nonsense", "10.1.2.3"),
            ("2a02:8109:1:2:3:4:5:6", "", "2a02:8109:1:2::/64"),
            ("::ffff:8.8.8.8", "", "8.8.8.8"),
            ("", "", "unknown"),
        ],
    )
    def test_is_what_the_nearest_trusted_hop_saw(self, peer, forwarded, sender):
        assert abuse.sender(request(peer, forwarded)) == sender


class TestLimits:
    def test_ten_tries_in_a_minute_and_the_end_is_told(self):
        for _ in range(10):
            abuse.count_sender(request("8.8.8.8"), now=NOON)

        with pytest.raises(TooMany) as caught:
            abuse.count_sender(request("8.8.8.8"), now=NOON)

        assert caught.value.tries == "10 tries in one minute"
        assert caught.value.until == datetime(2026, 8, 21, 12, 1, tzinfo=UTC)

    def test_another_sender_and_the_next_minute_are_free(self):
        for _ in range(10):
            abuse.count_sender(request("8.8.8.8"), now=NOON)

        abuse.count_sender(request("8.8.4.4"), now=NOON)
        abuse.count_sender(request("8.8.8.8"), now=NOON + timedelta(minutes=1))

    def test_three_mails_an_hour_to_one_address(self):
        for _ in range(3):
            abuse.count_address("mira@lab.example", now=NOON)

        with pytest.raises(TooMany, match="3 mails to one address in one hour"):
            abuse.count_address("mira@lab.example", now=NOON)
        abuse.count_address("other@lab.example", now=NOON)

    def test_the_longest_wait_is_told(self):
        for hour in range(2):
            for _ in range(3):
                abuse.count_address("mira@lab.example", now=NOON + timedelta(hours=hour))

        with pytest.raises(TooMany) as caught:
            abuse.count_address("mira@lab.example", now=NOON + timedelta(hours=2))

        assert caught.value.until == datetime(2026, 8, 22, tzinfo=UTC)

    def test_no_address_stands_in_redis(self):
        abuse.count_address("mira@lab.example", now=NOON)

        client = cache._cache.get_client()
        assert not [key for key in client.keys("*") if b"mira" in key]

    def test_everything_is_allowed_and_logged_while_redis_is_away(self, settings, caplog):
        settings.CACHES = {
            "default": {
                "BACKEND": "django.core.cache.backends.redis.RedisCache",
                "LOCATION": "redis://127.0.0.1:9/0",
            }
        }

        with caplog.at_level(logging.WARNING):
            for _ in range(20):
                abuse.count_sender(request("8.8.8.8"), now=NOON)

        assert "No limit on sign-ups while Redis does not answer" in caplog.text


def test_a_filled_trap_is_noticed():
    factory = RequestFactory()

    assert abuse.is_trapped(factory.post("/", {"website": "http://spam.example"}))
    assert not abuse.is_trapped(factory.post("/", {"website": ""}))
