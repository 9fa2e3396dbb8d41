import time

from subscriptions.mail import limits


class TestWaitForTurn:
    def test_spreads_messages_over_time(self, settings):
        settings.MAX_RATE = 50.0
        limits._client().delete(limits._KEY)
        started = time.monotonic()

        for _ in range(11):
            limits.wait_for_turn()

        assert time.monotonic() - started >= 10 / 50

    def test_without_a_limit_nobody_waits_or_asks_redis(self, settings, monkeypatch):
        settings.MAX_RATE = 0.0
        monkeypatch.setattr(limits, "_client", None)
        limits.wait_for_turn()

    def test_each_worker_keeps_the_rate_where_redis_does_not_answer(self, settings, monkeypatch, caplog):
        settings.MAX_RATE = 100.0
        unreachable = limits.redis.Redis.from_url("redis://127.0.0.1:9/0", socket_connect_timeout=1)
        monkeypatch.setattr(limits, "_client", lambda: unreachable)
        started = time.monotonic()

        limits.wait_for_turn()

        assert time.monotonic() - started >= 0.01
        assert "MAX_RATE is kept by this worker alone" in caplog.text
