"""Single mails: confirmation, link, goodbye. Sent at once, before digests, at least once.

What the templates under templates/email/<kind>/ get, always: `email`, `site_url`, `postal_address`; and

    confirm   confirm_url, expires_at; topics (names), filter (canonical or empty),
              when ("Daily at 07:00, Berlin"), keeps_topics (True: what the reader followed before),
              change_of_address (True: a reader moves here from another address)
    link      url, expires_at, purpose: preferences, change-address, export or erase;
              already_subscribed (True: somebody signed up with an address that gets the digest already)
    goodbye   undo_url

Links are made when the mail is sent, never stored: a row of this table opens nothing.
"""

import logging
import secrets
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from email.utils import parseaddr
from typing import Any

from django.conf import settings
from django.db import models

from subscriptions import tokens
from subscriptions.mail import message, smtp
from subscriptions.models import Notice, Subscriber, Suppression, normalise_address

log = logging.getLogger(__name__)

# Short at first: somebody is looking at their inbox.
RETRY_AFTER = (timedelta(minutes=1), timedelta(minutes=10), timedelta(hours=1), timedelta(hours=6))
STUCK_AFTER = timedelta(minutes=15)  # far above four steps of EMAIL_TIMEOUT

CONFIRM, LINK, GOODBYE = "confirm", "link", "goodbye"
KINDS = (CONFIRM, LINK, GOODBYE)
PREFERENCES = "preferences"

Suppress = Callable[[str, str], object]  # (address, evidence): the mailbox does not exist


def queue(
    kind: str,
    subscriber: Subscriber,
    *,
    key: str,
    now: datetime,
    to: str = "",
    context: Mapping[str, Any] | None = None,
) -> Notice | None:
    """Write down one mail to be sent now; None if `key` has been queued before.

    `key` is completed to "<kind>:<subscriber>:<key>". `to` is the subscriber's address unless given.
    `context` is kept as JSON and reaches the template; keep links and secrets out of it. Nothing is sent
    here: `subscriptions.tasks` does it once the transaction is committed.
    """
    notice, is_new = Notice.objects.get_or_create(
        key=f"{kind}:{subscriber.pk}:{key}",
        defaults={
            "kind": kind,
            "to": to or subscriber.email,
            "language": subscriber.language,
            "context": {**(context or {}), "subscriber": subscriber.pk},
            "message_id": f"<{secrets.token_hex(12)}.notice@{settings.MAIL_DOMAIN}>",
            "created_at": now,
            "due_at": now,
        },
    )
    return notice if is_new else None


def of_subscriber(subscriber_id: int) -> models.QuerySet[Notice]:
    """All notices of one subscriber, by their keys."""
    own = models.Q()
    for kind in KINDS:
        own |= models.Q(key__startswith=f"{kind}:{subscriber_id}:")
    return Notice.objects.filter(own)


def due_ids(now: datetime, *, limit: int = 1000) -> list[int]:
    """Notices to send now, the longest waiting first."""
    due = Notice.objects.due(now).order_by("due_at", "pk")
    return list(due.values_list("pk", flat=True)[:limit])


def send(notice_id: int, *, now: datetime, suppress: Suppress) -> bool:
    """Send one due notice and record the outcome; True if this call sent it.

    Safe to call twice: the second caller finds nothing due. If the process dies between the mail server's
    "250" and our UPDATE, the row stays SENDING until `release_stuck`: at least once; mailboxes may drop a
    repeated Message-ID.

    Mail trouble is recorded, never raised. A recipient refused with a 5yz code is BOUNCED (RFC 5321 section
    4.2.1), and `suppress` is called where the mailbox does not exist; anything else, our own password
    refused for one, waits RETRY_AFTER[attempt] and is FAILED after the last.
    """
    if not Notice.objects.claim(notice_id, now):
        return False
    notice = Notice.objects.get(pk=notice_id)
    if Suppression.objects.in_force(now).filter(address=normalise_address(notice.to)).exists():
        return _finish(notice, status=Notice.Status.FAILED, last_error="Not sent: the address is suppressed.")
    content = _content(notice, now)
    try:
        with smtp.connect() as connection:
            reply = connection.send(parseaddr(settings.DEFAULT_FROM_EMAIL)[1], notice.to, content)
    except OSError as error:  # ConnectionLost, and no mail server at all
        return _finish(notice, **_later(notice, str(error), now))
    if reply.accepted:
        return _finish(notice, status=Notice.Status.SENT, sent_at=now, last_error="")
    if reply.permanent and reply.stage == "rcpt":
        if reply.bad_mailbox:
            suppress(notice.to, str(reply))
        return _finish(notice, status=Notice.Status.BOUNCED, last_error=str(reply))
    return _finish(notice, **_later(notice, str(reply), now))


def release_stuck(now: datetime) -> int:
    """Queue again what a dead worker left SENDING for 15 minutes; how many. FAILED after the last attempt."""
    stuck = Notice.objects.filter(status=Notice.Status.SENDING, claimed_at__lte=now - STUCK_AFTER)
    lost = "The worker died while sending this."
    failed = stuck.filter(attempts__gt=len(RETRY_AFTER)).update(status=Notice.Status.FAILED, last_error=lost)
    return failed + stuck.update(status=Notice.Status.QUEUED, due_at=now, last_error=lost)


def requeue(notices: models.QuerySet[Notice], *, now: datetime) -> int:
    """Send failed or bounced notices once more; how many. Suppressed addresses stay refused at sending."""
    given_up = notices.filter(status__in=(Notice.Status.FAILED, Notice.Status.BOUNCED))
    return given_up.update(status=Notice.Status.QUEUED, due_at=now, attempts=0)


def use_up(notice_id: int, *, now: datetime) -> bool:
    """Spend the link that this notice carried; False if it has been spent before. Call in a transaction."""
    notice = Notice.objects.select_for_update().get(pk=notice_id)
    if "used_at" in notice.context:
        return False
    notice.context["used_at"] = now.isoformat()
    notice.save(update_fields=["context"])
    return True


def _finish(notice: Notice, **outcome: Any) -> bool:
    # Conditional again: what overtook us (a bounce report, release_stuck) must not be overwritten.
    mine = Notice.objects.filter(pk=notice.pk, status=Notice.Status.SENDING, attempts=notice.attempts)
    return bool(mine.update(**outcome)) and outcome["status"] == Notice.Status.SENT


def _later(notice: Notice, error: str, now: datetime) -> dict[str, Any]:
    if notice.attempts > len(RETRY_AFTER):
        log.warning("Gave up %s after %d attempts: %s", notice.key, notice.attempts, error)
        return {"status": Notice.Status.FAILED, "last_error": error}
    due_at = now + RETRY_AFTER[notice.attempts - 1]
    return {"status": Notice.Status.QUEUED, "due_at": due_at, "last_error": error}


def _content(notice: Notice, now: datetime) -> bytes:
    subscriber = Subscriber.objects.get(pk=notice.context["subscriber"])
    context = {
        **notice.context,
        "email": notice.to,
        "site_url": settings.SITE_URL,
        "postal_address": settings.POSTAL_ADDRESS,
        **_links(notice, subscriber, now),
    }
    return message.notice(
        notice.kind,
        to=notice.to,
        language=notice.language,
        context=context,
        message_id=notice.message_id,
        date=now,
    )


def _links(notice: Notice, subscriber: Subscriber, now: datetime) -> dict[str, Any]:
    purpose = notice.context.get("purpose", PREFERENCES)
    if notice.kind == CONFIRM:
        return {
            "confirm_url": tokens.confirm_url(notice.pk, now=now),
            "expires_at": now + tokens.CONFIRM_FOR,
        }
    if notice.kind == GOODBYE:
        return {"undo_url": tokens.unsubscribe_url(subscriber.unsubscribe_key)}
    if purpose == PREFERENCES:
        return {
            "purpose": purpose,
            "url": tokens.preferences_url(subscriber.pk, now=now),
            "expires_at": now + tokens.PREFERENCES_FOR,
        }
    return {
        "url": tokens.fresh_url(tokens.Fresh(purpose), notice.pk, now=now),
        "expires_at": now + tokens.FRESH_FOR,
    }
