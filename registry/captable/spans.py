"""How a holder's balance changed within one range: one row of history instead of many.

Loading the history was mostly the upkeep of its index. A holder of a busy token changes dozens
of times in one range, so those changes share a row and an index entry (ADR 0029).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, func
from sqlmodel import col

from registry.captable.models import BalanceAt, EventKind

if TYPE_CHECKING:
    from registry.captable.bulk import EventRow

Key = tuple[int, int]
"""Token and holder."""
Holding = tuple[int, int]
"""Balance and frozen part, in whole fractions."""
MOVING = frozenset({EventKind.TRANSFER, EventKind.TOKENS_FROZEN, EventKind.TOKENS_UNFROZEN})


class Span:
    """The changes of one holder of one token within one range; one for each block."""

    __slots__ = ("_balance", "_frozen", "balances", "blocks", "frozen")

    def __init__(self, holding: Holding) -> None:
        self._balance, self._frozen = holding
        self.blocks: list[int] = []
        self.balances: list[int] = []
        self.frozen: list[int] = []

    def change(self, block: int, balance: int, frozen: int) -> None:
        """Add to the balance and to its frozen part at `block`."""
        self._balance += balance
        self._frozen += frozen
        if self.blocks and self.blocks[-1] == block:
            self.balances[-1] = self._balance
            self.frozen[-1] = self._frozen
        else:
            self.blocks.append(block)
            self.balances.append(self._balance)
            self.frozen.append(self._frozen)

    def as_line(self, key: Key) -> str:
        """Give the row of ``balance_at`` as COPY's text format has it."""
        token, holder = key
        blocks, balances, frozen = self.blocks, self.balances, self.frozen
        first = f"{token}\t{holder}\t{blocks[0]}\t{balances[0]}\t{frozen[0]}"
        if len(blocks) == 1:
            return f"{first}\t\\N\t\\N\t\\N\n"
        later = "\\N" if frozen.count(frozen[0]) == len(frozen) else _array(frozen)
        return f"{first}\t{_array(blocks)}\t{_array(balances)}\t{later}\n"


def _array(values: list[int]) -> str:
    return "{" + ",".join(map(str, values[1:])) + "}"


def touched_by(rows: Iterable[EventRow]) -> set[Key]:
    """Name everybody whose balance or frozen part the events change."""
    keys = {(row.token_no, row.source) for row in rows if row.kind in MOVING}
    keys |= {(row.token_no, row.target) for row in rows if row.kind in MOVING}
    return {(token, holder) for token, holder in keys if holder is not None}


def fold(rows: Iterable[EventRow], spans: Mapping[Key, Span]) -> None:
    """Fold transfers and freezes into `spans`, in the order of the chain."""
    transfer, freeze = int(EventKind.TRANSFER), int(EventKind.TOKENS_FROZEN)
    for token, block, _, kind, _, source, target, units, _ in rows:
        if units is None or kind not in MOVING:
            continue
        if kind == transfer:
            if source is not None:
                spans[token, source].change(block, -units, 0)
            if target is not None:
                spans[token, target].change(block, units, 0)
        elif target is not None:
            spans[token, target].change(block, 0, units if kind == freeze else -units)


def balance_at(block_number: Any) -> ColumnElement[int]:
    """Give the balance that a row of `BalanceAt` tells for a block not before its own."""
    return _value_at(BalanceAt.later_balances, BalanceAt.balance_units, block_number)


def frozen_at(block_number: Any) -> ColumnElement[int]:
    """Give the frozen part that a row of `BalanceAt` tells for a block not before its own."""
    return _value_at(BalanceAt.later_frozen, BalanceAt.frozen_units, block_number)


def _value_at(later: Any, first: Any, block_number: Any) -> ColumnElement[int]:
    # A binary search in the server; before the first of the array, and without one, it is NULL.
    place = func.width_bucket(block_number, col(BalanceAt.later_blocks))
    value: ColumnElement[int] = func.coalesce(col(later)[place], col(first))
    return value
