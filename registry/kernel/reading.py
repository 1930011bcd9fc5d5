"""Reading: a session that only reads, and questions that are composed once.

SQLAlchemy makes four hundred calls for a statement and its rows, the driver eighty. Whoever writes
needs what they are for, rows that are tracked; whoever reads needs the rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, cached_property
from typing import Any, Generic, TypeVar, TypeVarTuple, cast

import psycopg
from sqlalchemy import Connection, Engine, Select, bindparam, inspect, select
from sqlalchemy.dialects.postgresql import psycopg as dialects
from sqlalchemy.exc import DBAPIError
from sqlmodel import Session

from registry.kernel.lending import Lent, borrow, give_back

Columns = TypeVarTuple("Columns")
Entity = TypeVar("Entity")
_Values = Iterator[Any]
_Make = Callable[[_Values], Any]
_DIALECT = cast("Any", dialects.PGDialect_psycopg)()
_NUMERIC_OID = 1700
"""The driver gives each numeric as a decimal; types of other columns do not ask."""
_BEGIN = b"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"


class ReadSession(Session):
    """A session in a read-only transaction; a type of its own, so that a reader cannot write.

    The transaction is the driver's own: what SQLAlchemy does to begin and end one takes four times
    as long as the server does. Whoever asks SQLAlchemy finds it in the same transaction.
    """

    def __init__(self, engine: Engine) -> None:
        super().__init__(expire_on_commit=False)
        self._engine = engine
        self._lent: Lent | None = None
        self._cursor: psycopg.Cursor[tuple[Any, ...]] | None = None
        self._shared: Connection | None = None

    def cursor(self) -> psycopg.Cursor[tuple[Any, ...]]:
        """Give a new cursor of the driver's, in the transaction.

        Raises
        ------
        DBAPIError
            There is no connection to be had.
        """
        if self._lent is None:
            try:
                self._lent = _begun(borrow(self._engine))
            except psycopg.Error as error:
                raise _as_of_sqlalchemy(_BEGIN, error) from error
        return self._lent.driver.cursor()

    def get_bind(self, *_: Any, **__: Any) -> Connection:
        """Let SQLAlchemy ask on the same connection, in the same transaction."""
        if self._shared is None:
            self.cursor()
            assert self._lent is not None
            self._shared = Connection(self._engine, self._lent.pooled)
        return self._shared

    def ask(self, query: bytes, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """Have the driver ask, within the transaction.

        Raises
        ------
        DBAPIError
            As of every other statement.
        """
        if self._cursor is None:
            self._cursor = self.cursor()
        try:
            return self._cursor.execute(query, values).fetchall()
        except psycopg.Error as error:
            raise _as_of_sqlalchemy(query, error) from error

    def get(self, entity: Any, ident: Any, **options: Any) -> Any:
        """Return the row of an id; one that was not read before is not tracked."""
        question = _of_id(entity)
        if question is None or any(options.values()):
            return super().get(entity, ident, **options)
        key = inspect(entity).identity_key_from_primary_key((ident,))
        if key in self.identity_map:
            return self.identity_map[key]
        return question.first(self, id=ident)

    def finish(self) -> None:
        """End the transaction well, and give the connection back; what was read stays readable.

        The driver forgets every statement that it has prepared at a ROLLBACK, and the server would
        plan each anew in the next transaction: longer than many an answer takes.
        """
        if self._lent is not None and self._lent.pooled.is_valid:
            try:
                self._lent.driver.commit()
            except psycopg.Error as error:
                raise _as_of_sqlalchemy(b"COMMIT", error) from error
        self.close()

    def commit(self) -> None:
        """End the transaction as `finish` does; what is asked after it is of another one."""
        self.finish()

    def rollback(self) -> None:
        """End the transaction; what is asked after it is of another one."""
        self.close()

    def close(self) -> None:
        """Give the connection back."""
        lent, self._lent, self._cursor, shared, self._shared = (
            self._lent, None, None, self._shared, None,
        )  # fmt: skip
        try:
            if shared is not None:
                super().close()
        finally:
            if lent is not None:
                give_back(lent)


def _begun(lent: Lent) -> Lent:
    """Begin the transaction, or give the connection back."""
    try:
        # Said in one statement, where the driver would have to be told, and told back, in four.
        lent.driver.execute(_BEGIN, prepare=False)
    except psycopg.Error:
        give_back(lent)
        raise
    return lent


def _as_of_sqlalchemy(query: bytes, error: psycopg.Error) -> Exception:
    """Give a fault of the driver's as SQLAlchemy would: whoever reads knows those."""
    return cast(
        "Exception",
        DBAPIError.instance(query.decode(), None, error, psycopg.Error, hide_parameters=True),
    )


class Composed(Generic[*Columns]):
    """A SELECT that is composed with its module, and told its values under their names.

    A `ReadSession` has the driver ask it, and rows of tables are then not tracked. Every other
    session asks it as usual.
    """

    def __init__(self, statement: Select[*Columns]) -> None:
        self._statement = statement

    def all(self, session: Session, **values: Any) -> Sequence[tuple[*Columns]]:
        """Return all rows."""
        if not isinstance(session, ReadSession):
            found: Any = session.execute(self._statement, values).all()
            return cast("Sequence[tuple[*Columns]]", found)
        query, constants = self._plain
        rows = map(iter, session.ask(query, constants | values))
        return [cast("Any", tuple([make(row) for make in self._makes])) for row in rows]

    def scalars(self: Composed[Entity], session: Session, **values: Any) -> Sequence[Entity]:
        """Return the rows of one table, or of one column, alone."""
        return [row[0] for row in self.all(session, **values)]

    def first(self: Composed[Entity], session: Session, **values: Any) -> Entity | None:
        """Return the first of `scalars`, None where there is none."""
        found = self.scalars(session, **values)
        return found[0] if found else None

    @cached_property
    def _plain(self) -> tuple[bytes, dict[str, Any]]:
        """Give what the driver is asked, and those of its values that are always the same."""
        compiled = self._statement.compile(dialect=_DIALECT)
        assert not any(bind.expanding for bind in compiled.binds.values()), "ask with among_named"
        constants = {name: bind.value for name, bind in compiled.binds.items() if not bind.required}
        return str(compiled).encode(), constants

    @cached_property
    def _makes(self) -> Sequence[_Make]:
        """Give what makes each part of a row of the driver's values, in their order."""
        reads = (_reader_of(column.type) for column in self._statement.selected_columns)
        return [
            _of_table(each["expr"], reads)
            if each["expr"] is each["entity"]
            else _of_column(next(reads))
            for each in self._statement.column_descriptions
        ]


def _reader_of(kind: Any) -> Callable[[Any], Any] | None:
    """Give what reads a value of the driver as one of the column's type, if anything has to."""
    read = kind.dialect_impl(_DIALECT).result_processor(_DIALECT, _NUMERIC_OID)
    return cast("Callable[[Any], Any] | None", read)


def _of_column(read: Callable[[Any], Any] | None) -> _Make:
    return next if read is None else lambda values: read(next(values))


def _of_table(table: Any, reads: Iterator[Callable[[Any], Any] | None]) -> _Make:
    mapped = inspect(table)
    names, key = tuple(mapped.columns.keys()), mapped.primary_key[0].key
    read_anew = [(name, read) for name, read in zip(names, reads, strict=False) if read is not None]

    def make(values: _Values) -> Any:
        found = dict(zip(names, values, strict=False))
        if found[key] is None:
            return None  # of an outer join
        for name, read in read_anew:
            found[name] = read(found[name])
        row = table.__new__(table)
        row.__dict__.update(found)
        return row

    return make


@cache
def _of_id(entity: Any) -> Composed[Any] | None:
    """Give the question for a row by its id; None of a table whose id has several parts."""
    keys = inspect(entity).primary_key
    return Composed(select(entity).where(keys[0] == bindparam("id"))) if len(keys) == 1 else None
