import contextlib
import secrets
import zoneinfo
from datetime import date

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

MAX_SUBSCRIBER_ID = 2**32 - 1  # a ledger key holds the subscriber in its lower 32 bits


def normalise_address(address: str) -> str:
    """The form under which an address is unique: trimmed, lower case, domain in ASCII where it has one.

    Dots and plus tags are kept: only Gmail ignores them, and two people must never become one.
    """
    local, at, domain = address.strip().rpartition("@")
    with contextlib.suppress(UnicodeError):  # not a host name: validation elsewhere says so
        domain = domain.encode("idna").decode("ascii")
    return f"{local}{at}{domain}".lower()


def new_key() -> str:
    return secrets.token_urlsafe(16)


def validate_timezone(name: str) -> None:
    if name not in zoneinfo.available_timezones():
        raise ValidationError(f"{name!r} is not a time zone. Use a name such as Europe/Berlin.")


class SubscriberQuerySet(models.QuerySet["Subscriber"]):
    def active(self) -> "SubscriberQuerySet":
        return self.filter(status=Subscriber.Status.ACTIVE)

    def members_of(self, kind: str) -> "SubscriberQuerySet":
        """Who has a row in an edition of this kind: daily readers in daily ones, weekly in weekly ones.

        Paused readers are members too: their row says `skipped: paused`.
        """
        return self.filter(
            status__in=(Subscriber.Status.ACTIVE, Subscriber.Status.PAUSED),
            frequency__in=Subscriber.FREQUENCIES_OF[kind],
        )


class Subscriber(models.Model):
    """One address, one status."""

    class Status(models.TextChoices):
        UNCONFIRMED = "unconfirmed", "unconfirmed"  # asked, has not pressed the button
        ACTIVE = "active", "active"
        PAUSED = "paused", "paused"  # by the reader, until paused_until or until resumed
        UNSUBSCRIBED = "unsubscribed", "unsubscribed"
        SUPPRESSED = "suppressed", "suppressed"  # follows the suppression table, same transaction
        ERASED = "erased", "erased"  # the row stays without the address: its number is never reused

    class Frequency(models.TextChoices):
        DAILY = "daily", "Daily"
        WEEKDAYS = "weekdays", "Weekdays"
        WEEKLY = "weekly", "Weekly"

    class Length(models.TextChoices):
        TITLES = "titles", "Titles"
        ONE_LINE = "one_line", "One line"
        ABSTRACT = "abstract", "Abstract"

    FREQUENCIES_OF = {"daily": (Frequency.DAILY, Frequency.WEEKDAYS), "weekly": (Frequency.WEEKLY,)}

    email = models.EmailField(max_length=254, blank=True, help_text="As typed; empty once erased.")
    address = models.CharField(
        max_length=254, unique=True, help_text="The normalised address; erased:<id> once erased."
    )
    status = models.CharField(max_length=12, choices=Status, default=Status.UNCONFIRMED)
    language = models.CharField(max_length=10, default="en")
    timezone = models.CharField(max_length=64, default="UTC", validators=[validate_timezone])
    frequency = models.CharField(max_length=8, choices=Frequency, default=Frequency.DAILY)
    hour = models.PositiveSmallIntegerField(
        default=7, validators=[MaxValueValidator(23)], help_text="Local hour at which the digest is due."
    )
    weekday = models.PositiveSmallIntegerField(
        default=0, validators=[MaxValueValidator(6)], help_text="Weekly readers' day; 0 is Monday."
    )
    length = models.CharField(max_length=8, choices=Length, default=Length.ONE_LINE)
    max_papers = models.PositiveSmallIntegerField(
        default=20, validators=[MinValueValidator(1), MaxValueValidator(100)]
    )
    top_papers_if_none = models.BooleanField(
        default=False, help_text="On a day without matches, the three top papers instead of no mail."
    )
    wants_updates = models.BooleanField(
        default=False, help_text="Revised versions of papers too, labelled as such."
    )
    # Random and stored, so that an unsubscribe link never expires and survives key rotation.
    unsubscribe_key = models.CharField(max_length=22, unique=True, default=new_key, editable=False)
    paused_until = models.DateField(null=True, blank=True, help_text="Empty while paused: until resumed.")
    created_at = models.DateTimeField()
    confirmed_at = models.DateTimeField(null=True, blank=True)
    left_at = models.DateTimeField(null=True, blank=True, help_text="Unsubscribed, suppressed or erased.")
    topics = models.ManyToManyField(
        "subscriptions.Topic", through="subscriptions.SubscribedTopic", related_name="subscribers"
    )

    objects = SubscriberQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(id__lte=MAX_SUBSCRIBER_ID), name="subscriber_id_fits_the_ledger_key"
            ),
            models.CheckConstraint(condition=models.Q(hour__lte=23), name="subscriber_hour"),
            models.CheckConstraint(condition=models.Q(weekday__lte=6), name="subscriber_weekday"),
        ]
        indexes = [
            models.Index(fields=["status", "frequency"]),  # members of an edition
            models.Index(fields=["created_at"]),  # the dashboard's chart
        ]

    def __str__(self) -> str:
        return self.email or f"erased subscriber {self.pk}"

    def is_paused_on(self, day: date) -> bool:
        return self.status == self.Status.PAUSED and (self.paused_until is None or day < self.paused_until)
