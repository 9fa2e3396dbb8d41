"""Why a reader got a paper or not, for operators."""

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from digest.editions import compose, schedule
from digest.models import Paper
from subscriptions import topics
from subscriptions.models import Subscriber
from tests.factories import (
    DAY,
    MORNING_AFTER,
    NOON,
    SubscribedTopicFactory,
    SubscriberFactory,
    TopicFactory,
    listed_paper,
)
from tests.operator import admin_client

__all__ = ["admin_client"]

pytestmark = pytest.mark.django_db


@pytest.fixture
def reader() -> Subscriber:
    listed_paper(title="Agents: <b>a survey</b>", abstract="")
    subscriber = SubscriberFactory()
    revision = topics.filter_revision("agent -survey", now=NOON)
    topic = TopicFactory(name="Agents", filter=revision, owner=subscriber, slug=None)
    SubscribedTopicFactory(subscriber=subscriber, topic=topic)
    edition = schedule.open_edition("daily", DAY, now=MORNING_AFTER)
    assert edition is not None
    compose.compose(edition, now=MORNING_AFTER)
    return subscriber


def address(reader: Subscriber) -> str:
    return f"/admin/subscriptions/subscriber/{reader.pk}/why/"


def test_the_reader_s_page_leads_to_a_line_for_the_paper(admin_client: Client, reader: Subscriber) -> None:
    own = admin_client.get(f"/admin/subscriptions/subscriber/{reader.pk}/change/")
    page = admin_client.get(address(reader))

    assert f'href="{address(reader)}"' in own.content.decode()
    assert page.status_code == 200
    assert 'name="paper"' in page.content.decode()


def test_a_paper_is_told_of_stage_by_stage(admin_client: Client, reader: Subscriber) -> None:
    page = admin_client.get(address(reader), {"paper": Paper.objects.get().url})

    body = page.content.decode()
    assert "You did not get it because Agents does not find it" in body
    assert "To get it next time: take NOT survey out of the filter of Agents." in body
    assert "Filter: failed" in body
    assert "no   NOT survey\n" in body
    assert "Agents: &lt;b&gt;a survey&lt;/b&gt;" in body
    assert "<b>a survey</b>" not in body


def test_what_is_typed_wrong_is_answered_on_the_page(admin_client: Client, reader: Subscriber) -> None:
    nothing = admin_client.get(address(reader), {"paper": " "})
    unknown = admin_client.get(address(reader), {"paper": "<i>no\0paper"})

    assert nothing.status_code == unknown.status_code == 200
    assert "This field is required." in nothing.content.decode()
    assert "<i>no" not in unknown.content.decode()


def test_only_who_may_see_readers_sees_it(reader: Subscriber) -> None:
    clerk = User.objects.create(username="clerk", is_staff=True)
    client = Client()
    client.force_login(clerk)

    refused = client.get(address(reader))
    clerk.user_permissions.add(Permission.objects.get(codename="view_subscriber"))

    assert refused.status_code == 403
    assert client.get(address(reader)).status_code == 200
    assert client.get("/admin/subscriptions/subscriber/999999/why/").status_code == 404
