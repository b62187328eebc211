"""Writing many rows at once, by one statement a table.

Django's `bulk_create` and `bulk_update` convert, escape and parse each value by itself, which takes longer than the
rest of a batch. Here a column goes to the database as one JSON text, and the database takes it apart.
"""

import json
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from django.db import connection, models


class Column(NamedTuple):
    """How one field of a model travels."""

    name: str
    #: Returns the field's values of some rows, ready for JSON.
    values: Callable[[Sequence[Any]], list[Any]]
    #: Takes the column's JSON text apart, and gives each part its type.
    opened: str
    cast: str


def insert_rows(rows: Sequence[Any], *, model: type[models.Model] | None = None, conflict: str = "") -> int:
    """Insert new rows of one model by one statement; return how many were inserted (or met by `conflict`).

    Rows are instances, or, of a named `model` without relations, anything with its attributes: instances are costly
    to make. A primary key that is not set is given by the database, and not told. `conflict` is an ON CONFLICT clause.
    """
    if not rows:
        return 0
    table: type[models.Model] = model or type(rows[0])
    columns = _columns(table, _stored(table, keyed=getattr(rows[0], "pk", None) is not None))
    names = ", ".join(f'"{column.name}"' for column in columns)
    return _execute(
        f'INSERT INTO "{table._meta.db_table}" ({names}) SELECT {_casts(columns)} '  # noqa: S608
        f"FROM {_opened(columns)} {conflict}",
        [json.dumps(column.values(rows)) for column in columns],
    )


def update_rows(
    rows: Sequence[models.Model], fields: Sequence[str], *, where: str = "", params: Sequence[Any] = ()
) -> int:
    """Set `fields` of all `rows` to their present values by one statement; return how many it met.

    `where` is further SQL on the table, named `t`, for fencing.
    """
    if not rows:
        return 0
    model = type(rows[0])
    assert model._meta.pk
    key, *others = columns = _columns(model, (model._meta.pk.name, *fields))
    sets = ", ".join(f'"{column.name}" = i.c{place}{column.cast}' for place, column in enumerate(others, 1))
    return _execute(
        f'UPDATE "{model._meta.db_table}" t SET {sets} FROM {_opened(columns)} '  # noqa: S608
        f'WHERE t."{key.name}" = i.c0{key.cast} {where}',
        [*(json.dumps(column.values(rows)) for column in columns), *params],
    )


def _execute(sql: str, params: Sequence[Any]) -> int:
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return int(cursor.rowcount)


def _opened(columns: Sequence[Column]) -> str:
    names = ", ".join(f"c{place}" for place in range(len(columns)))
    return f"ROWS FROM ({', '.join(column.opened for column in columns)}) AS i({names})"


def _casts(columns: Sequence[Column]) -> str:
    return ", ".join(f"i.c{place}{column.cast}" for place, column in enumerate(columns))


def _stored(model: type[models.Model], *, keyed: bool) -> tuple[str, ...]:
    """Return the fields that we give: not what the database computes, nor a key that it gives."""
    return tuple(
        field.name
        for field in model._meta.concrete_fields
        if not (field.generated or field.has_db_default() or (field.primary_key and not keyed))
    )


@lru_cache(maxsize=256)
def _columns(model: type[models.Model], names: tuple[str, ...]) -> tuple[Column, ...]:
    return tuple(_column(model._meta.get_field(name)) for name in names)


def _column(field: Any) -> Column:
    kind = field.rel_db_type(connection) if field.is_relation else field.db_type(connection)
    opened = "json_array_elements(%s)" if kind == "jsonb" else "json_array_elements_text(%s)"
    return Column(field.column, _reader(field, kind), opened, f"::{kind.partition('(')[0]}")


def _reader(field: Any, kind: str) -> Callable[[Sequence[Any]], list[Any]]:
    name = field.attname
    if field.is_relation:
        return lambda rows: [_target(field, row) for row in rows]
    if kind not in _WRITTEN:
        return lambda rows: [getattr(row, name) for row in rows]
    write = _WRITTEN[kind]
    return lambda rows: [None if (value := getattr(row, name)) is None else write(value) for row in rows]


def _target(field: Any, row: models.Model) -> Any:
    """Return what a row refers to, which may have got its id after the row was made."""
    target = field.get_cached_value(row, default=None)
    return getattr(row, field.attname) if target is None else target.pk


_WRITTEN: dict[str, Callable[[Any], Any]] = {
    "timestamp with time zone": lambda value: value.isoformat(),
    "bytea": lambda value: f"\\x{bytes(value).hex()}",
    "uuid": str,
}
