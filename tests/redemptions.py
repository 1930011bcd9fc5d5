"""Redemptions for tests, in the states that a test begins with."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import text
from sqlmodel import select

from registry.kernel.actor import Role
from registry.kernel.clock import today
from registry.operation.models import Operation, OperationKind
from registry.redemption import paying
from registry.redemption import service as redemptions
from registry.redemption.models import Redemption, RedemptionKind, RedemptionState
from registry.redemption.repository import list_payouts
from registry.redemption.service import RedemptionTerms
from registry.tokenization.models import Tokenization, TokenizationState
from tests import ledger
from tests.factories import ACTORS, CHECKER, COMPLIANCE, Desk
from tests.ledger import Ledger
from tests.sales import Wrapped

TREASURY = ACTORS[Role.TREASURY]
PRICE_PAISA = 1_000_000_01
UNITS = (750, 150, 100)


def terms(kind: RedemptionKind = RedemptionKind.SALE, **changes: Any) -> RedemptionTerms:
    said: dict[str, Any] = {
        "kind": kind,
        "price_paisa": PRICE_PAISA,
        "price_basis": "Agreement to sell of this month",
        "record_on": today(),
        "vote_until": today(),
        "long_stop_on": today() + timedelta(days=30),
    }
    return RedemptionTerms(**(said | changes))


@dataclass
class Redeeming:
    """A redemption, and the chain of its token."""

    ledger: Ledger
    redemption: Redemption


def requested(
    desk: Desk,
    kind: RedemptionKind = RedemptionKind.SALE,
    *,
    units: tuple[int, ...] = UNITS,
    wrapped: Wrapped | None = None,
    **changes: Any,
) -> Redeeming:
    chain = ledger.live(desk, *units, wrapped=wrapped)
    who = COMPLIANCE if kind == RedemptionKind.COURT else chain.wrapped.issuer.actor
    redemption = redemptions.request_redemption(
        desk.session, who, chain.tokenization.id, terms(kind, **changes)
    )
    return Redeeming(chain, redemption)


def voted(desk: Desk, *, in_favour: bool = True, **more: Any) -> Redeeming:
    """Have the holder of three quarters decide."""
    made = requested(desk, **more)
    redemptions.cast_vote(
        desk.session, made.ledger.holders[0].actor, made.redemption.id, in_favour=in_favour
    )
    return made


def approve(desk: Desk, redemption: Redemption) -> None:
    approve_first(desk, redemption)
    approve_last(desk, redemption)


def approve_first(desk: Desk, redemption: Redemption) -> None:
    redemptions.approve_redemption(desk.session, COMPLIANCE, redemption.id, role=Role.COMPLIANCE)


def approve_last(desk: Desk, redemption: Redemption) -> None:
    redemptions.approve_redemption(
        desk.session, CHECKER, redemption.id, role=Role.REGISTRAR_CHECKER
    )


def approved(desk: Desk, **more: Any) -> Redeeming:
    made = voted(desk, **more)
    approve(desk, made.redemption)
    return made


def maturing(desk: Desk, chain: Ledger) -> Redeeming:
    """Have the token of `chain` mature, which nobody votes on, and approve it."""
    who = chain.wrapped.issuer.actor
    redemption = redemptions.request_redemption(
        desk.session, who, chain.tokenization.id, terms(RedemptionKind.MATURITY)
    )
    approve(desk, redemption)
    return Redeeming(chain, redemption)


def frozen(desk: Desk, **more: Any) -> Redeeming:
    return freeze(desk, approved(desk, **more))


def freeze(desk: Desk, made: Redeeming) -> Redeeming:
    made.ledger.stand_still()
    redemptions.freeze_cap_table(desk.session, COMPLIANCE, made.redemption.id)
    return made


def fund(desk: Desk, redemption: Redemption, escrow_paisa: int = PRICE_PAISA) -> None:
    paying.fund_redemption(
        desk.session, TREASURY, redemption.id, escrow_paisa=escrow_paisa, reference="ESC-1"
    )


def funded(desk: Desk, **more: Any) -> Redeeming:
    made = frozen(desk, **more)
    fund(desk, made.redemption)
    return made


def being_paid(desk: Desk, **more: Any) -> Redeeming:
    made = funded(desk, **more)
    paying.start_paying(desk.session, TREASURY, made.redemption.id)
    return made


def pay_all(desk: Desk, redemption: Redemption) -> None:
    for number, payout in enumerate(list_payouts(desk.session, redemption.id)):
        paying.record_payout(desk.session, TREASURY, payout.id, rail_reference=f"RAAST-{number}")


def paid(desk: Desk, **more: Any) -> Redeeming:
    made = being_paid(desk, **more)
    pay_all(desk, made.redemption)
    paying.close_payouts(desk.session, made.redemption.id)
    return made


def belie_record(desk: Desk, made: Redeeming) -> None:
    """Let the cap table say that ten fractions of the first holder were the second's."""
    first, second, *_ = (who.wallet.address for who in made.ledger.holders)
    for address, units in ((first, -10), (second, 10)):
        for table in ("balance", "balance_at"):
            moved = text(
                f"UPDATE {table} SET balance_units = balance_units + :units WHERE holder_no ="
                " (SELECT holder_no FROM holder WHERE address = :address)"
            )
            desk.session.execute(moved, {"units": units, "address": address})


def settled_in_kind(desk: Desk, tokenization: Tokenization) -> Redemption:
    """Write what a delivery in kind leaves behind once the chain has burned the token."""
    said = terms(RedemptionKind.DELIVERY, price_paisa=0)
    redemption = Redemption(
        tokenization_id=tokenization.id,
        **{name: getattr(said, name) for name in RedemptionTerms.__dataclass_fields__},
        state=RedemptionState.SETTLED,
        maker="the-issuer",
    )
    tokenization.state = TokenizationState.BURNED
    desk.session.add(redemption)
    desk.session.flush()
    return redemption


def operations(desk: Desk, kind: OperationKind) -> list[Operation]:
    return list(desk.session.exec(select(Operation).where(Operation.kind == kind)))
