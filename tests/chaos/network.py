"""The chain under a schedule: it mines, forgets, reorganizes itself, and asks for more."""

from __future__ import annotations

import contextlib
import random
from collections import defaultdict
from typing import Any

from eth_account import Account

from chain.errors import ChainError
from chain.node.client import hex_of
from chain.signing.envelope import read_signed
from tests.chain.nodes import CHAIN_ID, Node
from tests.chaos.proxy_rpc import RpcProxy
from tests.chaos.schedule import Moved
from tests.chaos.stage import ACCOUNTS, FLOOR, fund_keys

ELSEWHERE = "0x" + "42" * 20
GWEI = 10**9
FOREIGN_FEE = 200 * GWEI
"""Enough for the place of whatever we have offered."""


class Network:
    """Drives one node directly, past the proxy.

    Parameters
    ----------
    seed
        Decides what a reorg leaves open.
    """

    def __init__(self, node: Node, proxy: RpcProxy, *, seed: int) -> None:
        self.node = node
        self._proxy = proxy
        self._dice = random.Random(seed)
        self.foreign: dict[str, bytes] = {}
        """What somebody else has sent with our keys, by hash."""
        node.rpc("anvil_mine", hex(FLOOR))
        self.floor = node.client.block_number()
        """No reorg goes below this block."""
        self._usual_fee = node.client.head().base_fee_wei

    def mine(self) -> None:
        self.node.rpc("evm_mine")

    def set_floor(self) -> None:
        self.floor = self.node.client.block_number()

    # -- what goes wrong ---------------------------------------------------------------------

    def forget_pool(self, *, only_first: bool) -> None:
        if not only_first:
            self.node.drop_pool()
            return
        for waiting in self.pending()[:1]:
            self.node.rpc("anvil_dropTransaction", waiting)

    def raise_base_fee(self) -> None:
        self.node.rpc("anvil_setNextBlockBaseFeePerGas", hex(10 * self._usual_fee))

    def starve(self, account: int) -> None:
        self.node.rpc("anvil_setBalance", ACCOUNTS[account].address, "0x1")

    def use_key(self, account: int, *, instead: bool) -> None:
        """Send something of somebody else's, at the end of the queue or at its beginning."""
        key = ACCOUNTS[account]
        tag = "latest" if instead else "pending"
        address = bytes.fromhex(key.address.removeprefix("0x"))
        fields: dict[str, Any] = {
            "type": 2,
            "chainId": CHAIN_ID,
            "nonce": self.node.client.nonce(address, tag),
            "to": ELSEWHERE,
            "value": 0,
            "data": b"\x01",
            "gas": 60_000,
            "maxFeePerGas": FOREIGN_FEE,
            "maxPriorityFeePerGas": FOREIGN_FEE,
        }
        signed = Account.sign_transaction(fields, key.key)
        with contextlib.suppress(ChainError):
            sent = self.node.client.send_raw(bytes(signed.raw_transaction))
            self.foreign[hex_of(sent)] = bytes(signed.raw_transaction)

    def heal(self) -> None:
        """Give money to every key, and ask for no more than usual."""
        fund_keys(self.node)
        self.node.rpc("anvil_setNextBlockBaseFeePerGas", hex(self._usual_fee))

    # -- reorgs ------------------------------------------------------------------------------

    def reorganize(self, depth: int, mined: int, moved: Moved) -> None:
        """Take blocks away and mine others; what was in them may come again, or not."""
        head = self.node.client.block_number()
        depth = min(depth, head - self.floor)
        if depth < 1:
            return
        lost = self._transactions(head - depth + 1, head) + self.pending()
        self.node.roll_back(depth)
        again = self._choose(lost, moved)
        for left in range(mined, 0, -1):
            # Spread over the new blocks, not where they were.
            share = -(-len(again) // left)
            for raw in again[:share] if left < mined or mined == 1 else []:
                # Refused where what came before it is gone: then so is this.
                with contextlib.suppress(ChainError):
                    self.node.client.send_raw(raw)
            if left < mined or mined == 1:
                again = again[share:]
            self.mine()

    def _choose(self, lost: list[str], moved: Moved) -> list[bytes]:
        known = self._proxy.raws | self.foreign
        raws = [known[each] for each in lost if each in known]
        if moved == Moved.DROPPED:
            return []
        if moved == Moved.PARTLY:
            return [raw for raw in raws if self._dice.random() < 0.5]
        if moved == Moved.REPLACED:
            return [self._other_attempt(raw) for raw in raws]
        return raws

    def _other_attempt(self, raw: bytes) -> bytes:
        place = _place(raw)
        others = [each for each in list(self._proxy.raws.values()) if _place(each) == place]
        return self._dice.choice(others or [raw])

    def _transactions(self, first: int, last: int) -> list[str]:
        found: list[str] = []
        for number in range(first, last + 1):
            found += self.node.rpc("eth_getBlockByNumber", hex(number), False)["transactions"]
        return found

    def pending(self) -> list[str]:
        """Give hashes of what waits in the pool, the first of each key first."""
        content = self.node.rpc("txpool_content")["pending"]
        by_nonce: dict[int, list[str]] = defaultdict(list)
        for queue in content.values():
            for nonce, transaction in queue.items():
                by_nonce[int(nonce)].append(transaction["hash"])
        return [each for nonce in sorted(by_nonce) for each in by_nonce[nonce]]


def _place(raw: bytes) -> tuple[str, int]:
    return str(Account.recover_transaction(raw)), read_signed(raw).nonce
