"""How a holder's balance changed within one range: one row of history instead of many.

Loading the history was mostly the upkeep of its index. A holder of a busy token changes dozens
of times in one range, so those changes share a row and an index entry (ADR 0029).
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, func
from sqlmodel import col

from registry.captable.models import BalanceAt

NULL = "\\N"
"""As COPY's text format writes it."""


class Span:
    """The changes of one holder of one token within one range; one for each block.

    Parameters
    ----------
    holder_no
        Number of the holder.
    balance, frozen
        Before the range, in whole fractions.
    """

    __slots__ = (
        "_last",
        "balance",
        "balances",
        "blocks",
        "frozen",
        "frozens",
        "holder_no",
        "written_no",
    )

    def __init__(self, holder_no: int, balance: int, frozen: int) -> None:
        self.holder_no = holder_no
        self.written_no = str(holder_no)
        self.balance = balance
        self.frozen = frozen
        self.blocks: list[int] = []
        self.balances: list[int] = []
        # One for each block, but only from the first freeze on: there seldom is any.
        self.frozens: list[int] | None = None
        self._last = -1

    def move(self, block: int, units: int) -> None:
        """Add to the balance at `block`."""
        balance = self.balance = self.balance + units
        if self.frozens is not None:
            self._note(block)
        elif self._last == block:
            self.balances[-1] = balance
        else:
            self._last = block
            self.blocks.append(block)
            self.balances.append(balance)

    def freeze(self, block: int, units: int) -> None:
        """Add to the frozen part at `block`."""
        if self.frozens is None:
            self.frozens = [self.frozen] * len(self.blocks)
        self.frozen += units
        self._note(block)

    def _note(self, block: int) -> None:
        if self._last == block:
            self.balances[-1] = self.balance
            if self.frozens is not None:
                self.frozens[-1] = self.frozen
        else:
            self._last = block
            self.blocks.append(block)
            self.balances.append(self.balance)
            if self.frozens is not None:
                self.frozens.append(self.frozen)

    def as_line(self, token_no: int) -> str:
        """Give the row of ``balance_at`` as COPY's text format has it."""
        blocks, balances, frozens = self.blocks, self.balances, self.frozens
        frozen = self.frozen if frozens is None else frozens[0]
        first = f"{token_no}\t{self.written_no}\t{blocks[0]}\t{balances[0]}\t{frozen}"
        if len(blocks) == 1:
            return f"{first}\t\\N\t\\N\t\\N\n"
        later = NULL if frozens is None else _later(frozens)
        return f"{first}\t{_later(blocks)}\t{_later(balances)}\t{later}\n"


def _later(values: list[int]) -> str:
    # As Python itself writes a list: the server takes the spaces, and no string is made of each.
    return "{" + str(values[1:])[1:-1] + "}"


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
