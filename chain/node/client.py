"""One EVM node over JSON-RPC: exact types in, exact types out, every failure an own error."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

import msgspec

from chain.errors import (
    NotKept,
    RateLimited,
    RpcInconsistent,
    RpcRefused,
    RpcUnavailable,
    WrongChain,
)
from chain.node.answers import (
    Block,
    BlockId,
    Log,
    Outlook,
    Receipt,
    Sent,
    block_query,
    bytes_of,
    call_params,
    hex_of,
    log_of,
    read_block,
    read_bytes,
    read_emitters,
    read_fees,
    read_header,
    read_number,
    read_receipt,
    read_simulated,
)
from chain.node.limits import TOO_MANY_REQUESTS, RateLimit
from chain.node.sent import sent_by
from chain.node.transport import ANSWER_BYTES, Transport, result_of
from chain.node.wire import (
    decode_headers,
    decode_logs,
    encode_batch,
    encode_call,
)

__all__ = [
    "Block",
    "BlockId",
    "ChainClient",
    "Log",
    "Outlook",
    "Receipt",
    "Sent",
    "block_query",
    "bytes_of",
    "call_params",
    "hex_of",
    "log_of",
]

TIMEOUT_SECONDS = 20.0
HEADERS_AT_ONCE = 500
"""In one round trip, which takes as long as forty headers; geth answers no more than a thousand."""
SEND = "eth_sendRawTransaction"

Answer = TypeVar("Answer")


class ChainClient(Transport):
    """JSON-RPC calls to one node.

    Parameters
    ----------
    rpc_url : str
        http or https.
    chain_id : int
        The chain that the node must serve.
    timeout_seconds : float
        How long one call may take.
    limit : RateLimit, optional
        How often the node may be asked; clients of the same node share one.
    """

    # Until the node says that it does not know the method.
    _simulates = True
    is_one_node = True
    """Whether what one node says is all that there is."""

    def __init__(
        self,
        rpc_url: str,
        chain_id: int,
        *,
        timeout_seconds: float = TIMEOUT_SECONDS,
        limit: RateLimit | None = None,
    ) -> None:
        super().__init__(rpc_url, timeout_seconds, limit or RateLimit())
        self.chain_id = chain_id

    def check(self) -> None:
        """Make sure that the node answers and serves our chain.

        Raises
        ------
        RpcUnavailable, WrongChain
        """
        try:
            served = read_number(self.request("eth_chainId"))
        except RateLimited as limited:
            raise RateLimited(f"The node of RPC_URL: {limited}", limited.retry_after) from limited
        except RpcUnavailable as error:
            raise RpcUnavailable(f"The node of RPC_URL does not answer: {error}") from error
        if served != self.chain_id:
            raise WrongChain(self.chain_id, served)

    def distrust(self, reason: str) -> None:
        """Take note that what the node said cannot be true; with one node there is no other."""

    def move_on(self, reason: str) -> None:
        """Ask another node first from now on; with one node there is no other."""

    def hint(self) -> None:
        """Take note that there may be a new block; one node is always asked anew."""

    def agreed(self, what: str, question: Callable[[ChainClient], Answer]) -> Answer:
        """Ask about what does not change any more; of several nodes enough must say the same.

        Parameters
        ----------
        what
            It is told of who says otherwise.
        """
        del what
        return question(self)

    # -- reading ---------------------------------------------------------------------------

    def block(self, block: BlockId) -> Block | None:
        """Return the header of a block, or None where the node knows none."""
        return read_block(self.request(*block_query(block)))

    def head(self) -> Block:
        """Return the newest header."""
        head = self.block("latest")
        if head is None:
            raise RpcInconsistent("the node knows no latest block")
        return head

    def block_number(self) -> int:
        """Return the number of the newest block."""
        return read_number(self.request("eth_blockNumber"))

    def nonce(self, address: bytes, block: str = "latest") -> int:
        """Return how many transactions of `address` are on chain."""
        return read_number(self.request("eth_getTransactionCount", hex_of(address), block))

    def balance(self, address: bytes) -> int:
        """Return the chain's own money of an address, in wei."""
        return read_number(self.request("eth_getBalance", hex_of(address), "latest"))

    def outlook(
        self,
        sender: bytes,
        blocks: int,
        *,
        legacy: bool = False,
        others: Sequence[bytes] = (),
        call: tuple[bytes | None, bytes] | None = None,
    ) -> Outlook:
        """Return what the next transaction of `sender` depends on, in one round trip.

        Parameters
        ----------
        blocks
            How far back base fees are told; a node that keeps no history tells none.
        legacy
            The chain knows no EIP-1559.
        others
            Keys of which the nonces are told as well.
        call
            Receiver and data of a call that is estimated as well; it is refused where it reverts.

        Raises
        ------
        RpcUnavailable, RpcRefused, WrongChain
        """
        counts = _counts((sender, *others))
        method, *header = block_query("latest")
        calls: list[tuple[str, tuple[Any, ...]]] = [
            (method, tuple(header)),
            ("eth_chainId", ()),
            ("eth_getBalance", (hex_of(sender), "latest")),
            *counts,
            *([] if call is None else [("eth_estimateGas", (_transaction(sender, *call),))]),
            ("eth_gasPrice", ()) if legacy else ("eth_feeHistory", (hex(blocks), "latest", [])),
        ]
        try:
            *found, fees = self.batch(calls)
        except RpcRefused as refused:
            if legacy or refused.method != "eth_feeHistory":
                raise
            found, fees = self.batch(calls[:-1]), None
        head, served, balance, *counted = found
        gas = None if call is None else read_number(counted.pop())
        if read_number(served) != self.chain_id:
            raise WrongChain(self.chain_id, read_number(served))
        block = read_block(head)
        if block is None:
            raise RpcInconsistent("the node knows no latest block")
        return Outlook(
            head=block,
            balance_wei=read_number(balance),
            nonces_used=_highest_counts(counts, counted),
            base_fees_wei=() if legacy else read_fees(fees),
            gas_price_wei=read_number(fees) if legacy else None,
            gas=gas,
        )

    def nonces_used(self, keys: Sequence[bytes]) -> dict[bytes, int]:
        """Return how many transactions of each key are on chain or in the node's pool."""
        counts = _counts(keys)
        return _highest_counts(counts, self.batch(counts))

    def nonce_and_height(self, address: bytes) -> tuple[int, int]:
        """Return how many transactions of `address` are on chain, and the newest block's number."""
        nonce, height = self.batch(
            [("eth_getTransactionCount", (hex_of(address), "latest")), ("eth_blockNumber", ())]
        )
        return read_number(nonce), read_number(height)

    def code(self, address: bytes) -> bytes:
        return read_bytes(self.request("eth_getCode", hex_of(address), "latest"))

    def call(
        self, to: bytes, data: bytes, *, sender: bytes | None = None, block: BlockId = "latest"
    ) -> bytes:
        """Run a call without sending it; `block` pins the state that it sees."""
        return read_bytes(self.request("eth_call", *call_params(to, data, sender, block)))

    def estimate_gas(
        self, to: bytes | None, data: bytes, *, sender: bytes, once: bool = False
    ) -> int:
        """Return the gas that a transaction would take, having run it to its end.

        Parameters
        ----------
        once
            Run it once only, where the node can (``eth_simulateV1``). An estimate searches, and
            runs a large call twenty times. What is refunded, a fifth at most (EIP-3529), is then
            taken off, though it is needed.
        """
        transaction = _transaction(sender, to, data)
        if once and self._simulates:
            try:
                return self._simulate(transaction)
            except RpcRefused as refused:
                if not refused.is_unknown_method:
                    raise
                self._simulates = False
        return read_number(self.request("eth_estimateGas", transaction))

    def _simulate(self, transaction: dict[str, str]) -> int:
        asked = {"blockStateCalls": [{"calls": [transaction]}]}
        return read_simulated(self.request("eth_simulateV1", asked, "latest"))

    def receipts(self, tx_hashes: Sequence[bytes]) -> list[Receipt | None]:
        """Return what became of each transaction; None while it is in no block."""
        calls = [("eth_getTransactionReceipt", (hex_of(tx_hash),)) for tx_hash in tx_hashes]
        found = [read_receipt(answer) for answer in self.batch(calls)]
        for tx_hash, receipt in zip(tx_hashes, found, strict=True):
            if receipt is not None and receipt.tx_hash != tx_hash:
                raise RpcInconsistent(f"asked for {hex_of(tx_hash)}, got another receipt")
        return found

    def transactions(self, mined: Mapping[bytes, int]) -> dict[bytes, Sent]:
        """Return what transactions asked for, given the number of the block of each.

        Raises
        ------
        NotKept
            The node does not know one whose log it gave.
        """
        found = self.kept_transactions(mined)
        for lost in mined.keys() - found.keys():
            raise NotKept(f"the node does not know {hex_of(lost)}")
        return found

    def kept_transactions(self, mined: Mapping[bytes, int]) -> dict[bytes, Sent]:
        """Return the same of those that the node has kept, see `chain.node.sent.sent_by`."""
        return sent_by(self, mined)

    def logs(self, addresses: Sequence[bytes], first: int, last: int) -> list[msgspec.Raw]:
        """Return the logs of `addresses` in the blocks from `first` to `last`, as written."""
        return self._logs(addresses, {"fromBlock": hex(first), "toBlock": hex(last)})

    def logs_of_block(self, addresses: Sequence[bytes], block_hash: bytes) -> list[msgspec.Raw]:
        """Return the logs of `addresses` in exactly this block (EIP-234)."""
        return self._logs(addresses, {"blockHash": hex_of(block_hash)})

    def _logs(self, addresses: Sequence[bytes], where: dict[str, str]) -> list[msgspec.Raw]:
        query = {"address": [hex_of(address) for address in addresses], **where}
        body = encode_call("eth_getLogs", query)
        with self._limit.spent():
            return decode_logs(self._wire.post("eth_getLogs", body, ANSWER_BYTES))

    def emitters(self, block_hash: bytes) -> set[bytes]:
        """Return every address that has logs in a block, by its receipts.

        Raises
        ------
        RpcRefused
            The node knows no ``eth_getBlockReceipts``.
        NotKept
            It does not know the block.
        """
        receipts = self.request("eth_getBlockReceipts", hex_of(block_hash))
        if receipts is None:
            raise NotKept(f"the node has no receipts of block {hex_of(block_hash)}")
        return read_emitters(receipts)

    def headers(self, numbers: Sequence[int]) -> list[Block | None]:
        """Return the headers of many blocks, in the order asked; None where there is none."""
        found: list[Block | None] = []
        at_once = min(HEADERS_AT_ONCE, self._limit.most_at_once)
        for start in range(0, len(numbers), at_once):
            calls = [block_query(number) for number in numbers[start : start + at_once]]
            body = encode_batch([(method, params) for method, *params in calls])
            with self._limit.spent(len(calls)):
                answer = self._wire.post("eth_getBlockByNumber", body, ANSWER_BYTES)
                found += map(read_header, decode_headers(answer, len(calls)))
        return found

    def standing(self, numbers: Iterable[int]) -> set[tuple[int, bytes]]:
        """Return number and hash of each of these blocks that the node has."""
        headers = self.headers(sorted(set(numbers)))
        return {(header.number, header.hash) for header in headers if header is not None}

    # -- writing ---------------------------------------------------------------------------

    def send_raw(self, raw: bytes) -> bytes:
        """Hand a signed transaction to the node; the same bytes may be sent again."""
        return read_bytes(self.request(SEND, hex_of(raw)))

    def send_raws(self, raws: Sequence[bytes]) -> list[RpcRefused | None]:
        """Hand signed transactions to the node together, in their order; what it has against each.

        A node that takes none together gets one after the other: the same bytes may be sent again.

        Raises
        ------
        RpcUnavailable
            Any of them may have arrived.
        """
        if len(raws) == 1:
            return self._send_each(raws)
        calls = [(SEND, (hex_of(raw),)) for raw in raws]
        try:
            return self._batch(calls, _refusal_in)
        except RateLimited:
            raise
        except (RpcRefused, RpcUnavailable, RpcInconsistent):
            return self._send_each(raws)

    def _send_each(self, raws: Sequence[bytes]) -> list[RpcRefused | None]:
        answers = [refusal_of(lambda: self.send_raw(raws[0]))]
        for raw in raws[1:]:
            try:
                answers.append(refusal_of(partial(self.send_raw, raw)))
            except (RpcUnavailable, RpcInconsistent) as fault:
                # What the node has said is not to be lost; the others are sent again later.
                left = len(raws) - len(answers)
                return [*answers, *[RpcRefused(SEND, 0, str(fault), None)] * left]
        return answers


def _refusal_in(method: str, answer: Any) -> RpcRefused | None:
    """Read one answer of several: that the node is asked too often is said of this one alone."""
    try:
        return refusal_of(partial(result_of, method, answer))
    except RateLimited as limited:
        return RpcRefused(method, TOO_MANY_REQUESTS, str(limited), None)


def refusal_of(call: Callable[[], object]) -> RpcRefused | None:
    """Make a call; what the node has against it, or None."""
    try:
        call()
    except RpcRefused as refused:
        return refused
    return None


def _transaction(sender: bytes, to: bytes | None, data: bytes) -> dict[str, str]:
    """Write what is estimated."""
    written = {"from": hex_of(sender), "data": hex_of(data)}
    return written if to is None else written | {"to": hex_of(to)}


def _counts(keys: Sequence[bytes]) -> list[tuple[str, tuple[str, str]]]:
    """Give the calls that count the transactions of keys, on chain and with those in the pool."""
    return [
        ("eth_getTransactionCount", (hex_of(key), tag))
        for key in keys
        for tag in ("latest", "pending")
    ]


def _highest_counts(
    calls: Sequence[tuple[str, tuple[str, str]]], counted: Sequence[str]
) -> dict[bytes, int]:
    """Read their answers: the pool of a node that lags may know less than its own chain."""
    highest: dict[bytes, int] = {}
    for (_, (key, _)), count in zip(calls, counted, strict=True):
        address = bytes_of(key)
        highest[address] = max(highest.get(address, 0), read_number(count))
    return highest
