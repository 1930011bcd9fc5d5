"""A holder who became large by proving a wallet that holds already: nothing moves on chain then.

What a wallet has is that of the last block at which the rules of the chain looked: from there on
they count it as its party's. Such an alert stands in the block of the newest transfer by which the
party held that: with it a reorg takes the alert back.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from math import ceil
from typing import NamedTuple
from uuid import UUID

from sqlmodel import Session, col, select

from registry.alert.finding import ChainPlace, Found
from registry.alert.holdings import ENDED
from registry.alert.models import Alert, AlertRule
from registry.alert.policy import AlertPolicies
from registry.captable.bulk import cursor_of
from registry.captable.held import HELD_BY_ONE
from registry.captable.models import EventKind
from registry.investor.models import Investor, Wallet
from registry.kernel.rows import among

WALLETS_AT_ONCE = 1_000

# Nearly every wallet is proven empty, and has no balance. Wallets of one party that were proven
# later are told of with themselves.
_HELD = f"""
SELECT w.id, w.address, w.proven_at, i.party_id, t.token_no,
  z.id, z.declared_fractions, held.units, (
  SELECT sum(one.units) FROM investor j JOIN wallet v ON v.investor_id = j.id
  JOIN holder g ON g.address = v.address
  JOIN balance b ON b.token_no = t.token_no AND b.holder_no = g.holder_no
  CROSS JOIN LATERAL ({HELD_BY_ONE}) one
  WHERE j.party_id = i.party_id AND (v.proven_at, v.id) <= (w.proven_at, w.id)) AS after
FROM wallet w JOIN investor i ON i.id = w.investor_id
JOIN holder h ON h.address = w.address
JOIN balance b ON b.holder_no = h.holder_no
JOIN token t ON t.token_no = b.token_no AND t.chain_id = %(chain)s AND t.refusal IS NULL
JOIN tokenization z ON z.token_address = t.address AND z.state <> ALL(%(ended)s)
CROSS JOIN LATERAL ({HELD_BY_ONE}) held
WHERE w.id = ANY(%(wallets)s) AND held.units > 0
ORDER BY w.proven_at, w.id, t.token_no
"""  # noqa: S608 - no value in it
_NEWEST_TRANSFER = f"""
SELECT e.block_number, c.hash, e.tx_hash
FROM investor j JOIN wallet v ON v.investor_id = j.id
JOIN holder g ON g.address = v.address
JOIN balance_history b ON b.token_no = %(token)s AND b.holder_no = g.holder_no
JOIN token_event e ON e.token_no = b.token_no AND e.block_number = b.block_number
  AND e.kind = {EventKind.TRANSFER:d} AND (e.source = g.holder_no OR e.target = g.holder_no)
JOIN chain_block c ON c.chain_id = %(chain)s AND c.number = e.block_number
WHERE j.party_id = %(party)s AND (v.proven_at, v.id) <= (%(proven_at)s, %(wallet)s)
  AND b.block_number <= %(block)s
ORDER BY e.block_number DESC, e.log_index DESC LIMIT 1
"""  # noqa: S608 - a number of our own


class _Held(NamedTuple):
    """What a wallet has of a token, and its party in all wallets that were proven by then."""

    wallet_id: UUID
    wallet: bytes
    proven_at: datetime
    party_id: UUID
    token_no: int
    tokenization_id: UUID
    declared: int
    units: int
    after: int


def wallets_since(session: Session, last_id: UUID) -> Sequence[UUID]:
    """Give the wallets that were proven since, oldest first."""
    return session.exec(
        select(Wallet.id)
        .where(col(Wallet.id) > last_id)
        .order_by(col(Wallet.id))
        .limit(WALLETS_AT_ONCE)
    ).all()


def wallets_of(session: Session, parties: Collection[UUID]) -> Sequence[UUID]:
    """Give the wallets of some parties."""
    return session.exec(
        select(Wallet.id)
        .join(Investor, col(Investor.id) == col(Wallet.investor_id))
        .where(among(col(Investor.party_id), parties))
        .order_by(col(Wallet.id))
    ).all()


def find_in(
    session: Session,
    wallets: Sequence[UUID],
    policies: AlertPolicies,
    *,
    chain_id: int,
    block_number: int,
) -> Iterator[Found]:
    """Give who came to have the large share with one of these wallets.

    Ask for the next only once the last is raised: who is told to be large becomes it no more.

    Parameters
    ----------
    block_number
        The last at which the rules of the chain have looked.
    """
    asked = {"chain": chain_id, "block": block_number, "wallets": wallets, "ended": ENDED}
    with cursor_of(session) as cursor:
        rows = [_Held(*row) for row in cursor.execute(_HELD, asked)]
    for held in rows:
        share = policies.at(held.proven_at).large_share
        threshold = ceil(share * int(held.declared))
        before, after = int(held.after - held.units), int(held.after)
        if before >= threshold or after < threshold or _is_told(session, held):
            continue
        parts = (AlertRule.LARGE_HOLDER_CROSSED, held.tokenization_id, f"party:{held.party_id}")
        yield Found(
            rule=AlertRule.LARGE_HOLDER_CROSSED,
            key=":".join((*map(str, parts), "UP", "wallet", held.wallet.hex())),
            happened_at=held.proven_at,
            party_id=held.party_id,
            tokenization_id=held.tokenization_id,
            evidence={
                "before_units": str(before),
                "after_units": str(after),
                "declared_units": str(int(held.declared)),
                "direction": "UP",
                "threshold_share": str(share),
                "threshold_units": str(threshold),
                "proven_wallet": f"0x{held.wallet.hex()}",
                "at_block": str(block_number),
            },
            place=_place_of(session, chain_id, block_number, held),
        )


def _place_of(session: Session, chain_id: int, block_number: int, held: _Held) -> ChainPlace:
    """Return the newest transfer by which a party held what it is told of."""
    asked = {
        "chain": chain_id, "block": block_number, "token": held.token_no, "party": held.party_id,
        "proven_at": held.proven_at, "wallet": held.wallet_id,
    }  # fmt: skip
    with cursor_of(session) as cursor:
        newest = cursor.execute(_NEWEST_TRANSFER, asked).fetchone()
    assert newest is not None, "what is held was transferred"
    return ChainPlace(chain_id, *newest)


def _is_told(session: Session, held: _Held) -> bool:
    """Tell whether the last that was told of the party is that it is large."""
    newest = session.exec(
        select(Alert)
        .where(
            col(Alert.rule) == AlertRule.LARGE_HOLDER_CROSSED,
            col(Alert.party_id) == held.party_id,
            col(Alert.tokenization_id) == held.tokenization_id,
            col(Alert.taken_back_at).is_(None),
        )
        .order_by(col(Alert.happened_at).desc(), col(Alert.id).desc())
        .limit(1)
    ).first()
    return newest is not None and newest.evidence["direction"] == "UP"
