import time
from datetime import UTC, datetime, timedelta

import pytest

from subscriptions import tokens
from subscriptions.models.subscriber import new_key
from subscriptions.tokens import BadToken, Fresh

NOON = datetime(2026, 8, 21, 12, tzinfo=UTC)


def token_of(url: str) -> str:
    return url.rstrip("/").rpartition("/")[2]


class TestUnsubscribe:
    def test_fits_the_header_with_a_host_of_25_characters(self, settings):
        settings.SITE_URL = "https://" + "h" * 25

        assert len(tokens.unsubscribe_url(new_key())) < 70

    def test_survives_any_change_of_keys(self, settings):
        key = new_key()
        url = tokens.unsubscribe_url(key)
        settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "another", []

        assert tokens.read_unsubscribe(token_of(url)) == key

    @pytest.mark.parametrize("text", ["", "short", "x" * 23, "../../etc/passwd/abcde", "ключ" * 5])
    def test_refuses_what_cannot_be_a_key(self, text):
        with pytest.raises(BadToken) as caught:
            tokens.read_unsubscribe(text)

        assert caught.value.reason == "damaged"


class TestPreferences:
    def test_reads_back_the_subscriber(self):
        assert tokens.read_preferences(token_of(tokens.preferences_url(7, now=NOON)), now=NOON) == 7

    def test_works_for_60_days_and_not_a_second_longer(self):
        token = token_of(tokens.preferences_url(7, now=NOON))
        end = NOON + timedelta(days=60)

        assert tokens.read_preferences(token, now=end - timedelta(seconds=1)) == 7
        with pytest.raises(BadToken) as caught:
            tokens.read_preferences(token, now=end)
        assert (caught.value.reason, caught.value.number, caught.value.expired_at) == ("expired", 7, end)

    def test_every_changed_character_damages_it(self):
        token = token_of(tokens.preferences_url(7, now=NOON))

        for place, character in enumerate(token):
            other = "A" if character != "A" else "B"
            with pytest.raises(BadToken) as caught:
                tokens.read_preferences(token[:place] + other + token[place + 1 :], now=NOON)
            assert caught.value.reason == "damaged"

    def test_an_old_key_is_honoured_while_it_is_a_fallback(self, settings):
        settings.SECRET_KEY = "old"
        token = token_of(tokens.preferences_url(7, now=NOON))
        settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "new", ["old"]

        assert tokens.read_preferences(token, now=NOON) == 7

        settings.SECRET_KEY_FALLBACKS = []
        with pytest.raises(BadToken):
            tokens.read_preferences(token, now=NOON)

    def test_thousands_are_made_in_a_second(self):
        started = time.process_time()
        for number in range(5000):
            tokens.preferences_url(number, now=NOON)

        assert time.process_time() - started < 1


class TestPurposes:
    READERS = {
        "preferences": lambda token: tokens.read_preferences(token, now=NOON),
        "confirm": lambda token: tokens.read_confirm(token, now=NOON),
        "digest": tokens.read_digest,
        **{
            str(purpose): lambda token, purpose=purpose: tokens.read_fresh(purpose, token, now=NOON)
            for purpose in Fresh
        },
    }
    URLS = {
        "preferences": lambda: tokens.preferences_url(9, now=NOON),
        "confirm": lambda: tokens.confirm_url(9, now=NOON),
        "digest": lambda: tokens.digest_url(9),
        **{str(p): lambda p=p: tokens.fresh_url(p, 9, now=NOON) for p in Fresh},
    }

    @pytest.mark.parametrize("made_for", list(URLS))
    @pytest.mark.parametrize("read_as", list(READERS))
    def test_a_token_is_good_for_its_own_purpose_only(self, made_for, read_as):
        token = token_of(self.URLS[made_for]())

        if made_for == read_as:
            assert self.READERS[read_as](token) == 9
        else:
            with pytest.raises(BadToken):
                self.READERS[read_as](token)

    def test_a_fresh_link_works_for_15_minutes(self):
        token = token_of(tokens.fresh_url(Fresh.ERASE, 3, now=NOON))

        assert tokens.read_fresh(Fresh.ERASE, token, now=NOON + timedelta(minutes=14, seconds=59)) == 3
        with pytest.raises(BadToken) as caught:
            tokens.read_fresh(Fresh.ERASE, token, now=NOON + timedelta(minutes=15))
        assert caught.value.reason == "expired"

    def test_a_confirmation_works_for_7_days(self):
        token = token_of(tokens.confirm_url(3, now=NOON))

        assert tokens.read_confirm(token, now=NOON + timedelta(days=7, seconds=-1)) == 3
        with pytest.raises(BadToken):
            tokens.read_confirm(token, now=NOON + timedelta(days=7))

    def test_a_digest_link_holds_a_whole_ledger_key(self):
        delivery_id = (2**31 - 1) << 32 | (2**32 - 1)

        assert tokens.read_digest(token_of(tokens.digest_url(delivery_id))) == delivery_id
