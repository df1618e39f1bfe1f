"""Statements that run many times a second: compiled once, then given to the driver as they are.

SQLAlchemy takes ten times as long to run a small statement as SQLite does. What every group of batches needs goes
past it here, inside the very transaction that it opened. Rules of this file: integers, texts and bytes only (no type
of a column converts anything on its way); an error of the driver leaves it as SQLAlchemy's own, as `Store` expects.
"""

from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Dialect
from sqlalchemy.engine.interfaces import DBAPICursor
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql import ClauseElement

Values = Mapping[str, object]
Ints = NDArray[np.int64]


class _Text:
    """A statement as one driver takes it."""

    def __init__(self, statement: ClauseElement, dialect: Dialect, keys: Sequence[str], expanded: Values) -> None:
        compiled: Any = statement.compile(dialect=dialect, column_keys=list(keys) or None)
        state = compiled.construct_expanded_state({**compiled.params, **expanded})
        self.sql: str = state.statement
        self._places: list[str] | None = state.positiontup
        self._fixed: dict[str, object] = dict(state.parameters)
        self._list = [one for names in state.parameter_expansion.values() for one in names]
        names = [one.keyname for one in compiled._result_columns]  # noqa: SLF001 - SQLAlchemy's rows are named by it, too
        row: Any = namedtuple("Row", names)  # type: ignore[misc] # noqa: PYI024 - its fields are those of the statement
        self.row: Callable[[Sequence[object]], Any] = row._make
        self.columns = len(names)

    def values(self, given: Values) -> Any:  # noqa: ANN401 - a list or a mapping, as the driver wants it
        """Return values as the driver takes them."""
        known = {**self._fixed, **given}
        return known if self._places is None else [known[name] for name in self._places]

    def listed(self, members: Sequence[object], given: Values | None) -> Any:  # noqa: ANN401 - as above
        """Return the members of its list, and other values, as the driver takes them."""
        if given is None and self._places is not None:
            return members
        return self.values({**dict(zip(self._list, members, strict=True)), **(given or {})})


class Prepared:
    """One statement; at most one of its parameters expands."""

    def __init__(self, statement: ClauseElement, expands: str | None = None) -> None:
        """Prepare a statement; `expands` names its parameter that stands for a list, `x IN (...)`."""
        self._statement, self._expands = statement, expands
        self._texts: dict[tuple[str, int, tuple[str, ...]], _Text] = {}

    def rows(self, connection: Connection, values: Values | None = None) -> list[Any]:
        """Return the rows that it gives, each with its columns by name.

        Raises:
            DBAPIError: the database refuses.
        """
        text = self._text(connection, 0, ())
        return [text.row(one) for one in _fetched(connection, text, text.values(values or {}))]

    def among(self, connection: Connection, wanted: Sequence[object], values: Values | None = None) -> list[Any]:
        """Return the rows for the members of a list, and other values; those of an empty list without asking.

        Raises:
            DBAPIError: the database refuses.
        """
        if not wanted:
            return []
        text, listed = self._among(connection, wanted, values)
        return [text.row(one) for one in _fetched(connection, text, listed)]

    def numbers(self, connection: Connection, wanted: Sequence[object], values: Values | None = None) -> Ints:
        """Return what `among` gives, all of it integers, as an array: of many rows, in a fifth of the time.

        Raises:
            DBAPIError: the database refuses.
        """
        if not wanted:
            return np.zeros((0, self._text(connection, 1, ()).columns), np.int64)
        text, listed = self._among(connection, wanted, values)
        found = np.fromiter(chain.from_iterable(_fetched(connection, text, listed)), np.int64)
        return found.reshape(-1, text.columns)

    def _among(self, connection: Connection, wanted: Sequence[object], values: Values | None) -> tuple[_Text, Any]:
        room = 1 << (len(wanted) - 1).bit_length()  # few lengths, so that few texts are compiled and few are planned
        text = self._text(connection, room, ())
        return text, text.listed([*wanted, *[wanted[-1]] * (room - len(wanted))], values)

    def run(self, connection: Connection, rows: Sequence[Values]) -> None:
        """Run it for each of some rows, all of which have the same names.

        Raises:
            DBAPIError: the database refuses.
        """
        text = self._text(connection, 0, tuple(rows[0]))
        values = [text.values(row) for row in rows]
        with _Raw(connection, text.sql) as cursor:
            if len(values) == 1:
                cursor.execute(text.sql, values[0])
            else:
                cursor.executemany(text.sql, values)

    def _text(self, connection: Connection, room: int, keys: tuple[str, ...]) -> _Text:
        name = connection.dialect.name, room, keys
        known = self._texts.get(name)
        if known is None:
            expanded = {} if self._expands is None else {self._expands: [None] * room}
            known = self._texts[name] = _Text(self._statement, connection.dialect, keys, expanded)
        return known


def _fetched(connection: Connection, text: _Text, values: Any) -> Sequence[Sequence[Any]]:  # noqa: ANN401 - the driver's
    with _Raw(connection, text.sql) as cursor:
        cursor.execute(text.sql, values)
        return cursor.fetchall()


class _Raw:
    """The driver's own cursor on a connection that is in a transaction."""

    def __init__(self, connection: Connection, sql: str) -> None:
        self._connection, self._sql = connection, sql
        self._cursor = connection.connection.cursor()

    def __enter__(self) -> DBAPICursor:
        return self._cursor

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        self._cursor.close()
        driver: Any = self._connection.dialect.loaded_dbapi
        if isinstance(error, driver.Error):
            self._drop(error)
            raise DBAPIError.instance(self._sql, None, error, driver.Error, dialect=self._connection.dialect) from error

    def _drop(self, error: Any) -> None:  # noqa: ANN401 - the driver's
        """Let nobody use a connection again whose server is gone."""
        link: Any = self._connection.connection.dbapi_connection
        if self._connection.dialect.is_disconnect(error, link, None):
            self._connection.invalidate(error)


def plain(connection: Connection, sql: str) -> None:
    """Run a statement without values and without rows.

    Raises:
        DBAPIError: the database refuses.
    """
    with _Raw(connection, sql) as cursor:
        cursor.execute(sql, ())
