"""Money as whole paisa. Never a float, and never rounded silently."""

from __future__ import annotations

import re
from dataclasses import dataclass

from registry.kernel.errors import Invalid

PAISA_PER_RUPEE = 100
MAX_PAISA = 10**17
"""A quadrillion rupees: above any asset, and within int64 with room for sums."""

_AMOUNT = re.compile(r"(0|[1-9][0-9]{0,14})(?:\.([0-9]{1,2}))?")


@dataclass(frozen=True, slots=True, order=True)
class Money:
    """An exact amount of Pakistani rupees.

    Parameters
    ----------
    paisa : int
        Hundredths of a rupee, 0 or more.
    """

    paisa: int

    @classmethod
    def parse(cls, text: str, *, field: str | None = None) -> Money:
        """Read an amount as people write it: ``"4200.00"``, ``"4200"``.

        Raises
        ------
        Invalid
            ``money_malformed``: a sign, an exponent, separators or a third decimal.
        """
        match = _AMOUNT.fullmatch(text)
        if match is None:
            raise Invalid(
                "money_malformed",
                f"{text!r} is not an amount in rupees with at most two decimals.",
                field=field,
                remedy='Write it as "4200.00".',
            )
        rupees, fraction = match.groups()
        return cls(int(rupees) * PAISA_PER_RUPEE + int((fraction or "").ljust(2, "0")))

    def __str__(self) -> str:
        """Give ``"4200.00"``, the form that `parse` reads."""
        return f"{self.paisa // PAISA_PER_RUPEE}.{self.paisa % PAISA_PER_RUPEE:02d}"


def lakh_grouped(money: Money) -> str:
    """Write an amount for people in Pakistan: ``Rs 4,20,00,000.00``."""
    rupees, paisa = str(money).split(".")
    head, tail = rupees[:-3], rupees[-3:]
    pairs: list[str] = []
    while head:
        head, pair = head[:-2], head[-2:]
        pairs.insert(0, pair)
    return f"Rs {','.join([*pairs, tail])}.{paisa}"
