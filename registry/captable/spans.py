"""How a holder's balance changed within one range: one row of history instead of many.

Loading the history was mostly the upkeep of its index. A holder of a busy token changes dozens
of times in one range, so those changes share a row and an index entry (ADR 0029).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, func
from sqlmodel import col

from registry.captable import amounts, copy_rows
from registry.captable.amounts import Limbs
from registry.captable.copy_rows import INT8_OID, NUMERIC_OID, ArrayField, Bytes, Field
from registry.captable.models import BalanceAt


@dataclass(frozen=True, slots=True)
class Spans:
    """How the holders changed within one range: a row of history for each of them.

    Parameters
    ----------
    token_no, holder_no
        Who, sorted as the index of the history is, int64, shape (holders,).
    first, counts
        Place of each holder's first change, and how many follow each other from there, int64,
        shape (holders,).
    block
        Of each change, int64, shape (changes,).
    balance, frozen
        After each change, carried, shape (changes, limbs); see `captable.amounts`.
    """

    token_no: NDArray[np.int64]
    holder_no: NDArray[np.int64]
    first: NDArray[np.int64]
    counts: NDArray[np.int64]
    block: NDArray[np.int64]
    balance: Limbs
    frozen: Limbs

    def __len__(self) -> int:
        return len(self.holder_no)

    @property
    def last(self) -> NDArray[np.int64]:
        """Place of each holder's last change."""
        return self.first + self.counts - 1

    @property
    def most(self) -> NDArray[np.float64]:
        """A bound of the most that each holder had after one of these changes, shape (holders,)."""
        if not len(self):
            return np.empty(0, np.float64)
        return np.maximum.reduceat(amounts.doubled(self.balance), self.first)

    def as_rows(self) -> bytes:
        """Give the rows of ``balance_at`` as COPY's binary format has them."""
        is_later = np.ones(len(self.block), np.bool_)
        is_later[self.first] = False
        balances, frozen = amounts.as_numeric(self.balance), amounts.as_numeric(self.frozen)
        later = self.counts - 1
        return copy_rows.written_with_arrays(
            [
                Field(copy_rows.int4(self.token_no)),
                Field(copy_rows.int4(self.holder_no)),
                Field(copy_rows.int8(self.block[self.first])),
                Field(balances.take(self.first, axis=0)),
                Field(frozen.take(self.first, axis=0)),
            ],
            [
                ArrayField(INT8_OID, copy_rows.int8(self.block[is_later]), later),
                ArrayField(NUMERIC_OID, balances.compress(is_later, axis=0), later),
                self._later_frozen(frozen, is_later),
            ],
        )

    def _later_frozen(self, frozen: Bytes, is_later: NDArray[np.bool_]) -> ArrayField:
        """Give the frozen parts after the first, of those holders of whom they differ from it."""
        first = np.repeat(self.frozen.take(self.first, axis=0), self.counts, axis=0)
        differs = (self.frozen != first).any(1)
        has_any = np.logical_or.reduceat(differs, self.first) if len(self) else differs
        chosen = is_later & np.repeat(has_any, self.counts)
        return ArrayField(
            NUMERIC_OID, frozen.compress(chosen, axis=0), np.where(has_any, self.counts - 1, 0)
        )


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
