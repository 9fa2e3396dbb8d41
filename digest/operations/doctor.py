"""What `manage.py doctor` looks at: settings, database, broker, beat, sources, mail server, clock.

Each finding says what is so and, where something is wrong, how to mend it. DNS records of the mail domain are
not looked at.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import Error
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, connection

from digest import checks
from digest.models import Source
from digest.operations import health, schema
from digest.sources import huggingface
from digest.sources.http import Client, SourceError
from subscriptions.mail import smtp

GOOD, WARN, BAD = "good", "warn", "bad"
_CLOCK_MAY_DIFFER = timedelta(seconds=5)
_MANY_WAITING = 1_000


@dataclass(frozen=True)
class Finding:
    """`state` is good, warn (works, but look at it) or bad (does not work); `cure` is empty when good."""

    subject: str
    state: str
    fact: str
    cure: str = ""


def examine(*, now: datetime) -> Iterator[Finding]:
    """Everything, one finding after the other, so that a slow one does not hold back the others."""
    yield from _settings()
    database = health.database()
    yield _database(database)
    yield _broker()
    if database.answers:
        yield _beat(now)
        yield _clock(now)
        yield from _sources(now)
    yield _mail_server()


def _settings() -> Iterator[Finding]:
    problems = [*checks.meaningful_settings(None), *checks.production_settings(None)]
    for problem in problems:
        state = BAD if isinstance(problem, Error) else WARN
        yield Finding("settings", state, str(problem.msg), str(problem.hint or ""))
    if not problems:
        yield Finding("settings", GOOD, f"fit for {settings.ENVIRONMENT}")
    if settings.ENVIRONMENT == "development" and not settings.POSTAL_ADDRESS:
        yield Finding(
            "postal address",
            WARN,
            "POSTAL_ADDRESS is not set, so mails name none.",
            "Set it before writing to anybody but yourself.",
        )


def _database(probe: health.Probe) -> Finding:
    if not probe.answers:
        return Finding(
            "database",
            BAD,
            f"does not answer: {probe.problem}",
            "Start PostgreSQL, or mend DATABASE_URL; unset, the bundled one is used.",
        )
    missing = schema.missing_migrations()
    if missing:
        return Finding(
            "database", BAD, f"lacks {missing} migrations of this version", "Run: manage.py migrate"
        )
    return Finding("database", GOOD, f"answered in {probe.milliseconds:.1f} ms, its tables are up to date")


def _broker() -> Finding:
    probe = health.broker()
    if not probe.answers:
        return Finding(
            "broker",
            BAD,
            f"does not answer: {probe.problem}",
            "Start Redis, or mend REDIS_URL; unset, the bundled one is used.",
        )
    waiting = probe.waiting or 0
    fact = f"answered in {probe.milliseconds:.1f} ms, {waiting:,} tasks waiting"
    if waiting > _MANY_WAITING:
        return Finding("broker", WARN, fact, "More workers, or one that is stuck: look at the worker's log.")
    return Finding("broker", GOOD, fact)


def _beat(now: datetime) -> Finding:
    age = health.beat_age(now)
    if age is None:
        return Finding(
            "beat and workers",
            WARN,
            "no sign in the last 10 minutes",
            "Nothing is fetched or sent by itself. Start both with make run, or as docker-compose.yml does.",
        )
    if age > health.BEAT_LATE:
        return Finding(
            "beat and workers",
            WARN,
            f"the last sign is {age.total_seconds():.0f} s old",
            "Look at their logs: one of the two has stopped, or all workers are busy.",
        )
    return Finding("beat and workers", GOOD, f"last sign {age.total_seconds():.0f} s ago")


def _clock(now: datetime) -> Finding:
    with connection.cursor() as cursor:
        before = datetime.now(UTC)
        cursor.execute("SELECT clock_timestamp()")
        (there,) = cursor.fetchone()
    apart = abs(there - before)
    if apart > _CLOCK_MAY_DIFFER:
        return Finding(
            "clock",
            BAD,
            f"this machine and the database differ by {apart.total_seconds():.0f} s",
            "Digests would go out at the wrong time. Set both by NTP.",
        )
    return Finding("clock", GOOD, f"{now:%Y-%m-%d %H:%M:%S} UTC here; the database agrees")


def _sources(now: datetime) -> Iterator[Finding]:
    try:
        sources = list(Source.objects.filter(enabled=True).order_by("slug"))
    except DatabaseError as error:  # the tables are not there yet; said above
        yield Finding("sources", BAD, f"cannot be listed: {error}", "Run: manage.py migrate")
        return
    if not sources:
        yield Finding("sources", WARN, "none is switched on", "Switch one on: /admin/digest/source/")
    for source in sources:
        yield _source(source, now)


def _source(source: Source, now: datetime) -> Finding:
    if source.kind != Source.Kind.HUGGINGFACE:
        return Finding(
            source.name,
            WARN,
            f"is switched on, and this version does not read {source.kind}",
            f"Switch it off: /admin/digest/source/{source.pk}/change/",
        )
    address = (source.url or settings.HUGGINGFACE_URL).rstrip("/") + huggingface.PATH
    try:
        Client.for_start().get(address, params={"date": f"{now - timedelta(days=1):%Y-%m-%d}", "limit": 1})
    except SourceError as error:
        return Finding(source.name, BAD, "did not answer", str(error))
    return Finding(source.name, GOOD, f"{urlsplit(address).netloc} answers")


def _mail_server() -> Finding:
    try:
        with smtp.connect():
            pass
    except (OSError, ImproperlyConfigured) as error:
        return Finding("mail server", BAD, "cannot be used", str(error))
    named = urlsplit(settings.EMAIL_URL).netloc.rpartition("@")[2]
    return Finding("mail server", GOOD, f"{named or 'the local mail catcher'} greets and lets us in")
