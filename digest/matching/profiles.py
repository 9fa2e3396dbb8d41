"""What a reader wants of a topic, as the ranker reads it: its words, and papers liked and disliked."""

from collections.abc import Mapping, Sequence
from typing import Any

from subscriptions import interests
from subscriptions.models import Topic

Paper = Mapping[str, Any]  # id, title, abstract


def of_topic(topic: Topic, *, liked: Sequence[Paper] = (), disliked: Sequence[Paper] = ()) -> dict[str, Any]:
    """Empty for a pure filter of which no paper was liked: of its papers no relevance can be said.

    A catalogue topic's name says what it is about; a reader's own may be "Mine", and says nothing.
    """
    interest = interests.of_topic(topic)
    if not interest and not liked:
        return {}
    return {
        "name": topic.name if interest and topic.owner_id is None else "",
        "keywords": list(interest.keywords),
        "sentence": interest.sentence,
        "liked": list(liked),
        "disliked": list(disliked),
    }
