"""Transfer logs into what they say: decoded and checked by set.

There are more of them than of everything else together. Their addresses and their amount stand at
known places, so these are cut out of all logs at once (ADR 0041); a test holds the result against
the decoder that the ABI gives.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from chain.contracts.abi import contract
from chain.node.client import hex_of
from chain.node.log_table import LogTable, PlainLogs
from chain.sync.decode import UndecodableLog
from registry.captable import amounts
from registry.captable.columns import Transfers, joined

TRANSFER = contract("Token").events["Transfer"].topic

_PADDING_BYTES = 12
_SOURCE, _TARGET = 1, 2
_ADDRESS = np.dtype((np.void, 20))


class _Places(dict[bytes, int]):
    """The place of each address in a list of them that grows as they are met."""

    def of(self, addresses: NDArray[np.uint8]) -> NDArray[np.int32]:
        """Give the place of each, (n, 20)."""
        if len(addresses) and (addresses == addresses[0]).all():
            place = self.setdefault(addresses[0].tobytes(), len(self))
            return np.full(len(addresses), place, np.int32)
        written = np.ascontiguousarray(addresses).view(_ADDRESS)[:, 0].tolist()
        places = [self.setdefault(each, len(self)) for each in written]
        return np.array(places, np.int32)


class TransferReader:
    """Decodes the Transfer logs of one range, answer by answer."""

    def __init__(self) -> None:
        self._tokens = _Places()
        self._wallets = _Places({bytes(20): 0})
        self._stretches: list[Transfers] = []

    def read(self, logs: LogTable, tokens: Collection[bytes]) -> PlainLogs:
        """Decode the Transfers of tokens, and keep what they say.

        Returns
        -------
        PlainLogs
            What else is in the columns of the table.

        Raises
        ------
        UndecodableLog
            Topics of one are not those of the event.
        """
        plain = logs.plain
        emitter = self._tokens.of(plain.address)
        followed = [place for address, place in self._tokens.items() if address in tokens]
        is_transfer = np.isin(emitter, followed) & _are(plain.topic(0), TRANSFER)
        if is_transfer.any():
            said = plain if is_transfer.all() else plain.of(is_transfer)
            _require_addresses(said)
            place = said.place
            self._stretches.append(
                Transfers(
                    tokens=(),
                    wallets=(),
                    token=emitter[is_transfer],
                    block=logs.block[place],
                    log_index=logs.index[place],
                    tx_hash=np.ascontiguousarray(said.transaction_hash),
                    source=self._wallets.of(said.topic(_SOURCE)[:, _PADDING_BYTES:]),
                    target=self._wallets.of(said.topic(_TARGET)[:, _PADDING_BYTES:]),
                    units=amounts.of_words(said.data),
                    forced=np.zeros(len(said), np.bool_),
                )
            )
        return plain.of(~is_transfer)

    def transfers(self) -> Transfers:
        """Give all that was read, in the order of the chain."""
        return joined(self._stretches, list(self._tokens), list(self._wallets))


def _are(words: NDArray[np.uint8], word: bytes) -> NDArray[np.bool_]:
    is_same: NDArray[np.bool_] = (words == np.frombuffer(word, np.uint8)).all(axis=1)
    return is_same


def _require_addresses(logs: PlainLogs) -> None:
    """Make sure that each topic after the first is an address."""
    is_dirty = (
        logs.topic(_SOURCE)[:, :_PADDING_BYTES] | logs.topic(_TARGET)[:, :_PADDING_BYTES]
    ).any(axis=1)
    if is_dirty.any():
        emitter = logs.address[int(np.flatnonzero(is_dirty)[0])].tobytes()
        raise UndecodableLog(f"Transfer of {hex_of(emitter)}: a topic is no address", emitter)
