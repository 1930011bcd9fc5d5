"""Where money goes that comes for an order, and whence it is taken when it is taken back. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

from registry.offering.models import OrderState
from registry.offering.money import ENDED, Standing, ended_state


def is_to_come(day: date, today: date) -> bool:
    """Tell whether no money can have moved on a day yet; banks may date in a zone before ours."""
    return day > today + timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Split:
    """The parts of one movement, in paisa, and the order's state after it.

    Parameters
    ----------
    owed, held, due
        Of the buyer's debt, of what is held for the order, of what is to go back.
    """

    owed: int
    held: int
    due: int
    state: OrderState


def take_in(state: OrderState, price: int, standing: Standing, paisa: int) -> Split:
    """Use money: first for what the buyer owes, then for the price; the rest is to go back."""
    owed = min(paisa, standing.owed)
    room = price - standing.held if state == OrderState.AWAITING_PAYMENT else 0
    held = min(paisa - owed, room)
    due = paisa - owed - held
    if state == OrderState.AWAITING_PAYMENT and held == room:
        state = OrderState.PAID
    elif state in ENDED and standing.due + due:
        state = OrderState.REFUND_DUE
    return Split(owed, held, due, state)


def take_back(state: OrderState, standing: Standing, paisa: int) -> Split:
    """Give money up: first what is to go back, then what is held, then what the buyer owes.

    What is held stays for an order that is being minted.
    """
    due = min(paisa, standing.due)
    free = state in (OrderState.AWAITING_PAYMENT, OrderState.PAID)
    held = min(paisa - due, standing.held) if free else 0
    owed = paisa - due - held
    if state == OrderState.PAID and held:
        state = OrderState.AWAITING_PAYMENT
    elif state in ENDED:
        state = ended_state(Standing(due=standing.due - due, refunded=standing.refunded))
    return Split(owed, held, due, state)
