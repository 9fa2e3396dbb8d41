"""Why a reader got a paper, or why not: each stage between a source's list and their inbox, and the answer.

Told from what is stored: the sightings, the edition's frozen papers, what each filter found, the reader's
digest and the row of the ledger. Where the reader has no digest of the edition, their topics are taken as
they are now. The words are for the reader, in English; operators read the same.
"""

from datetime import datetime

from django.db import transaction
from django.utils import translation

from digest.editions.why import listing, reader, topics
from digest.editions.why.answer import answer
from digest.editions.why.case import Case
from digest.editions.why.told import Account, Outcome, Stage, TopicAccount
from digest.models import Edition, Paper
from digest.papers import named
from subscriptions.models import Subscriber

__all__ = ["Account", "Outcome", "Stage", "TopicAccount", "why"]


def why(
    subscriber: Subscriber, paper: Paper | str, *, now: datetime, edition: Edition | None = None
) -> Account:
    """Why this reader got the paper or did not; nothing is changed.

    `paper` is a row or any of its names (see digest.papers.named). Without `edition` it is told of the one
    that brought the paper, else of the newest of the reader's kind that lists it. A few dozen queries, and
    the day's index where a filter has not been evaluated for the edition yet.
    """
    row = named.find(paper) if isinstance(paper, str) else paper
    with translation.override("en"):
        if row is None:
            stage = listing.unknown(str(paper).strip())
            sentence = f"You did not get it because {stage.words}."
            return Account(paper=None, edition=None, before=(stage,), sentence=sentence, cure=stage.cure)
        with transaction.atomic():
            told = _told(Case(subscriber, row, now=now, edition=edition))
            transaction.set_rollback(True)  # what a filter found, where it was asked for the first time
    return told


def _told(case: Case) -> Account:
    before = [listing.seen(case), listing.merged(case), listing.withdrawn(case), listing.standing(case)]
    after = [reader.never(case)]
    if case.edition is not None:
        before += [listing.revision(case), reader.membership(case)]
        after += [reader.received(case), reader.delivered(case)]
    of_topics = list(topics.accounts(case))
    sentence, cure = answer(case, before, of_topics, after)
    return Account(
        paper=case.paper,
        edition=case.edition,
        before=tuple(before),
        topics=tuple(of_topics),
        after=tuple(after),
        got=case.receipt is not None and case.receipt.has_arrived,
        sentence=sentence,
        cure=cure,
    )
