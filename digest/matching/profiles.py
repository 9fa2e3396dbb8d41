"""What a reader wants of a topic, as the ranker reads it: its words, and papers liked and disliked."""

import hashlib
import json
import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet

from digest.matching import packing, space
from digest.matching.features import Prepared
from digest.models import PreparedProfile
from subscriptions import interests
from subscriptions.models import Topic

log = logging.getLogger(__name__)

_AT_ONCE = 200  # topics prepared between two looks at the clock: a second or two

Prepare = Callable[[Mapping[str, Any]], Prepared | None]  # as Ranker.prepare
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


# --- prepared once, for all days ----------------------------------------------------------------------------


def prepared(
    topics: Iterable[Topic], *, space_id: int | None, prepare: Prepare, encoder: str = ""
) -> dict[int, Prepared]:
    """By topic id, those that say something; from storage where they are as the topics say now, else made
    (7 ms each) and stored. Two queries, two more where some were made.

    `space_id`: of the space that `prepare` works in, None for the starter. `encoder`: its encoder's name.
    """
    wanted = {topic.pk: (topic, profile) for topic in topics if (profile := of_topic(topic))}
    prints = {pk: _fingerprint(profile, encoder) for pk, (_topic, profile) in wanted.items()}
    found: dict[int, Prepared] = {}
    rows = PreparedProfile.objects.filter(topic__in=wanted, space=space_id)
    for topic_id, fingerprint, data in rows.values_list("topic_id", "fingerprint", "data"):
        if fingerprint == prints[topic_id]:
            try:
                found[topic_id] = packing.unpack(bytes(data))
            except packing.BadProfileError as error:
                log.info("The profile of topic %s is made anew: %s", topic_id, error)
    made = {
        pk: one
        for pk, (_topic, profile) in wanted.items()
        if pk not in found and (one := prepare(profile)) is not None
    }
    PreparedProfile.objects.bulk_create(
        [
            PreparedProfile(
                topic_id=pk,
                space_id=space_id,
                # An encoder may have failed: then the next who asks with it makes the profile again.
                fingerprint=prints[pk] if one.sense or not encoder else "",
                data=packing.pack(one, exactly=True),
            )
            for pk, one in made.items()
        ],
        update_conflicts=True,
        unique_fields=["topic", "space"],
        update_fields=["fingerprint", "data"],
    )
    return found | made


def project(*, space_id: int, prepare: Prepare, seconds: float, encoder: str = "") -> int:
    """Prepare topics that readers follow in a space that is not in use yet, for at most `seconds`; how many
    are left."""
    ends = time.monotonic() + seconds
    left = _unprepared(space_id)
    while time.monotonic() < ends:
        some = list(left.select_related("filter")[:_AT_ONCE])
        if not some:
            return 0
        if not prepared(some, space_id=space_id, prepare=prepare, encoder=encoder):
            return 0  # what says nothing in this space will not say more
    return left.count()


def _unprepared(space_id: int) -> "QuerySet[Topic]":
    has_one = PreparedProfile.objects.filter(topic=OuterRef("pk"), space=space_id)
    says_something = ~Q(keywords=[]) | Q(owner__isnull=False) & ~Q(description="")
    followed = Topic.objects.filter(says_something, ~Exists(has_one), subscribed__isnull=False)
    return followed.distinct().order_by("pk")


def _fingerprint(profile: Mapping[str, Any], encoder: str) -> str:
    said = json.dumps([packing.VERSION, space.starter_print(), encoder, profile], sort_keys=True)
    return hashlib.sha256(said.encode()).hexdigest()
