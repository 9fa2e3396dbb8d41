import re

import pytest
from django.urls import reverse

from digest.editions import compose, schedule
from digest.models import Digest
from subscriptions import tokens, topics
from tests.factories import (
    DAY,
    MORNING_AFTER,
    NOON,
    SubscribedTopicFactory,
    SubscriberFactory,
    TopicFactory,
    listed_paper,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def digest() -> Digest:
    listed_paper(title="Agents and their harness")
    subscriber = SubscriberFactory(email="ada@lab.example")
    topic = TopicFactory(name="Agents", filter=topics.filter_revision("agent", now=NOON))
    SubscribedTopicFactory(subscriber=subscriber, topic=topic)
    edition = schedule.open_edition("daily", DAY, now=MORNING_AFTER)
    compose.compose(edition, now=MORNING_AFTER)
    return Digest.objects.get()


class TestViewInBrowser:
    def test_shows_the_papers_with_their_reasons(self, client, digest):
        response = client.get(tokens.digest_url(digest.pk).removeprefix("http://127.0.0.1:8000"))
        text = response.content.decode()

        assert response.status_code == 200
        assert "Agents and their harness" in text
        assert text.startswith("<!doctype html>")
        assert "style-src 'unsafe-inline'" in response["Content-Security-Policy"]
        assert "script-src" not in response["Content-Security-Policy"]

    def test_says_nothing_of_the_reader_and_cannot_act_for_them(self, client, digest):
        text = client.get(tokens.digest_url(digest.pk).removeprefix("http://127.0.0.1:8000")).content.decode()

        assert "ada@lab.example" not in text
        assert not re.search(r"/(unsubscribe|preferences|confirm|digest)/", text)
        assert "about:blank" not in text

    def test_a_damaged_link_is_not_found(self, client, digest):
        assert client.get(reverse("own-digest", args=["nonsense"])).status_code == 404

    def test_neither_is_a_digest_that_is_no_longer_kept(self, client, digest):
        path = tokens.digest_url(digest.pk).removeprefix("http://127.0.0.1:8000")
        digest.delete()
        assert client.get(path).status_code == 404
