"""Many rows in one statement: what a day's papers need to be stored in half a second.

Django writes one placeholder for each value, 50,000 of them for a day, and PostgreSQL reads them back. Here
the rows travel as one JSON text, which PostgreSQL turns into rows of the table's own types
(jsonb_populate_recordset): measured at four times the speed of bulk_create, and ten times that of
bulk_update.

What the database refuses (NUL, half a surrogate pair, a text too long, a key twice) raises DataError or
IntegrityError and stores nothing.
"""

import json
from collections.abc import Collection, Sequence
from datetime import date
from typing import Any

from django.db import connection, models
from psycopg import sql


def insert(objects: Sequence[models.Model], *, ignore_conflicts: bool = False) -> None:
    """Store new objects of one model, and give them their ids. Two queries."""
    if not objects:
        return
    table = objects[0]._meta.db_table
    fields = [field.attname for field in objects[0]._meta.concrete_fields]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT nextval(pg_get_serial_sequence(%s, 'id')) FROM generate_series(1, %s)",
            [table, len(objects)],
        )
        for one, (pk,) in zip(objects, cursor.fetchall(), strict=True):
            one.pk = pk
            one._state.adding = False
        columns = sql.SQL(", ").join(map(sql.Identifier, fields))
        statement = sql.SQL("INSERT INTO {table} ({columns}) SELECT {columns} FROM {rows}").format(
            table=sql.Identifier(table), columns=columns, rows=_rows(table)
        )
        if ignore_conflicts:
            statement += sql.SQL(" ON CONFLICT DO NOTHING")
        cursor.execute(statement, [_as_json(objects, fields)])


def update(objects: Collection[models.Model], fields: Sequence[str]) -> None:
    """Write these fields of stored objects of one model. One query; columns not named are left alone."""
    if not objects:
        return
    model = next(iter(objects))
    table = model._meta.db_table
    columns = [model._meta.get_field(name).attname for name in fields]  # type: ignore[union-attr]
    assignments = (
        sql.SQL("{column} = rows.{column}").format(column=sql.Identifier(column)) for column in columns
    )
    statement = sql.SQL("UPDATE {table} AS stored SET {values} FROM {rows} WHERE stored.id = rows.id").format(
        table=sql.Identifier(table), values=sql.SQL(", ").join(assignments), rows=_rows(table)
    )
    with connection.cursor() as cursor:
        cursor.execute(statement, [_as_json(objects, ["id", *columns])])


def _rows(table: str) -> sql.Composed:
    return sql.SQL("jsonb_populate_recordset(NULL::{table}, %s::jsonb) AS rows").format(
        table=sql.Identifier(table)
    )


def _as_json(objects: Collection[models.Model], columns: Sequence[str]) -> str:
    return json.dumps(
        [{column: getattr(one, column) for column in columns} for one in objects], default=_plain
    )


def _plain(value: Any) -> str:
    if isinstance(value, date):  # and datetime
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} has no form in JSON here.")
