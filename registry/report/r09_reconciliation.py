"""R-09: the register of record, the chain and the cap table beside each other, holder by holder."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Annotated, Any
from uuid import UUID

from pydantic import Field
from sqlalchemy import text
from sqlmodel import Session

from registry.captable import service as captable
from registry.captable.blocks import AsOfBlock
from registry.captable.models import Token
from registry.kernel.clock import day_of
from registry.reconciliation.statements import end_of
from registry.report.people import name_column, people_of
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
_STATED = text("SELECT party_id, units FROM register_statement_row WHERE statement_id = :id")

# The first proof from the block on: what differs there has differed since.
_PROOF = text("""
SELECT block_number, differences FROM reconciliation
WHERE token_no = :token AND block_number >= :block AND recorded_at <= :known
ORDER BY block_number, id LIMIT 1
""")

# Of a difference that came again, the newest break.
_BREAKS = text("""
SELECT DISTINCT ON (subject) subject, id, state, recorded_at FROM reconciliation_break
WHERE tokenization_id = :token AND rule IN ('REG-01', 'TOK-08') AND recorded_at <= :known
ORDER BY subject, id DESC
""")


@dataclass(slots=True)
class Line:
    """What each register says of one holder: a party, or an address that is nobody's."""

    party_id: UUID | None = None
    wallets: list[bytes] = field(default_factory=list)
    stated: int | None = None
    cap_table: int = 0
    chain: int | None = None

    @property
    def difference(self) -> int:
        """Between the lowest and the highest of the figures that there are."""
        said = [self.cap_table, *(n for n in (self.stated, self.chain) if n is not None)]
        return max(said) - min(said)

    @property
    def subjects(self) -> list[str]:
        """What breaks call this holder."""
        wallets = [f"0x{wallet.hex()}" for wallet in self.wallets]
        whole = wallets if self.party_id is None else [f"party:{self.party_id}"]
        return [*whole, *(f"balance of {wallet}" for wallet in wallets)]


def _rows(session: Session, question: Question[Parameters]) -> Iterator[Row]:
    tokenization, token = token_of(session, question)
    asked = {
        "token": tokenization.id,
        "known": question.known_at,
        "day": question.parameters.day or day_of(question.moment),
    }
    statement = session.execute(_STATEMENT, asked).first()
    block = question.at_block
    if statement is not None:
        block = captable.block_at(session, token.chain_id, end_of(statement.as_of))
    lines = _held(session, token, block)
    if statement is not None:
        _add_statement(session, lines, statement.id)
    proven_at = _add_proof(session, lines, token, block, question)
    breaks = {row.subject: row for row in session.execute(_BREAKS, asked)}
    told = (statement.as_of if statement else None, block.number, proven_at)
    after = str(question.after[0]) if question.after else ""
    wanted = [name for name in sorted(lines) if name > after]
    if question.parameters.differences_only:
        wanted = [name for name in wanted if lines[name].difference]
    wanted = wanted[: question.fetch]
    people = people_of(session, question, {lines[name].party_id for name in wanted})
    for name in wanted:
        line = lines[name]
        wallet = line.wallets[0] if line.party_id is None else None
        yield Row(
            (name,),
            (line.party_id, people[line.party_id].name, wallet, line.stated, line.chain,
             line.cap_table, line.difference, *told, *_break_of(line, breaks, question)),
        )  # fmt: skip


def _held(session: Session, token: Token, block: AsOfBlock) -> dict[str, Line]:
    lines: dict[str, Line] = defaultdict(Line)
    for entry in captable.list_holders(session, token, block):
        party_id = entry.party.id if entry.party else None
        line = lines[f"party:{party_id}" if party_id else f"0x{entry.address.hex()}"]
        line.party_id = party_id
        line.wallets.append(entry.address)
        line.cap_table += entry.balance_units
    return lines


def _add_statement(session: Session, lines: dict[str, Line], statement_id: UUID) -> None:
    for line in lines.values():
        line.stated = 0
    for party_id, units in session.execute(_STATED, {"id": statement_id}):
        line = lines[f"party:{party_id}"]
        line.party_id, line.stated = party_id, int(units)


def _add_proof(
    session: Session, lines: dict[str, Line], token: Token, block: AsOfBlock,
    question: Question[Any],
) -> int | None:  # fmt: skip
    """Add what the chain says; return at which block it was asked, None where it never was."""
    asked = {"token": token.token_no, "block": block.number, "known": question.known_at}
    proof = session.execute(_PROOF, asked).first()
    if proof is None:
        return None
    for line in lines.values():
        line.chain = line.cap_table
    owners = {wallet: line for line in lines.values() for wallet in line.wallets}
    for said in proof.differences:
        if said["what"] != "balance":
            continue
        address = bytes.fromhex(said["holder"][2:])
        # Whom only the chain knows has a line of their own.
        line = owners.get(address) or lines[f"0x{address.hex()}"]
        if address not in line.wallets:
            line.wallets.append(address)
        line.chain = (line.chain or 0) + int(said["chain"]) - int(said["database"])
    return int(proof.block_number)


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
)
