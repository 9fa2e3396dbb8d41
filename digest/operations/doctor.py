"""What `manage.py doctor` looks at: settings, services, sources, enrichers, mail server, clock.

Each finding says what is so and, where something is wrong, how to mend it. DNS records of the mail domain are
not looked at.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from http import HTTPStatus
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import Error
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, connection

from digest import checks
from digest.matching import encoders
from digest.models import Alarm, Source
from digest.operations import health, schema
from digest.operations.parts import counted
from digest.sources import clock, huggingface
from digest.sources.arxiv import doors
from digest.sources.http import Client, SourceError
from digest.sources.records import NotAList
from digest.sources.registry import KINDS, SourceKind
from subscriptions.mail import smtp

GOOD, HINT, WARN, BAD = "good", "hint", "warn", "bad"
_ARXIV_SECONDS = 15.0  # for one question; another process may be asking just now
_FEED_SECONDS = 10.0
_KNOWN_PAPER = "ARXIV:1706.03762"  # one that Semantic Scholar will always have
_MOST_ALARMS = 10
_CLOCK_MAY_DIFFER = timedelta(seconds=5)
_MANY_WAITING = 1_000


@dataclass(frozen=True)
class Finding:
    """`state` is good, hint (works, and could do more), warn (works, but look at it) or bad (does not work).

    `cure` is empty when good.
    """

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
    yield from _enrichers()
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
        sources = list(Source.objects.order_by("slug"))
    except DatabaseError as error:  # the tables are not there yet; said above
        yield Finding("sources", BAD, f"cannot be listed: {error}", "Run: manage.py migrate")
        return
    if not any(source.enabled for source in sources):
        yield Finding("sources", WARN, "none is switched on", "Switch one on: /admin/digest/source/")
    for source in sources:
        if source.enabled:
            yield _source(source, now)
        elif source.kind == Source.Kind.ARXIV:
            yield Finding(
                source.name,
                HINT,
                "is switched off, so only what other sources list comes in",
                f"To read every paper that it announces in your categories: {_page(source)}",
            )
    standing = list(
        Alarm.objects.raised().order_by("raised_at").values_list("message", flat=True)[:_MOST_ALARMS]
    )
    for message in standing:
        yield Finding("alarm", WARN, message, "Clear it when it is mended: /admin/digest/alarm/")


def _source(source: Source, now: datetime) -> Finding:
    """One small question to it; for a feed also whether the answer is one."""
    kind = KINDS.get(source.kind)
    if kind is None:
        fact = f"is switched on, and this version does not read {source.kind}"
        return Finding(source.name, WARN, fact, f"Switch it off: {_page(source)}")
    match source.kind:
        case Source.Kind.HUGGINGFACE:
            return _huggingface(source, now)
        case Source.Kind.ARXIV:
            return _arxiv(source)
    return _plain(source, kind, now)


def _page(source: Source) -> str:
    return f"/admin/digest/source/{source.pk}/change/"


def _huggingface(source: Source, now: datetime) -> Finding:
    address = (source.url or settings.HUGGINGFACE_URL).rstrip("/") + huggingface.PATH
    client = Client.for_start()
    client = client.public_only() if source.url else client
    try:
        client.get(address, params={"date": f"{now - timedelta(days=1):%Y-%m-%d}", "limit": 1})
    except SourceError as error:
        return Finding(source.name, BAD, "did not answer", str(error))
    return Finding(source.name, GOOD, f"{urlsplit(address).netloc} answers")


def _arxiv(source: Source) -> Finding:
    """Its daily door and the one that fills gaps, each asked once, in this installation's turn."""
    if not source.categories:
        return Finding(
            source.name,
            BAD,
            "is switched on without a category",
            f"Choose some, or switch it off: {_page(source)}",
        )
    questions = {
        "the announcement feed": (
            doors.FEED_DOOR,
            f"{(source.url or settings.ARXIV_RSS_URL).rstrip('/')}/rss/{source.categories[0]}",
            {},
        ),
        "OAI-PMH": (doors.OAI_DOOR, settings.ARXIV_OAI_URL, {"verb": "Identify"}),
    }
    for words, (door, address, params) in questions.items():
        client = Client(
            attempts=1,
            total_seconds=_ARXIV_SECONDS,
            budget_seconds=_ARXIV_SECONDS,
            is_public_only=door == doors.FEED_DOOR and bool(source.url),
            turn=partial(clock.turn, doors.CLOCK, heeding=(door,), longest_wait_seconds=_ARXIV_SECONDS),
        )
        try:
            client.get(address, params=params, accept="application/xml, */*;q=0.1")
        except SourceError as error:
            return Finding(source.name, BAD, f"{words} did not answer", str(error))
    hosts = list(dict.fromkeys(urlsplit(address).netloc for _door, address, _params in questions.values()))
    answer = f"{hosts[0]} answers" if len(hosts) == 1 else f"{' and '.join(hosts)} answer"
    return Finding(source.name, GOOD, f"{answer}, {len(source.categories)} categories chosen")


def _plain(source: Source, kind: SourceKind, now: datetime) -> Finding:
    day = now.astimezone(UTC).date()
    asked = kind.request(source.url, day)
    client = Client(
        attempts=1, total_seconds=_FEED_SECONDS, budget_seconds=_FEED_SECONDS, is_public_only=kind.is_typed
    )
    try:
        answer = client.get(asked.url, params=asked.params, accept=asked.accept, largest=asked.largest)
    except SourceError as error:
        return Finding(source.name, BAD, "did not answer", str(error))
    if kind.parse is None:
        return Finding(source.name, GOOD, f"{urlsplit(source.url).netloc} answers")
    try:
        parsed = kind.parse(answer.body, day)
    except NotAList as error:
        return Finding(
            source.name,
            BAD,
            f"{urlsplit(source.url).netloc} answers with {error}",
            f"Look at {source.url}; if it has moved, mend the address or switch it off: {_page(source)}",
        )
    fact = f"{urlsplit(source.url).netloc} answers with {counted(parsed.declared, 'entry', 'entries')}"
    if parsed.rejected:
        aside = f"{fact}, {len(parsed.rejected):,} of them cannot be read"
        return Finding(source.name, WARN, aside, f"The first: {parsed.rejected[0].problem}")
    return Finding(source.name, GOOD, fact)


# --- enrichment: optional ------------------------------------------------------------------------


def _enrichers() -> Iterator[Finding]:
    """The language model, Semantic Scholar and the ranker's model, where they are set. None has to work."""
    if settings.LLM_URL:
        yield _language_model()
    if settings.SEMANTIC_SCHOLAR_URL:
        yield _semantic_scholar()
    if settings.SEMANTIC_MODEL != "off":
        yield _semantic_model()


def _language_model() -> Finding:
    subject, host = "language model", urlsplit(settings.LLM_URL).netloc
    if not settings.LLM_MODEL:
        return Finding(subject, BAD, "LLM_URL is set and LLM_MODEL is not", "Name the model in LLM_MODEL.")
    headers = {"Authorization": f"Bearer {settings.LLM_KEY}"} if settings.LLM_KEY else {}
    try:
        answer = Client.for_start().get(f"{settings.LLM_URL}/models", headers=headers)
    except SourceError as error:
        if error.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            return Finding(subject, BAD, f"{host} does not let us in ({error.status})", "Check LLM_KEY.")
        if error.status in (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED):
            return Finding(
                subject,
                WARN,
                f"{host} answers, but lists no models",
                "Some servers do not. Where texts fail, see whether LLM_URL ends like https://host/v1.",
            )
        return Finding(
            subject, BAD, f"{host} did not answer", f"{error} Digests go out without AI text meanwhile."
        )
    try:
        listed = [str(one["id"]) for one in json.loads(answer.body)["data"]]
    except (ValueError, TypeError, KeyError, RecursionError):
        return Finding(subject, WARN, f"{host} answers, but not with a list of models", "Check LLM_URL.")
    if settings.LLM_MODEL not in listed:
        few = ", ".join(listed[:5])
        return Finding(
            subject, WARN, f"{host} does not list {settings.LLM_MODEL}", f"It has: {few or 'none'}."
        )
    return Finding(subject, GOOD, f"{host} answers and has {settings.LLM_MODEL}")


def _semantic_model() -> Finding:
    subject, name = "semantic model", settings.SEMANTIC_MODEL
    if encoders.available(name) is None:
        return Finding(
            subject,
            BAD,
            f"{name} is not installed, or not as it should be; papers are ranked without it",
            f"make {'multilingual' if name == encoders.MULTILINGUAL else 'semantic'}; the log says more.",
        )
    return Finding(subject, GOOD, f"{name} is installed and answers")


def _semantic_scholar() -> Finding:
    subject, host = "Semantic Scholar", urlsplit(settings.SEMANTIC_SCHOLAR_URL).netloc
    headers = {"x-api-key": settings.SEMANTIC_SCHOLAR_KEY} if settings.SEMANTIC_SCHOLAR_KEY else {}
    address = f"{settings.SEMANTIC_SCHOLAR_URL}/graph/v1/paper/{_KNOWN_PAPER}"
    try:
        Client.for_start().get(address, params={"fields": "title"}, headers=headers)
    except SourceError as error:
        if error.status == HTTPStatus.TOO_MANY_REQUESTS:
            return Finding(
                subject,
                WARN,
                f"{host} answers “too many requests”",
                "Without a key everybody shares one allowance. Ask for a key and set SEMANTIC_SCHOLAR_KEY.",
            )
        if error.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            return Finding(
                subject, BAD, f"{host} does not let us in ({error.status})", "Check SEMANTIC_SCHOLAR_KEY."
            )
        if error.status == HTTPStatus.NOT_FOUND:
            cure = "Check SEMANTIC_SCHOLAR_URL: it is the root of the address, without the path."
            return Finding(subject, BAD, f"{host} answers, but not as Semantic Scholar", cure)
        return Finding(subject, BAD, f"{host} did not answer", str(error))
    return Finding(subject, GOOD, f"{host} answers")


def _mail_server() -> Finding:
    try:
        with smtp.connect():
            pass
    except (OSError, ImproperlyConfigured) as error:
        return Finding("mail server", BAD, "cannot be used", str(error))
    named = urlsplit(settings.EMAIL_URL).netloc.rpartition("@")[2]
    return Finding("mail server", GOOD, f"{named or 'the local mail catcher'} greets and lets us in")
