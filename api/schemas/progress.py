"""How far long work is."""

from __future__ import annotations

from decimal import Decimal
from typing import Self

from api.schemas.common import Read

_TENTH = Decimal("0.1")


class Progress(Read):
    """How much of it is done; `eta_s` is what is left at the rate so far."""

    done: int
    total: int
    percent: Decimal
    rows_per_s: Decimal | None
    eta_s: Decimal | None

    @classmethod
    def measured(cls, done: int, total: int, seconds: float | None, *, is_open: bool) -> Self:
        """Tell the rate and what is left.

        Parameters
        ----------
        seconds
            What it took so far; None where it has not begun.
        """
        taken = Decimal(str(seconds)) if seconds is not None else Decimal(0)
        rate = done / taken if taken > 0 and done else None
        left = (total - done) / rate if rate and is_open else None
        whole = Decimal(100 * done) / total if total else Decimal(100)
        return cls(
            done=done,
            total=total,
            percent=whole.quantize(_TENTH),
            rows_per_s=rate.quantize(_TENTH) if rate is not None else None,
            eta_s=left.quantize(_TENTH) if left is not None else None,
        )
