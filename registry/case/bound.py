"""Whom orders bind now, and in which wallets: also those to which recoveries took what they name.

It stands with the cases because a recovery is one: an order alone knows the wallet of its paper.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from sqlmodel import Session

from registry.case.repository import Recoveries, read_recoveries
from registry.court_order import service as orders
from registry.court_order.models import OrderScope
from registry.kernel.errors import Conflict


@dataclass(frozen=True, slots=True)
class Bound:
    """What the orders that bind now bind, each wallet as the one that it has become.

    Whoever asks about many dealings reads it once.

    Parameters
    ----------
    amounts
        Wallets and the tokens of which an order binds some fractions in them.
    """

    parties: frozenset[UUID]
    wallets: frozenset[bytes]
    amounts: frozenset[tuple[bytes, UUID | None]]
    recoveries: Recoveries

    def binds(
        self, party_id: UUID, wallet: bytes | None, tokenization_id: UUID | None = None
    ) -> bool:
        """Tell whether an order binds all that a party has, or all that is in a wallet.

        Parameters
        ----------
        wallet
            None where it is about no wallet: then only an order on the party binds.
        tokenization_id
            Where it is about the fractions of a token: then an order on some of them in the wallet
            binds as well.
        """
        if party_id in self.parties:
            return True
        if wallet is None:
            return False
        now = self.recoveries.successor_of(wallet)
        return now in self.wallets or (now, tokenization_id) in self.amounts


def read_bound(session: Session) -> Bound:
    """Read what orders bind now."""
    binding = orders.list_binding(session)
    naming = [(order, order.wallet) for order in binding if order.wallet is not None]
    # Every purchase and payout asks: what became of wallets matters only where an order names one.
    recoveries = read_recoveries(session) if naming else Recoveries({})
    named = [
        (order.scope, recoveries.successor_of(wallet), order.tokenization_id)
        for order, wallet in naming
    ]
    return Bound(
        frozenset(order.party_id for order in binding if order.party_id is not None),
        frozenset(wallet for scope, wallet, _ in named if scope == OrderScope.WALLET),
        frozenset((wallet, token) for scope, wallet, token in named if scope == OrderScope.AMOUNT),
        recoveries,
    )


def require_unbound(
    session: Session,
    party_id: UUID,
    wallet: bytes | None = None,
    tokenization_id: UUID | None = None,
) -> None:
    """Refuse a dealing of a party or a wallet that an order binds.

    The parameters are those of `Bound.binds`.

    Raises
    ------
    Conflict
        ``party_under_order``.
    """
    if read_bound(session).binds(party_id, wallet, tokenization_id):
        raise Conflict(
            "party_under_order", "An order of a court or of the state forbids this dealing."
        )
