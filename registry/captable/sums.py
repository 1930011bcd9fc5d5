"""What all holders of a token have together is its supply: looked at in every commit.

A trigger adds what the rows of `balance` gain to `Token.held_units`, whoever writes them and in
whatever statement; so the look takes one row, however many holders there are (ADR 0040).
"""

from __future__ import annotations

from collections.abc import Collection

from sqlmodel import Session

from registry.captable.bulk import cursor_of


class SumDiffers(Exception):
    """What holders have is not what was minted: nothing of this may be committed.

    Parameters
    ----------
    token_no
        Of the token.
    address
        Where it stands.
    held, supply
        In whole fractions.
    """

    def __init__(self, token_no: int, address: bytes, held: int, supply: int) -> None:
        super().__init__(
            f"the holders of 0x{address.hex()} have {held} units together, and its supply is "
            f"{supply}"
        )
        self.token_no = token_no
        self.address = address
        self.held = held
        self.supply = supply


_DIFFERING = """
SELECT token_no, address, held_units, supply_units FROM token
WHERE token_no = ANY(%(tokens)s) AND held_units <> supply_units ORDER BY token_no LIMIT 1
"""


def require_equal(session: Session, tokens: Collection[int]) -> None:
    """Make sure that the holders of each token have its supply, as this transaction leaves it.

    Raises
    ------
    SumDiffers
        Of one of the tokens they do not.
    """
    wrong = find_differing(session, tokens)
    if wrong is not None:
        raise wrong


def find_differing(session: Session, tokens: Collection[int]) -> SumDiffers | None:
    """Return what is wrong with the first token whose holders do not have its supply."""
    with cursor_of(session) as cursor:
        row = cursor.execute(_DIFFERING, {"tokens": list(tokens)}).fetchone()
    if row is None:
        return None
    token_no, address, held, supply = row
    return SumDiffers(token_no, address, int(held), int(supply))
