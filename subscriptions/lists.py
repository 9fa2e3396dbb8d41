"""Lists of subscribers as CSV files: in with recorded consent, out in the same columns.

Columns: email, filter, frequency, consent_at, consent_source; and, where wanted, topics (slugs, joined by ;),
language, timezone, hour. A reader with several own filters has one line for each.
"""

import csv
import functools
import re
import zoneinfo
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TextIO

from django.conf import settings
from django.db import IntegrityError, connection, models, transaction
from psycopg.types.json import Jsonb

from subscriptions import addresses, filters, interests, lifecycle, topics
from subscriptions.filters import FilterError
from subscriptions.models import (
    Consent,
    SubscribedTopic,
    Subscriber,
    Suppression,
    Topic,
    normalise_address,
)

REQUIRED = ("email", "filter", "frequency", "consent_at", "consent_source")
OPTIONAL = ("topics", "language", "timezone", "hour")
COLUMNS = REQUIRED + OPTIONAL
BATCH = 2_000  # addresses written in one transaction

# A spreadsheet takes a cell that begins so for a formula; an apostrophe before it makes it text. Cells that
# have such apostrophes of their own get one too, so that reading takes away exactly what writing added.
_FORMULA = re.compile(r"'*[=+\-@\t]")
_HOUR = re.compile(r"([01]?\d|2[0-3])(:00)?")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")

Report = Callable[[int, str], None]  # (line, reason)
Status = Subscriber.Status


class BadFile(ValueError):
    """A file that is no list of subscribers at all; `str()` says why and how to mend it."""


class BadRow(ValueError):
    """A line that cannot be taken; `str()` says why."""


@dataclass(slots=True)
class Imported:
    """What became of the rows; the four add up to the number of rows."""

    created: int = 0
    updated: int = 0
    suppressed: int = 0  # unsubscribed, suppressed or erased: left alone
    rejected: int = 0


@dataclass(frozen=True, slots=True)
class Row:
    """One good line."""

    line: int
    email: str
    address: str
    frequency: str
    consent_at: datetime
    consent_source: str
    filter: str  # canonical, or empty
    slugs: tuple[str, ...]
    language: str | None
    timezone: str | None
    hour: int | None

    def settings(self) -> dict[str, str | int]:
        """What the line says about the reader's row; an absent or empty cell leaves a setting as it is."""
        said = {
            "frequency": self.frequency,
            "language": self.language,
            "timezone": self.timezone,
            "hour": self.hour,
        }
        return {name: value for name, value in said.items() if value is not None}


# --- in -----------------------------------------------------------------------------------------


def read(file: TextIO, *, now: datetime, report: Report) -> Imported:
    """Import a list. Bad rows are reported by line and left out; the others are taken.

    A row with consent makes its address an active reader of its filter and topics, or adds them to one. Who
    unsubscribed, is suppressed or was erased stays so. Reading the same file again changes nothing. Raises
    BadFile before anything is written where the columns are not those of a list.
    """
    done = Imported()
    reader = csv.DictReader(file)
    columns = _columns(reader)
    catalogue = {topic.slug: topic for topic in Topic.objects.catalogue() if topic.slug}
    batch: dict[str, Row] = {}
    try:
        for cells in reader:
            try:
                row = _row(cells, columns, catalogue, line=reader.line_num, now=now)
            except BadRow as error:
                done.rejected += 1
                report(reader.line_num, str(error))
                continue
            # One address once in a batch: its second line finds what the first has written.
            if row.address in batch or len(batch) == BATCH:
                _write(list(batch.values()), catalogue, done, now=now)
                batch.clear()
            batch[row.address] = row
    except (csv.Error, UnicodeDecodeError) as error:
        _write(list(batch.values()), catalogue, done, now=now)
        raise BadFile(
            f"Line {reader.line_num + 1}: {error}. The lines before it are imported. Save the file as CSV in "
            "UTF-8 and import it again; nobody is imported twice."
        ) from error
    _write(list(batch.values()), catalogue, done, now=now)
    return done


def _columns(reader: "csv.DictReader[str]") -> dict[str, str]:
    """Our name of each column → its name in the file."""
    try:
        names = {(name or "").strip().lower(): name for name in reader.fieldnames or ()}
    except (csv.Error, UnicodeDecodeError) as error:
        raise BadFile(f"This is not a CSV file in UTF-8: {error}. Save it as CSV in UTF-8.") from error
    missing = [name for name in REQUIRED if name not in names]
    if missing:
        raise BadFile(
            f"The first line must name the columns {', '.join(REQUIRED)}, separated by commas; "
            f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing."
        )
    return {name: names[name] for name in COLUMNS if name in names}


def _row(
    cells: dict[str, str],
    columns: dict[str, str],
    catalogue: dict[str, Topic],
    *,
    line: int,
    now: datetime,
) -> Row:
    if None in cells:  # what csv puts under None: cells beyond the last column
        raise BadRow("more cells than columns; put quotes around cells with commas")
    cell = {name: _unquoted(cells[column] or "").strip() for name, column in columns.items()}
    for name, text in cell.items():
        if _CONTROL.search(text):
            raise BadRow(f"{name} holds a control character")
    try:
        email = addresses.checked(cell["email"])
    except addresses.BadAddress as error:
        raise BadRow(str(error)) from error
    if not cell["consent_at"]:
        raise BadRow("no consent: consent_at is empty")
    if not cell["consent_source"]:
        raise BadRow("no consent: consent_source is empty")
    if len(cell["consent_source"]) > 200:
        raise BadRow("consent_source has more than 200 characters")
    consent_at = _instant(cell["consent_at"])
    if consent_at > now:
        raise BadRow(f"consent_at {cell['consent_at']} is in the future")
    frequency = cell["frequency"].lower()
    if frequency not in Subscriber.Frequency.values:
        raise BadRow(f"frequency {cell['frequency']!r} is none of {', '.join(Subscriber.Frequency.values)}")
    canonical = _canonical(cell["filter"]) if cell["filter"] else ""
    if isinstance(canonical, FilterError):
        raise BadRow(f"filter: {canonical}")
    slugs = tuple(dict.fromkeys(slug for part in cell.get("topics", "").split(";") if (slug := part.strip())))
    for slug in slugs:
        if slug not in catalogue:
            raise BadRow(f"there is no topic {slug!r} in the catalogue")
    if not (canonical or slugs):
        raise BadRow("nothing to look for: give a filter or topics")
    language = cell.get("language", "").lower() or None
    if language and language not in dict(settings.LANGUAGES):
        raise BadRow(f"language {language!r} is none of {', '.join(dict(settings.LANGUAGES))}")
    timezone = cell.get("timezone") or None
    if timezone and timezone not in _timezones():
        raise BadRow(f"{timezone!r} is not a time zone; use a name such as Europe/Berlin")
    hour = _HOUR.fullmatch(cell.get("hour") or "7")
    if hour is None:
        raise BadRow(f"hour {cell['hour']!r} is not one from 0 to 23")
    return Row(
        line=line,
        email=email,
        address=normalise_address(email),
        frequency=frequency,
        consent_at=consent_at,
        consent_source=cell["consent_source"],
        filter=canonical,
        slugs=slugs,
        language=language,
        timezone=timezone,
        hour=int(hour[1]) if cell.get("hour") else None,
    )


def _instant(text: str) -> datetime:
    try:
        instant = datetime.fromisoformat(text)
    except ValueError as error:
        raise BadRow(f"consent_at {text!r} is not a date or time such as 2026-08-21T10:00:00Z") from error
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


@functools.lru_cache(maxsize=10_000)
def _canonical(text: str) -> str | FilterError:
    try:
        return filters.parse(text).canonical
    except FilterError as error:
        return error


@functools.cache
def _timezones() -> set[str]:
    return zoneinfo.available_timezones()


@dataclass(slots=True)
class _Reader:
    """A reader of this batch and what they have so far."""

    row: Row
    subscriber: Subscriber
    filter_ids: set[int] = field(default_factory=set)
    filter_names: set[str] = field(default_factory=set)
    topic_ids: set[int] = field(default_factory=set)
    next_position: int = 0


def _write(rows: Sequence[Row], catalogue: dict[str, Topic], done: Imported, *, now: datetime) -> None:
    """One batch, each address once, in one transaction and a dozen queries."""
    if not rows:
        return
    try:
        _write_once(rows, catalogue, done, now=now)
    except IntegrityError:  # somebody signed up with one of these addresses meanwhile: now they are found
        _write_once(rows, catalogue, done, now=now)


def _write_once(rows: Sequence[Row], catalogue: dict[str, Topic], done: Imported, *, now: datetime) -> None:
    with transaction.atomic():
        known = {
            subscriber.address: subscriber
            for subscriber in Subscriber.objects.select_for_update().filter(
                address__in=[row.address for row in rows]
            )
        }
        barred = _barred([row.address for row in rows], now=now)
        new, old, changed, consents, suppressed = [], [], [], [], 0
        for row in rows:
            subscriber = known.get(row.address)
            if row.address in barred or (
                subscriber and subscriber.status not in (Status.ACTIVE, Status.PAUSED, Status.UNCONFIRMED)
            ):
                suppressed += 1
            elif subscriber is None:
                subscriber = Subscriber(
                    email=row.email,
                    address=row.address,
                    status=Status.ACTIVE,
                    created_at=now,
                    confirmed_at=row.consent_at,
                    **row.settings(),
                )
                new.append(_Reader(row, subscriber))
                consents.append(_consent(row, subscriber))
            else:
                if subscriber.status == Status.UNCONFIRMED:
                    subscriber.status, subscriber.confirmed_at = Status.ACTIVE, row.consent_at
                    consents.append(_consent(row, subscriber))
                    changed.append(subscriber)
                for name, value in row.settings().items():
                    if getattr(subscriber, name) != value:
                        setattr(subscriber, name, value)
                        changed.append(subscriber)
                old.append(_Reader(row, subscriber))
        _copy([reader.subscriber for reader in new])
        _update({subscriber.pk: subscriber for subscriber in changed}.values())
        _copy(consents)
        _load_topics(old)
        _follow([*new, *old], catalogue, now=now)
    done.created += len(new)
    done.updated += len(old)
    done.suppressed += suppressed


def _barred(normalised: Sequence[str], *, now: datetime) -> set[str]:
    suppressed = Suppression.objects.in_force(now).filter(address__in=normalised)
    return {*suppressed.values_list("address", flat=True), *lifecycle.was_erased(normalised)}


def _consent(row: Row, subscriber: Subscriber) -> Consent:
    return Consent(
        subscriber=subscriber, act=Consent.Act.IMPORTED, at=row.consent_at, source=row.consent_source
    )


def _load_topics(readers: Sequence[_Reader]) -> None:
    by_id = {reader.subscriber.pk: reader for reader in readers}
    followed = SubscribedTopic.objects.filter(subscriber__in=by_id).values_list(
        "subscriber_id", "topic_id", "position", "topic__owner_id", "topic__filter_id", "topic__name"
    )
    for subscriber_id, topic_id, position, owner_id, filter_id, name in followed:
        reader = by_id[subscriber_id]
        reader.topic_ids.add(topic_id)
        reader.next_position = max(reader.next_position, position + 1)
        if owner_id is not None:
            reader.filter_ids.add(filter_id)
            reader.filter_names.add(name)


def _follow(readers: Sequence[_Reader], catalogue: dict[str, Topic], *, now: datetime) -> None:
    canonicals = sorted({reader.row.filter for reader in readers if reader.row.filter})
    revisions = dict(zip(canonicals, topics.revisions(canonicals, now=now), strict=True))
    lines, own = [], []
    for reader in readers:
        for slug in reader.row.slugs:
            if catalogue[slug].pk not in reader.topic_ids:
                lines.append(_line(reader, catalogue[slug]))
        revision = revisions.get(reader.row.filter)
        if revision is not None and revision.pk not in reader.filter_ids:
            topic = Topic(
                owner=reader.subscriber, name=topics.unused_name(reader.filter_names), filter=revision
            )
            own.append(topic)
            lines.append(_line(reader, topic))
    _copy(own)
    _copy(lines)


def _line(reader: _Reader, topic: Topic) -> SubscribedTopic:
    line = SubscribedTopic(subscriber=reader.subscriber, topic=topic, position=reader.next_position)
    reader.next_position += 1
    return line


_UPDATED = ("status", "confirmed_at", "frequency", "language", "timezone", "hour")


def _update(subscribers: Iterable[Subscriber]) -> None:
    """One statement for all: Django's bulk_update takes milliseconds a row."""
    rows = [(subscriber.pk, *(getattr(subscriber, name) for name in _UPDATED)) for subscriber in subscribers]
    if rows:
        with connection.cursor() as cursor:
            cursor.execute(
                f"""
                UPDATE subscriptions_subscriber s
                SET {", ".join(f"{name} = u.{name}" for name in _UPDATED)}
                FROM unnest(%s::bigint[], %s::text[], %s::timestamptz[], %s::text[], %s::text[], %s::text[],
                            %s::smallint[]) AS u (id, {", ".join(_UPDATED)})
                WHERE s.id = u.id
                """,
                [list(column) for column in zip(*rows, strict=True)],
            )


def _copy(rows: Sequence[models.Model]) -> None:
    """Insert rows by COPY, several times as fast as bulk_create; their keys are drawn and set first."""
    if not rows:
        return
    table = rows[0]._meta.db_table
    columns = list(rows[0]._meta.concrete_fields)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT nextval(pg_get_serial_sequence(%s, 'id')) FROM generate_series(1, %s)", [table, len(rows)]
        )
        for row, (key,) in zip(rows, cursor.fetchall(), strict=True):
            row.pk = key
        names = ", ".join(connection.ops.quote_name(str(column.column)) for column in columns)
        # Django wraps the errors of execute() only.
        with connection.wrap_database_errors, cursor.copy(f"COPY {table} ({names}) FROM STDIN") as copy:
            for row in rows:
                copy.write_row([_plain(getattr(row, str(column.name))) for column in columns])


def _plain(value: Any) -> Any:
    # A related row by its key, which it may have got after it was put here; a choice as the text it is.
    match value:
        case models.Model():
            return value.pk
        case str():
            return str(value)
        case dict():
            return Jsonb(value)
    return value


# --- out ----------------------------------------------------------------------------------------


def write(file: TextIO) -> int:
    """Export every reader who has agreed to get mail, active or paused; how many readers."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS)
    number = 0
    for reader, lines in _readers():
        number += 1
        writer.writerows([_quoted(cell) for cell in line] for line in _lines(reader, lines))
    return number


def _readers() -> Iterator[tuple[Subscriber, list[SubscribedTopic]]]:
    last = 0
    while True:
        readers = list(
            Subscriber.objects.filter(pk__gt=last, status__in=(Status.ACTIVE, Status.PAUSED))
            .order_by("pk")
            .prefetch_related("subscribed_topics__topic__filter", "consents")[:BATCH]
        )
        if not readers:
            return
        for reader in readers:
            yield reader, list(reader.subscribed_topics.all())
        last = readers[-1].pk


def _lines(reader: Subscriber, lines: Iterable[SubscribedTopic]) -> Iterator[list[str]]:
    given = [
        consent
        for consent in sorted(reader.consents.all(), key=lambda consent: consent.pk)
        if consent.act in (Consent.Act.CONFIRMED, Consent.Act.IMPORTED)
    ]
    consent_at = given[-1].at if given else reader.confirmed_at
    source = given[-1].source if given else ""
    slugs = [slug for line in lines if (slug := line.topic.slug)]
    own = [_filter(line.topic) for line in lines if line.topic.owner_id is not None]
    own = [canonical for canonical in own if canonical]
    for place, canonical in enumerate(own or [""]):
        yield [
            reader.email,
            canonical,
            reader.frequency,
            consent_at.astimezone(UTC).isoformat().replace("+00:00", "Z") if consent_at else "",
            source,
            ";".join(slugs) if place == 0 else "",
            reader.language,
            reader.timezone,
            str(reader.hour),
        ]


def _filter(topic: Topic) -> str:
    """What stands in the one column for a filter: of who lets every paper in, the keywords they ask for."""
    if topic.filter.canonical == interests.EVERY_PAPER and (wanted := interests.of_topic(topic)):
        return interests.as_filter(wanted)
    return topic.filter.canonical


def _quoted(cell: str) -> str:
    return f"'{cell}" if _FORMULA.match(cell) else cell


def _unquoted(cell: str) -> str:
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell
