"""A register of record that says nothing: after how long that is a break, and of which tokens."""

from __future__ import annotations

from datetime import timedelta
from fractions import Fraction

import pytest

from registry.kernel.actor import Role
from registry.kernel.clock import today
from registry.kernel.errors import Conflict
from registry.policy.models import PolicyName
from registry.reconciliation import service as reconciliation
from registry.reconciliation import statements
from registry.reconciliation.models import BreakState
from registry.reconciliation.payable import require_no_break
from registry.tokenization.models import TokenizationState
from registry.wrapper.models import RegisterOfRecord
from registry.wrapper.service import find_wrapper
from tests import intakes, ledger
from tests.factories import ACTORS, COMPLIANCE, Desk
from tests.ledger import Ledger

pytestmark = pytest.mark.db

OPERATIONS = ACTORS[Role.OPERATIONS]
UNITS = (600, 400)
LATE = ("REG-01", "statement")


def found(desk: Desk, chain: Ledger) -> set[tuple[str, str]]:
    breaks = reconciliation.run_checks(desk.session, chain.tokenization.id)
    return {(item.rule, item.subject) for item in breaks}


def file(desk: Desk, chain: Ledger, *, days_ago: int) -> None:
    rows = [(who.investor.party_id, part) for who, part in zip(chain.holders, UNITS, strict=True)]
    statements.file_statement(
        desk.session, OPERATIONS, chain.tokenization.id,
        as_of=today() - timedelta(days=days_ago), rows=rows,
    )  # fmt: skip


@pytest.mark.parametrize(
    "state",
    [TokenizationState.LIVE, TokenizationState.PAUSED, TokenizationState.REDEEMING],
)
def test_run__no_statement_since_the_mint__is_a_break_of_the_statement(
    desk: Desk, state: TokenizationState
) -> None:
    chain = ledger.live(desk, *UNITS, days_ago=3)
    chain.tokenization.state = state
    assert found(desk, chain) == {LATE}
    young = ledger.live(desk, *UNITS, days_ago=2)
    assert found(desk, young) == set()


def test_run__newest_statement_too_old__is_one_until_the_next_is_filed(desk: Desk) -> None:
    chain = ledger.live(desk, *UNITS, days_ago=5)
    file(desk, chain, days_ago=3)
    [late] = reconciliation.run_checks(desk.session, chain.tokenization.id)
    assert (late.rule, late.subject) == LATE
    assert late.detail == (
        f"The newest statement of CDC_CDS is of {today() - timedelta(days=3)}: more than 2 days."
    )
    with pytest.raises(Conflict, match="break_open"):
        require_no_break(desk.session, chain.tokenization)
    require_no_break(desk.session, ledger.live(desk, *UNITS).tokenization)

    file(desk, chain, days_ago=2)
    assert found(desk, chain) == set()
    reconciliation.investigate_break(desk.session, OPERATIONS, late.id)
    reconciliation.propose_fix(
        desk.session, OPERATIONS, late.id, explanation="It was filed.", reference="Statement"
    )
    reconciliation.approve_fix(desk.session, COMPLIANCE, late.id)
    assert late.state == BreakState.RESOLVED
    require_no_break(desk.session, chain.tokenization)


def test_run__token_that_is_its_own_register__awaits_no_statement(desk: Desk) -> None:
    chain = ledger.live(desk, *UNITS, days_ago=9)
    wrapper = find_wrapper(desk.session, chain.wrapped.asset.id)
    assert wrapper is not None
    wrapper.register_of_record = RegisterOfRecord.TOKEN_REGISTER
    assert found(desk, chain) == set()


def test_run__nobody_holds_any_more__awaits_no_statement(desk: Desk) -> None:
    chain = ledger.live(desk, *UNITS, days_ago=9)
    chain.tokenization.state = TokenizationState.REDEEMING
    for who, part in zip(chain.holders, UNITS, strict=True):
        chain.burn(who.wallet.address, part)
    assert {rule for rule, _ in found(desk, chain)} == {"TOK-07"}


def test_run__policy_of_more_days__awaits_it_longer(desk: Desk) -> None:
    chain = ledger.live(desk, *UNITS, days_ago=3)
    intakes.threshold(desk, PolicyName.REGISTER_STATEMENT, Fraction(3), today())
    assert found(desk, chain) == set()
