"""Transfers that a test writes one by one, as the columns that a sync reads."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from registry.captable import amounts
from registry.captable.columns import Transfers
from registry.captable.events import ProjectedEvent
from registry.captable.models import EventKind


def split(events: Iterable[ProjectedEvent]) -> dict[str, Any]:
    """Give what a range holds of some events, by the names of its parameters."""
    said = list(events)
    return {
        "transfers": in_columns([each for each in said if each.kind == EventKind.TRANSFER]),
        "events": [each for each in said if each.kind != EventKind.TRANSFER],
    }


def in_columns(moved: Sequence[ProjectedEvent]) -> Transfers:
    tokens = list(dict.fromkeys(each.token for each in moved))
    wallets = list(dict.fromkeys([bytes(20), *_parties(moved)]))
    return Transfers(
        tokens=tokens,
        wallets=wallets,
        token=np.array([tokens.index(each.token) for each in moved], np.int32),
        block=np.array([each.block_number for each in moved], np.int64),
        log_index=np.array([each.log_index for each in moved], np.int64),
        tx_hash=np.array([list(each.tx_hash) for each in moved], np.uint8).reshape(-1, 32),
        source=np.array([wallets.index(each.source or bytes(20)) for each in moved], np.int32),
        target=np.array([wallets.index(each.target or bytes(20)) for each in moved], np.int32),
        units=amounts.of_ints([each.units or 0 for each in moved]),
        forced=np.array([each.extra is not None for each in moved], np.bool_),
    )


def _parties(moved: Iterable[ProjectedEvent]) -> Iterable[bytes]:
    return (
        address for each in moved for address in (each.source, each.target) if address is not None
    )
