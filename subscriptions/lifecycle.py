"""One person's way through Paperboy: asked, confirmed, changed, paused, left, came back, erased.

Each function is one transaction: status, consent rows, topics and the mail that follows change together. A
mail is only written down here (a notice row); `subscriptions.tasks` sends it after the commit.

No function tells its caller whether an address is known, unless the caller has proved to own it by a link.
"""

import hmac
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Any, Self
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import transaction
from django.db.models import CharField, F, Func, Q, QuerySet, Value
from django.utils import translation
from django.utils.translation import get_language, gettext, gettext_noop, pgettext

from subscriptions import filters, interests, tokens, topics
from subscriptions.interests import Interest
from subscriptions.mail import notices
from subscriptions.models import (
    Consent,
    Delivery,
    Mailing,
    Notice,
    SubscribedTopic,
    Subscriber,
    Suppression,
    Topic,
    normalise_address,
)
from subscriptions.models.delivery import delivery_id
from subscriptions.models.subscriber import new_key
from subscriptions.tokens import BadToken, Fresh

log = logging.getLogger(__name__)

WORDING = "2026-08"  # version of the sign-up page's and the confirmation's words
UNDO_WITHIN = timedelta(hours=1)
# One day longer than the link works: nobody presses the button of a subscriber that is gone.
UNCONFIRMED_FOR = tokens.CONFIRM_FOR + timedelta(days=1)
MAILS_A_DAY = 8  # confirmations and links to one address, even where Redis counts nothing
OWN_WISH = "erased at the reader's own wish"

Status = Subscriber.Status
Act = Consent.Act

WEEKDAYS = (
    gettext_noop("Monday"),
    gettext_noop("Tuesday"),
    gettext_noop("Wednesday"),
    gettext_noop("Thursday"),
    gettext_noop("Friday"),
    gettext_noop("Saturday"),
    gettext_noop("Sunday"),
)


@dataclass(frozen=True, slots=True)
class Wishes:
    """What somebody asks for on the sign-up page. `topics` are catalogue slugs, `filter` any spelling.

    `filter` and `interest` together are one topic of the reader's own.
    """

    topics: tuple[str, ...] = ()
    filter: str = ""
    interest: Interest = field(default_factory=Interest)
    frequency: str = Subscriber.Frequency.DAILY
    hour: int = 7
    weekday: int = 0
    timezone: str = "UTC"
    top_papers_if_none: bool = False

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        said = stored.get("interest") or {}  # mails from before there were interests may still be confirmed
        interest = Interest.of(said.get("keywords", ()), said.get("sentence", ""))
        return cls(**{**stored, "topics": tuple(stored["topics"]), "interest": interest})


@dataclass(frozen=True, slots=True)
class TopicLine:
    """One section of a reader's digest. `topic_id` None: a new topic of their own.

    `name`, `filter` and `interest` count for own topics only; an empty filter with an interest lets every
    paper in. `min_relevance`, in percent, counts where there is an interest.
    """

    topic_id: int | None
    name: str = ""
    filter: str = ""
    muted: bool = False
    max_papers: int | None = None
    interest: Interest = field(default_factory=Interest)
    min_relevance: int | None = None


@dataclass(frozen=True, slots=True)
class Preferences:
    """All that a reader can set, as it is or as it shall be; `topics` in the order of their digest."""

    topics: tuple[TopicLine, ...]
    frequency: str
    hour: int
    weekday: int
    timezone: str
    length: str
    max_papers: int
    top_papers_if_none: bool
    wants_updates: bool
    language: str


_FIELDS = (
    *("frequency", "hour", "weekday", "timezone", "length", "max_papers", "top_papers_if_none"),
    *("wants_updates", "language"),
)


@dataclass(frozen=True, slots=True)
class Said:
    """Wishes in words, in the active language."""

    topics: tuple[str, ...]
    when: str


def said(wishes: Wishes) -> Said:
    """What the confirmation mail and its page repeat."""
    language = get_language() or "en"
    names = [topic.names.get(language) or topic.name for topic in topics.catalogue_by_slug(wishes.topics)]
    if wishes.interest:
        names.append(wishes.interest.name)
    return Said(
        topics=tuple(names),
        when=when(
            frequency=wishes.frequency, hour=wishes.hour, weekday=wishes.weekday, timezone=wishes.timezone
        ),
    )


def when(*, frequency: str, hour: int, weekday: int, timezone: str) -> str:
    """ "Weekdays at 13:00, Berlin", in the active language."""
    match frequency:
        case Subscriber.Frequency.WEEKLY:
            days = gettext("Weekly, on %(day)s") % {"day": gettext(WEEKDAYS[weekday])}
        case Subscriber.Frequency.WEEKDAYS:
            days = gettext("Weekdays")
        case _:
            days = gettext("Daily")
    values = {"days": days, "time": f"{hour:02}:00", "place": place(timezone)}
    return gettext("%(days)s at %(time)s, %(place)s") % values


def place(timezone: str) -> str:
    """The town in a time zone's name, "New York"; the best-known in the active language."""
    return pgettext("town", timezone.rpartition("/")[2].replace("_", " "))


# --- joining ------------------------------------------------------------------------------------


def subscribe(email: str, wishes: Wishes, *, now: datetime, source: str, language: str = "en") -> None:
    """Somebody asks for the digest at this address: a confirmation mail, or what else fits, is queued.

    An address that gets the digest already is sent its preferences link instead, and keeps its settings; a
    suppressed one is sent nothing. Nothing changes for a former reader before the button in the mail is
    pressed. Raises filters.FilterError for a filter that cannot be read.
    """
    if wishes.filter:
        wishes = replace(wishes, filter=filters.parse(wishes.filter).canonical)
    address = normalise_address(email)
    with transaction.atomic():
        if is_suppressed(address, now=now):
            log.info("Somebody signed up with a suppressed address; nothing was sent.")
            return
        subscriber, _ = Subscriber.objects.get_or_create(
            address=address, defaults={"email": email, "language": language, "created_at": now}
        )
        subscriber = _locked(subscriber.pk)
        if subscriber.status in (Status.ACTIVE, Status.PAUSED):
            _queue_link(subscriber, now=now, already_subscribed=True)
            return
        if subscriber.status == Status.UNCONFIRMED:
            subscriber.email, subscriber.language = email, language
            _grant(subscriber, wishes, now=now)
        if _queue_confirmation(subscriber, wishes, to=email, now=now):
            _consent(subscriber, Act.ASKED, now, source)


def ask_again(email: str, *, now: datetime) -> None:
    """Send the last confirmation once more, or the preferences link to who is subscribed; else nothing."""
    with transaction.atomic():
        subscriber = Subscriber.objects.select_for_update().filter(address=normalise_address(email)).first()
        if subscriber is None or is_suppressed(subscriber.address, now=now):
            return
        if subscriber.status in (Status.ACTIVE, Status.PAUSED):
            _queue_link(subscriber, now=now)
        elif last := _pending_confirmation(subscriber):
            wishes = Wishes.from_json(last.context["wishes"])
            _queue_confirmation(
                subscriber, wishes, to=last.to, now=now, keeps_topics=last.context["keeps_topics"]
            )


def pending(notice_id: int) -> tuple[Notice, Subscriber]:
    """What a confirmation link is about, for the page that asks. Raises BadToken (spent) if it is no more."""
    notice = Notice.objects.filter(pk=notice_id, kind=notices.CONFIRM).first()
    subscriber = _subscriber_of(notice)
    if notice is None or subscriber is None or _is_spent(notice, subscriber):
        raise BadToken(BadToken.SPENT, number=notice_id)
    return notice, subscriber


def confirm(notice_id: int, *, now: datetime, keep_topics: bool = False) -> Subscriber:
    """The button of the confirmation page: the reader gets exactly what that mail said, from now on.

    `keep_topics` adds what a returning reader followed before. Raises BadToken (spent) for a link that has
    done its work, was overtaken by an unsubscribe, or whose address must not be written to.
    """
    with transaction.atomic():
        _, subscriber = pending(notice_id)
        subscriber = _locked(subscriber.pk)
        notice, _ = pending(notice_id)  # again, now that nobody else moves the row
        address = normalise_address(notice.to)
        if is_suppressed(address, now=now) or not notices.use_up(notice_id, now=now):
            raise BadToken(BadToken.SPENT, number=notice_id)
        if notice.context["change_of_address"]:
            _move(subscriber, notice.to, now=now)
            return subscriber
        wishes = Wishes.from_json(notice.context["wishes"])
        subscriber.email, subscriber.language = notice.to, notice.language
        subscriber.status, subscriber.confirmed_at = Status.ACTIVE, now
        subscriber.left_at = subscriber.paused_until = None
        _grant(subscriber, wishes, now=now, keep_topics=keep_topics or notice.context["keeps_topics"])
        _consent(subscriber, Act.CONFIRMED, now, "confirmation mail")
        Suppression.objects.filter(address__in=_fingerprints(address), evidence=OWN_WISH).delete()
        return subscriber


def _pending_confirmation(subscriber: Subscriber) -> Notice | None:
    asked = notices.of_subscriber(subscriber.pk).filter(kind=notices.CONFIRM).order_by("-created_at", "-pk")
    last = asked.first()
    return last if last and not _is_spent(last, subscriber) else None


def _is_spent(notice: Notice, subscriber: Subscriber) -> bool:
    if "used_at" in notice.context or subscriber.status == Status.ERASED:
        return True
    if subscriber.left_at and subscriber.left_at > notice.created_at:
        return True  # a wish to leave outranks an older wish to join
    if notice.context["change_of_address"]:
        return subscriber.status not in (Status.ACTIVE, Status.PAUSED)
    return subscriber.status in (Status.ACTIVE, Status.PAUSED)


def _queue_confirmation(
    subscriber: Subscriber,
    wishes: Wishes,
    *,
    to: str,
    now: datetime,
    keeps_topics: bool = False,
    change_of_address: bool = False,
) -> bool:
    with translation.override(subscriber.language):
        in_words = said(wishes)
    context = {
        "wishes": asdict(wishes),
        "topics": list(in_words.topics),
        "filter": wishes.filter,
        "when": in_words.when,
        "keeps_topics": keeps_topics,
        "change_of_address": change_of_address,
    }
    return _queue_limited(notices.CONFIRM, subscriber, now=now, to=to, context=context)


def _queue_link(
    subscriber: Subscriber,
    *,
    now: datetime,
    purpose: str = notices.PREFERENCES,
    already_subscribed: bool = False,
) -> bool:
    context = {"purpose": purpose, "already_subscribed": already_subscribed}
    return _queue_limited(notices.LINK, subscriber, now=now, context=context)


def _queue_limited(kind: str, subscriber: Subscriber, *, now: datetime, **mail: Any) -> bool:
    # The subscriber's row is locked, so that counting and writing are one.
    own = notices.of_subscriber(subscriber.pk)
    if own.filter(created_at__gt=now - timedelta(days=1)).count() >= MAILS_A_DAY:
        log.info("Subscriber %d has had %d mails asked for in a day; no more.", subscriber.pk, MAILS_A_DAY)
        return False
    number = own.filter(kind=kind).count() + 1
    return notices.queue(kind, subscriber, key=str(number), now=now, **mail) is not None


def _grant(subscriber: Subscriber, wishes: Wishes, *, now: datetime, keep_topics: bool = False) -> None:
    subscriber.frequency, subscriber.hour = wishes.frequency, wishes.hour
    subscriber.weekday, subscriber.timezone = wishes.weekday, wishes.timezone
    subscriber.top_papers_if_none = wishes.top_papers_if_none
    subscriber.save()
    wanted = topics.catalogue_by_slug(wishes.topics)
    if wishes.filter or wishes.interest:
        wanted.append(topics.own(subscriber, wishes.filter, now=now, interest=wishes.interest))
    if not keep_topics:
        for subscribed in subscriber.subscribed_topics.exclude(topic__in=wanted).select_related("topic"):
            topics.unfollow(subscribed, now=now)
    topics.follow(subscriber, wanted)


# --- wishes -------------------------------------------------------------------------------------


def preferences(subscriber: Subscriber) -> Preferences:
    """A reader's settings as they are."""
    lines = tuple(
        TopicLine(
            topic_id=subscribed.topic_id,
            name=subscribed.topic.name,
            filter=subscribed.topic.filter.canonical,
            muted=subscribed.muted,
            max_papers=subscribed.max_papers,
            interest=interests.of_topic(subscribed.topic),
            min_relevance=subscribed.min_relevance,
        )
        for subscribed in subscriber.subscribed_topics.select_related("topic__filter")
    )
    return Preferences(topics=lines, **{name: getattr(subscriber, name) for name in _FIELDS})


def change_preferences(subscriber_id: int, wanted: Preferences, *, now: datetime) -> list[str]:
    """Set everything to `wanted`; one sentence for each thing that changed, before and after.

    Topics of other readers and unknown ones are left out. Raises filters.FilterError for an own filter
    that cannot be read, and then changes nothing. Counts from the next digest: composed ones stay.
    """
    with transaction.atomic():
        subscriber = _locked(subscriber_id)
        before = preferences(subscriber)
        for name in _FIELDS:
            setattr(subscriber, name, getattr(wanted, name))
        subscriber.save(update_fields=_FIELDS)
        _set_topics(subscriber, wanted.topics, now=now)
        return _differences(before, preferences(subscriber))


def _set_topics(subscriber: Subscriber, lines: Sequence[TopicLine], *, now: datetime) -> None:
    existing = {row.topic_id: row for row in subscriber.subscribed_topics.select_related("topic__filter")}
    allowed = Topic.objects.filter(Q(owner=None) | Q(owner=subscriber)).select_related("filter")
    known = allowed.in_bulk([line.topic_id for line in lines if line.topic_id is not None])
    kept = set()
    for position, line in enumerate(lines):
        if line.topic_id is None:
            topic = topics.own(subscriber, line.filter, now=now, name=line.name, interest=line.interest)
        elif line.topic_id in known:
            topic = known[line.topic_id]
            if topic.owner_id is not None:
                topic.name = line.name or topics.OWN_NAME
                topic.filter = topics.own_filter(line.filter, line.interest, now=now)
                topic.keywords, topic.description = list(line.interest.keywords), line.interest.sentence
                topic.save(update_fields=["name", "filter", "keywords", "description"])
        else:
            continue
        kept.add(topic.pk)
        SubscribedTopic.objects.update_or_create(
            subscriber=subscriber,
            topic=topic,
            defaults={
                "position": position,
                "muted": line.muted,
                "max_papers": line.max_papers,
                "min_relevance": interests.threshold(
                    interests.of_topic(topic), topic.filter.canonical, line.min_relevance
                ),
            },
        )
    for topic_id, row in existing.items():
        if topic_id not in kept:
            topics.unfollow(row, now=now)


def _differences(before: Preferences, after: Preferences) -> list[str]:
    changes = []
    if _when(before) != _when(after):
        changes.append(f"{_when(after)}; it was {_when(before)[:1].lower()}{_when(before)[1:]}.")
    if before.length != after.length:
        old, new = Subscriber.Length(before.length).label, Subscriber.Length(after.length).label
        changes.append(f"Length is now “{new}”; it was “{old}”.")
    if before.max_papers != after.max_papers:
        changes.append(f"A digest now has at most {after.max_papers} papers; it was {before.max_papers}.")
    if before.top_papers_if_none != after.top_papers_if_none:
        changes.append(
            "On a day without matches you now get the three top papers; before, no mail."
            if after.top_papers_if_none
            else "On a day without matches no mail comes now; before, the three top papers."
        )
    if before.wants_updates != after.wants_updates:
        changes.append(
            "Revised versions of papers now come too, labelled as updated."
            if after.wants_updates
            else "Revised versions of papers do not come any more."
        )
    if before.language != after.language:
        names = dict(settings.LANGUAGES)
        changes.append(
            f"Mails are now in {names.get(after.language, after.language)}; "
            f"before, in {names.get(before.language, before.language)}."
        )
    old_lines = {line.topic_id: line for line in before.topics}
    new_lines = {line.topic_id: line for line in after.topics}
    changes += [f"{line.name} is new." for key, line in new_lines.items() if key not in old_lines]
    changes += [f"{line.name} is gone." for key, line in old_lines.items() if key not in new_lines]
    for key in [key for key in new_lines if key in old_lines]:
        changes += _line_differences(old_lines[key], new_lines[key])
    if [key for key in old_lines if key in new_lines] != [key for key in new_lines if key in old_lines]:
        changes.append(f"The order is now {', '.join(line.name for line in after.topics)}.")
    return changes


def _when(settings: Preferences) -> str:
    return when(
        frequency=settings.frequency,
        hour=settings.hour,
        weekday=settings.weekday,
        timezone=settings.timezone,
    )


def _line_differences(old: TopicLine, new: TopicLine) -> list[str]:
    changes = []
    if old.name != new.name:
        changes.append(f"{old.name} is now called {new.name}.")
    if old.filter != new.filter:
        changes.append(f"{new.name} now looks for {_lets_in(new)}; it was {_lets_in(old)}.")
    if old.interest != new.interest:
        wanted = [
            f"“{part}”" if part else "nothing in words" for part in (new.interest.text, old.interest.text)
        ]
        changes.append(f"{new.name} now asks for {wanted[0]}; it was {wanted[1]}.")
    if old.min_relevance != new.min_relevance:
        least = [f"from {line.min_relevance} %" if line.min_relevance else "of any" for line in (new, old)]
        changes.append(f"{new.name} now sends papers {least[0]} relevance; it was {least[1]}.")
    if old.muted != new.muted:
        changes.append(f"{new.name} is now muted." if new.muted else f"{new.name} is no longer muted.")
    if old.max_papers != new.max_papers:
        now_sends = f"at most {new.max_papers}" if new.max_papers else "any number of"
        changes.append(f"{new.name} now sends {now_sends} papers; it was {old.max_papers or 'any number'}.")
    return changes


def _lets_in(line: TopicLine) -> str:
    return "every paper" if line.filter == interests.EVERY_PAPER else line.filter


def pause(subscriber_id: int, *, until: date | None, now: datetime, source: str) -> bool:
    """No digest before the local date `until`, or until resumed; False where there is nothing to pause."""
    with transaction.atomic():
        subscriber = _locked(subscriber_id)
        if subscriber.status not in (Status.ACTIVE, Status.PAUSED):
            return False
        subscriber.status, subscriber.paused_until = Status.PAUSED, until
        subscriber.save(update_fields=["status", "paused_until"])
        _consent(subscriber, Act.PAUSED, now, source)
        return True


def resume(subscriber_id: int, *, now: datetime, source: str) -> bool:
    """End a pause; False where there is none."""
    with transaction.atomic():
        subscriber = _locked(subscriber_id)
        if subscriber.status != Status.PAUSED:
            return False
        subscriber.status, subscriber.paused_until = Status.ACTIVE, None
        subscriber.save(update_fields=["status", "paused_until"])
        _consent(subscriber, Act.RESUMED, now, source)
        return True


def resume_due(*, now: datetime) -> int:
    """Resume everybody whose pause ends today, by their own calendar; how many."""
    ended = Subscriber.objects.filter(
        status=Status.PAUSED, paused_until__lte=now.date() + timedelta(days=1)
    ).only("pk", "paused_until", "timezone")
    return sum(
        resume(subscriber.pk, now=now, source="end of the pause")
        for subscriber in ended
        if subscriber.paused_until
        and subscriber.paused_until <= now.astimezone(ZoneInfo(subscriber.timezone)).date()
    )


# --- leaving ------------------------------------------------------------------------------------


def unsubscribe(subscriber_id: int, *, now: datetime, source: str) -> bool:
    """Nothing more is sent, from this commit on, also in the middle of a delivery; False if so already."""
    with transaction.atomic():
        subscriber = _locked(subscriber_id)
        if subscriber.status in (Status.UNSUBSCRIBED, Status.ERASED):
            return False
        _consent(subscriber, Act.UNSUBSCRIBED, now, source)
        if subscriber.status == Status.SUPPRESSED:
            return True  # stays suppressed; should that be lifted, they are unsubscribed
        was_reader = subscriber.status in (Status.ACTIVE, Status.PAUSED)
        subscriber.status, subscriber.left_at = Status.UNSUBSCRIBED, now
        subscriber.save(update_fields=["status", "left_at"])
        if was_reader:
            _queue_limited(notices.GOODBYE, subscriber, now=now)
        return True


def can_undo(subscriber: Subscriber, *, now: datetime) -> bool:
    """Whether `undo_unsubscribe` would act at once: within an hour, for who had confirmed."""
    return (
        subscriber.status == Status.UNSUBSCRIBED
        and subscriber.left_at is not None
        and now - subscriber.left_at < UNDO_WITHIN
        and _status_from_history(subscriber, undo=True) in (Status.ACTIVE, Status.PAUSED)
    )


def undo_unsubscribe(subscriber_id: int, *, now: datetime) -> bool:
    """Come back with all topics; True if at once, False if a confirmation mail was queued instead.

    At once within an hour, for a slip of the finger. Later the link alone is not enough, since it stands in
    every digest that was ever forwarded: then the button of a fresh confirmation mail decides.
    """
    with transaction.atomic():
        subscriber = _locked(subscriber_id)
        if can_undo(subscriber, now=now):
            subscriber.status = _status_from_history(subscriber, undo=True)
            subscriber.left_at = None
            subscriber.save(update_fields=["status", "left_at"])
            _consent(subscriber, Act.RESUMED, now, "undo on the unsubscribe page")
            return True
        if subscriber.status == Status.UNSUBSCRIBED and not is_suppressed(subscriber.address, now=now):
            settings = {name: getattr(subscriber, name) for name in _FIELDS if name in Wishes.__slots__}
            wishes = Wishes(**settings)
            if _queue_confirmation(subscriber, wishes, to=subscriber.email, now=now, keeps_topics=True):
                _consent(subscriber, Act.ASKED, now, "undo on the unsubscribe page")
        return False


def is_suppressed(address: str, *, now: datetime) -> bool:
    """Whether this normalised address must not be written to, asked for or not."""
    names = [address, *_fingerprints(address)]
    return Suppression.objects.in_force(now).filter(address__in=names).exclude(evidence=OWN_WISH).exists()


def suppress(
    address: str, *, reason: str, evidence: str, now: datetime, expires_at: datetime | None = None
) -> None:
    """Never write to this address again, known or not, until lifted or `expires_at`.

    A complaint or an operator's word replaces a bounce as the reason; a bounce replaces nothing in force.
    """
    address = normalise_address(address)
    strong = (Suppression.Reason.COMPLAINT, Suppression.Reason.OPERATOR)
    with transaction.atomic():
        row, is_new = Suppression.objects.select_for_update().get_or_create(
            address=address,
            defaults={"reason": reason, "evidence": evidence, "created_at": now, "expires_at": expires_at},
        )
        in_force = row.lifted_at is None and not (row.expires_at and row.expires_at <= now)
        if not is_new and (not in_force or reason in strong):
            row.reason, row.evidence, row.created_at = reason, evidence, now
            row.expires_at, row.lifted_at = expires_at, None
            row.save()
        subscriber = Subscriber.objects.select_for_update().filter(address=address).first()
        if subscriber and subscriber.status != Status.SUPPRESSED:
            subscriber.status, subscriber.left_at = Status.SUPPRESSED, now
            subscriber.save(update_fields=["status", "left_at"])
            _consent(subscriber, Act.SUPPRESSED, now, Suppression.Reason(reason).label)


def lift(address: str, *, now: datetime, source: str) -> bool:
    """Allow this address again; its subscriber is what they were before. False if it was not suppressed."""
    address = normalise_address(address)
    with transaction.atomic():
        if not Suppression.objects.filter(address=address, lifted_at=None).update(lifted_at=now):
            return False
        subscriber = Subscriber.objects.select_for_update().filter(address=address).first()
        if subscriber and subscriber.status == Status.SUPPRESSED:
            subscriber.status = _status_from_history(subscriber)
            if subscriber.status != Status.UNSUBSCRIBED:
                subscriber.left_at = None
            subscriber.save(update_fields=["status", "left_at"])
            if subscriber.status == Status.ACTIVE:
                _consent(subscriber, Act.RESUMED, now, source)
        return True


def ask_for_link(subscriber_id: int, purpose: Fresh, *, now: datetime) -> bool:
    """Mail a link that works for 15 minutes; False where the day's mails are used up or nobody is there."""
    with transaction.atomic():
        subscriber = _locked(subscriber_id)
        if subscriber.status == Status.ERASED or is_suppressed(subscriber.address, now=now):
            return False
        return _queue_link(subscriber, now=now, purpose=purpose)


def behind_link(notice_id: int, purpose: Fresh) -> Subscriber:
    """Whom a fresh link is about, for the page that asks. Raises BadToken (spent)."""
    notice = Notice.objects.filter(pk=notice_id, kind=notices.LINK, context__purpose=purpose).first()
    subscriber = _subscriber_of(notice)
    if notice is None or subscriber is None or "used_at" in notice.context:
        raise BadToken(BadToken.SPENT, number=notice_id)
    return subscriber


def spend_link(notice_id: int, purpose: Fresh, *, now: datetime) -> Subscriber:
    """`behind_link`, once: the second call raises BadToken (spent). Call in the transaction that acts."""
    subscriber = behind_link(notice_id, purpose)
    if not notices.use_up(notice_id, now=now):
        raise BadToken(BadToken.SPENT, number=notice_id)
    return subscriber


def ask_change_of_address(notice_id: int, email: str, *, now: datetime) -> None:
    """Spend a change-address link and ask the new address to confirm. Raises BadToken (spent).

    Nothing is sent to a suppressed address, and the page says nothing about it.
    """
    with transaction.atomic():
        subscriber = _locked(spend_link(notice_id, Fresh.CHANGE_ADDRESS, now=now).pk)
        if not is_suppressed(normalise_address(email), now=now):
            settings = {name: getattr(subscriber, name) for name in _FIELDS if name in Wishes.__slots__}
            _queue_confirmation(
                subscriber, Wishes(**settings), to=email, now=now, keeps_topics=True, change_of_address=True
            )


def _move(subscriber: Subscriber, email: str, *, now: datetime) -> None:
    address = normalise_address(email)
    # Who pressed the button owns the mailbox, so another row of it is theirs too.
    for other in Subscriber.objects.select_for_update().filter(address=address).exclude(pk=subscriber.pk):
        _erase(other, now=now)
    subscriber.email, subscriber.address = email, address
    subscriber.save(update_fields=["email", "address"])
    _consent(subscriber, Act.CONFIRMED, now, "change of address")


def erase(subscriber_id: int, *, now: datetime) -> None:
    """Forget the person. The row stays without address and wishes, so that its number is never reused.

    What remains of the address is a keyed fingerprint in the suppression table: it keeps a later import from
    bringing the address back, and keeps a complaint in force. Who erased themselves may sign up anew.
    """
    with transaction.atomic():
        subscriber = _locked(subscriber_id)
        if subscriber.status == Status.ERASED:
            return
        fingerprint = _fingerprints(subscriber.address)[0]
        suppression = Suppression.objects.filter(address=subscriber.address, lifted_at=None).first()
        Suppression.objects.filter(
            address__in=[subscriber.address, *_fingerprints(subscriber.address)]
        ).delete()
        Suppression.objects.create(
            address=fingerprint,
            reason=suppression.reason if suppression else Suppression.Reason.OPERATOR,
            evidence="" if suppression else OWN_WISH,  # a server's answer may hold the address
            created_at=suppression.created_at if suppression else now,
            expires_at=suppression.expires_at if suppression else None,
        )
        _erase(subscriber, now=now)


def _erase(subscriber: Subscriber, *, now: datetime) -> None:
    email = subscriber.email
    subscriber.subscribed_topics.all().delete()
    subscriber.mutes.all().delete()
    subscriber.own_topics.all().delete()
    notices.of_subscriber(subscriber.pk).delete()
    mailings = Mailing.objects.values_list("pk", flat=True)
    Delivery.objects.filter(id__in=[delivery_id(pk, subscriber.pk) for pk in mailings]).update(
        email="",
        reason=Func(F("reason"), Value(email), Value("…"), function="replace", output_field=CharField()),
    )
    blank = Subscriber(pk=subscriber.pk, created_at=subscriber.created_at)
    blank.address, blank.status = f"erased:{subscriber.pk}", Status.ERASED
    blank.confirmed_at, blank.left_at = subscriber.confirmed_at, now
    blank.unsubscribe_key = new_key()
    blank.save(force_update=True)
    _consent(blank, Act.ERASED, now, "")


def forget_unconfirmed(*, now: datetime) -> int:
    """Delete who never pressed the button and did not ask in the last 8 days; how many."""
    asked = Consent.objects.filter(act=Act.ASKED, at__gt=now - UNCONFIRMED_FOR)
    stale: QuerySet[Subscriber] = Subscriber.objects.filter(
        status=Status.UNCONFIRMED, created_at__lte=now - UNCONFIRMED_FOR
    ).exclude(pk__in=asked.values("subscriber"))
    ids = list(stale.values_list("pk", flat=True)[:1000])
    for subscriber_id in ids:
        with transaction.atomic():
            notices.of_subscriber(subscriber_id).delete()
            Subscriber.objects.filter(pk=subscriber_id, status=Status.UNCONFIRMED).delete()
    return len(ids)


# --- what all of them need ----------------------------------------------------------------------


def was_erased(addresses: Sequence[str]) -> set[str]:
    """Those of these normalised addresses whose owner had them erased."""
    by_fingerprint = {mark: address for address in addresses for mark in _fingerprints(address)}
    found = Suppression.objects.filter(address__in=by_fingerprint, lifted_at=None)
    return {by_fingerprint[mark] for mark in found.values_list("address", flat=True)}


def _fingerprints(address: str) -> list[str]:
    """The names under which an erased address is known: under today's key first, then the fallbacks."""
    return [
        f"erased:{hmac.digest(secret.encode(), b'paperboy.erased' + address.encode(), 'sha256').hex()}"
        for secret in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    ]


def _subscriber_of(notice: Notice | None) -> Subscriber | None:
    return Subscriber.objects.filter(pk=notice.context["subscriber"]).first() if notice else None


def _locked(subscriber_id: int) -> Subscriber:
    return Subscriber.objects.select_for_update().get(pk=subscriber_id)


def _consent(subscriber: Subscriber, act: Consent.Act, at: datetime, source: str) -> None:
    wording = WORDING if act in (Act.ASKED, Act.CONFIRMED) else ""
    Consent.objects.create(subscriber=subscriber, act=act, at=at, source=source, wording=wording)


def _status_from_history(subscriber: Subscriber, *, undo: bool = False) -> Subscriber.Status:
    """What the reader's own acts make of them; with `undo`, as if the last unsubscribe had not been."""
    means = {
        Act.CONFIRMED: Status.ACTIVE,
        Act.IMPORTED: Status.ACTIVE,
        Act.RESUMED: Status.ACTIVE,
        Act.PAUSED: Status.PAUSED,
        Act.UNSUBSCRIBED: Status.UNSUBSCRIBED,
    }
    acts = [act for act in subscriber.consents.order_by("pk").values_list("act", flat=True) if act in means]
    if undo and acts and acts[-1] == Act.UNSUBSCRIBED:
        acts.pop()
    return means[Act(acts[-1])] if acts else Status.UNCONFIRMED
