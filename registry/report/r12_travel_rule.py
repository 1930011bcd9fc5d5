"""R-12: what travels with a transfer (FATF Recommendation 16), in the terms of IVMS101.

Both sides are customers of this register where their wallets are proven; of any other wallet
nothing is known, and the row says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any
from uuid import UUID

from pydantic import AwareDatetime, Field
from sqlalchemy import text
from sqlmodel import Session, col, select

from registry.captable import service as captable
from registry.captable.models import EventKind
from registry.investor.models import Investor, Wallet
from registry.kernel.clock import day_of
from registry.kernel.masking import HIDDEN
from registry.kernel.money import PAISA_PER_RUPEE
from registry.kernel.rows import among
from registry.party.details import known_of
from registry.party.models import Party, PartyKind
from registry.policy.models import PolicyName
from registry.policy.service import policy_on
from registry.report.people import person_of
from registry.report.report import Column, Kind, Question, Report, Row
from registry.report.report import Parameters as Asked

VASP = "Milkiyat"
"""Whose customers both sides are."""


class Parameters(Asked):
    """Which transfers."""

    since: Annotated[
        AwareDatetime | None, Field(description="The beginning of the period, to `as_of`")
    ] = None
    min_rupees: Annotated[
        int | None,
        Field(
            ge=0,
            lt=10**12,
            description="Only above so many rupees, at the price of issue; without it, what the "
            "policy TRAVEL_RULE says of the day of `as_of`",
        ),
    ] = None
    token: Annotated[UUID | None, Field(description="The id of its tokenization")] = None


def _least_paisa(session: Session, question: Question[Parameters]) -> int:
    rupees = question.parameters.min_rupees
    if rupees is not None:
        return rupees * PAISA_PER_RUPEE
    return int(policy_on(session, PolicyName.TRAVEL_RULE, day_of(question.moment)).value)


def _hidden(_: str) -> str:
    return HIDDEN


def _columns(side: str) -> tuple[Column, ...]:
    return (
        Column(f"{side}_person"),
        Column(f"{side}_name", personal=_hidden),
        Column(f"{side}_national_identification", personal=_hidden),
        Column(f"{side}_date_of_birth", personal=_hidden),
        Column(f"{side}_address", personal=_hidden),
        Column(f"{side}_country_of_residence"),
        Column(f"{side}_account", Kind.ACCOUNT),
        Column(f"{side}_vasp"),
    )


COLUMNS = (
    Column("time", Kind.TIME),
    Column("tx", Kind.HASH),
    Column("token", Kind.ID),
    Column("units", Kind.UNITS),
    Column("amount", Kind.MONEY),
    *_columns("originator"),
    *_columns("beneficiary"),
    Column("status"),
)

# So many of each token at most; a price is a whole number, and so are units.
_TRANSFERS = text(f"""
SELECT t.token_no, t.id, e.block_number, e.log_index, b.mined_at, e.tx_hash, e.units,
  e.units * t.price_paisa AS paisa, s.address AS source, d.address AS target
FROM (
  SELECT t.*, k.id, k.price_paisa FROM tokenization k
  JOIN token t ON t.address = k.token_address AND t.chain_id = :chain
  WHERE t.token_no >= :token_no AND (CAST(:token AS uuid) IS NULL OR k.id = :token)) t
CROSS JOIN LATERAL (
  SELECT * FROM token_event
  WHERE token_no = t.token_no AND kind = {EventKind.TRANSFER:d}
    AND source IS NOT NULL AND target IS NOT NULL
    AND block_number >= :first AND block_number <= :last
    AND (block_number, log_index) > (
      CASE WHEN t.token_no > :token_no THEN :first ELSE greatest(:block, :first) END,
      CASE WHEN t.token_no > :token_no OR :block < :first THEN -1 ELSE :log END)
    AND units > div(:least, nullif(t.price_paisa, 0))
  ORDER BY block_number, log_index LIMIT :limit) e
JOIN chain_block b ON b.chain_id = t.chain_id AND b.number = e.block_number
JOIN holder s ON s.holder_no = e.source JOIN holder d ON d.holder_no = e.target
ORDER BY t.token_no, e.block_number, e.log_index LIMIT :limit
""")  # noqa: S608 - a number of our own


@dataclass(frozen=True, slots=True)
class _Side:
    """What IVMS101 wants of one side."""

    person: str | None = None
    name: str | None = None
    identification: str | None = None
    birth: str | None = None
    address: str | None = None
    country: str | None = None

    @property
    def is_whole(self) -> bool:
        """A name, and one of what tells people of the same name apart."""
        told_apart = (self.identification, self.birth, self.address)
        return self.name is not None and any(told_apart)


_NOBODY = _Side()


def _rows(session: Session, question: Question[Parameters]) -> Iterator[Row]:
    token_no, block, log = question.after or (0, -1, -1)
    asked = question.parameters
    first = captable.first_block_since(session, question.chain_id, asked.since) or 0
    found = session.execute(
        _TRANSFERS,
        {
            "chain": question.chain_id,
            "token_no": token_no,
            "block": block,
            "log": log,
            "first": first,
            "last": question.at_block.kept,
            "least": _least_paisa(session, question),
            "token": asked.token,
            "limit": question.fetch,
        },
    ).all()
    sides = _sides(session, question, found)
    for row in found:
        given, taken = sides.get(row.source, _NOBODY), sides.get(row.target, _NOBODY)
        yield Row(
            (row.token_no, row.block_number, row.log_index),
            (row.mined_at, bytes(row.tx_hash), row.id, int(row.units), int(row.paisa),
             *_written(given, row.source), *_written(taken, row.target),
             "COMPLETE" if given.is_whole and taken.is_whole else "INCOMPLETE"),
        )  # fmt: skip


def _written(side: _Side, address: bytes) -> tuple[Any, ...]:
    return (side.person, side.name, side.identification, side.birth, side.address, side.country,
            bytes(address), VASP if side is not _NOBODY else None)  # fmt: skip


def _sides(
    session: Session, question: Question[Any], found: Sequence[Any]
) -> Mapping[bytes, _Side]:
    addresses = {bytes(address) for row in found for address in (row.source, row.target)}
    rows = session.exec(
        select(Wallet.address, Party)
        .join(Investor, col(Investor.id) == col(Wallet.investor_id))
        .join(Party, col(Party.id) == col(Investor.party_id))
        .where(among(col(Wallet.address), sorted(addresses)))
    )
    return {address: _side(question, party) for address, party in rows}


def _side(question: Question[Any], party: Party) -> _Side:
    person = person_of(question, party)
    known = known_of(question.vault, party)
    is_natural = party.kind == PartyKind.NATURAL
    number = person.cnic if is_natural else party.lei or known.ntn or party.cuin
    return _Side(
        person="naturalPerson" if is_natural else "legalPerson",
        name=person.name,
        identification=number,
        birth=known.dob.isoformat() if known.dob else None,
        address=_address(known.address),
        country=party.residence_country,
    )


def _address(said: Mapping[str, Any] | None) -> str | None:
    """Write an address of IVMS101 in one line."""
    if not said:
        return None
    parts = [
        part for value in said.values() for part in (value if isinstance(value, list) else [value])
    ]
    return ", ".join(str(part) for part in parts if part)


TRAVEL_RULE = Report(
    code="R-12",
    title="Travel-rule file (IVMS101)",
    title_ur="سفری قاعدے کی فائل",
    parameters=Parameters,
    columns=COLUMNS,
    rows=_rows,
    speaks_of_chain=True,
)
