"""What is held here about one reader: told in their export, forgotten with them. See privacy.py."""

from typing import Any

from digest.models import Digest, Edition, Feedback, Paper, ReaderModel, Received
from subscriptions.models import Mailing
from subscriptions.models.delivery import delivery_id


def export(subscriber_id: int) -> list[dict[str, Any]]:
    """Each digest made for this reader: its edition and the titles in it, in order, oldest first."""
    digests = list(_digests(subscriber_id).order_by("pk"))
    editions = Edition.objects.in_bulk({digest.edition_id for digest in digests})
    papers = Paper.objects.in_bulk({paper_id for digest in digests for paper_id in _paper_ids(digest)})
    return [
        {
            "edition": str(editions[digest.edition_id]),
            "welcome": digest.is_welcome,
            "papers": [
                {"title": papers[paper_id].title, "url": papers[paper_id].url}
                for paper_id in _paper_ids(digest)
                if paper_id in papers
            ],
        }
        for digest in digests
    ]


def forget(subscriber_id: int) -> None:
    """Delete what this reader was sent, and the memory that keeps a paper from coming twice."""
    _digests(subscriber_id).delete()
    Received.objects.filter(subscriber_id=subscriber_id).delete()


def export_opinions(subscriber_id: int) -> dict[str, Any]:
    """What the reader said of papers, oldest first, and what was learnt from it."""
    said = Feedback.objects.filter(subscriber=subscriber_id).select_related("paper", "topic")
    own = ReaderModel.objects.filter(subscriber=subscriber_id).first()
    return {
        "said": [
            {
                "title": row.paper.title,
                "url": row.paper.url,
                "topic": row.topic.name if row.topic else None,
                "opinion": row.opinion or None,
                "saved_at": row.saved_at.isoformat() if row.saved_at else None,
                "at": row.at.isoformat(),
                "relevance": row.relevance,
            }
            for row in said.order_by("at", "pk")
        ],
        "model": None
        if own is None
        else {
            "weights": own.weights,
            "examples": own.examples,
            "in_use": own.is_better,
            "made_at": own.made_at.isoformat(),
        },
    }


def forget_opinions(subscriber_id: int) -> None:
    """Delete what this reader said, and what was learnt from it. Their mutes go with their topics."""
    Feedback.objects.filter(subscriber=subscriber_id).delete()
    ReaderModel.objects.filter(subscriber=subscriber_id).delete()


def _digests(subscriber_id: int) -> Any:
    # By key, so that PostgreSQL looks into each partition's index; the number of mailings is that of days.
    mailings = Mailing.objects.values_list("pk", flat=True)
    return Digest.objects.filter(pk__in=[delivery_id(mailing_id, subscriber_id) for mailing_id in mailings])


def _paper_ids(digest: Digest) -> list[int]:
    of_topics = [paper_id for section in digest.sections for paper_id in section["papers"]]
    return list(dict.fromkeys([*of_topics, *digest.top]))
