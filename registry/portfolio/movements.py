"""What moved in one wallet: each transfer as it was, and each freeze, in the order of the chain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session

from registry.captable.blocks import AsOfBlock
from registry.captable.bulk import cursor_of
from registry.captable.models import EventKind, Token
from registry.captable.transfers import TransferFilter, list_transfers


@dataclass(frozen=True, slots=True)
class Movement:
    """One event of the chain.

    Parameters
    ----------
    kind
        The nature of a transfer, ``FROZEN`` and ``RELEASED`` of units, or ``WALLET_FROZEN`` and
        ``WALLET_RELEASED`` of the wallet as a whole.
    units
        What the wallet got, below 0 what it gave; a freeze moves nothing.
    frozen_units
        What was frozen, below 0 what was released.
    counterparty
        The other wallet; None of a mint, a burn or a freeze.
    """

    kind: str
    block_number: int
    log_index: int
    mined_at: datetime
    tx_hash: bytes
    units: int
    frozen_units: int = 0
    counterparty: bytes | None = None


_FREEZES = f"""
SELECT e.kind, e.block_number, e.log_index, b.mined_at, e.tx_hash, coalesce(e.units, 0),
  e.extra ->> 'frozen' = 'true'
FROM token_event e
JOIN chain_block b ON b.chain_id = %(chain)s AND b.number = e.block_number
WHERE e.token_no = %(token)s AND e.kind <> 1
  AND e.kind IN ({EventKind.TOKENS_FROZEN:d}, {EventKind.TOKENS_UNFROZEN:d},
    {EventKind.ADDRESS_FROZEN:d})
  AND e.target = (SELECT holder_no FROM holder WHERE address = %(wallet)s)
  AND e.block_number > %(since)s AND e.block_number <= %(until)s
ORDER BY e.block_number, e.log_index LIMIT %(limit)s
"""  # noqa: S608 - numbers of our own


def list_movements(  # noqa: PLR0917
    session: Session, token: Token, wallet: bytes, since: int, until: AsOfBlock, limit: int
) -> Sequence[Movement]:
    """List the movements above block `since` up to `until`; one more than `limit` where more are.

    A transfer to the wallet itself moves nothing and is told with 0.
    """
    wanted = TransferFilter(wallet=wallet, since=since + 1, until=until)
    found = []
    for row in list_transfers(session, token, wanted, limit=limit + 1):
        units = row.units * ((row.target == wallet) - (row.source == wallet))
        other = row.source if row.target == wallet else row.target
        found.append(
            Movement(
                row.nature,
                row.block_number,
                row.log_index,
                row.mined_at,
                row.tx_hash,
                units,
                counterparty=other,
            )
        )
    values = {
        "chain": token.chain_id,
        "token": token.token_no,
        "wallet": wallet,
        "since": since,
        "until": until.number,
        "limit": limit + 1,
    }
    with cursor_of(session) as cursor:
        for kind, number, index, mined_at, tx_hash, units, whole in cursor.execute(
            _FREEZES, values
        ):
            if kind == EventKind.ADDRESS_FROZEN:
                name, frozen = "WALLET_FROZEN" if whole else "WALLET_RELEASED", 0
            else:
                frozen = int(units) * (1 if kind == EventKind.TOKENS_FROZEN else -1)
                name = "FROZEN" if frozen > 0 else "RELEASED"
            found.append(Movement(name, number, index, mined_at, tx_hash, 0, frozen))
    return sorted(found, key=lambda item: (item.block_number, item.log_index))
