"""Movements of tokens in a period, who instructed each, and what was paid: of R-10, R-11, R-12."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple
from uuid import UUID

from pydantic import AwareDatetime, Field
from sqlalchemy import text
from sqlmodel import Session

from registry.captable import service as captable
from registry.captable.blocks import AsOfBlock
from registry.captable.branches import first_known_since
from registry.captable.bulk import cursor_of
from registry.captable.models import Token
from registry.captable.transfers import TransferFilter, TransferNature, TransferRow, list_transfers
from registry.report.report import Parameters, Question
from registry.tokenization import service as tokenizations

AT_ONCE = 1_000
Since = Annotated[
    AwareDatetime | None, Field(description="The beginning of the period; it ends at `as_of`")
]


class InPeriod(Parameters):
    """From when on; the period ends at `as_of`."""

    since: Since = None


def movements(
    session: Session,
    token: Token,
    asked: InPeriod,
    until: AsOfBlock,
    *,
    natures: Collection[TransferNature] = (),
    after: tuple[int, int] | None = None,
    at_once: int = AT_ONCE,
) -> Iterator[list[TransferRow]]:
    """Yield the transfers of a token in the order of the chain, some at once."""
    wanted = TransferFilter(
        natures=natures,
        since=first_known_since(session, token.chain_id, asked.since, until),
        until=until,
    )
    while some := list_transfers(session, token, wanted, after=after, limit=at_once):
        yield some
        after = (some[-1].block_number, some[-1].log_index)
        if len(some) < at_once:
            return


_TOKENS = """
SELECT t.refusal, t.caught_up_to, t.token_no, z.id, z.symbol, z.price_paisa
FROM tokenization z JOIN token t ON t.address = z.token_address AND t.chain_id = %(chain)s
WHERE %(wanted)s::uuid IS NULL OR z.id = %(wanted)s
"""


class Tokenized(NamedTuple):
    """What is told of a token."""

    id: UUID
    symbol: str
    price_paisa: int


def tokens_of(
    session: Session, question: Question[Any], wanted: UUID | None
) -> dict[int, Tokenized]:
    """Return what the tokens are of, by their numbers: the one that is wanted, or all.

    Raises
    ------
    NotFound
    Conflict
        ``token_refused``.
    Unavailable
        ``token_catching_up``: not everything that moved is known.
    """
    if wanted is not None:
        tokenizations.get_deployed(session, wanted)
    asked = {"chain": question.chain_id, "wanted": wanted}
    with cursor_of(session) as cursor:
        found = cursor.execute(_TOKENS, asked).fetchall()
    for refusal, caught_up_to, *_ in found:
        captable.require_followed(refusal, caught_up_to)
    return {number: Tokenized(*said) for _, _, number, *said in found}


@dataclass(frozen=True, slots=True)
class Instruction:
    """What the register wanted, whose transaction it was, and who stands behind it."""

    operation_id: UUID
    kind: str
    requested_by: str


_INSTRUCTIONS = text("""
SELECT x.tx_hash, o.id, o.kind, o.requested_by
FROM operation_attempt x JOIN operation o ON o.id = x.operation_id WHERE x.tx_hash = ANY(:hashes)
""")

# A redemption burns under its own id, as a case acts under its own.
_CASES = text("""
SELECT id, ARRAY[maker, approved_by] FROM legal_case WHERE id = ANY(:cases)
UNION ALL
SELECT r.id, array_prepend(r.maker, ARRAY(
  SELECT person FROM approval
  WHERE subject_kind = 'redemption' AND subject_id = r.id AND voided_at IS NULL ORDER BY id))
FROM redemption r WHERE r.id = ANY(:cases)
""")


def instructions_of(session: Session, rows: Collection[TransferRow]) -> dict[bytes, Instruction]:
    """Return the operations whose transactions these were, by transaction."""
    found = session.execute(_INSTRUCTIONS, {"hashes": [row.tx_hash for row in rows]})
    return {row[0]: Instruction(*row[1:]) for row in found}


def people_of_cases(session: Session, rows: Collection[TransferRow]) -> dict[UUID, list[str]]:
    """Return who opened and who approved the cases, or redemptions, under which these were."""
    cases = [row.case_id for row in rows if row.case_id is not None]
    found = session.execute(_CASES, {"cases": cases}) if cases else ()
    return {case_id: [name for name in names if name] for case_id, names in found}
