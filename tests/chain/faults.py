"""Nodes and databases that fail at a chosen moment: the same ones, with the fault before them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy.exc import OperationalError
from sqlmodel import Session

from chain.errors import RpcRefused, RpcUnavailable
from chain.node.client import ChainClient, hex_of
from chain.signing.port import SignedTransaction, Signer, UnsignedTransaction
from registry.kernel.db import Database
from tests.chain.nodes import CHAIN_ID, Node


class Died(BaseException):
    """Our own program ended here; nothing in it may catch that."""


class Mortal(ChainClient):
    """A program that dies at one of its own calls.

    Parameters
    ----------
    calls
        It dies at the call after that many.
    answered
        Whether the node has heard the fatal call.
    """

    def __init__(self, node: Node, calls: int, *, answered: bool) -> None:
        super().__init__(node.url, CHAIN_ID)
        self._left = calls
        self._answered = answered

    def request(self, method: str, *params: Any) -> Any:
        return self._live(lambda: super(Mortal, self).request(method, *params))

    def batch(self, calls: Sequence[tuple[str, tuple[Any, ...]]]) -> list[Any]:
        answers: list[Any] = self._live(lambda: super(Mortal, self).batch(calls))
        return answers

    def _live(self, call: Callable[[], Any]) -> Any:
        self._left -= 1
        if self._left >= 0:
            return call()
        if self._answered:
            call()
        raise Died


class LosesSends(ChainClient):
    """A connection that breaks when a transaction is sent.

    Parameters
    ----------
    arrives
        Whether the transaction has reached the node all the same.
    times
        How often it breaks.
    """

    def __init__(self, node: Node, *, arrives: bool, times: int = 1) -> None:
        super().__init__(node.url, CHAIN_ID)
        self._arrives = arrives
        self._left = times
        self.sent: list[bytes] = []

    def send_raw(self, raw: bytes) -> bytes:
        self.sent.append(raw)
        if self._left > 0:
            self._left -= 1
            if self._arrives:
                super().send_raw(raw)
            raise RpcUnavailable("ReadTimeout: it took too long")
        return super().send_raw(raw)

    def send_raws(self, raws: Sequence[bytes]) -> list[RpcRefused | None]:
        if len(raws) == 1:
            return super().send_raws(raws)
        self.sent += raws
        if self._left > 0:
            self._left -= 1
            if self._arrives:
                super().send_raws(raws)
            raise RpcUnavailable("ReadTimeout: it took too long")
        return super().send_raws(raws)


class AfterEstimate(ChainClient):
    """A node on which something happens right after the first call was found to be good."""

    def __init__(self, node: Node, happens: Callable[[], object]) -> None:
        super().__init__(node.url, CHAIN_ID)
        self._happens = happens
        self.happened = False

    def estimate_gas(
        self, to: bytes | None, data: bytes, *, sender: bytes, once: bool = False
    ) -> int:
        gas = super().estimate_gas(to, data, sender=sender, once=once)
        if not self.happened:
            self.happened = True
            self._happens()
        return gas


class AsksLate(ChainClient):
    """A slow worker: something happens right before it asks what its first call would take."""

    def __init__(self, node: Node, happens: Callable[[], object]) -> None:
        super().__init__(node.url, CHAIN_ID)
        self._happens = happens
        self.estimated = 0

    def estimate_gas(
        self, to: bytes | None, data: bytes, *, sender: bytes, once: bool = False
    ) -> int:
        self.estimated += 1
        if self.estimated == 1:
            self._happens()
        return super().estimate_gas(to, data, sender=sender, once=once)


class EstimatesLate(ChainClient):
    """Several nodes behind one address: the one that estimates has not seen the last blocks.

    Parameters
    ----------
    blocks
        So many.
    """

    def __init__(self, node: Node, blocks: int) -> None:
        super().__init__(node.url, CHAIN_ID)
        self._blocks = blocks

    def estimate_gas(
        self,
        to: bytes | None,
        data: bytes,
        *,
        sender: bytes,
        once: bool = False,  # noqa: ARG002 (it is asked once anyway)
    ) -> int:
        assert to is not None
        call = {"from": hex_of(sender), "to": hex_of(to), "data": hex_of(data)}
        block = hex(self.block_number() - self._blocks)
        return int(self.request("eth_estimateGas", call, block), 16)


class Capped(ChainClient):
    """A node that lets a call take so much gas, and words it as geth does."""

    def __init__(self, node: Node, most: int | None = None) -> None:
        super().__init__(node.url, CHAIN_ID)
        self._most = most

    def estimate_gas(
        self, to: bytes | None, data: bytes, *, sender: bytes, once: bool = False
    ) -> int:
        gas = super().estimate_gas(to, data, sender=sender, once=once)
        if self._most is None:
            # The first call is the largest: whatever is smaller passes.
            self._most = gas - 1
        if gas <= self._most:
            return gas
        words = f"gas required exceeds allowance ({self._most})"
        raise RpcRefused("eth_estimateGas", -32_000, words, None)


@dataclass
class Away(Signer):
    """A key that cannot be reached."""

    key: Signer
    fault: Exception

    @property
    def address(self) -> bytes:
        return self.key.address

    def sign_transaction(self, transaction: UnsignedTransaction) -> SignedTransaction:
        del transaction
        raise self.fault

    def sign_typed_data(self, typed_data: dict[str, Any]) -> bytes:
        del typed_data
        raise self.fault


class Breaks(Database):
    """A database whose connection breaks once, at the COMMIT of one of its transactions.

    Parameters
    ----------
    after
        Whether the COMMIT happened all the same.
    left
        Which transaction it is, from the next one on; with 0, none.
    """

    def __init__(self, database: Database, *, after: bool, left: int = 0) -> None:
        super().__init__(database.url)
        self._after = after
        self.left = left

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        self.left -= 1
        breaks = self.left == 0
        with super().transaction() as session:
            yield session
            if breaks and not self._after:
                raise lost()
        if breaks:
            raise lost()


def lost() -> OperationalError:
    return OperationalError("COMMIT", None, Exception("server closed the connection unexpectedly"))
