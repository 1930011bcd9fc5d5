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


def allot_subscriptions(whole: int, asked: Sequence[int], ticket: int = 1) -> list[int]:
    """Divide `whole` among who asked for more than there is; nobody gets less than a ticket.

    Each gets the exact part by the largest remainders. Whose exact part is less than the ticket
    gets nothing, the smallest first and of equals the last, until everybody else's reaches it.

    Parameters
    ----------
    asked : int, each at least `ticket`
        In the order in which they came.
    ticket
        Above 0; a ticket of one drops nobody.

    Returns
    -------
    list[int]
        One number for each, at most what was asked for, and either 0 or (for a ticket above one)
        at least the ticket. They sum to `whole`, or to all that was asked for if that is less;
        where somebody was dropped, what is left over is less than a ticket.
    """
    kept = sorted(range(len(asked)), key=lambda place: (-asked[place], place))
    total = sum(asked)
    while total > whole and ticket > 1 and whole * asked[kept[-1]] < ticket * total:
        total -= asked[kept.pop()]
    if total <= whole:
        chosen = frozenset(kept)
        return [units if place in chosen else 0 for place, units in enumerate(asked)]
    places = sorted(kept)
    given = [0] * len(asked)
    for place, units in zip(places, allot(whole, [asked[p] for p in places]), strict=True):
        given[place] = units
    return given
