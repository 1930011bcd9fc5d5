"""Fixtures that break one rule of tokens, their backing, and what the chain shows."""

from __future__ import annotations

from datetime import timedelta
from fractions import Fraction

from registry.asset.models import AssetClass
from registry.captable.models import EventKind
from registry.kernel.clock import today
from registry.reconciliation import service as reconciliation
from registry.reconciliation.statements import file_statement
from registry.redemption import paying
from registry.rulebook.service import Moment
from registry.tokenization import gate
from registry.tokenization import service as tokenizations
from tests import court, ledger, redemptions, sales
from tests import factories as make
from tests.db import rows
from tests.dossiers import open_sample
from tests.factories import MAKER, Desk
from tests.invariants.fired import violates


@violates("WRP-01")
def title_in_the_name_of_a_person(desk: Desk) -> object:
    asset = make.registered(desk, make.open_apartment(desk))
    return tokenizations.run_gate(desk.session, MAKER, asset.id)


@violates("VAL-01")
def valuation_of_last_year(desk: Desk) -> object:
    vehicle = make.company(desk)
    asset = make.open_apartment(desk, vehicle)
    make.file_required(desk, asset)
    make.value(desk, asset, basis_date=today() - timedelta(days=181))
    make.submit(desk, asset)
    make.approve_all(desk, asset)
    sales.name_wrapper(desk, asset, vehicle)
    return tokenizations.run_gate(desk.session, MAKER, asset.id)


@violates("VAL-02")
def gold_at_the_price_of_last_week(desk: Desk) -> None:
    vehicle = make.company(desk)
    asset = open_sample(desk, AssetClass.COMMODITY_BULLION, vehicle)
    make.file_required(desk, asset)
    make.value(desk, asset, basis_date=today() - timedelta(days=7))
    make.submit(desk, asset)
    make.approve_all(desk, asset)
    sales.name_wrapper(desk, asset, vehicle)
    token = sales.deployed(desk, sales.Wrapped(asset, make.issuer(desk, vehicle)))
    gate.require_open_gate(desk.session, token, moment=Moment.OFFERING)


@violates("TOK-01")
def second_token_of_one_asset(desk: Desk) -> object:
    wrapped = sales.wrapped_apartment(desk)
    sales.structured(desk, wrapped)
    return sales.structured(desk, wrapped)


@violates("TOK-01")
def second_token_of_one_asset_past_the_service(desk: Desk) -> None:
    asset_id = rows.asset(desk.session)
    rows.tokenization(desk.session, asset_id)
    rows.tokenization(desk.session, asset_id)


@violates("TOK-04")
def token_worth_more_than_its_asset(desk: Desk) -> object:
    return sales.structured(desk, sales.wrapped_apartment(desk), price_paisa=sales.PRICE_PAISA + 1)


@violates("TOK-05")
def token_of_more_than_the_whole(desk: Desk) -> object:
    return sales.structured(
        desk, sales.wrapped_apartment(desk), economic_share=Fraction(1001, 1000)
    )


@violates("TOK-06")
def token_that_outlives_its_lease(desk: Desk) -> object:
    vehicle = make.company(desk)
    asset = make.registered(desk, open_sample(desk, AssetClass.LAND_COMMERCIAL, vehicle))
    sales.name_wrapper(desk, asset, vehicle)
    wrapped = sales.Wrapped(asset, make.issuer(desk, vehicle))
    return sales.structured(desk, wrapped, maturity=today() + timedelta(days=3001))


# What the chain shows


@violates("TOK-02")
def supply_short_of_the_declared_fractions(desk: Desk) -> object:
    chain = ledger.live(desk, 600, 400)
    chain.tokenization.declared_fractions = 1001
    desk.session.flush()
    return reconciliation.run_checks(desk.session, chain.tokenization.id)


@violates("TOK-03")
def holder_without_an_identity(desk: Desk) -> object:
    chain = ledger.live(desk, 600, 400)
    stranger = b"\x5a" * 20
    chain.mine(
        {
            "kind": EventKind.TRANSFER,
            "source": chain.holders[0].wallet.address,
            "target": stranger,
            "units": 1,
        }
    )
    return reconciliation.run_checks(desk.session, chain.tokenization.id)


@violates("TOK-07")
def freeze_that_nobody_instructed(desk: Desk) -> object:
    chain = ledger.live(desk, 600, 400)
    court.apply(desk, court.on_wallet(desk, chain.holders[0].wallet.address))
    chain.freeze(chain.holders[0].wallet.address)
    return reconciliation.run_checks(desk.session, chain.tokenization.id)


@violates("TOK-08")
def balance_that_the_chain_denies(desk: Desk) -> object:
    chain = ledger.live(desk, 600, 400)
    ledger.differ(desk, chain)
    return reconciliation.run_checks(desk.session, chain.tokenization.id)


@violates("ORD-01")
def order_in_force_that_the_chain_lost(desk: Desk) -> object:
    chain = ledger.live(desk, 600, 400)
    order = court.on_asset(desk, chain.wrapped.asset)
    court.apply(desk, order)
    chain.pause()
    reconciliation.confirm_order(desk.session, order.id)
    chain.unpause()
    return reconciliation.run_checks(desk.session, chain.tokenization.id)


@violates("REG-01")
def depository_that_counts_otherwise(desk: Desk) -> object:
    chain = ledger.live(desk, 600, 400)
    stated = [(holder.investor.party_id, 500) for holder in chain.holders]
    file_statement(
        desk.session,
        make.COMPLIANCE,
        chain.tokenization.id,
        as_of=today() - timedelta(days=1),
        rows=stated,
    )
    return reconciliation.run_checks(desk.session, chain.tokenization.id)


@violates("RED-01")
def funds_that_nobody_is_paid(desk: Desk) -> object:
    made = redemptions.being_paid(desk)
    redemptions.pay_all(desk, made.redemption)
    made.redemption.funded_paisa = redemptions.PRICE_PAISA + 1
    return paying.close_payouts(desk.session, made.redemption.id)
