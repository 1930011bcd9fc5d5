"""No lien that the token does not feel: the title's status on chain, and the two keys of a lift."""

from __future__ import annotations

from typing import Any

import pytest

from chain.contracts.abi import contract, read_revert
from chain.contracts.platform import platform_address
from chain.errors import RpcRefused
from chain.node.client import bytes_of, hex_of
from registry.asset import service as assets
from registry.encumbrance import service as encumbrances
from registry.encumbrance.models import Encumbrance
from registry.operation.models import Operation, OperationKind, OperationState
from registry.title import service as titles
from registry.tokenization import title_status
from registry.tokenization.title_status import NOTHING, TitleStatus
from tests import liens
from tests.chain.market import HELD, ISSUER, Market
from tests.chain.nodes import CHAIN_ID
from tests.chain.world import address_of, ask, key_of

pytestmark = pytest.mark.chain

ORDER = ["CLEAR", "NOTICE", "NO_MINT", "HALT"]


def on_chain(market: Market) -> tuple[str, bytes]:
    """Return status and root, as the module on chain has them."""
    with market.world.database.reading() as session:
        module = bytes_of(platform_address(session, CHAIN_ID, "TitleStatusModule"))
    suite = market.tokenization().suite
    assert suite is not None
    title: Any = ask(
        market.world.client, "TitleStatusModule", module, "titleOf", bytes_of(suite["compliance"])
    )
    bound, status, _, _, root = title
    assert bound
    return ORDER[status], root


def wanted(market: Market) -> tuple[str, bytes]:
    with market.world.database.transaction() as session:
        asset = assets.get_asset(session, market.deal.asset_id)
        status, root = title_status.status_of(session, asset)
        return str(status), root


def only_lien(market: Market) -> Encumbrance:
    with market.world.database.reading() as session:
        title = titles.title_of_asset(session, market.deal.asset_id)
        [lien] = encumbrances.in_force(session, title.id)
        session.expunge_all()
        return lien


def discharge(market: Market) -> None:
    lien = only_lien(market)
    with market.world.database.transaction() as session:
        desk = market.desk(session)
        liens.discharged(desk, encumbrances.get_encumbrance(session, lien.id))


def operation(market: Market, kind: OperationKind) -> Operation:
    return market.world.find(kind, tokenization_id=str(market.deal.tokenization_id))


def test_deployed__nothing_in_force__is_clear_without_a_transaction(minted: Market) -> None:
    assert on_chain(minted) == ("CLEAR", NOTHING)
    assert minted.tokenization().title_status == TitleStatus.CLEAR
    kinds = {row.kind for row in minted.world.operations()}
    assert OperationKind.SET_TITLE_STATUS not in kinds


def test_stay_order__in_force__halts_the_token_also_for_its_agent(minted: Market) -> None:
    minted.put_stay_order_in_force()
    minted.world.settle()

    assert on_chain(minted) == wanted(minted)
    assert on_chain(minted)[0] == "HALT"
    suite, holder = minted.suite(), address_of(key_of(ISSUER))
    agent = minted.world.place("CaseAgent")
    for function, arguments in (("burn", (holder, 1)), ("forcedTransfer", (holder, holder, 1))):
        plain = [hex_of(value) if isinstance(value, bytes) else value for value in arguments]
        data = contract("Token").functions[function].encode(*plain)
        with pytest.raises(RpcRefused) as refusal:
            minted.world.client.call(suite.token, data, sender=agent)
        reason = read_revert(bytes_of(refusal.value.data or ""), refusal.value.message)
        assert reason.name == "TitleHalted", function
    assert ask(minted.world.client, "Token", suite.token, "balanceOf", holder) == HELD[ISSUER]


def test_discharge__of_the_order__is_lifted_by_two_keys(minted: Market) -> None:
    minted.put_stay_order_in_force()
    minted.world.settle()

    discharge(minted)
    minted.world.settle()

    assert on_chain(minted) == ("CLEAR", NOTHING) == wanted(minted)
    proposed = operation(minted, OperationKind.PROPOSE_LIFT)
    confirmed = operation(minted, OperationKind.CONFIRM_LIFT)
    assert {proposed.state, confirmed.state} == {OperationState.FINAL}
    keys = minted.world.chain
    assert (proposed.signer, confirmed.signer) == (keys.platform.address, keys.confirmer.address)


def test_discharge__order_again_before_the_lift__stays_halted(minted: Market) -> None:
    minted.put_stay_order_in_force()
    minted.world.settle()
    discharge(minted)
    minted.put_stay_order_in_force()

    minted.world.settle()

    assert on_chain(minted) == wanted(minted)
    assert on_chain(minted)[0] == "HALT"
    refused = operation(minted, OperationKind.PROPOSE_LIFT)
    assert refused.state == OperationState.REFUSED
    assert refused.problem is not None
    assert refused.problem["code"] == "title_halted"
