"""Links that act for one person: what stands in them, how long they live, how they are read.

An unsubscribe link holds the subscriber's stored random key: it never expires and survives key rotation.
Every other token is 32 characters: a number (never an address), an expiry and a truncated HMAC-SHA256 under
a key of its own purpose, so that a token for one purpose is noise for any other. SECRET_KEY_FALLBACKS are
honoured. Making one costs some microseconds, since every digest carries several.

Whether a link has been *spent* is not known here: that is a row's state, see lifecycle.py.
"""

import base64
import binascii
import functools
import hashlib
import hmac
import re
import struct
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from django.conf import settings

PREFERENCES_FOR = timedelta(days=60)
CONFIRM_FOR = timedelta(days=7)
FRESH_FOR = timedelta(minutes=15)

_BODY = struct.Struct(">QI")  # number, expiry in seconds since 1970 (0: never)
_MAC_BYTES = 12  # 96 bits: far beyond guessing over a network, and the token stays at 32 characters
_TOKEN = re.compile(r"[A-Za-z0-9_-]{32}")
_UNSUBSCRIBE_KEY = re.compile(r"[A-Za-z0-9_-]{22}")


class Fresh(StrEnum):
    """What a link is good for that was mailed to the address minutes ago."""

    CHANGE_ADDRESS = "change-address"
    EXPORT = "export"
    ERASE = "erase"


class BadToken(ValueError):
    """A link that does not act. `reason` is expired, damaged or spent, so that the page can say what to do.

    An expired or spent link was ours: then `number` says what it was for and `expired_at` until when.
    """

    EXPIRED = "expired"
    DAMAGED = "damaged"
    SPENT = "spent"

    def __init__(self, reason: str, *, number: int | None = None, expired_at: datetime | None = None) -> None:
        super().__init__(f"This link is {reason}.")
        self.reason = reason
        self.number = number
        self.expired_at = expired_at


def unsubscribe_url(key: str) -> str:
    """For the footer and List-Unsubscribe; under 70 characters where the host has at most 25."""
    return f"{settings.SITE_URL}/unsubscribe/{key}/"


def read_unsubscribe(token: str) -> str:
    """The stored key in an unsubscribe link. Raises BadToken for what cannot be one."""
    if not _UNSUBSCRIBE_KEY.fullmatch(token):
        raise BadToken(BadToken.DAMAGED)
    return token


def preferences_url(subscriber_id: int, *, now: datetime) -> str:
    """For the footer of every mail: topics, times and pausing, for 60 days."""
    return f"{settings.SITE_URL}/preferences/{_sign('preferences', subscriber_id, now + PREFERENCES_FOR)}/"


def read_preferences(token: str, *, now: datetime) -> int:
    """The subscriber's id. Raises BadToken."""
    return _read("preferences", token, now)


def confirm_url(notice_id: int, *, now: datetime) -> str:
    """The link of a confirmation mail, for 7 days. It names the mail, and so exactly what was asked for."""
    return f"{settings.SITE_URL}/confirm/{_sign('confirm', notice_id, now + CONFIRM_FOR)}/"


def read_confirm(token: str, *, now: datetime) -> int:
    """The id of the notice that carried the link. Raises BadToken (expired or damaged)."""
    return _read("confirm", token, now)


def fresh_url(purpose: Fresh, notice_id: int, *, now: datetime) -> str:
    """A link for something that a forwarded digest must not allow: 15 minutes, mailed to the address."""
    return f"{settings.SITE_URL}/{purpose}/{_sign(purpose, notice_id, now + FRESH_FOR)}/"


def read_fresh(purpose: Fresh, token: str, *, now: datetime) -> int:
    """The id of the notice that carried the link. Raises BadToken (expired or damaged)."""
    return _read(purpose, token, now)


def digest_url(delivery_id: int) -> str:
    """View in browser: the digest of one delivery, without links that could act. Never expires."""
    return f"{settings.SITE_URL}/digest/{_sign('digest', delivery_id, None)}/"


def read_digest(token: str) -> int:
    """The delivery's id. Raises BadToken (damaged)."""
    return _read("digest", token, datetime.max.replace(tzinfo=UTC))


def _sign(purpose: str, number: int, expires_at: datetime | None) -> str:
    body = _BODY.pack(number, int(expires_at.timestamp()) if expires_at else 0)
    return base64.urlsafe_b64encode(body + _mac(settings.SECRET_KEY, purpose, body)).decode()


def _read(purpose: str, token: str, now: datetime) -> int:
    if not _TOKEN.fullmatch(token):
        raise BadToken(BadToken.DAMAGED)
    try:
        raw = base64.urlsafe_b64decode(token)
    except binascii.Error as error:
        raise BadToken(BadToken.DAMAGED) from error
    body, mac = raw[: _BODY.size], raw[_BODY.size :]
    secrets = (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    if not any(hmac.compare_digest(mac, _mac(secret, purpose, body)) for secret in secrets):
        raise BadToken(BadToken.DAMAGED)
    number, expiry = _BODY.unpack(body)
    if expiry and now.timestamp() >= expiry:
        expired_at = datetime.fromtimestamp(expiry, UTC)
        raise BadToken(BadToken.EXPIRED, number=number, expired_at=expired_at)
    return int(number)


def _mac(secret: str, purpose: str, body: bytes) -> bytes:
    return hmac.digest(_key(secret, purpose), body, "sha256")[:_MAC_BYTES]


@functools.lru_cache(maxsize=64)
def _key(secret: str, purpose: str) -> bytes:
    return hashlib.sha256(f"paperboy.{purpose}\0{secret}".encode()).digest()
