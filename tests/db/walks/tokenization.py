"""The walk of a tokenization, as far as the program goes today."""

from __future__ import annotations

import secrets
from datetime import timedelta
from uuid import UUID

from sqlmodel import col, select

from registry.asset.models import Asset
from registry.encumbrance.models import EncumbranceKind
from registry.kernel.actor import Role
from registry.kernel.clock import today
from registry.offering import giving_up, orders, unwinding
from registry.offering import minting as mints
from registry.offering import service as offerings
from registry.offering.models import Offering
from registry.offering.terms import OfferTerms
from registry.operation.models import Operation, OperationKind, OperationState
from registry.redemption import aborting, burning
from registry.redemption.service import freeze_cap_table
from registry.reopening import service as reopening
from registry.tokenization import service as tokenizations
from registry.tokenization.guards import SUITE
from registry.tokenization.models import Tokenization
from tests import factories as make
from tests import liens, redemptions, sales, standing
from tests.db.beginnings import after
from tests.db.walks.board import Scenario, Walk
from tests.factories import ACTORS, CHECKER, COMPLIANCE, Desk
from tests.redemptions import Redeeming
from tests.sales import Wrapped

_REDEEMING: dict[UUID, Redeeming] = {}


@after(sales.wrapped_apartment)
def structured(desk: Desk, where: Wrapped) -> Tokenization:
    return sales.structured(desk, where)


@after(sales.wrapped_apartment)
def approved(desk: Desk, where: Wrapped) -> Tokenization:
    return sales.approved(desk, where)


@after(approved)
def deploying(desk: Desk, token: Tokenization) -> Tokenization:
    deploy(desk, token)
    return token


@after(sales.wrapped_apartment)
def deployed(desk: Desk, where: Wrapped) -> Tokenization:
    return sales.deployed(desk, where)


@after(sales.wrapped_apartment)
def offering(desk: Desk, where: Wrapped) -> Tokenization:
    """Give a token on sale of which at least one fraction must be paid for."""
    sale = sales.offering(desk, where, minimum_units=1)
    return tokenizations.get_tokenization(desk.session, sale.tokenization_id)


@after(offering)
def paid_for(desk: Desk, token: Tokenization) -> Tokenization:
    sales.pay(desk, sales.order(desk, sale_of(desk, token), make.buyer(desk)))
    return token


@after(offering)
def minting(desk: Desk, token: Tokenization) -> Tokenization:
    pay_and_close(desk, token)
    return token


@after(minting)
def live(desk: Desk, token: Tokenization) -> Tokenization:
    offerings.confirm_live(desk.session, token.id)
    return token


def asset_of(desk: Desk, token: Tokenization) -> Asset:
    return desk.session.get_one(Asset, token.asset_id)


def approve_all(desk: Desk, token: Tokenization) -> None:
    for role in (Role.COMPLIANCE, Role.REGISTRAR_CHECKER):
        sales.approve_terms(desk, token, role)


def approve_mortgaged(desk: Desk, token: Tokenization) -> None:
    liens.active(desk, asset_of(desk, token))
    approve_all(desk, token)


def deploy(desk: Desk, token: Tokenization) -> None:
    tokenizations.deploy_token(desk.session, COMPLIANCE, token.id)


def deploy_suspended(desk: Desk, token: Tokenization) -> None:
    standing.suspend(desk, asset_of(desk, token))
    deploy(desk, token)


def confirm(desk: Desk, token: Tokenization, *, missing: str = "") -> None:
    suite = {name: f"0x{secrets.token_hex(20)}" for name in SUITE - {missing}}
    tokenizations.confirm_deployment(desk.session, token.id, suite)


def open_sale(desk: Desk, token: Tokenization, units: int = sales.FRACTIONS) -> None:
    offerings.open_offering(desk.session, COMPLIANCE, token.id, OfferTerms(offered_units=units))


def close(desk: Desk, token: Tokenization) -> None:
    offerings.close_and_mint(desk.session, COMPLIANCE, token.id)


def pay_and_close(desk: Desk, token: Tokenization) -> None:
    sales.pay(desk, sales.order(desk, sale_of(desk, token), make.buyer(desk)))
    close(desk, token)


def cancel(desk: Desk, token: Tokenization) -> None:
    tokenizations.cancel_tokenization(desk.session, COMPLIANCE, token.id, reason="No longer wanted")


def cancel_by_its_issuer(desk: Desk, _: object) -> Tokenization:
    wrapped = sales.wrapped_apartment(desk)
    token = sales.structured(desk, wrapped)
    return tokenizations.cancel_tokenization(
        desk.session, wrapped.issuer.actor, token.id, reason="No longer wanted"
    )


def pause(desk: Desk, token: Tokenization, reason: str = "A break is looked into") -> None:
    tokenizations.pause_token(desk.session, COMPLIANCE, token.id, reason=reason)


def reopen_sale(desk: Desk, token: Tokenization) -> None:
    mints.reopen_sale(desk.session, token.id)


def refuse_mints_and_reopen(desk: Desk, token: Tokenization) -> None:
    refuse_mints(desk, token)
    assert mints.due_failures(desk.session) == [token.id]
    reopen_sale(desk, token)


def unwind(desk: Desk, token: Tokenization) -> None:
    unwinding.unwind_offering(desk.session, COMPLIANCE, token.id, reason="Too few")


def unwind_paid(desk: Desk, token: Tokenization) -> None:
    sales.pay(desk, sales.order(desk, sale_of(desk, token), make.buyer(desk)))
    unwind(desk, token)


def agree_to_give_up(desk: Desk, token: Tokenization, role: Role = Role.COMPLIANCE) -> None:
    giving_up.agree_to_give_up(
        desk.session, ACTORS[role], token.id, role=role, reason="The court has stopped it"
    )


def stop_and_give_up(desk: Desk, token: Tokenization) -> None:
    liens.active(desk, asset_of(desk, token), EncumbranceKind.STAY_ORDER)
    for role in (Role.COMPLIANCE, Role.REGISTRAR_CHECKER):
        agree_to_give_up(desk, token, role)


def refuse_mints(desk: Desk, _: Tokenization) -> None:
    mint = select(Operation).where(col(Operation.kind) == OperationKind.MINT)
    for row in desk.session.exec(mint):
        row.state = OperationState.REFUSED
    desk.session.flush()


def give_up_while_it_mints(desk: Desk, token: Tokenization) -> None:
    refuse_mints(desk, token)
    stop_and_give_up(desk, token)


def stop_and_give_up_too_early(desk: Desk, token: Tokenization) -> None:
    liens.active(desk, asset_of(desk, token), EncumbranceKind.STAY_ORDER)
    agree_to_give_up(desk, token)


@after(sales.wrapped_apartment)
def unwinding_one(desk: Desk, where: Wrapped) -> Tokenization:
    """Give a failed sale in which one order was paid, of the two that it wanted."""
    sale = sales.offering(desk, where, minimum_units=20)
    sales.pay(desk, sales.order(desk, sale, make.buyer(desk), units=10))
    token = tokenizations.get_tokenization(desk.session, sale.tokenization_id)
    unwind(desk, token)
    return token


def refund_all(desk: Desk, token: Tokenization) -> None:
    for order in unwinding.unpaid_refunds(desk.session, sale_of(desk, token).id):
        unwinding.record_refund(
            desk.session, ACTORS[Role.TREASURY], order.id, rail_reference=secrets.token_hex(8)
        )


def sale_of(desk: Desk, token: Tokenization) -> Offering:
    sale = orders.find_offering_of(desk.session, token.id)
    assert sale is not None
    return sale


def of(desk: Desk, made: Redeeming) -> Tokenization:
    """Give the token of a redemption, and keep the redemption for what comes next."""
    _REDEEMING[made.ledger.tokenization.id] = made
    return tokenizations.get_tokenization(desk.session, made.ledger.tokenization.id)


@after(sales.wrapped_apartment)
def awaiting_redemption(desk: Desk, where: Wrapped) -> Tokenization:
    made = redemptions.approved(desk, wrapped=where)
    made.ledger.stand_still()
    return of(desk, made)


def freeze(desk: Desk, token: Tokenization) -> None:
    freeze_cap_table(desk.session, COMPLIANCE, _REDEEMING[token.id].redemption.id)


@after(sales.wrapped_apartment)
def paid_off(desk: Desk, where: Wrapped) -> Tokenization:
    return of(desk, redemptions.paid(desk, wrapped=where))


def end(desk: Desk, token: Tokenization) -> None:
    burning.end_burned(desk.session, _REDEEMING[token.id].redemption.id)


def burn_and_end(desk: Desk, token: Tokenization) -> None:
    made = _REDEEMING[token.id]
    burning.burn_redeemed(desk.session, COMPLIANCE, made.redemption.id)
    for holder, units in zip(made.ledger.holders, redemptions.UNITS, strict=True):
        made.ledger.burn(holder.wallet.address, units)
    assert burning.due_endings(desk.session) == []
    made.ledger.finalize()
    assert burning.due_endings(desk.session) == [made.redemption.id]
    end(desk, token)


@after(sales.wrapped_apartment)
def unfunded(desk: Desk, where: Wrapped) -> Tokenization:
    return of(desk, redemptions.frozen(desk, wrapped=where))


def abort(desk: Desk, token: Tokenization) -> None:
    aborting.abort_redemption(desk.session, COMPLIANCE, _REDEEMING[token.id].redemption.id)


def pass_the_long_stop_and_abort(desk: Desk, token: Tokenization) -> None:
    _REDEEMING[token.id].redemption.long_stop_on = today() - timedelta(days=1)
    desk.session.flush()
    abort(desk, token)


@after(live)
def paused(desk: Desk, token: Tokenization) -> Tokenization:
    tokenizations.pause_token(desk.session, make.actor(Role.COMPLIANCE), token.id, reason="A break")
    return token


def unpause(desk: Desk, token: Tokenization) -> None:
    """Have two others agree, and the chain open the token."""
    agreed = reopening.agree_to_unpause(
        desk.session, COMPLIANCE, token.id, role=Role.COMPLIANCE, reason="Looked into"
    )
    assert agreed.operation is None
    done = reopening.agree_to_unpause(
        desk.session, CHECKER, token.id, role=Role.REGISTRAR_CHECKER, reason="Looked into"
    )
    assert done.operation is not None
    reopening.confirm_unpause(desk.session, done.operation, token.id)


def unpause_suspended(desk: Desk, token: Tokenization) -> None:
    standing.suspend(desk, asset_of(desk, token))
    reopening.agree_to_unpause(
        desk.session, COMPLIANCE, token.id, role=Role.COMPLIANCE, reason="Looked into"
    )


WALK = Walk(
    machine="tokenization",
    record=structured,
    scenarios=(
        Scenario(
            source="PROPOSED",
            event="structure",
            prepare=None,
            play=lambda desk, _: structured(desk),
            kept="proposed and structured in one act, whose rules are the gate's",
        ),
        Scenario(source="STRUCTURED", event="cancel", prepare=None, play=cancel_by_its_issuer),
        Scenario(
            source="STRUCTURED",
            event="approve",
            prepare=structured,
            denied=approve_mortgaged,
            code="rules_refused",
            play=approve_all,
        ),
        Scenario(source="APPROVED", event="cancel", prepare=approved, play=cancel),
        Scenario(
            source="APPROVED",
            event="deploy",
            prepare=approved,
            denied=deploy_suspended,
            code="asset_not_registered",
            play=deploy,
        ),
        Scenario(
            source="DEPLOYING",
            event="deploy_confirmed",
            prepare=deploying,
            denied=lambda desk, token: confirm(desk, token, missing="compliance"),
            code="suite_incomplete",
            play=confirm,
        ),
        Scenario(
            source="DEPLOYING",
            event="deploy_failed",
            prepare=deploying,
            play=lambda desk, token: tokenizations.fail_deployment(desk.session, token.id),
            kept="what is deploying has no contract yet",
        ),
        Scenario(
            source="DEPLOYED",
            event="open_offer",
            prepare=deployed,
            denied=lambda desk, token: open_sale(desk, token, sales.FRACTIONS + 1),
            code="offer_exceeds_declared",
            play=open_sale,
        ),
        Scenario(
            source="OFFERING",
            event="close_offer",
            prepare=offering,
            denied=close,
            code="offering_below_minimum",
            play=pay_and_close,
        ),
        Scenario(
            source="DEPLOYED",
            event="cancel",
            prepare=deployed,
            play=cancel,
            kept="a deployed token is never minted before it is on sale",
        ),
        Scenario(
            source="OFFERING",
            event="fail_offer",
            prepare=offering,
            denied=unwind_paid,
            code="minimum_reached",
            play=unwind,
        ),
        Scenario(
            source="OFFERING",
            event="give_up",
            prepare=paid_for,
            denied=agree_to_give_up,
            code="nothing_in_the_way",
            play=stop_and_give_up,
        ),
        Scenario(
            source="MINTING",
            event="give_up",
            prepare=minting,
            denied=stop_and_give_up_too_early,
            code="mint_under_way",
            play=give_up_while_it_mints,
        ),
        Scenario(
            source="UNWINDING",
            event="refunds_done",
            prepare=unwinding_one,
            play=refund_all,
            kept="fired by the refund after which nothing is due, and never by anybody else",
        ),
        Scenario(
            source="MINTING",
            event="mint_confirmed",
            prepare=minting,
            denied=lambda desk, token: offerings.go_live(desk.session, COMPLIANCE, token.id),
            code="not_reconciled",
            play=lambda desk, token: offerings.confirm_live(desk.session, token.id),
        ),
        Scenario(
            source="MINTING",
            event="mint_failed",
            prepare=minting,
            denied=reopen_sale,
            code="something_minted",
            play=refuse_mints_and_reopen,
        ),
        Scenario(
            source="LIVE",
            event="pause",
            prepare=live,
            denied=lambda desk, token: pause(desk, token, " "),
            code="reason_missing",
            play=pause,
        ),
        Scenario(
            source="PAUSED",
            event="unpause",
            prepare=paused,
            denied=unpause_suspended,
            code="asset_not_registered",
            play=unpause,
        ),
        Scenario(
            source="PAUSED",
            event="start_redemption",
            prepare=awaiting_redemption,
            play=freeze,
            kept="asked for with the redemption itself, which is approved or nothing is frozen",
        ),
        Scenario(
            source="REDEEMING",
            event="redemption_settled",
            prepare=paid_off,
            denied=end,
            code="supply_not_as_expected",
            play=burn_and_end,
        ),
        Scenario(
            source="REDEEMING",
            event="redemption_aborted",
            prepare=unfunded,
            denied=abort,
            code="long_stop_ahead",
            play=pass_the_long_stop_and_abort,
        ),
    ),
    waits={
        ("PROPOSED", "cancel"): "proposed and structured in one act",
        ("LIVE", "start_redemption"): "an approved redemption has paused its token",
    },
)
