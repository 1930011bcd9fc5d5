"""A wallet is given up when nothing is left in it, and nothing comes to it any more."""

from __future__ import annotations

import secrets

import pytest

from chain.operations.retire_wallet import RetireWallet
from registry.case.models import CaseKind
from registry.investor import wallets
from registry.investor.models import Wallet, WalletState
from registry.kernel.errors import Conflict, NotFound
from registry.operation.models import Operation, OperationKind
from registry.wallet_removal import service as wallet_removal
from tests import cases as make_case
from tests import factories as make
from tests import ledger, sales
from tests.factories import Buyer, Desk

pytestmark = pytest.mark.db
ON_SHELF = (600, 400)


def remove(desk: Desk, who: Buyer, wallet: Wallet | None = None) -> Wallet:
    address = (wallet or who.wallet).address
    return wallet_removal.remove_wallet(desk.session, who.actor, who.investor.id, address)


def refusal(desk: Desk, who: Buyer, wallet: Wallet | None = None) -> str:
    with pytest.raises(Conflict) as refused:
        remove(desk, who, wallet)
    return f"{refused.value.code}: {refused.value.detail}"


def retirement(desk: Desk) -> Operation:
    [found] = make_case.planned(desk, OperationKind.RETIRE_WALLET)
    return found


def state(wallet: Wallet) -> WalletState:
    return wallet.state


def test_remove__empty_and_linked__is_retired_once_the_chain_says_so(desk: Desk) -> None:
    who = make.buyer(desk)

    assert remove(desk, who).state == WalletState.RETIRING
    assert remove(desk, who).state == WalletState.RETIRING
    RetireWallet().check(desk.session, retirement(desk))
    RetireWallet().on_final(desk.session, retirement(desk))

    assert state(who.wallet) == WalletState.RETIRED
    with pytest.raises(Conflict, match="wallet_retired"):
        wallets.challenge_wallet(
            desk.session, who.actor, who.investor.id, address=who.wallet.address, message="Sign."
        )


def test_remove__chain_refuses_it__may_be_used_again(desk: Desk) -> None:
    who = make.buyer(desk)
    remove(desk, who)

    for _ in range(2):  # a reorg lets an end come twice
        RetireWallet().on_failed(desk.session, retirement(desk))

    assert state(who.wallet) == WalletState.PROVEN


def test_remove__never_linked__is_retired_at_once(desk: Desk) -> None:
    who, investor = make.enrolled(desk)
    wallet = make.proven_wallet(desk, who, investor.id)

    assert remove(desk, Buyer(who, investor, wallet)).state == WalletState.RETIRED
    assert make_case.planned(desk, OperationKind.RETIRE_WALLET) == []


def test_remove__while_it_is_being_linked__is_refused(desk: Desk) -> None:
    who = make.buyer(desk)
    second = make.proven_wallet(desk, who.actor, who.investor.id)

    assert "being linked" in refusal(desk, who, second)


def test_remove__units_in_it__is_refused_also_when_they_come_meanwhile(desk: Desk) -> None:
    chain = ledger.live(desk, 600, 400)
    first, second = chain.holders[0], make.buyer(desk)
    assert refusal(desk, first).startswith("wallet_in_use: The wallet cannot be given up: it holds")
    remove(desk, second)
    chain.register(second.wallet.address)

    chain.move(first.wallet.address, second.wallet.address, 5)

    with pytest.raises(Conflict, match="wallet_in_use"):
        RetireWallet().check(desk.session, retirement(desk))


def test_remove__open_order_for_it__is_refused_and_none_may_be_placed_after(desk: Desk) -> None:
    sale = sales.offering(desk, sales.wrapped_apartment(desk))
    ordering, leaving = make.buyer(desk), make.buyer(desk)
    sales.order(desk, sale, ordering)
    assert "an order is for it" in refusal(desk, ordering)

    remove(desk, leaving)

    with pytest.raises(Conflict, match="wallet_not_proven"):
        sales.order(desk, sale, leaving)


def test_remove__named_by_an_open_case__is_refused(desk: Desk) -> None:
    chain = ledger.live(desk, 600, 400)
    case = make_case.opened(chain, CaseKind.RECOVERY)
    assert case.counterparty is not None
    new = wallets.find_wallet(desk.session, case.counterparty)
    assert new is not None
    new.identity = secrets.token_bytes(20)

    assert "a case is about it" in refusal(desk, chain.holders[0], new)


def test_remove__of_another__is_not_found(desk: Desk) -> None:
    mine, other = make.buyer(desk), make.buyer(desk)

    with pytest.raises(NotFound, match="wallet"):
        remove(desk, mine, other.wallet)
    with pytest.raises(NotFound, match="investor"):
        wallet_removal.remove_wallet(
            desk.session, mine.actor, other.investor.id, other.wallet.address
        )


def test_remove__address_that_was_only_challenged__is_not_found(desk: Desk) -> None:
    who, address = make.buyer(desk), bytes(range(20))
    wallets.challenge_wallet(
        desk.session, who.actor, who.investor.id, address=address, message="Sign."
    )

    with pytest.raises(NotFound, match="wallet"):
        wallet_removal.remove_wallet(desk.session, who.actor, who.investor.id, address)
