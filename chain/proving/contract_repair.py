"""Finding the first block of which the events of a platform's contract are kept wrongly.

Claims are folded from those events when they are asked for, so to mend claims is to read the events
again from there. It is done as every contract is caught up (`chain.sync.contract_catch_up`): after
a kill whoever syncs next goes on with it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from sqlmodel import col, select

from chain.node.client import ChainClient, hex_of
from chain.proving.comparing import Wrong, first_wrong_block, wrong_events
from chain.sync.watched import Watched
from registry.captable import contracts
from registry.captable.contract_models import ContractEvent, FollowedContract
from registry.captable.events import ProjectedContractEvent
from registry.captable.models import SyncCursor
from registry.captable.projection import next_generation
from registry.kernel.db import Database

Say = Callable[[str], None]


class _Said(NamedTuple):
    """What is compared of an event."""

    block_number: int
    log_index: int
    event: str
    tx_hash: bytes
    subject: bytes | None
    said: tuple[tuple[str, str], ...]


class ContractRepair:
    """Looks at the platform's contracts on one chain, and mends what is kept of them."""

    def __init__(self, database: Database, client: ChainClient, say: Say) -> None:
        self._database = database
        self._client = client
        self._say = say

    def list_contracts(self) -> Sequence[FollowedContract]:
        """List the contracts that are followed; none on a chain that is not the platform's."""
        with self._database.reading() as session:
            return session.exec(
                select(FollowedContract)
                .where(col(FollowedContract.chain_id) == self._client.chain_id)
                .order_by(col(FollowedContract.name))
            ).all()

    def wrong_events(self, contract: FollowedContract, number: int) -> list[Wrong[_Said]]:
        """Give the events of one block that are kept otherwise than the chain logs them."""
        watched = Watched(None, None, {}, contracts={contract.address: contract.name})
        return wrong_events(
            self._client,
            number,
            kept=lambda first, last: (watched, self._kept(contract, first, last)),
            told=lambda found, _: set(map(_said, found.contract_events)),
        )

    def first_wrong_log(self, contract: FollowedContract) -> int | None:
        """Read every log of a contract again; return the first block of which the events differ.

        Raises
        ------
        RpcRefused
            The node does not have the logs of a block any more.
        """
        watched = Watched(None, None, {}, contracts={contract.address: contract.name})
        with self._database.reading() as session:
            cursor = session.get_one(SyncCursor, self._client.chain_id)
        end = cursor.number if contract.caught_up_to is None else contract.caught_up_to
        return first_wrong_block(
            self._client,
            range(contract.read_from, end + 1),
            kept=lambda first, last: (watched, self._kept(contract, first, last)),
            told=lambda found, _: set(map(_said, found.contract_events)),
        )

    def _kept(self, contract: FollowedContract, first: int, last: int) -> set[_Said]:
        with self._database.reading() as session:
            rows = session.exec(
                select(ContractEvent).where(
                    col(ContractEvent.chain_id) == contract.chain_id,
                    col(ContractEvent.address) == contract.address,
                    col(ContractEvent.block_number).between(first, last),
                )
            ).all()
        return set(map(_said, rows))

    def read_again(self, contract: FollowedContract, first_bad: int) -> None:
        """Throw away what is kept from `first_bad` on; whoever writes reads it again."""
        self._say(f"{contract.name} {hex_of(contract.address)} is read again from {first_bad}")
        with self._database.transaction() as session:
            # Ranges that are on their way know it as it was: their writer starts anew.
            next_generation(session, contract.chain_id)
            contracts.begin_again(session, contract.chain_id, contract.address, first=first_bad)

    def is_behind(self) -> bool:
        """Tell whether a contract is still read apart from its chain."""
        with self._database.reading() as session:
            return bool(contracts.list_behind(session, self._client.chain_id))


def _said(each: ContractEvent | ProjectedContractEvent) -> _Said:
    said = tuple(sorted(each.said.items()))
    return _Said(each.block_number, each.log_index, each.event, each.tx_hash, each.subject, said)
