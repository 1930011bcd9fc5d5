"""The transfers of a token: what each was, who asked for it, and which of them one looks for."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlmodel import Session

from registry.captable.bulk import cursor_of
from registry.captable.models import EventKind, ForcedAct, Token


class TransferNature(StrEnum):
    """What a Transfer log was: the token itself logs them all alike."""

    MINTED = "MINTED"
    BURNED = "BURNED"
    TRANSFERRED = "TRANSFERRED"
    FORCED = "FORCED"
    RECOVERED = "RECOVERED"


@dataclass(frozen=True, slots=True)
class TransferRow:
    """One Transfer log; a mint has no source, a burn no target.

    Parameters
    ----------
    case_id
        The case under which the agent acted, where it named one.
    """

    nature: TransferNature
    case_id: UUID | None
    block_number: int
    mined_at: datetime
    log_index: int
    tx_hash: bytes
    source: bytes | None
    target: bytes | None
    units: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferFilter:
    """Which transfers one looks for; without anything, all.

    Parameters
    ----------
    natures
        Any of these; empty for all of them.
    wallet
        From or to this address.
    since, until
        Block numbers, both included.
    """

    natures: Collection[TransferNature] = ()
    wallet: bytes | None = None
    since: int | None = None
    until: int | None = None


# What the agent, or the token itself, said of a movement in its transaction; the agent's own word
# goes first, since it names the case.
_CAUSE = f"""
LEFT JOIN LATERAL (
  SELECT kind, extra FROM token_event
  WHERE token_no = e.token_no AND block_number = e.block_number
    AND kind <> {EventKind.TRANSFER} AND kind IN ({EventKind.CASE_ACT}, {EventKind.RECOVERY})
    AND tx_hash = e.tx_hash AND source = e.source AND target IS NOT DISTINCT FROM e.target
  ORDER BY kind DESC LIMIT 1) c ON true
"""  # noqa: S608 - numbers of our own
_NATURE = f"""
CASE WHEN e.source IS NULL THEN '{TransferNature.MINTED}'
  WHEN e.target IS NULL THEN '{TransferNature.BURNED}'
  WHEN c.kind = {EventKind.RECOVERY} OR c.extra ->> 'act' = '{ForcedAct.RECOVERY}'
    THEN '{TransferNature.RECOVERED}'
  WHEN c.kind IS NOT NULL OR e.extra ->> 'forced' = 'true' THEN '{TransferNature.FORCED}'
  ELSE '{TransferNature.TRANSFERRED}' END
"""
_COLUMNS = f"""
SELECT {_NATURE}, c.extra ->> 'case_id', e.block_number, b.mined_at, e.log_index, e.tx_hash,
  s.address, t.address, e.units
"""
_NAMES = f"""
{_CAUSE}
JOIN chain_block b ON b.chain_id = %(chain)s AND b.number = e.block_number
LEFT JOIN holder s ON s.holder_no = e.source
LEFT JOIN holder t ON t.holder_no = e.target
"""
# The history of the holder names the blocks: no index of the events by holder is kept.
_OF_WALLET = """
FROM (
  SELECT DISTINCT block_number FROM balance_history
  WHERE token_no = %(token)s
    AND holder_no = (SELECT holder_no FROM holder WHERE address = %(wallet)s)) h
JOIN token_event e USING (block_number)
"""
_IS_OF_WALLET = "(s.address = %(wallet)s OR t.address = %(wallet)s)"
_TOLD = "(e.extra IS NOT NULL OR e.source IS NULL OR e.target IS NULL)"


def list_transfers(
    session: Session,
    token: Token,
    wanted: TransferFilter | None = None,
    *,
    after: tuple[int, int] | None = None,
    limit: int,
) -> list[TransferRow]:
    """List the transfers of a token in the order of the chain.

    Parameters
    ----------
    after
        Block and log index of the last one that was seen.
    """
    query, values = _compose(wanted or TransferFilter(), after)
    values |= {"token": token.token_no, "chain": token.chain_id, "limit": limit}
    with cursor_of(session) as cursor:
        rows = cursor.execute(query.encode(), values).fetchall()
    return [
        TransferRow(
            TransferNature(nature),
            UUID(bytes=bytes.fromhex(case)[16:]) if case else None,
            block_number,
            mined_at,
            log_index,
            tx_hash,
            source,
            target,
            int(units),
        )
        for nature, case, block_number, mined_at, log_index, tx_hash, source, target, units in rows
    ]


def _compose(wanted: TransferFilter, after: tuple[int, int] | None) -> tuple[str, dict[str, Any]]:
    where = [f"e.token_no = %(token)s AND e.kind = {EventKind.TRANSFER}"]
    values: dict[str, Any] = {}
    if wanted.wallet is not None:
        where.append(_IS_OF_WALLET)
        values["wallet"] = wanted.wallet
    if wanted.natures:
        where.append(f"{_NATURE} = ANY(%(natures)s)")
        values["natures"] = [nature.value for nature in wanted.natures]
        if TransferNature.TRANSFERRED not in wanted.natures:
            # Said for the planner: a small index has all of these (`ix_token_event_told`).
            where.append(_TOLD)
    for name, sign, number in (("since", ">=", wanted.since), ("until", "<=", wanted.until)):
        if number is not None:
            where.append(f"e.block_number {sign} %({name})s")
            values[name] = number
    if after is not None:
        where.append("(e.block_number, e.log_index) > (%(block)s, %(index)s)")
        values["block"], values["index"] = after
    source = _OF_WALLET if wanted.wallet is not None else "FROM token_event e"
    order = "ORDER BY e.block_number, e.log_index LIMIT %(limit)s"
    return f"{_COLUMNS} {source} {_NAMES} WHERE {' AND '.join(where)} {order}", values
