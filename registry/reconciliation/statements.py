"""REG-01: the register of record held against the token's cap table, holder by holder."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime, time, timedelta
from typing import BinaryIO
from uuid import UUID

from sqlmodel import Session, col, select

from registry.journal import service as journal
from registry.kernel.actor import Actor
from registry.kernel.clock import SEAT, today
from registry.kernel.errors import Conflict, Invalid
from registry.reconciliation.comparing import FILED, compare
from registry.reconciliation.models import RegisterStatement
from registry.reconciliation.stated_rows import (
    LAID_OUT,
    StatedRow,
    file_rows,
    lay_out,
    read_file,
)
from registry.reconciliation.views import Difference, TokenView, look_at
from registry.wrapper import service as wrappers


def file_statement(
    session: Session,
    actor: Actor,
    tokenization_id: UUID,
    *,
    as_of: date,
    rows: Sequence[tuple[UUID, int]],
) -> RegisterStatement:
    """File what the register of record says of the holders at the end of a day.

    Parameters
    ----------
    rows
        Party and units; each party once, each above zero. The first is line 1.

    Raises
    ------
    Invalid
        ``statement_malformed``, ``statement_dated_in_future``.
    Conflict
        ``token_not_deployed``, ``wrapper_missing``.
    NotFound
        A party is not in the register; no block of that day is projected.
    """
    stated = (StatedRow(line, *row) for line, row in enumerate(rows, 1))
    return _file(session, actor, tokenization_id, as_of, stated, field="/rows")


def upload_statement(
    session: Session, actor: Actor, tokenization_id: UUID, *, as_of: date, file: BinaryIO
) -> RegisterStatement:
    """File a statement of any size: a CSV file, which is never whole in memory.

    Raises
    ------
    Invalid, Conflict, NotFound
        As `file_statement`; the line is that of the file.
    """
    return _file(session, actor, tokenization_id, as_of, read_file(file), field="/file")


def _file(
    session: Session,
    actor: Actor,
    tokenization_id: UUID,
    as_of: date,
    rows: Iterable[StatedRow],
    *,
    field: str,
) -> RegisterStatement:
    if as_of >= today():
        raise Invalid("statement_dated_in_future", f"{as_of} has not ended yet.", field="/as_of")
    view = look_at(session, tokenization_id, end_of(as_of))
    wrapper = wrappers.find_wrapper(session, view.tokenization.asset_id)
    if wrapper is None:
        raise Conflict("wrapper_missing", "No wrapper, so no register of record, is named.")
    count = lay_out(session, rows, field=field)
    found = compare(session, view, LAID_OUT)
    statement = RegisterStatement(
        tokenization_id=tokenization_id,
        register_of_record=wrapper.register_of_record,
        as_of=as_of,
        block_number=view.block.number,
        uploaded_by=actor.subject,
        differences=found.holders,
    )
    session.add(statement)
    file_rows(session, statement.id)
    journal.record(
        session, actor, "register_statement_filed", "register_statement", statement.id,
        tokenization_id=str(tokenization_id), as_of=str(as_of), rows=count,
        differences=found.holders,
    )  # fmt: skip
    return statement


def end_of(day: date) -> datetime:
    """Return the last moment of a day at the register's seat."""
    return datetime.combine(day + timedelta(days=1), time(), SEAT) - timedelta(microseconds=1)


def statement_differences(session: Session, view: TokenView) -> list[Difference]:
    """Hold the newest statement against the cap table of its own day; none, no difference."""
    statement = newest_statement(session, view.tokenization.id)
    if statement is None:
        return []
    then = look_at(session, view.tokenization.id, end_of(statement.as_of), subject=view.subject)
    return compare(session, then, FILED, statement.id).differences


def newest_statement(session: Session, tokenization_id: UUID) -> RegisterStatement | None:
    """Return the statement of the latest day; of one day, the one filed last."""
    return session.exec(
        select(RegisterStatement)
        .where(col(RegisterStatement.tokenization_id) == tokenization_id)
        .order_by(col(RegisterStatement.as_of).desc(), col(RegisterStatement.id).desc())
    ).first()


def list_statements(session: Session, tokenization_id: UUID) -> Sequence[RegisterStatement]:
    """List the statements of a token, newest day first."""
    return session.exec(
        select(RegisterStatement)
        .where(col(RegisterStatement.tokenization_id) == tokenization_id)
        .order_by(col(RegisterStatement.as_of).desc(), col(RegisterStatement.id).desc())
        .limit(200)
    ).all()
