"""Transfers of a range, a column for each thing that they say.

A sync reads more of these logs than of everything else together, and an object for each takes
longer than the node takes to give it (ADR 0041). Tokens and wallets are named by their places in
two lists; every other log is a `ProjectedEvent` (`captable.events`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from registry.captable import amounts

NOBODY = 0
"""Place of the zero address among the wallets: the source of a mint, the target of a burn."""
TX_BYTES = 32


@dataclass(frozen=True, slots=True, eq=False)
class Transfers:
    """Transfer logs in the order of the chain.

    Parameters
    ----------
    tokens, wallets
        The addresses; those of wallets begin with the zero address (`NOBODY`).
    token
        Place of the token of each log, int32, shape (n,).
    block, log_index
        Where each log stands, int64, shape (n,).
    tx_hash
        uint8, shape (n, 32).
    source, target
        Places of the wallets, int32, shape (n,).
    units
        Whole fractions, see `captable.amounts`, shape (n, limbs).
    forced
        Whether an agent has made it, bool, shape (n,).
    """

    tokens: Sequence[bytes]
    wallets: Sequence[bytes]
    token: NDArray[np.int32]
    block: NDArray[np.int64]
    log_index: NDArray[np.int64]
    tx_hash: NDArray[np.uint8]
    source: NDArray[np.int32]
    target: NDArray[np.int32]
    units: amounts.Limbs
    forced: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.block)

    def named_tokens(self) -> set[bytes]:
        """Give the tokens that have any."""
        return {self.tokens[place] for place in np.flatnonzero(np.bincount(self.token)).tolist()}

    def named_wallets(self) -> set[bytes]:
        """Give everybody who is a source or a target."""
        is_named = np.zeros(len(self.wallets), np.bool_)
        is_named[self.source] = True
        is_named[self.target] = True
        is_named[NOBODY] = False
        return {self.wallets[place] for place in np.flatnonzero(is_named).tolist()}

    def between_wallets(self) -> NDArray[np.bool_]:
        """Tell which of them are neither mints nor burns."""
        is_between: NDArray[np.bool_] = (self.source != NOBODY) & (self.target != NOBODY)
        return is_between

    def of(self, chosen: NDArray[Any] | slice) -> Transfers:
        """Give some of them, by their places or by whether they are chosen."""
        return replace(
            self,
            token=self.token[chosen],
            block=self.block[chosen],
            log_index=self.log_index[chosen],
            tx_hash=self.tx_hash[chosen],
            source=self.source[chosen],
            target=self.target[chosen],
            units=self.units[chosen],
            forced=self.forced[chosen],
        )

    def since(self, number: int) -> Transfers:
        """Give those of block `number` and after it."""
        return self.of(slice(int(np.searchsorted(self.block, number)), None))

    def without(self, tokens: Collection[bytes]) -> Transfers:
        """Leave out those of some tokens."""
        left_out = [place for place, token in enumerate(self.tokens) if token in tokens]
        return self.of(~np.isin(self.token, left_out)) if left_out else self

    def with_forced(self, places: Iterable[int]) -> Transfers:
        """Mark some as forced."""
        forced = self.forced.copy()
        forced[list(places)] = True
        return replace(self, forced=forced)


NO_TRANSFERS = Transfers(
    tokens=(),
    wallets=(bytes(20),),
    token=np.empty(0, np.int32),
    block=np.empty(0, np.int64),
    log_index=np.empty(0, np.int64),
    tx_hash=np.empty((0, TX_BYTES), np.uint8),
    source=np.empty(0, np.int32),
    target=np.empty(0, np.int32),
    units=np.empty((0, 1), np.int64),
    forced=np.empty(0, np.bool_),
)
