"""What a transaction may take: its gas, and the fee for each of it, by a policy (ADR 0028)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from chain.contracts.abi import read_revert
from chain.errors import MustWait, OutOfGas, RpcRefused
from chain.node.client import Block, ChainClient, Outlook, bytes_of
from chain.operations.effect import Call
from chain.sending.trailer import estimable
from chain.signing.policies import FeePolicy
from registry.operation.errors import operation_problem

GAS_MARGIN_PERCENT = 25
"""As much as a refund can hide: used is at least four fifths of needed."""

BATCH_SHARE_OF_BLOCK = 2
"""A batch takes at most half of a block's gas, so that it fits beside what others send."""

BASE_FEE_MULTIPLE = 2
"""Room for the base fee to rise: six full blocks double it (EIP-1559)."""

HISTORY_BLOCKS = 5


@dataclass(frozen=True, slots=True)
class Fee:
    """What is offered per gas.

    Parameters
    ----------
    max_fee_wei : int
        The most that is paid, or the gas price of a legacy transaction.
    tip_wei : int or None
        The part for the block's maker; None in a legacy transaction.
    """

    max_fee_wei: int
    tip_wei: int | None


@dataclass(frozen=True, slots=True)
class Market:
    """What the chain asks for at one moment, and what the key has.

    Parameters
    ----------
    balance_wei : int
        Of the key, on chain.
    due_wei : int
        The least per gas with which the next block takes a transaction of ours.
    fee
        What we offer; None while that is above the ceiling.
    nonces_used : mapping of bytes to int
        Of each key, on chain or in the node's pool.
    """

    head: Block
    balance_wei: int
    nonces_used: Mapping[bytes, int]
    due_wei: int
    fee: Fee | None


@dataclass(frozen=True, slots=True)
class Priced:
    """A call, and what it may take.

    Parameters
    ----------
    at_block : int
        Height of the chain at which it was priced.
    fits
        Whether it leaves the better part of a block to others.
    """

    call: Call
    gas: int
    fee: Fee
    at_block: int
    fits: bool = True

    @property
    def cost_wei(self) -> int:
        """The most that it can cost."""
        return self.gas * self.fee.max_fee_wei


class Fees:
    """Asks the node for its fees and applies the policy.

    Parameters
    ----------
    client, policy
        The node, and what may be offered.
    sender
        The key whose calls are estimated and whose money is told, 20 bytes.
    others
        Keys of which the nonces are told as well.
    """

    def __init__(
        self,
        client: ChainClient,
        policy: FeePolicy,
        sender: bytes,
        *,
        others: Sequence[bytes] = (),
    ) -> None:
        self._client = client
        self._others = others
        self._policy = policy
        self._sender = sender

    def look(self) -> Market:
        """Ask for the fees of the next block, and for the key's money."""
        return self._market(self._ask(None))

    def price_at_once(self, call: Call) -> tuple[Market, Priced]:
        """Look and price in one round trip.

        Raises
        ------
        MustWait
            The chain asks for more than the ceiling.
        RpcRefused
            The call does not run to its end, or the node has a trouble of its own.
        """
        seen = self._ask(estimable(call, 1))
        market = self._market(seen)
        assert seen.gas is not None, "it was asked for"
        return market, self._priced(call, market, seen.gas)

    def _ask(self, call: Call | None) -> Outlook:
        return self._client.outlook(
            self._sender,
            HISTORY_BLOCKS,
            legacy=self._policy.legacy,
            others=self._others,
            call=None if call is None else (call.to, call.data),
        )

    def _market(self, seen: Outlook) -> Market:
        policy = self._policy
        if seen.gas_price_wei is not None:
            due = seen.gas_price_wei
            offer = Fee(due, None)
        else:
            base_fees = seen.base_fees_wei or (seen.head.base_fee_wei,)
            due = base_fees[-1] + policy.tip_wei
            # The highest of the last blocks: a fee that falls for a moment is not one that stays.
            most = BASE_FEE_MULTIPLE * max(base_fees) + policy.tip_wei
            offer = Fee(min(most, policy.ceiling_wei), policy.tip_wei)
        fee = offer if due <= policy.ceiling_wei else None
        return Market(seen.head, seen.balance_wei, seen.nonces_used, due, fee)

    def price(self, call: Call, market: Market, *, rows: int = 1) -> Priced:
        """Run the call to its end on the node's newest state, and say what it may take.

        Parameters
        ----------
        rows
            Operations whose ids will stand behind its data.

        Raises
        ------
        MustWait
            The chain asks for more than the ceiling.
        Reverted, OutOfGas
            The call does not run to its end. A batch that takes too much gas does not fit.
        RpcRefused
            The node's own trouble.
        """
        fee = self._offer(market)
        try:
            whole = estimable(call, rows)
            gas = self._client.estimate_gas(
                whole.to, whole.data, sender=self._sender, once=rows > 1
            )
        except RpcRefused as refused:
            if refused.is_out_of_gas and rows > 1:
                head = market.head
                return Priced(call, head.gas_limit, fee, head.number, fits=False)
            if refused.is_out_of_gas:
                raise OutOfGas(refused.message) from refused
            if not refused.is_revert:
                raise
            raise read_revert(bytes_of(refused.data or ""), refused.message) from refused
        return self._priced(call, market, gas)

    def _priced(self, call: Call, market: Market, gas: int) -> Priced:
        gas += gas * GAS_MARGIN_PERCENT // 100
        fits = gas <= market.head.gas_limit // BATCH_SHARE_OF_BLOCK
        return Priced(call, gas, self._offer(market), market.head.number, fits)

    def _offer(self, market: Market) -> Fee:
        if market.fee is None:
            raise MustWait(self.above_ceiling(market.due_wei))
        return market.fee

    def bumped(self, fee: Fee, market: Market) -> Fee:
        """Give the fee with which a transaction takes the place of one that offered `fee`.

        Raises
        ------
        MustWait
            It would be above the ceiling.
        """
        raised = self.raised(fee)
        if raised.max_fee_wei > self._policy.ceiling_wei:
            raise MustWait(self.above_ceiling(raised.max_fee_wei))
        if market.fee is None:
            # Raising it would not help: even the ceiling does not pay for the next block.
            raise MustWait(self.above_ceiling(market.due_wei))
        return Fee(max(raised.max_fee_wei, market.fee.max_fee_wei), raised.tip_wei)

    def raised(self, fee: Fee) -> Fee:
        """Raise both parts by the policy's percentage, whatever the ceiling."""
        tip = None if fee.tip_wei is None else self._raise(fee.tip_wei)
        return Fee(max(self._raise(fee.max_fee_wei), tip or 0), tip)

    def _raise(self, wei: int) -> int:
        # Rounded up: nodes want the whole percentage.
        return -(-wei * (100 + self._policy.bump_percent) // 100)

    def above_ceiling(self, wanted_wei: int) -> dict[str, object]:
        return operation_problem(
            "fee_above_ceiling",
            f"The chain asks for {wanted_wei} wei per gas; the ceiling is "
            f"{self._policy.ceiling_wei}.",
            remedy="It goes on when fees fall, or with a higher FEE_CEILING_WEI.",
        )
