"""Settings that Paperboy must not run with: what is wrong, where it is set, how to mend it.

Only ENVIRONMENT=production refuses what is fine on a laptop; what means nothing is refused everywhere.
"""

from collections.abc import Sequence
from email.errors import HeaderParseError
from email.headerregistry import Address
from email.utils import parseaddr
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error

from digest.matching import encoders

ENVIRONMENTS = ("development", "production")
POLICIES = ("hold", "resend")
SEMANTIC_MODELS = ("off", *encoders.MODELS)


def meaningful_settings(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    """Values that mean nothing, whatever the environment."""
    found: list[CheckMessage] = []
    if settings.ENVIRONMENT not in ENVIRONMENTS:
        found.append(
            Error(
                f"ENVIRONMENT is {settings.ENVIRONMENT!r}, which is neither development nor production.",
                hint="Set ENVIRONMENT=production for a public site, or leave it unset on a laptop.",
                id="paperboy.E001",
            )
        )
    if settings.UNCERTAIN_POLICY not in POLICIES:
        found.append(
            Error(
                f"UNCERTAIN_POLICY is {settings.UNCERTAIN_POLICY!r}, which is neither hold nor resend.",
                hint="Set UNCERTAIN_POLICY=hold to decide by hand what becomes of mail whose answer was "
                "lost, or UNCERTAIN_POLICY=resend to send it again with the same Message-ID.",
                id="paperboy.E002",
            )
        )
    if problem := _problem_with_sender(settings.DEFAULT_FROM_EMAIL):
        found.append(
            Error(
                f"DEFAULT_FROM_EMAIL is {settings.DEFAULT_FROM_EMAIL!r}: {problem}.",
                hint='Set it to an address that you own, such as DEFAULT_FROM_EMAIL="Paperboy '
                '<paperboy@example.org>".',
                id="paperboy.E003",
            )
        )
    if settings.MAX_RATE < 0:
        found.append(
            Error(
                f"MAX_RATE is {settings.MAX_RATE:g}, less than nothing.",
                hint="Set it to messages a second, such as MAX_RATE=5, or leave it unset for no limit.",
                id="paperboy.E004",
            )
        )
    if settings.SEMANTIC_MODEL not in SEMANTIC_MODELS:
        found.append(
            Error(
                f"SEMANTIC_MODEL is {settings.SEMANTIC_MODEL!r}, which is none of "
                f"{', '.join(SEMANTIC_MODELS)}.",
                hint="Leave it unset, or install a model first: make semantic, then SEMANTIC_MODEL=minilm; "
                "make multilingual, then SEMANTIC_MODEL=multilingual.",
                id="paperboy.E005",
            )
        )
    return found


def production_settings(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    """Defaults that are right on a laptop and wrong on a public site."""
    if settings.ENVIRONMENT != "production":
        return []
    found: list[CheckMessage] = []
    if settings.SECRET_KEY == settings.INSECURE_SECRET_KEY:
        found.append(
            Error(
                "SECRET_KEY is not set. The default can be guessed, and with it every link in every mail.",
                hint="Set SECRET_KEY to a long random text, such as the output of: openssl rand -base64 48",
                id="paperboy.E010",
            )
        )
    if not settings.POSTAL_ADDRESS.strip():
        found.append(
            Error(
                "POSTAL_ADDRESS is not set. Many countries require it in every bulk mail.",
                hint="Set POSTAL_ADDRESS to the address where post reaches whoever runs this site.",
                id="paperboy.E011",
            )
        )
    if urlsplit(settings.SITE_URL).scheme != "https":
        found.append(
            Error(
                f"SITE_URL is {settings.SITE_URL}, without https. Links with signed tokens would travel "
                "in the open, and mailboxes ignore one-click unsubscribe.",
                hint="Set SITE_URL to the public address, such as SITE_URL=https://papers.example.org.",
                id="paperboy.E012",
            )
        )
    unset = (
        ("DATABASE_URL", settings.DATABASE_URL, "postgres://user:password@host:5432/paperboy", "E013"),
        ("REDIS_URL", settings.REDIS_URL, "redis://host:6379/0", "E014"),
        ("EMAIL_URL", settings.EMAIL_URL, "smtp+tls://user:password@host:587", "E015"),
    )
    found += [
        Error(
            f"{name} is not set. The bundled services are for development.",
            hint=f"Set it to a server of your own, such as {name}={example}",
            id=f"paperboy.{number}",
        )
        for name, value, example, number in unset
        if not value
    ]
    return found


def _problem_with_sender(sender: str) -> str:
    if "\n" in sender or "\r" in sender:
        return "it has more than one line"
    _name, address = parseaddr(sender)
    local, at, domain = address.rpartition("@")
    if not at or not local or not domain:
        return "there is no address in it"
    if "." not in domain:
        return f"{domain} is no domain that mail can come from"
    try:
        Address(addr_spec=address)
    except (ValueError, IndexError, HeaderParseError) as error:
        return f"{address} is no address ({error})"
    return ""
