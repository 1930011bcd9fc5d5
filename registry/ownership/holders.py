"""Who holds a token, as far as it matters: who is no natural person, and who holds much of it.

Of a million holders nearly all have too little to be told. Companies, groups and trusts are few,
and are found by what they are; and who holds much has one wallet at least that holds much, which
one reading of the balances finds (`captable.held.ever_large`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from uuid import UUID

from sqlmodel import Session

from registry.captable.blocks import AsOfBlock
from registry.captable.bulk import cursor_of
from registry.captable.held import ever_large, held_by, held_told
from registry.captable.models import Token
from registry.captable.service import find_token, find_tokens, require_followed
from registry.captable.supply import supplies_at
from registry.investor.wallets import MOST_WALLETS
from registry.tokenization.models import Tokenization

FEW_WALLETS = 64
"""Nobody has more, with those in our custody: so one of them holds a part of that many."""
assert MOST_WALLETS < FEW_WALLETS

_WALLETS = """
JOIN investor i ON i.party_id = p.id
JOIN wallet w ON w.investor_id = i.id
JOIN holder h ON h.address = w.address
JOIN ({held}) x ON x.holder_no = h.holder_no
"""
_ENTITIES = f"""
SELECT p.id, sum(x.balance_units)::text FROM party p {_WALLETS}
WHERE p.kind <> 'NATURAL' GROUP BY p.id
"""  # noqa: S608 - no value in it
_OF_PEOPLE = f"""
SELECT p.id, sum(x.balance_units)::text FROM party p {_WALLETS}
WHERE p.id = ANY(%(people)s) GROUP BY p.id
"""  # noqa: S608 - the same
_LARGE = """
SELECT i.party_id, h.address, x.balance_units::text
FROM ({ever} OFFSET 0) few JOIN ({held}) x ON x.holder_no = few.holder_no
JOIN holder h ON h.holder_no = x.holder_no
LEFT JOIN wallet w ON w.address = h.address
LEFT JOIN investor i ON i.id = w.investor_id
WHERE x.balance_units >= %(least)s::numeric
"""


@dataclass(frozen=True, slots=True)
class LargeHolders:
    """Who may hold at least so many units.

    Parameters
    ----------
    people
        Everybody who does is among them, and some who do not.
    unproven
        To each address that nobody has proven, and that does: its units.
    """

    people: set[UUID] = field(default_factory=set)
    unproven: dict[bytes, int] = field(default_factory=dict)


def supply_of(session: Session, tokenization: Tokenization, block: AsOfBlock | None) -> int:
    """Return the units of a token at a block; 0 before it was read."""
    return supplies_of(session, [tokenization], block)[tokenization.id]


def supplies_of(
    session: Session, tokenizations: Collection[Tokenization], block: AsOfBlock | None
) -> dict[UUID, int]:
    """Return the units of each of these tokens at a block, by tokenization.

    Raises
    ------
    Conflict, Unavailable
        As `require_followed`.
    """
    if block is None or not tokenizations:
        return dict.fromkeys((each.id for each in tokenizations), 0)
    at = {each.id: each.token_address or b"" for each in tokenizations}
    tokens = find_tokens(session, set(at.values()))
    for token in tokens.values():
        require_followed(token.refusal, token.caught_up_to)
    units = supplies_at(session, [token.token_no for token in tokens.values()], block)
    return {
        tokenization_id: units[tokens[address].token_no] if address in tokens else 0
        for tokenization_id, address in at.items()
    }


def holders_at(session: Session, tokenization: Tokenization, block: AsOfBlock | None) -> int:
    """Count the wallets that hold anything of a token at a block."""
    token = _token(session, tokenization)
    if token is None or block is None:
        return 0
    statement = f"SELECT count(*) FROM ({held_by(token, block)}) x"  # noqa: S608 - no value in it
    with cursor_of(session) as cursor:
        row = cursor.execute(statement.encode()).fetchone()
    assert row is not None, "an aggregate has one row"
    return int(row[0])


def _token(session: Session, tokenization: Tokenization) -> Token | None:
    address = tokenization.token_address
    token = None if address is None else find_token(session, address)
    if token is not None:
        require_followed(token.refusal, token.caught_up_to)
    return token


def entities_of(
    session: Session, tokenization: Tokenization, block: AsOfBlock | None
) -> Mapping[UUID, int]:
    """Return what each company, group and trust holds in all its wallets, by party."""
    token = _token(session, tokenization)
    if token is None or block is None:
        return {}
    # Planned for this token: of a large one all holders are read, of a small one each is looked up.
    return _units(session, _ENTITIES.format(held=held_by(token, block)), {})


def units_of(
    session: Session,
    tokenization: Tokenization,
    block: AsOfBlock | None,
    party_ids: Collection[UUID],
) -> Mapping[UUID, int]:
    """Return what each of these parties holds in all its wallets; who holds nothing is left out."""
    token = _token(session, tokenization)
    if token is None or block is None:
        return {}
    asked = {"people": list(party_ids), "token": token.token_no, "block": block.number}
    return _units(session, _OF_PEOPLE.format(held=held_told(token, block)), asked)


def _units(session: Session, query: str, values: Mapping[str, object]) -> Mapping[UUID, int]:
    with cursor_of(session) as cursor:
        found = cursor.execute(query.encode(), values)
        return {party_id: int(units) for party_id, units in found}


def large_holders(
    session: Session, tokenization: Tokenization, block: AsOfBlock | None, least: int
) -> LargeHolders:
    """Find who may hold at least `least` units in all their wallets."""
    found = LargeHolders()
    token = _token(session, tokenization)
    if token is None or block is None:
        return found
    statement = _LARGE.format(ever=ever_large(token, block), held=held_by(token, block)).encode()
    with cursor_of(session) as cursor:
        values = {"least": max(-(-least // FEW_WALLETS), 1)}
        for party_id, address, units in cursor.execute(statement, values, prepare=False):
            if party_id is not None:
                found.people.add(party_id)
            elif int(units) >= least:
                found.unproven[bytes(address)] = int(units)
    return found
