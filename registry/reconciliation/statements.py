"""REG-01: the register of record held against the token's cap table, holder by holder."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from uuid import UUID

from sqlmodel import Session, col, select

from registry.captable.service import CapTableEntry
from registry.journal import service as journal
from registry.kernel.actor import Actor
from registry.kernel.clock import SEAT, today
from registry.kernel.errors import Conflict, Invalid
from registry.kernel.rows import add_many
from registry.party import service as parties
from registry.reconciliation.models import RegisterStatement, RegisterStatementRow
from registry.reconciliation.views import Difference, TokenView, look_at
from registry.wrapper import service as wrappers

MAX_ROWS = 100_000


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
        Party and units; each party once, each above zero.

    Raises
    ------
    Invalid
        ``statement_malformed``, ``statement_dated_in_future``.
    Conflict
        ``token_not_deployed``, ``wrapper_missing``.
    NotFound
        A party is not in the register; no block of that day is projected.
    """
    _check_rows(session, rows)
    if as_of >= today():
        raise Invalid("statement_dated_in_future", f"{as_of} has not ended yet.", field="/as_of")
    view = look_at(session, tokenization_id, end_of(as_of))
    wrapper = wrappers.find_wrapper(session, view.tokenization.asset_id)
    if wrapper is None:
        raise Conflict("wrapper_missing", "No wrapper, so no register of record, is named.")
    found = compare(dict(rows), view.entries)
    statement = RegisterStatement(
        tokenization_id=tokenization_id,
        register_of_record=wrapper.register_of_record,
        as_of=as_of,
        block_number=view.block.number,
        uploaded_by=actor.subject,
        differences=len(found),
    )
    session.add(statement)
    session.flush()
    add_many(
        session,
        [
            RegisterStatementRow(statement_id=statement.id, party_id=party_id, units=units)
            for party_id, units in rows
        ],
    )
    journal.record(
        session, actor, "register_statement_filed", "register_statement", statement.id,
        tokenization_id=str(tokenization_id), as_of=str(as_of), rows=len(rows),
        differences=len(found),
    )  # fmt: skip
    return statement


def end_of(day: date) -> datetime:
    """Return the last moment of a day at the register's seat."""
    return datetime.combine(day + timedelta(days=1), time(), SEAT) - timedelta(microseconds=1)


def _check_rows(session: Session, rows: Sequence[tuple[UUID, int]]) -> None:
    if not 0 < len(rows) <= MAX_ROWS or len({party_id for party_id, _ in rows}) != len(rows):
        raise Invalid(
            "statement_malformed",
            f"A statement has 1 to {MAX_ROWS} rows, each party once.",
            field="/rows",
        )
    if any(units <= 0 for _, units in rows):
        raise Invalid("statement_malformed", "Units are above zero.", field="/rows")
    for party_id, _ in rows:
        parties.get_party(session, party_id)


def compare(stated: Mapping[UUID, int], entries: Sequence[CapTableEntry]) -> list[Difference]:
    """Say per holder where the register of record and the cap table differ.

    Wallets of one party count together; an address of nobody that we know is a difference of
    its own.
    """
    held: dict[UUID, int] = defaultdict(int)
    strangers = []
    for entry in entries:
        if entry.party is None:
            strangers.append(entry)
        else:
            held[entry.party.id] += entry.balance_units
    return [
        Difference(
            "REG-01",
            f"party:{party_id}",
            f"The register of record has {stated.get(party_id, 0)}, the token {held[party_id]}.",
        )
        for party_id in sorted({*stated, *held})
        if stated.get(party_id, 0) != held[party_id]
    ] + [
        Difference(
            "REG-01",
            f"0x{entry.address.hex()}",
            f"The token has {entry.balance_units} for an address that is nobody's.",
        )
        for entry in strangers
    ]


def statement_differences(session: Session, view: TokenView) -> list[Difference]:
    """Hold the newest statement against the cap table of its own day; none, no difference."""
    statement = newest_statement(session, view.tokenization.id)
    if statement is None:
        return []
    then = look_at(session, view.tokenization.id, end_of(statement.as_of))
    stated = {row.party_id: int(row.units) for row in list_rows(session, statement.id)}
    return compare(stated, then.entries)


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


def list_rows(session: Session, statement_id: UUID) -> Sequence[RegisterStatementRow]:
    """List who stands on a statement."""
    return session.exec(
        select(RegisterStatementRow)
        .where(col(RegisterStatementRow.statement_id) == statement_id)
        .order_by(col(RegisterStatementRow.party_id))
    ).all()
