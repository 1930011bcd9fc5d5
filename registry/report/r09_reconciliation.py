"""R-09: the register of record, the chain and the cap table beside each other, holder by holder."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from itertools import islice
from typing import Annotated, Any

from pydantic import Field
from sqlalchemy import text
from sqlmodel import Session

from registry.captable.blocks import AsOfBlock
from registry.captable.branches import known_block_at
from registry.captable.models import Token
from registry.kernel.clock import day_of
from registry.reconciliation.statements import end_of
from registry.report.people import name_column, people_of
from registry.report.r09_lines import AT_ONCE, Line, Proof, Registers
from registry.report.report import Column, Kind, Question, Report, Row
from registry.report.subjects import OfToken, token_of


class Parameters(OfToken):
    """Which token, and which day's statement of the register of record."""

    day: Annotated[
        date | None, Field(description="The day of the statement; without it, the newest")
    ] = None
    differences_only: bool = False


COLUMNS = (
    Column("party", Kind.ID),
    name_column("name"),
    Column("wallet", Kind.ADDRESS),
    Column("register_of_record", Kind.UNITS),
    Column("chain", Kind.UNITS),
    Column("cap_table", Kind.UNITS),
    Column("difference", Kind.UNITS),
    Column("statement_of", Kind.DATE),
    Column("block", Kind.COUNT),
    Column("proven_at_block", Kind.COUNT),
    Column("break_id", Kind.ID),
    Column("break_state"),
    Column("break_age_days", Kind.COUNT),
)

_STATEMENT = text("""
SELECT id, as_of FROM register_statement
WHERE tokenization_id = :token AND recorded_at <= :known AND as_of <= :day
ORDER BY as_of DESC, id DESC LIMIT 1
""")

# The first proof from the block on: what differs there has differed since.
_PROOF = text("""
SELECT block_number, differences FROM reconciliation
WHERE token_no = :token AND block_number >= :block AND recorded_at <= :known
  AND (void_since IS NULL OR void_since > :known)
ORDER BY block_number, id LIMIT 1
""")

# Of a difference that came again, the newest break by then. It keeps only how it stands; how it
# stood is told by the journal, by time first: by id alone the server may walk all of it.
_BREAKS = text("""
SELECT DISTINCT ON (subject) subject, id, coalesce(j.state, 'OPEN') AS state, b.recorded_at
FROM reconciliation_break b LEFT JOIN LATERAL (
  SELECT facts ->> 'state' AS state FROM journal_entry
  WHERE subject_id = b.id::text AND subject_kind = 'reconciliation_break' AND recorded_at <= :until
  ORDER BY recorded_at DESC, id DESC LIMIT 1) j ON true
WHERE tokenization_id = :token AND subject = ANY(:subjects)
  AND rule IN ('REG-01', 'TOK-08') AND b.recorded_at <= :until
ORDER BY subject, b.id DESC
""")


def _rows(session: Session, question: Question[Parameters]) -> Iterator[Row]:
    tokenization, token = token_of(session, question)
    asked = {
        "token": tokenization.id,
        "known": question.known_at,
        "until": min(question.moment, question.known_at),
        # A statement is of the end of its day: that of today speaks of a later moment.
        "day": question.parameters.day or day_of(question.moment) - timedelta(days=1),
    }
    statement = session.execute(_STATEMENT, asked).first()
    block = question.at_block
    if statement is not None:
        known_at = None if question.is_of_now else question.known_at
        block = known_block_at(session, token.chain_id, end_of(statement.as_of), known_at)
    proof = _proof(session, token, block, question)
    told = (
        statement.as_of if statement else None,
        block.number,
        proof.block_number if proof else None,
    )
    registers = Registers(session, token, block, statement.id if statement else None, proof)
    after = (int(question.after[0]), str(question.after[1])) if question.after else None
    lines = registers.lines(
        after, at_once=question.at_once(AT_ONCE), differing=question.parameters.differences_only
    )
    while some := list(islice(lines, question.at_once(AT_ONCE))):
        breaks = _breaks(session, asked, some)
        people = people_of(session, question, {line.party_id for line in some})
        for line in some:
            wallet = line.wallets[0] if line.party_id is None else None
            yield Row(
                line.key,
                (line.party_id, people[line.party_id].name, wallet, line.stated, line.chain,
                 line.cap_table, line.difference, *told, *_break_of(line, breaks, question)),
            )  # fmt: skip


def _proof(
    session: Session, token: Token, block: AsOfBlock, question: Question[Any]
) -> Proof | None:
    """Return what the chain said of balances; None where it was never asked."""
    asked = {"token": token.token_no, "block": block.number, "known": question.known_at}
    found = session.execute(_PROOF, asked).first()
    if found is None:
        return None
    more: Counter[bytes] = Counter()
    for said in found.differences:
        if said["what"] == "balance":
            address = bytes.fromhex(said["holder"][2:])
            more[address] += int(said["chain"]) - int(said["database"])
    return Proof(int(found.block_number), more)


def _breaks(session: Session, asked: dict[str, Any], lines: Sequence[Line]) -> dict[str, Any]:
    subjects = [subject for line in lines for subject in line.subjects]
    found = session.execute(_BREAKS, asked | {"subjects": subjects})
    return {row.subject: row for row in found}


def _break_of(line: Line, breaks: Mapping[str, Any], question: Question[Any]) -> tuple[Any, ...]:
    found = [breaks[subject] for subject in line.subjects if subject in breaks]
    if not found:
        return (None, None, None)
    newest = max(found, key=lambda row: row.id)
    return (newest.id, newest.state, (question.moment - newest.recorded_at).days)


RECONCILIATION = Report(
    code="R-09",
    title="Register reconciliation",
    title_ur="رجسٹروں کا موازنہ",
    parameters=Parameters,
    columns=COLUMNS,
    rows=_rows,
    speaks_of_chain=True,
    of_one_moment=True,
)
