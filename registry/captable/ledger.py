"""One token's part of a range: its events folded, in the order of the chain, into what changed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from registry.captable.events import ProjectedEvent
from registry.captable.models import EventKind
from registry.captable.spans import NULL, Span

# Looked up once: a member of an enumeration is found by a descriptor that is written in Python.
_TRANSFER, _FROZEN, _UNFROZEN = (
    EventKind.TRANSFER,
    EventKind.TOKENS_FROZEN,
    EventKind.TOKENS_UNFROZEN,
)
MOVING = frozenset({_TRANSFER, _FROZEN, _UNFROZEN})
"""What changes a balance or its frozen part."""
_CODES = {kind: str(int(kind)) for kind in EventKind}

Holding = tuple[int, int]
"""Balance and frozen part, in whole fractions."""


class Ledger:
    """Folds events of one token.

    Parameters
    ----------
    token_no
        Number of the token.
    spans
        One for each address that `addresses_moving` names.
    numbers
        Number of every address that an event names.
    """

    def __init__(
        self, token_no: int, spans: Mapping[bytes, Span], numbers: Mapping[bytes, int]
    ) -> None:
        self.token_no = token_no
        self.spans = spans
        self.minted = 0
        self.paused: bool | None = None
        self._numbers = numbers

    def fold(self, events: Iterable[ProjectedEvent]) -> Iterator[str]:
        """Fold events one by one, and give the row of ``token_event`` of each.

        There are as many as logs: what changes seldom is written once, and not for each.

        Yields
        ------
        str
            As COPY's text format has it.
        """
        spans, start = self.spans, f"{self.token_no}\t"
        block, tx_hash, place, digest = -1, b"", "", ""
        for event in events:
            if event.block_number != block:
                block = event.block_number
                place = f"{start}{block}\t"
            if event.tx_hash is not tx_hash:
                tx_hash = event.tx_hash
                digest = f"\t\\\\x{tx_hash.hex()}\t"
            source, target, units = NULL, NULL, event.units
            if event.kind == _TRANSFER and units is not None:
                if event.source is None:
                    self.minted += units
                else:
                    span = spans[event.source]
                    span.move(block, -units)
                    source = span.written_no
                if event.target is None:
                    self.minted -= units
                else:
                    span = spans[event.target]
                    span.move(block, units)
                    target = span.written_no
            else:
                self._fold_other(event)
                source = self._number_of(event.source)
                target = self._number_of(event.target)
            extra = NULL if event.extra is None else _json(event.extra)
            yield (
                f"{place}{event.log_index}\t{_CODES[event.kind]}{digest}{source}\t{target}"
                f"\t{NULL if units is None else units}\t{extra}\n"
            )

    def _number_of(self, address: bytes | None) -> str:
        return NULL if address is None else str(self._numbers[address])

    def _fold_other(self, event: ProjectedEvent) -> None:
        kind, units = event.kind, event.units
        if kind == _FROZEN and event.target and units is not None:
            self.spans[event.target].freeze(event.block_number, units)
        elif kind == _UNFROZEN and event.target and units is not None:
            self.spans[event.target].freeze(event.block_number, -units)
        elif kind in {EventKind.PAUSED, EventKind.UNPAUSED}:
            self.paused = kind == EventKind.PAUSED

    def changed(self) -> list[Span]:
        """Return what changed, sorted as the index of the history is."""
        spans = [span for span in self.spans.values() if span.blocks]
        return sorted(spans, key=lambda span: span.holder_no)


def _json(extra: Mapping[str, Any]) -> str:
    # JSON itself has neither tabs nor line ends; only the backslash means something to COPY.
    return json.dumps(extra).replace("\\", "\\\\")


class Parties:
    """Whom the events of a range name.

    Attributes
    ----------
    moving
        For each token, everybody whose balance or frozen part the events change.
    named
        Everybody.
    """

    def __init__(self, events: Iterable[ProjectedEvent]) -> None:
        self.moving: dict[bytes, set[bytes]] = {}
        self.named: set[bytes] = set()
        token, moving = b"", set[bytes | None]()
        found: dict[bytes, set[bytes | None]] = {}
        named: set[bytes | None] = set()
        for event in events:
            if event.token != token:
                token = event.token
                moving = found.setdefault(token, set())
            if event.kind == _TRANSFER or event.kind in MOVING:
                moving.add(event.source)
                moving.add(event.target)
            else:
                named.add(event.source)
                named.add(event.target)
        for token, moved in found.items():
            named |= moved
            self.moving[token] = {address for address in moved if address is not None}
        self.named = {address for address in named if address is not None}
