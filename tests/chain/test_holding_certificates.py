"""Certificates of holding: wallets that are frozen whole, and a chain that is not relied on."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from chain.contracts.abi import contract
from chain.node.client import hex_of
from registry.asset.models import Asset
from registry.captable import degraded
from registry.certificate.models import Certificate
from registry.certificate.verify import check_certificate
from registry.investor.models import Wallet
from registry.kernel.clock import now
from registry.kernel.papers import Paper
from registry.kernel.sealed_pdf import attachment_of
from registry.title import service as titles
from registry.title.versions import current_version, replace_version, right_of
from tests import factories as make
from tests.api.house import House
from tests.chain import anchored
from tests.chain.market import FIRST, HELD, ISSUER, SECOND, Market
from tests.chain.market import desk as desk_of
from tests.chain.nodes import CHAIN_ID
from tests.chain.test_certificates import (
    certify_holding,
    holder,
    house,
    keys_of,
    pytestmark,
    standing,
    take,
)
from tests.chain.test_verify_certificates import Desk, desk
from tests.chain.world import Hand, address_of, key_of
from tests.standing import suspend

__all__ = ["desk", "house", "pytestmark"]

WHY = "the cap table of 0x01 differs from the chain"


def freeze(market: Market, person: int, *, frozen: bool = True) -> int:
    """Freeze a wallet as a case would, read the chain, and return the block."""
    world = market.world
    call = contract("Token").functions["setAddressFrozen"]
    data = call.encode(hex_of(address_of(key_of(person))), frozen)
    world.node.act_as(world.place("CaseAgent"), market.suite().token, data)
    number = world.client.head().number
    world.node.mine(5)  # beyond what CONFIRMATIONS asks for
    anchored.read_chain(world)
    return number


def degrade(house: House) -> None:
    with house.database.transaction() as session:
        degraded.degrade(session, CHAIN_ID, WHY)


def test_holding__of_a_wallet_that_is_frozen_whole__says_so(house: House, minted: Market) -> None:
    freeze(minted, FIRST)
    certificate = certify_holding(house, minted)
    caller = house.caller(holder(minted, FIRST))

    record = take(caller, certificate)

    (wallet,) = record["content"]["wallets"]
    assert (wallet["balance"], wallet["frozen"]) == (str(HELD[FIRST]), "0")
    assert wallet["wallet_frozen"] is True
    told = check_certificate(Paper(record), keys_of(house))
    assert f"the wallet {wallet['address']} was frozen: nothing in it could move" in told
    assert standing(house, certificate)["state"] == "VALID"
    pdf = caller.get(f"/v1/certificates/{certificate}", format="pdf").content
    assert json.loads(attachment_of(pdf) or b"")["content"] == record["content"]
    other = take(house.caller(holder(minted, SECOND)), certify_holding(house, minted, SECOND))
    assert [each["wallet_frozen"] for each in other["content"]["wallets"]] == [False]

    freed = freeze(minted, FIRST, frozen=False)
    said = standing(house, certificate)
    (change,) = said["changes"]
    assert (said["state"], change["cause"], change["by"]) == ("SUPERSEDED", "BALANCE", str(freed))
    again = take(caller, certify_holding(house, minted))
    assert [each["wallet_frozen"] for each in again["content"]["wallets"]] == [False]


def test_verify__wallet_frozen_since__is_superseded(house: House, minted: Market) -> None:
    certificate, other = certify_holding(house, minted), certify_holding(house, minted, SECOND)

    number = freeze(minted, FIRST)

    said = standing(house, certificate)
    (change,) = said["changes"]
    assert (said["state"], change["cause"], change["by"]) == ("SUPERSEDED", "BALANCE", str(number))
    assert standing(house, other)["state"] == "VALID"


def send(market: Market, giver: int, taker: int, units: int) -> int:
    """Have one wallet send to another, read the chain, and return the block."""
    world = market.world
    world.node.fund(address_of(key_of(giver)))
    hand = Hand(world.node, key_of(giver))
    hand.call("Token", market.suite().token, "transfer", address_of(key_of(taker)), units)
    number = world.client.head().number
    world.node.mine(5)
    anchored.read_chain(world)
    return number


def give_wallet(market: Market, person: int, to: int) -> None:
    """Have a wallet be another person's second one, proven now."""
    with market.world.database.transaction() as session:
        wallet = session.get_one(Wallet, market.wallet(person).id)
        wallet.investor_id, wallet.proven_at = market.wallet(to).investor_id, now()
        make.tell_acts(session)


def test_verify__empty_wallet_of_the_holder_filled_since__is_superseded(
    house: House, minted: Market
) -> None:
    minted.open()
    send(minted, SECOND, ISSUER, HELD[SECOND])
    give_wallet(minted, SECOND, to=FIRST)
    certificate = certify_holding(house, minted)
    record = take(house.caller(holder(minted, FIRST)), certificate)
    assert record["content"]["units"] == str(HELD[FIRST])
    assert standing(house, certificate)["state"] == "VALID"

    number = send(minted, ISSUER, SECOND, 10)

    said = standing(house, certificate)
    (change,) = said["changes"]
    assert (said["state"], change["cause"], change["by"]) == ("SUPERSEDED", "BALANCE", str(number))
    assert standing(house, certify_holding(house, minted))["state"] == "VALID"


def test_verify__what_leaves_the_holder_with_the_same__holds(house: House, minted: Market) -> None:
    minted.open()
    send(minted, SECOND, ISSUER, HELD[SECOND])
    give_wallet(minted, SECOND, to=FIRST)
    certificate = certify_holding(house, minted)

    freeze(minted, SECOND)
    assert standing(house, certificate)["state"] == "VALID", "it holds nothing"
    send(minted, FIRST, FIRST, 10)
    assert standing(house, certificate)["state"] == "VALID"

    number = send(minted, FIRST, ISSUER, 10)
    (change,) = standing(house, certificate)["changes"]
    assert (change["cause"], change["by"]) == ("BALANCE", str(number))


def test_verify__holder_proved_a_wallet_that_held__is_superseded(
    house: House, minted: Market
) -> None:
    certificate = certify_holding(house, minted)

    give_wallet(minted, SECOND, to=FIRST)

    said = standing(house, certificate)
    (change,) = said["changes"]
    assert (said["state"], change["cause"], change["by"]) == ("SUPERSEDED", "BALANCE", None)
    assert change["at"] is not None
    again = take(house.caller(holder(minted, FIRST)), certify_holding(house, minted))
    assert again["content"]["units"] == str(HELD[FIRST] + HELD[SECOND])


def test_verify__issued_before_freezes_were_told__is_superseded_where_it_was_silent(
    house: House, minted: Market
) -> None:
    freeze(minted, FIRST)
    silent, right = certify_holding(house, minted), certify_holding(house, minted, SECOND)
    with house.database.transaction() as session:
        for certificate in (silent, right):
            first_form = (
                "UPDATE certificate SET told = jsonb_build_object('wallets', ("
                "  SELECT jsonb_object_agg(key, value - 2) FROM jsonb_each(told -> 'wallets')))"
                " WHERE id = :id"
            )
            session.connection().execute(text(first_form), {"id": certificate})

    assert standing(house, silent)["state"] == "SUPERSEDED"
    assert standing(house, right)["state"] == "VALID"


def dispute(desk: make.Desk, asset: Asset) -> None:
    title = titles.title_of_asset(desk.session, asset.id)
    titles.dispute_title(
        desk.session, make.COMPLIANCE, title.id, reference="Suit 7/2026", reason="Two sons claim it"
    )


def decree(desk: make.Desk, asset: Asset) -> None:
    title = titles.title_of_asset(desk.session, asset.id)
    right = right_of(desk.session, current_version(desk.session, title.id))
    replace_version(desk.session, title, replace(right, valid_from=now(), basis="COURT_DECREE"))
    make.tell_acts(desk.session)


@pytest.mark.parametrize("is_old", [False, True], ids=["", "issued_before_states_were_kept"])
@pytest.mark.parametrize(
    ("happens", "cause"),
    [(dispute, "TITLE_STATE"), (decree, "TITLE_VERSION"), (suspend, "ASSET_STATE")],
)
def test_verify__title_is_no_longer_as_told__is_superseded(
    house: House,
    minted: Market,
    tmp_path: Path,
    happens: Callable[[make.Desk, Asset], object],
    cause: str,
    *,
    is_old: bool,
) -> None:
    certificate = certify_holding(house, minted)
    if is_old:
        with house.database.transaction() as session:
            issued = session.get_one(Certificate, UUID(certificate))
            issued.told = {"wallets": issued.told["wallets"]}
            make.tell_acts(session)
    assert standing(house, certificate)["state"] == "VALID"

    with minted.world.database.transaction() as session:
        happens(desk_of(session, tmp_path), session.get_one(Asset, minted.deal.asset_id))

    said = standing(house, certificate)
    assert said["state"] == "SUPERSEDED"
    (change,) = [found for found in said["changes"] if found["cause"] == cause]
    assert change["at"] is not None
    assert "POLICY-1" not in page_of(house, certificate, "en")


@pytest.mark.parametrize("how", ["api", "database"])
def test_verify__chain_that_is_not_relied_on__is_refused(desk: Desk, how: str) -> None:
    options = ("--api", desk.api) if how == "api" else ("--database",)
    house, market = desk.house, desk.market
    certificate = certify_holding(house, market)
    record = take(house.caller(holder(market, FIRST)), certificate)
    title = desk.record
    assert desk.verify(record, *options)[0] == 0
    degrade(house)

    code, said = desk.verify(record, *options)
    assert (code, "register_unreachable" in said, WHY in said) == (1, True, True), said
    assert desk.verify(record)[0] == 0, "what the file itself says holds"
    assert desk.verify(title, *options)[0] == 0, "a title does not stand on the chain"


@pytest.mark.parametrize("language", ["en", "ur"])
def test_verify__chain_that_is_not_relied_on__says_why(
    house: House, minted: Market, language: str
) -> None:
    certificate = certify_holding(house, minted)
    degrade(house)

    said = standing(house, certificate)
    page = page_of(house, certificate, language)

    assert (said["state"], said["block"]["degraded"]) == ("UNCERTAIN", WHY)
    assert WHY in page
    assert 'class="state bad"' in page
    digest = {"sha256": "ab" * 32}
    assert standing(house, certificate, **digest)["state"] == "OTHER_CONTENT"


def page_of(house: House, certificate: str, language: str) -> Any:
    path = f"/v1/certificates/{certificate}/verify"
    headers = {"Accept": "text/html", "Accept-Language": language}
    return house.stranger().ask("GET", path, headers=headers).text
