"""One person's consent, wishes and mail."""

from subscriptions.models.consent import Consent
from subscriptions.models.delivery import Delivery
from subscriptions.models.mailing import Mailing, MailingCounter
from subscriptions.models.notice import Notice
from subscriptions.models.subscriber import Subscriber, normalise_address
from subscriptions.models.suppression import Suppression
from subscriptions.models.topic import FilterRevision, Mute, SubscribedTopic, Topic

__all__ = [
    "Consent",
    "Delivery",
    "FilterRevision",
    "Mailing",
    "MailingCounter",
    "Mute",
    "Notice",
    "SubscribedTopic",
    "Subscriber",
    "Suppression",
    "Topic",
    "normalise_address",
]
