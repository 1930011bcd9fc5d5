"""What a case is refused for before anything is planned."""

from __future__ import annotations

import secrets
from typing import Any
from uuid import uuid4

import pytest

from registry.case import execution
from registry.case.layout import TokenUnits
from registry.case.models import CaseKind, CaseState
from registry.investor import wallets
from registry.kernel.clock import now
from registry.kernel.errors import NotFound
from tests import cases as make_case
from tests import court, ledger
from tests import factories as make
from tests.deeds import refusal
from tests.factories import Desk
from tests.ledger import Ledger

pytestmark = pytest.mark.db
ON_SHELF = (600, 300, 100)


@pytest.fixture
def chain(desk: Desk) -> Ledger:
    """A live token: 600 for the first holder, 300 and 100 for two others."""
    return ledger.live(desk, 600, 300, 100)


BAD_SHAPES: list[tuple[CaseKind, dict[str, Any], str]] = [
    (CaseKind.FREEZE_WALLET, {"wallet": None}, "case_malformed"),
    (CaseKind.FREEZE_WALLET, {"wallet": bytes(20)}, "case_malformed"),
    (CaseKind.FREEZE_WALLET, {"wallet": b"\x01" * 19}, "case_malformed"),
    (CaseKind.FREEZE_WALLET, {"counterparty": b"\x01" * 20}, "case_malformed"),
    (CaseKind.FREEZE_UNITS, {"tokens": ()}, "case_tokens_malformed"),
    (CaseKind.FREEZE_UNITS, {"takes_frozen": True}, "case_malformed"),
    (CaseKind.FORCED_TRANSFER, {"counterparty": None}, "case_malformed"),
    (CaseKind.RECOVERY, {"counterparty": None}, "case_malformed"),
    (CaseKind.RECOVERY, {"tokens": (TokenUnits(uuid4()),)}, "case_malformed"),
    (CaseKind.SUCCESSION, {"heirs": ()}, "case_malformed"),
    (CaseKind.SUCCESSION, {"wallet": b"\x01" * 20}, "case_malformed"),
    (CaseKind.SUCCESSION, {"tokens": (TokenUnits(uuid4()),)}, "case_malformed"),
]


@pytest.mark.parametrize(("kind", "changes", "code"), BAD_SHAPES)
def test_open__without_what_its_kind_needs__is_refused(
    chain: Ledger, kind: CaseKind, changes: dict[str, Any], code: str
) -> None:
    assert make_case.open_refused(chain, kind, **changes) == code


def test_open__tokens_twice_without_units_or_with_none_to_spare__is_refused(
    chain: Ledger,
) -> None:
    token = chain.tokenization.id
    for tokens, code in (
        ((TokenUnits(token),), "case_tokens_malformed"),
        ((TokenUnits(token, 0),), "case_tokens_malformed"),
        ((TokenUnits(token, 1), TokenUnits(token, 2)), "case_tokens_malformed"),
        ((TokenUnits(token, 601),), "units_not_free"),
    ):
        assert make_case.open_refused(chain, CaseKind.FREEZE_UNITS, tokens=tokens) == code
    chain.freeze_units(chain.holders[0].wallet.address, 550)
    assert make_case.open_refused(chain, CaseKind.FREEZE_UNITS) == "units_not_free"


def test_open__more_than_the_wallet_holds__is_refused(chain: Ledger) -> None:
    for kind in (CaseKind.FORCED_TRANSFER, CaseKind.BURN):
        if kind == CaseKind.BURN:
            make_case.redeeming(chain)
        tokens = (TokenUnits(chain.tokenization.id, 601),)
        assert make_case.open_refused(chain, kind, tokens=tokens) == "units_not_held"


def test_open__frozen_units__are_taken_only_where_the_case_says_so(chain: Ledger) -> None:
    chain.freeze_units(chain.holders[0].wallet.address, 550)

    assert make_case.open_refused(chain, CaseKind.FORCED_TRANSFER) == "units_frozen"
    case = make_case.opened(chain, CaseKind.FORCED_TRANSFER, takes_frozen=True)
    assert case.takes_frozen


def test_open__burn_of_a_live_token__is_refused_by_tok_02(chain: Ledger) -> None:
    said = refusal(lambda: make_case.opened(chain, CaseKind.BURN))

    assert said == ("token_not_redeeming", "TOK-02")


def test_open__wallet_that_nobody_knows__is_refused(chain: Ledger) -> None:
    stranger = secrets.token_bytes(20)

    assert (
        make_case.open_refused(chain, CaseKind.FREEZE_WALLET, wallet=stranger) == "wallet_unknown"
    )


def test_open__stranger_who_holds__can_be_frozen(chain: Ledger) -> None:
    stranger = secrets.token_bytes(20)
    chain.move(chain.holders[0].wallet.address, stranger, 5)

    case = make_case.opened(chain, CaseKind.FREEZE_WALLET, wallet=stranger)
    assert case.investor_id is None


def test_open__receiver_who_may_not_receive__is_refused_with_the_reason(
    desk: Desk, chain: Ledger
) -> None:
    who, investor = make.enrolled(desk)
    proven = make.proven_wallet(desk, who, investor.id)
    lapsed = make.buyer(desk)
    lapsed.investor.kyc_valid_until = now()
    unlinked = make.buyer(desk)
    unlinked.wallet.identity = None
    lost = make.buyer(desk)
    wallets.retire_wallet(desk.session, lost.wallet.id)
    desk.session.flush()
    for address in (
        secrets.token_bytes(20),
        proven.address,
        lapsed.wallet.address,
        unlinked.wallet.address,
        lost.wallet.address,
    ):
        said = make_case.open_refused(chain, CaseKind.FORCED_TRANSFER, counterparty=address)
        assert said == "receiver_not_eligible"


def test_open__paper_of_other_bytes_or_of_another_asset__is_refused(
    desk: Desk, chain: Ledger
) -> None:
    other = make.open_apartment(desk)
    elsewhere = make.file_document(desk, other, "COURT_ORDER")

    said = make_case.open_refused(chain, CaseKind.FREEZE_UNITS, document_sha256=bytes(32))
    assert said == "case_paper_differs"
    said = make_case.open_refused(
        chain,
        CaseKind.FREEZE_UNITS,
        document_id=elsewhere.id,
        document_sha256=elsewhere.sha256,
    )
    assert said == "source_of_other_asset"
    with pytest.raises(NotFound):
        make_case.opened(chain, CaseKind.FREEZE_UNITS, document_id=uuid4())


def test_open__order_that_binds_nobody__is_refused(desk: Desk, chain: Ledger) -> None:
    order = court.on_wallet(desk, chain.holders[0].wallet.address)
    assert (
        make_case.open_refused(chain, CaseKind.FREEZE_WALLET, order_id=order.id)
        == "order_not_in_force"
    )

    court.apply(desk, order)
    case = make_case.opened(chain, CaseKind.FREEZE_WALLET, order_id=order.id)
    assert case.order_id == order.id


def test_open__second_freeze_of_one_wallet__is_refused(desk: Desk, chain: Ledger) -> None:
    case = make_case.executing(chain, CaseKind.FREEZE_WALLET)
    make_case.carry_out(chain, case)

    assert make_case.open_refused(chain, CaseKind.FREEZE_WALLET) == "wallet_frozen"


def test_execute__second_recovery_of_one_wallet__is_refused(desk: Desk, chain: Ledger) -> None:
    """Both were approved; a freeze follows the lost wallet to one successor, not to either."""
    first, second = (make_case.opened(chain, CaseKind.RECOVERY) for _ in range(2))
    assert first.counterparty != second.counterparty
    for case in (first, second):
        make_case.approve(desk, case)
    make_case.execute(desk, first)
    assert make_case.code_of(lambda: make_case.execute(desk, second)) == "recovery_under_way"

    make_case.carry_out(chain, first)

    assert make_case.code_of(lambda: make_case.execute(desk, second)) == "recovery_under_way"
    assert make_case.state(second) == CaseState.APPROVED


def test_open__units_of_a_frozen_cap_table__do_not_move(chain: Ledger) -> None:
    make_case.redeeming(chain)

    for kind in (CaseKind.FORCED_TRANSFER, CaseKind.RECOVERY):
        assert make_case.open_refused(chain, kind) == "cap_table_frozen"


def test_execute__cap_table_frozen_since_the_approval__is_refused(
    desk: Desk, chain: Ledger
) -> None:
    case = make_case.opened(chain, CaseKind.FORCED_TRANSFER)
    make_case.approve(desk, case)
    make_case.redeeming(chain)

    assert make_case.code_of(lambda: make_case.execute(desk, case)) == "cap_table_frozen"


def test_signed__cap_table_frozen_since_it_was_planned__is_refused(
    desk: Desk, chain: Ledger
) -> None:
    case = make_case.executing(chain, CaseKind.FORCED_TRANSFER)
    (operation,) = make_case.pending(desk, case)
    make_case.redeeming(chain)

    assert (
        make_case.code_of(lambda: execution.require_act(desk.session, operation))
        == "cap_table_frozen"
    )
