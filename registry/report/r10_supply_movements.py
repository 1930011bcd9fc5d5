"""R-10: what was minted, burned, forced and recovered, on whose instruction."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import text
from sqlmodel import Session

from registry.captable.transfers import TransferNature, TransferRow
from registry.report.movements import (
    AT_ONCE,
    InPeriod,
    Instruction,
    instructions_of,
    movements,
    people_of_cases,
)
from registry.report.report import Column, Kind, Question, Report, Row
from registry.report.subjects import OfToken, token_of


class Parameters(OfToken, InPeriod):
    """Which token, from when on."""


COLUMNS = (
    Column("time", Kind.TIME),
    Column("kind"),
    Column("units", Kind.UNITS),
    Column("from_wallet", Kind.ADDRESS),
    Column("to_wallet", Kind.ADDRESS),
    Column("instruction", Kind.ID),
    Column("case", Kind.ID),
    Column("approvers"),
    Column("tx", Kind.HASH),
    Column("block", Kind.COUNT),
    Column("log", Kind.COUNT),
)
_KINDS = {
    TransferNature.MINTED: "MINT",
    TransferNature.BURNED: "BURN",
    TransferNature.FORCED: "FORCED",
    TransferNature.RECOVERED: "RECOVERY",
}

# Who let the token be: a mint needs nobody else but the sale's own rules. What had run out when the
# last one approved did not count.
_APPROVERS = text("""
SELECT person FROM approval
WHERE subject_id = :token AND voided_at IS NULL AND expires_at >= (
  SELECT max(recorded_at) FROM approval WHERE subject_id = :token AND voided_at IS NULL)
ORDER BY person
""")


def _rows(session: Session, question: Question[Parameters]) -> Iterator[Row]:
    tokenization, token = token_of(session, question)
    approvers = list(session.execute(_APPROVERS, {"token": tokenization.id}).scalars())
    number, index = question.after or (-1, -1)
    for some in movements(
        session,
        token,
        question.parameters,
        question.at_block,
        natures=_KINDS,
        after=(int(number), int(index)),
        at_once=question.at_once(AT_ONCE),
    ):
        instructions = instructions_of(session, some)
        cases = people_of_cases(session, some)
        for row in some:
            said = instructions.get(row.tx_hash)
            behind = cases.get(row.case_id) if row.case_id else _behind(row, said, approvers)
            yield Row(
                (row.block_number, row.log_index),
                (row.mined_at, _KINDS[row.nature], row.units, row.source, row.target,
                 said.operation_id if said else None, row.case_id,
                 ", ".join(behind) if behind else None, row.tx_hash, row.block_number,
                 row.log_index),
            )  # fmt: skip


def _behind(row: TransferRow, said: Instruction | None, approvers: list[str]) -> list[str] | None:
    """Name who approved what has no case; nobody where nothing of ours asked for it (TOK-07)."""
    if said is None:
        return None
    return approvers if row.nature is TransferNature.MINTED else [said.requested_by]


SUPPLY_MOVEMENTS = Report(
    code="R-10",
    title="Issuance and supply movements",
    title_ur="اجرا اور سپلائی کی تبدیلیاں",
    parameters=Parameters,
    columns=COLUMNS,
    rows=_rows,
    speaks_of_chain=True,
)
