"""Dividing what is whole: exact, by the largest remainders, nothing left over."""

from __future__ import annotations

from collections.abc import Sequence


def allot(whole: int, parts: Sequence[int]) -> list[int]:
    """Divide `whole` in the measure of `parts` with the largest remainders.

    Equal remainders go to whoever stands first.

    Parameters
    ----------
    parts : int, each above 0
        What each one's part is measured by: units held, parts of an estate.

    Returns
    -------
    list[int]
        One number for each part; they sum to `whole` exactly, and each is within one of its
        exact part.
    """
    total = sum(parts)
    given = [whole * part // total for part in parts]
    remainders = [whole * part % total for part in parts]
    first = sorted(range(len(parts)), key=lambda place: (-remainders[place], place))
    for place in first[: whole - sum(given)]:
        given[place] += 1
    return given
