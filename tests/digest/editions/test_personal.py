from datetime import timedelta

import pytest

from digest.editions import personal
from digest.models import Digest, Edition, Received
from subscriptions import privacy
from subscriptions.mail import ledger
from subscriptions.models.delivery import delivery_id
from tests.factories import DAY, MORNING_AFTER, PaperFactory, SubscriberFactory, open_mailing

pytestmark = pytest.mark.django_db


@pytest.fixture
def digests():
    """Two readers with a digest of one edition each; the subscriber ids."""
    mailing = open_mailing()
    edition = Edition.objects.create(kind="daily", date=DAY, mailing=mailing, opened_at=MORNING_AFTER)
    ledger.add_partition("digest_digest", mailing.pk)
    papers = [PaperFactory(title=f"Paper {n}") for n in range(3)]
    ids = []
    for reader in (SubscriberFactory(), SubscriberFactory()):
        key = delivery_id(mailing.pk, reader.pk)
        Digest.objects.create(
            id=key,
            subscriber_id=reader.pk,
            edition_id=edition.pk,
            language="en",
            length="one_line",
            sections=[
                {"topic": 1, "filter": 1, "papers": [papers[1].pk, papers[0].pk]},
                {"topic": 2, "filter": 2, "papers": [papers[1].pk]},
            ],
            top=[papers[2].pk],
        )
        Received.objects.create(id=key, subscriber_id=reader.pk, day=DAY, paper_ids=[papers[0].pk])
        ids.append(reader.pk)
    return ids


def test_the_export_names_each_paper_once_in_order(digests):
    known = privacy.export(digests[0])["digests"]

    assert len(known) == 1
    assert known[0]["edition"] == f"daily {DAY}"
    assert [paper["title"] for paper in known[0]["papers"]] == ["Paper 1", "Paper 0", "Paper 2"]


def test_erasing_one_reader_leaves_the_other_alone(digests):
    privacy.erase(digests[0], now=MORNING_AFTER + timedelta(hours=1))

    assert personal.export(digests[0]) == []
    assert list(Digest.objects.values_list("subscriber_id", flat=True)) == [digests[1]]
    assert list(Received.objects.values_list("subscriber_id", flat=True)) == [digests[1]]
