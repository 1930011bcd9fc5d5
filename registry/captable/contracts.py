"""Projecting the platform's own contracts: their events, and from where on they are read.

A contract stands before anybody looks at it, and its first events are in the block that made it.
So each is caught up by itself from there (`chain.sync.contract_catch_up`), and then goes with its
chain.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence

from sqlalchemy import delete
from sqlmodel import Session, col, select

from registry.captable import bulk, times
from registry.captable.contract_models import ContractEvent, FollowedContract
from registry.captable.events import ProjectedContractEvent, ProjectedRange
from registry.operation.models import PlatformContract

_COPY = (
    "COPY contract_event"
    " (chain_id, block_number, log_index, address, event, tx_hash, subject, said) FROM STDIN"
)


def list_unknown(
    session: Session, chain_id: int, names: Collection[str]
) -> Sequence[PlatformContract]:
    """List the platform's contracts of these names that are not followed yet."""
    followed = select(FollowedContract.address).where(col(FollowedContract.chain_id) == chain_id)
    return session.exec(
        select(PlatformContract).where(
            col(PlatformContract.chain_id) == chain_id,
            col(PlatformContract.name).in_(names),
            col(PlatformContract.address).not_in(followed),
        )
    ).all()


def begin(session: Session, found: PlatformContract) -> FollowedContract:
    """Begin to follow a contract, from the block that made it."""
    contract = FollowedContract(
        chain_id=found.chain_id,
        address=found.address,
        name=found.name,
        block_number=found.block_number,
        caught_up_to=found.block_number - 1,
        read_from=found.block_number,
    )
    session.add(contract)
    session.flush()
    return contract


def list_behind(session: Session, chain_id: int) -> Sequence[FollowedContract]:
    """List the contracts that are caught up by themselves."""
    return session.exec(
        select(FollowedContract)
        .where(
            col(FollowedContract.chain_id) == chain_id,
            col(FollowedContract.caught_up_to).is_not(None),
        )
        .order_by(col(FollowedContract.block_number))
    ).all()


def append(session: Session, chain_id: int, events: Iterable[ProjectedContractEvent]) -> None:
    """Append events in the order of the chain."""
    with bulk.cursor_of(session) as cursor, cursor.copy(_COPY) as copy:
        for event in events:
            copy.write_row(
                (
                    chain_id,
                    event.block_number,
                    event.log_index,
                    event.address,
                    event.event,
                    event.tx_hash,
                    event.subject,
                    json.dumps(event.said),
                )
            )


def apply_part(
    session: Session, contract: FollowedContract, found: ProjectedRange, *, joins: bool
) -> None:
    """Apply the next range of one contract, and let it join its chain if that was the last."""
    times.add_blocks(session, contract.chain_id, found.blocks)
    append(session, contract.chain_id, found.contract_events)
    contract.caught_up_to = None if joins else found.end.number
    session.add(contract)
    session.flush()


def begin_again(session: Session, chain_id: int, address: bytes, *, first: int) -> None:
    """Throw away what a contract told from block `first` on, to read it once more."""
    contract = session.get_one(FollowedContract, (chain_id, address), with_for_update=True)
    session.execute(
        delete(ContractEvent).where(
            col(ContractEvent.chain_id) == chain_id,
            col(ContractEvent.address) == address,
            col(ContractEvent.block_number) >= first,
        )
    )
    contract.caught_up_to = first - 1
    session.add(contract)
    session.flush()


# Few blocks have any: the others' orphans are written once, without it.
_TAKE_BACK = """
WITH gone AS (
  DELETE FROM contract_event WHERE chain_id = %(chain)s AND block_number > %(ancestor)s
  RETURNING block_number, log_index, address, event, tx_hash, subject, said),
behind AS (
  UPDATE followed_contract SET caught_up_to = %(ancestor)s
  WHERE chain_id = %(chain)s AND caught_up_to > %(ancestor)s)
UPDATE orphan_block o SET contract_events = k.events
FROM (
  SELECT block_number, json_agg(json_build_object(
    'block_number', block_number, 'log_index', log_index, 'address', encode(address, 'hex'),
    'event', event, 'tx_hash', encode(tx_hash, 'hex'), 'subject', encode(subject, 'hex'),
    'said', said) ORDER BY log_index)::jsonb AS events
  FROM gone GROUP BY block_number) k
WHERE o.chain_id = %(chain)s AND o.number = k.block_number AND o.orphaned_at = now()
"""


def take_back(session: Session, chain_id: int, ancestor: int) -> None:
    """Take back what was told above a block; the orphans of this transaction keep it."""
    with bulk.cursor_of(session) as cursor:
        cursor.execute(_TAKE_BACK, {"chain": chain_id, "ancestor": ancestor})
