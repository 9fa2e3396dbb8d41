"""The space in use: the starter, joined by the newest that this installation trained on its own papers."""

import logging
import time
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction

from digest import models
from digest.matching import extras, profiles, rank, space
from digest.matching.documents import document
from digest.matching.index import DayIndex
from digest.models import Paper
from digest.models import Space as Stored
from subscriptions.mail import ledger

log = logging.getLogger(__name__)

TRAINED_EVERY = timedelta(days=7)
DAYS = timedelta(days=30)
PAPERS = 5_000  # taken from further back where the last 30 days have fewer
MOST_PAPERS = 20_000  # of the last 30 days, the newest: some 30 s to index
KEPT = 2  # the one in use, and the one before it


@dataclass(frozen=True, eq=False)
class Ground:
    """A space to rank on. `pk`: of the trained part; None for the starter alone."""

    space: space.Space
    pk: int | None

    @property
    def name(self) -> str:
        """For what is learnt in a space, and means nothing in another."""
        return f"{'starter' if self.pk is None else f'space {self.pk}'} on {space.starter_print()}"


_kept: tuple[int | None, Ground] | None = None  # what was asked for, and what it was


def current() -> Ground:
    """The ground in use. One small query; the space is read once a process, in a tenth of a second.

    A space that cannot be read is as good as none: papers are ranked on the starter, under its name.
    """
    global _kept
    newest = Stored.objects.filter(ready_at__isnull=False).order_by("-pk")
    pk = newest.values_list("pk", flat=True).first()
    kept = _kept
    if kept is None or kept[0] != pk:
        kept = _kept = pk, _ground(pk)
    return kept[1]


def scale() -> rank.Calibration:
    """What this installation's readers taught of the percentages, if they taught enough; one small query."""
    newest = models.Calibration.objects.order_by("-made_at").first()
    return rank.Calibration(newest.intercept, newest.slope) if newest else rank.Calibration()


def unready() -> Ground | None:
    """A space that was trained and is not in use yet, since profiles are still being projected into it."""
    newest = Stored.objects.order_by("-pk").values_list("pk", "ready_at").first()
    return _ground(newest[0]) if newest is not None and newest[1] is None else None


def _ground(pk: int | None) -> Ground:
    if pk is not None:
        try:
            own = space.Space.from_bytes(bytes(Stored.objects.values_list("data", flat=True).get(pk=pk)))
            return Ground(space.starter().joined(own), pk)
        except (space.BadSpaceError, Stored.DoesNotExist) as error:
            log.error("Space %s cannot be read, so papers are ranked on the starter: %s", pk, error)
    return Ground(space.starter(), None)


def is_due(*, now: datetime) -> bool:
    """Whether the newest space is a week old, or there is none."""
    newest = Stored.objects.order_by("-trained_at").values_list("trained_at", flat=True).first()
    return newest is None or newest <= now - TRAINED_EVERY


def train(*, now: datetime) -> Ground | None:
    """Train a space on the papers of the last days; None where there are too few, so that the starter stays.

    It is in use from the moment that `make_ready` says so. Some 10 s for 5,000 papers.
    """
    papers = _recent(now)
    if len(papers) < space.LEAST_PAPERS:
        return None
    index = DayIndex([document(paper) for paper in papers])
    data = space.Space.trained(index).to_bytes()
    with transaction.atomic():
        ledger.lock("space")
        if not is_due(now=now):
            return None  # somebody else trained one meanwhile
        stored = Stored.objects.create(trained_at=now, papers=len(papers), data=data)
    log.info("Space %s was trained on %d papers.", stored.pk, len(papers))
    return _ground(stored.pk)


def tend(*, now: datetime, seconds: float) -> Ground | None:
    """Train a space where one is due, and project what readers follow into it before it comes into use.

    For at most about `seconds`; the next call goes on. The space that came into use, if one did.
    """
    began = time.monotonic()
    ground = unready()
    if ground is None:
        ground = train(now=now) if is_due(now=now) else None
        if ground is None:
            return None
    if ground.pk is None:  # it cannot be read, and will not become readable
        Stored.objects.filter(ready_at=None).delete()
        return None
    encoder = extras.encoder()
    ranker = rank.Ranker(encoder=encoder).fit([], ground.space)
    left = seconds - (time.monotonic() - began)
    if profiles.project(
        space_id=ground.pk, prepare=ranker.prepare, seconds=left, encoder=encoder.name if encoder else ""
    ):
        return None
    make_ready(ground.pk, now=now)
    return ground


def _recent(now: datetime) -> list[Paper]:
    newest = (
        Paper.objects.filter(canonical=None, withdrawn_at=None, kind=Paper.Kind.PAPER)
        .exclude(abstract="")
        .order_by("-first_listed_on", "-pk")
        .only("arxiv_id", "title", "abstract")
    )
    recent = list(newest.filter(first_listed_on__gt=(now - DAYS).date())[:MOST_PAPERS])
    return recent if len(recent) >= PAPERS else list(newest[:PAPERS])


def make_ready(pk: int, *, now: datetime) -> None:
    """From now on papers are ranked in this space; the last but one before it goes.

    The one before it stays, since somebody may be composing in it.
    """
    with transaction.atomic():
        Stored.objects.filter(pk=pk, ready_at=None).update(ready_at=now)
        ready = Stored.objects.filter(ready_at__isnull=False).order_by("-pk")
        kept = list(ready.values_list("pk", flat=True)[:KEPT])
        Stored.objects.filter(pk__lt=min(kept, default=0)).delete()
