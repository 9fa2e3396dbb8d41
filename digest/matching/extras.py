"""The matcher's extras as this installation has set them up, and their work in the background.

Nobody ever waits for either: who ranks papers takes the vectors and grades that are there. So both are made
while a day's papers come in, hours before its edition opens. See docs/matching-extras.md.
"""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

import numpy as np
from django.conf import settings
from django.core.cache import cache
from django.db.models import Count

from digest.matching import encoders, judge
from digest.matching.documents import document
from digest.matching.encoders import NoEncoder, Remembering, paper_text
from digest.matching.index import DayIndex
from digest.matching.judge import Candidate, Interest, Judged
from digest.matching.rank import Ranker
from digest.models import Paper
from subscriptions.filters import FilterError, parse
from subscriptions.models import Subscriber, Topic

DAYS = 4  # listing days up to today: what the next edition may hold
MOST_AT_ONCE = 200  # vectors that somebody who composes may wait for: 4 s with minilm
_PIECE = 20  # vectors made between two looks at the clock


def encoder(*, most_new: int | None = MOST_AT_ONCE) -> Remembering | None:
    """The encoder that SEMANTIC_MODEL names; None where it is off, not installed or broken.

    With `most_new` it refuses (NoEncoder) to make more vectors of papers than that at once.
    """
    if settings.SEMANTIC_MODEL == "off":
        return None
    found = encoders.available(settings.SEMANTIC_MODEL)
    return None if found is None else _remembering(found, most_new)


@lru_cache(maxsize=4)
def _remembering(found: encoders.Encoder, most_new: int | None) -> Remembering:
    return Remembering(found, store=cache, most_new=most_new)


def encode_recent(*, now: datetime, seconds: float = 90.0, stop: Callable[[], bool] = lambda: False) -> int:
    """Make the vectors of the last days' papers, for at most `seconds`; how many were made."""
    patient = encoder(most_new=None)
    if patient is None:
        return 0
    began = time.monotonic()
    days = _days(now)
    recent = Paper.objects.listed_between(days[-1], days[0]).order_by("-first_listed_on", "-pk")
    texts = patient.without([paper_text(paper.title, paper.abstract) for paper in recent])
    made = 0
    for start in range(0, len(texts), _PIECE):
        if time.monotonic() - began > seconds or stop():
            break
        piece = texts[start : start + _PIECE]
        try:
            patient.encode(piece)
        except NoEncoder:
            break
        made += len(piece)
    return made


def judge_recent(*, now: datetime, seconds: float = 90.0, stop: Callable[[], bool] = lambda: False) -> Judged:
    """Let the language model grade the best of the newest papers, for the topics that most readers follow."""
    if not judge.is_on():
        return Judged(stopped="The judge is off.")
    return judge.judge_due(best_of_followed(now=now), now=now, seconds=seconds, stop=stop)


def interest_of(topic: Topic) -> Interest:
    """As the judge is asked about a topic, and its grades are kept."""
    return Interest(name=topic.name, keywords=topic.keywords, sentence=topic.description)


def best_of_followed(*, now: datetime) -> Iterator[tuple[Interest, list[Candidate]]]:
    """What the ranker puts first among the newest day's papers, best first, for each catalogue topic with
    keywords that active readers follow; the topics with most readers first."""
    topics = list(
        Topic.objects.catalogue()
        .exclude(keywords=[])
        .filter(subscribed__subscriber__status=Subscriber.Status.ACTIVE, subscribed__muted=False)
        .annotate(readers=Count("subscribed"))
        .order_by("-readers", "pk")
    )
    papers = _newest(now) if topics else []
    if not papers:
        return
    index = DayIndex([document(paper) for paper in papers])
    ranker = Ranker().fit([_as_mapping(paper) for paper in papers], index=index)
    for topic in topics:
        try:
            found = list(index.evaluate(parse(topic.filter.canonical)))
        except FilterError:
            continue  # composing says so, to those who can mend it
        interest = interest_of(topic)
        scores = ranker.score(
            {"name": interest.name, "keywords": list(interest.keywords), "sentence": interest.sentence}
        )
        best = sorted(found, key=lambda position: -np.nan_to_num(scores[position], nan=-np.inf))
        yield (
            interest,
            [
                Candidate(id=papers[at].pk, title=papers[at].title, abstract=papers[at].abstract)
                for at in best[: judge.MOST_PAPERS]
            ],
        )


def _as_mapping(paper: Paper) -> dict[str, str]:
    return {"id": str(paper.pk), "title": paper.title, "abstract": paper.abstract}


def _days(now: datetime) -> list[date]:
    """The last listing days, newest first."""
    today = now.astimezone(UTC).date()
    return [today - timedelta(days=age) for age in range(DAYS)]


def _newest(now: datetime) -> list[Paper]:
    """The papers of the newest of the last days that lists any."""
    for day in _days(now):
        if papers := list(Paper.objects.listed_on(day).order_by("pk")):
            return papers
    return []
