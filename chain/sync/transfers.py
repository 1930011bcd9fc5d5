"""Transfer logs into what they say: decoded and checked by set.

There are more of them than of everything else together. Their addresses and their amount stand at
known places, so these are cut out of all logs at once (ADR 0041); a test holds the result against
the decoder that the ABI gives.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from chain.contracts.abi import contract
from chain.node.client import hex_of
from chain.node.log_table import LogTable, PlainLogs
from chain.sync.decode import ZERO, UndecodableLog
from chain.sync.interning import different
from registry.captable import amounts
from registry.captable.columns import NO_TRANSFERS, NOBODY, Transfers

TRANSFER = contract("Token").events["Transfer"].topic

_PADDING_BYTES = 12
_SOURCE, _TARGET = 1, 2


class _Stretch(NamedTuple):
    """Transfers of one answer, a row for each; addresses are written out."""

    block: NDArray[np.int64]
    log_index: NDArray[np.int64]
    token: NDArray[np.uint8]
    source: NDArray[np.uint8]
    target: NDArray[np.uint8]
    tx_hash: NDArray[np.uint8]
    units: amounts.Limbs


class TransferReader:
    """Decodes the Transfer logs of one range, answer by answer."""

    def __init__(self) -> None:
        self._stretches: list[_Stretch] = []

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
        is_transfer = _are(plain.topic(0), TRANSFER) & _are_any(plain.address, tokens)
        if not is_transfer.any():
            return plain
        said = plain if is_transfer.all() else plain.of(is_transfer)
        _require_addresses(said)
        self._stretches.append(
            _Stretch(
                block=logs.block[said.place],
                log_index=logs.index[said.place],
                token=said.address,
                source=said.topic(_SOURCE)[:, _PADDING_BYTES:],
                target=said.topic(_TARGET)[:, _PADDING_BYTES:],
                tx_hash=said.transaction_hash,
                units=amounts.of_words(said.data),
            )
        )
        return plain.of(~is_transfer)

    def transfers(self) -> Transfers:
        """Give all that was read, in the order of the chain."""
        if not self._stretches:
            return NO_TRANSFERS
        read = _Stretch(*map(np.concatenate, zip(*_of_one_width(self._stretches), strict=True)))
        tokens, token = different(read.token)
        wallets, place = different(np.concatenate([read.source, read.target]))
        # The zero address goes first, whether or not any of them is it.
        is_zero = np.array([wallet == ZERO for wallet in wallets], np.bool_)[place]
        place = np.where(is_zero, NOBODY, place + 1).astype(np.int32)
        count = len(read.block)
        return Transfers(
            tokens=tokens,
            wallets=[ZERO, *wallets],
            token=token,
            block=read.block,
            log_index=read.log_index,
            tx_hash=read.tx_hash,
            source=place[:count],
            target=place[count:],
            units=read.units,
            forced=np.zeros(count, np.bool_),
        )


def _of_one_width(stretches: Sequence[_Stretch]) -> list[_Stretch]:
    width = max(each.units.shape[1] for each in stretches)
    return [each._replace(units=amounts.widened(each.units, width)) for each in stretches]


def _are_any(addresses: NDArray[np.uint8], wanted: Collection[bytes]) -> NDArray[np.bool_]:
    if (addresses == addresses[:1]).all():
        # Of one busy token, as most answers are.
        return np.full(len(addresses), addresses[:1].tobytes() in wanted)
    known, place = different(addresses)
    return np.array([address in wanted for address in known], np.bool_)[place]


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
