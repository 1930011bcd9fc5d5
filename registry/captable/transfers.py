"""The transfers of a token: what each was, who asked for it, and which of them one looks for."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb
from sqlmodel import Session

from registry.captable.blocks import AsOfBlock
from registry.captable.bulk import cursor_of
from registry.captable.models import EventKind, ForcedAct, Token


class TransferNature(StrEnum):
    """What a Transfer log was: the token itself logs them all alike."""

    MINTED = "MINTED"
    BURNED = "BURNED"
    TRANSFERRED = "TRANSFERRED"
    FORCED = "FORCED"
    RECOVERED = "RECOVERED"


MOVING_ACTS = (ForcedAct.FORCED_TRANSFER, ForcedAct.BURN, ForcedAct.RECOVERY)
"""What an agent does to units by a case, but for freezing them."""


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
    since
        Number of the first block.
    until
        The last block; one that a reorg has taken since tells what we knew.
    """

    natures: Collection[TransferNature] = ()
    wallet: bytes | None = None
    since: int | None = None
    until: AsOfBlock | None = None


# What the agent, or the token itself, said of a movement in its transaction; the agent's own word
# goes first, since it names the case.
_CAUSE = f"""
LEFT JOIN LATERAL (
  SELECT kind, extra FROM {{events}}
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
JOIN {{blocks}} b ON b.chain_id = %(chain)s AND b.number = e.block_number
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
# What we knew: the events and blocks of today up to where a reorg cut in, then those it took.
_KNOWN = """
WITH known_event AS NOT MATERIALIZED (
  SELECT token_no, block_number, log_index, kind, tx_hash, source, target, units, extra
  FROM token_event WHERE token_no = ANY(%(tokens)s) AND block_number <= %(kept)s
  UNION ALL
  SELECT token_no, block_number, log_index, kind, decode(tx_hash, 'hex'), source, target,
    units, extra
  FROM jsonb_to_recordset(%(lost)s::jsonb) AS l(
    token_no int, block_number int8, log_index int, kind int, tx_hash text, source int,
    target int, units numeric, extra jsonb)),
known_block AS NOT MATERIALIZED (
  SELECT chain_id, number, mined_at FROM chain_block
  WHERE chain_id = %(chain)s AND number <= %(kept)s
  UNION ALL
  SELECT %(chain)s, l.* FROM unnest(%(numbers)s::int8[], %(times)s::timestamptz[]) l)
"""
# Of each token no more than are told of all of them together.
_OF_TOKENS = f"""
FROM (
  SELECT k.* FROM unnest(%(tokens)s::int4[]) n (token_no) CROSS JOIN LATERAL (
    SELECT e.* FROM {{events}} e
    WHERE e.token_no = n.token_no AND e.kind = {EventKind.TRANSFER:d}
      AND e.block_number >= %(since)s AND e.block_number <= %(until)s
      AND (e.block_number, e.log_index) > (%(block)s, %(index)s)
    ORDER BY e.block_number, e.log_index LIMIT %(limit)s) k
  ORDER BY k.block_number, k.log_index LIMIT %(limit)s) e
"""  # noqa: S608 - a number of our own
# Of acts, not of transfers: those of a wallet are found by all of its history.
_CASES = f"""
SELECT DISTINCT e.block_number, e.extra ->> 'case_id' AS case_id
FROM {{events}} e, holder h
WHERE e.token_no = %(token)s AND e.kind = {EventKind.CASE_ACT:d}
  -- Said for the planner: the index of what is no transfer.
  AND e.kind <> {EventKind.TRANSFER:d}
  AND e.block_number >= %(since)s AND e.block_number <= %(until)s
  AND h.address = %(wallet)s AND (e.source = h.holder_no OR e.target = h.holder_no)
  AND e.extra ->> 'act' = ANY(%(acts)s)
ORDER BY 1, 2
"""  # noqa: S608 - numbers of our own
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
    query, values = _compose(wanted or TransferFilter(), token, after)
    values |= {"token": token.token_no, "chain": token.chain_id, "limit": limit}
    with cursor_of(session) as cursor:
        rows = cursor.execute(query.encode(), values).fetchall()
    return [_row(row) for row in rows]


def list_transfers_of(
    session: Session,
    chain_id: int,
    token_nos: Sequence[int],
    *,
    since: int,
    until: AsOfBlock,
    after: tuple[int, int] = (-1, -1),
    limit: int,
) -> list[tuple[int, TransferRow]]:
    """List the transfers of several tokens in the order of their chain, each beside its token.

    Parameters
    ----------
    since, until, after
        As of `TransferFilter` and `list_transfers`.
    """
    # The server goes to the later of both only where it is told one place.
    after = max(after, (since, -1))
    query, known = of_branch(
        f"{_COLUMNS}, e.token_no {_OF_TOKENS} {_NAMES} ORDER BY e.block_number, e.log_index",
        until,
        token_nos,
    )
    values = known | {
        "chain": chain_id, "limit": limit, "since": since, "until": until.number,
        "block": after[0], "index": after[1],
    }  # fmt: skip
    with cursor_of(session) as cursor:
        rows = cursor.execute(query.encode(), values).fetchall()
    return [(row[-1], _row(row[:-1])) for row in rows]


def list_cases_of(
    session: Session, token: Token, wallet: bytes, *, since: int, until: AsOfBlock
) -> list[tuple[int, UUID]]:
    """List by which cases units of a wallet, or to it, were moved or burned, and in which blocks.

    Parameters
    ----------
    since
        Number of the first block.
    """
    query, known = of_branch(_CASES, until, [int(token.token_no or 0)])
    values = known | {
        "token": token.token_no, "chain": token.chain_id, "wallet": wallet,
        "since": since, "until": until.number, "acts": [act.value for act in MOVING_ACTS],
    }  # fmt: skip
    with cursor_of(session) as cursor:
        rows = cursor.execute(query.encode(), values).fetchall()
    return [(number, _case_id(case)) for number, case in rows]


def _case_id(said: str) -> UUID:
    return UUID(bytes=bytes.fromhex(said)[16:])


def _row(said: Sequence[Any]) -> TransferRow:
    nature, case, block_number, mined_at, log_index, tx_hash, source, target, units = said
    return TransferRow(
        TransferNature(nature),
        _case_id(case) if case else None,
        block_number,
        mined_at,
        log_index,
        tx_hash,
        source,
        target,
        int(units),
    )


def of_branch(
    query: str, until: AsOfBlock | None, token_nos: Sequence[int]
) -> tuple[str, dict[str, Any]]:
    """Have a query read the branch of a block, which a reorg may have taken since.

    Parameters
    ----------
    query
        Reads `{events}` of these tokens, and `{blocks}` of the chain ``%(chain)s``.

    Returns
    -------
    tuple
        The query with their names, and what it is to be told of them.
    """
    lost = until.lost if until else None
    tokens = {"tokens": list(token_nos)}
    if lost is None:
        return query.format(events="token_event", blocks="chain_block"), tokens
    told = list(lost.told(token_nos))
    times = {block.number: block.mined_at for block, _ in told}
    known = f"{_KNOWN} {query.format(events='known_event', blocks='known_block')}"
    return known, tokens | {
        "kept": lost.kept,
        "lost": Jsonb([event for _, event in told]),
        "numbers": list(times),
        "times": list(times.values()),
    }


def _compose(
    wanted: TransferFilter, token: Token, after: tuple[int, int] | None
) -> tuple[str, dict[str, Any]]:
    lost = wanted.until.lost if wanted.until else None
    conditions, values = _conditions(wanted, after)
    of_history = wanted.wallet is not None and lost is None
    query = " ".join(
        (
            _COLUMNS,
            _OF_WALLET if of_history else "FROM {events} e",
            _NAMES,
            f"WHERE {' AND '.join(conditions)}",
            "ORDER BY e.block_number, e.log_index LIMIT %(limit)s",
        )
    )
    query, known = of_branch(query, wanted.until, [int(token.token_no or 0)])
    return query, values | known


def _conditions(
    wanted: TransferFilter, after: tuple[int, int] | None
) -> tuple[list[str], dict[str, Any]]:
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
    if wanted.since is not None:
        where.append("e.block_number >= %(since)s")
        values["since"] = wanted.since
    if wanted.until is not None:
        where.append("e.block_number <= %(until)s")
        values["until"] = wanted.until.number
    if after is not None:
        after = max(after, (wanted.since or 0, -1))
        where.append("(e.block_number, e.log_index) > (%(block)s, %(index)s)")
        values["block"], values["index"] = after
    return where, values
