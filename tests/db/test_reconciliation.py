"""Reconciliation: which rule finds which difference, and how a break is closed."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import datetime, time, timedelta
from uuid import uuid4

import pytest

from registry.captable.models import EventKind, SyncCursor
from registry.kernel.actor import Role
from registry.kernel.clock import SEAT, today
from registry.kernel.errors import NotFound
from registry.operation.models import OperationKind
from registry.reconciliation import service as reconciliation
from registry.reconciliation import statements
from registry.reconciliation.models import BreakState, ReconciliationBreak, RegisterStatement
from registry.tokenization.models import TokenizationState
from tests import court, ledger, sales
from tests import factories as make
from tests.db.rows import refused_by
from tests.deeds import refusal
from tests.factories import ACTORS, CHECKER, COMPLIANCE, Buyer, Desk
from tests.ledger import Ledger

pytestmark = pytest.mark.db
ON_SHELF = (600, 400)

OPERATIONS = ACTORS[Role.OPERATIONS]
YESTERDAY = timedelta(days=1)


def run(desk: Desk, chain: Ledger) -> list[ReconciliationBreak]:
    return reconciliation.run_checks(desk.session, chain.tokenization.id)


def found(desk: Desk, chain: Ledger) -> set[tuple[str, str]]:
    return {(item.rule, item.subject) for item in run(desk, chain)}


def party(who: Buyer) -> str:
    return f"party:{who.investor.party_id}"


def hexed(who: Buyer) -> str:
    return f"0x{who.wallet.address.hex()}"


def newest(chain: Ledger) -> str:
    """The place of the newest event, as TOK-07 names it."""
    cursor = chain.desk.session.get_one(SyncCursor, chain.chain_id, populate_existing=True)
    return f"{cursor.number}.0"


def file(desk: Desk, chain: Ledger, *units: int) -> RegisterStatement:
    """File yesterday's statement: so much for each holder, who holds something."""
    rows = [
        (who.investor.party_id, part)
        for who, part in zip(chain.holders, units, strict=True)
        if part
    ]
    return statements.file_statement(
        desk.session, OPERATIONS, chain.tokenization.id, as_of=today() - YESTERDAY, rows=rows
    )


def test_run__token_as_it_should_be__finds_nothing(desk: Desk) -> None:
    chain = ledger.live(desk, 600, 400)
    statement = file(desk, chain, 600, 400)

    assert run(desk, chain) == []
    assert statement.differences == 0


def test_run__token_not_deployed__is_refused(desk: Desk) -> None:
    tokenization = sales.approved(desk, sales.wrapped_apartment(desk))

    said = refusal(lambda: reconciliation.run_checks(desk.session, tokenization.id))

    assert said == ("token_not_deployed", None)


def test_run__fractions_burned_past_the_register__are_tok_02_and_tok_07(desk: Desk) -> None:
    chain = ledger.live(desk, 600, 400)
    chain.burn(chain.holders[0].wallet.address, 1)

    assert found(desk, chain) == {("TOK-02", "supply"), ("TOK-07", newest(chain))}


def test_run__supply_after_the_token_ended__is_tok_02(desk: Desk) -> None:
    chain = ledger.live(desk, 600, 400)
    chain.tokenization.state = TokenizationState.BURNED

    assert found(desk, chain) == {("TOK-02", "supply")}


def test_run__token_that_ended__obeys_no_order_and_keeps_its_supply_watched(desk: Desk) -> None:
    chain = ledger.live(desk, 600, 400)
    first, second = (who.wallet.address for who in chain.holders)
    chain.freeze(first)
    court.in_force(desk, court.on_wallet(desk, first))
    chain.freeze(first, frozen=False)
    court.apply(desk, court.on_wallet(desk, second))
    assert {rule for rule, _ in found(desk, chain)} == {"ORD-01", "TOK-07"}
    [forgotten] = [item for item in run(desk, chain) if item.rule == "ORD-01"]

    chain.tokenization.state = TokenizationState.BURNED
    assert {rule for rule, _ in found(desk, chain)} == {"TOK-02", "TOK-07"}
    reconciliation.investigate_break(desk.session, OPERATIONS, forgotten.id)
    reconciliation.propose_fix(
        desk.session, OPERATIONS, forgotten.id, explanation="It was burned.", reference="R-1"
    )
    reconciliation.approve_fix(desk.session, COMPLIANCE, forgotten.id)
    assert forgotten.state == BreakState.RESOLVED


def test_run__half_of_a_redemption_burned__is_within_tok_02(desk: Desk) -> None:
    chain = ledger.live(desk, 600, 400)
    chain.burn(chain.holders[0].wallet.address, 600)
    chain.tokenization.state = TokenizationState.REDEEMING

    assert {rule for rule, _ in found(desk, chain)} == {"TOK-07"}


def test_run__holder_without_an_identity__is_tok_03(desk: Desk) -> None:
    chain = ledger.live(desk, 600, 400)
    stranger = secrets.token_bytes(20)
    chain.move(chain.holders[0].wallet.address, stranger, 100)

    assert found(desk, chain) == {("TOK-03", f"0x{stranger.hex()}")}


def test_run__more_minted_than_instructed__is_tok_07(desk: Desk) -> None:
    chain = ledger.live(desk, 600)
    chain.tokenization.declared_fractions = 700
    chain.mint(chain.holders[0].wallet.address, 100, instructed=99)

    assert found(desk, chain) == {("TOK-07", newest(chain))}


def test_run__one_instruction_minted_twice__is_tok_07(desk: Desk) -> None:
    chain = ledger.live(desk, 600)
    chain.tokenization.declared_fractions = 800
    where = chain.holders[0].wallet.address
    tx_hash = chain.instruct(OperationKind.MINT, 100)
    mint = {"kind": EventKind.TRANSFER, "target": where, "units": 100, "tx_hash": tx_hash}
    chain.mine(mint)
    chain.mine(mint)

    assert found(desk, chain) == {("TOK-07", newest(chain))}


def test_run__mint_instructed_for_another_token__is_tok_07(desk: Desk) -> None:
    chain, other = ledger.live(desk, 600), ledger.live(desk, 500)
    chain.tokenization.declared_fractions = 700
    tx_hash = other.instruct(OperationKind.MINT, 100)
    where = chain.holders[0].wallet.address
    chain.mine({"kind": EventKind.TRANSFER, "target": where, "units": 100, "tx_hash": tx_hash})

    assert found(desk, chain) == {("TOK-07", newest(chain))}
    assert found(desk, other) == set()


def test_run__address_frozen_without_an_order__is_ord_01(desk: Desk) -> None:
    chain = ledger.live(desk, 600, 400)
    holder = chain.holders[0]
    chain.freeze(holder.wallet.address)
    assert found(desk, chain) == {("ORD-01", hexed(holder)), ("TOK-07", newest(chain))}

    court.apply(desk, court.on_wallet(desk, holder.wallet.address))
    assert {rule for rule, _ in found(desk, chain)} == {"TOK-07"}, "an order wants it frozen"


def test_run__order_in_force_that_the_chain_forgets__is_ord_01(desk: Desk) -> None:
    chain = ledger.live(desk, 600, 400)
    holder = chain.holders[0]
    chain.freeze(holder.wallet.address)
    order = court.in_force(desk, court.on_wallet(desk, holder.wallet.address))
    chain.freeze(holder.wallet.address, frozen=False)

    by_rule = {subject for rule, subject in found(desk, chain) if rule == "ORD-01"}
    assert by_rule == {f"order:{order.id}"}


def test_run__more_fractions_frozen_than_ordered__is_ord_01(desk: Desk) -> None:
    chain = ledger.live(desk, 600, 400)
    court.apply(desk, court.on_amount(desk, chain, 100))
    chain.freeze_units(chain.holders[0].wallet.address, 101)

    by_rule = {subject for rule, subject in found(desk, chain) if rule == "ORD-01"}
    assert by_rule == {f"{hexed(chain.holders[0])}:units"}


def test_run__token_unpaused_under_an_order_on_its_asset__is_ord_01(desk: Desk) -> None:
    chain = ledger.live(desk, 600, 400)
    order = court.apply(desk, court.on_asset(desk, chain.wrapped.asset))
    chain.pause()
    reconciliation.confirm_order(desk.session, order.id)
    assert found(desk, chain) == set()

    chain.unpause()
    assert found(desk, chain) == {("ORD-01", f"order:{order.id}")}


def test_run__statement_that_differs__is_reg_01_for_exactly_those_holders(desk: Desk) -> None:
    chain = ledger.live(desk, 600, 300, 100)
    same, less, missing = chain.holders
    statement = file(desk, chain, 600, 299, 0)

    assert statement.differences == 2
    assert found(desk, chain) == {("REG-01", party(less)), ("REG-01", party(missing))}
    assert party(same) not in {subject for _, subject in found(desk, chain)}


def test_run__holder_only_the_register_of_record_knows__is_reg_01(desk: Desk) -> None:
    chain = ledger.live(desk, 600)
    somebody = make.buyer(desk)
    chain.holders.append(somebody)
    file(desk, chain, 600, 5)

    assert found(desk, chain) == {("REG-01", party(somebody))}


def test_run__transfer_after_the_statement__is_none_of_its_differences(desk: Desk) -> None:
    chain = ledger.live(desk, 600, 400, days_ago=2)
    file(desk, chain, 600, 400)
    # An hour ago it may still have been yesterday.
    chain.started = datetime.combine(today(), time(), tzinfo=SEAT)
    one, other = (who.wallet.address for who in chain.holders)
    chain.move(one, other, 50)

    assert run(desk, chain) == []


def test_file_statement__two_wallets_of_one_party__count_together(desk: Desk) -> None:
    chain = ledger.live(desk, 600, 400)
    who = chain.holders[0]
    second = make.proven_wallet(desk, who.actor, who.investor.id)
    chain.register(second.address)
    chain.move(who.wallet.address, second.address, 250)

    assert file(desk, chain, 600, 400).differences == 0


def _statement(*rows: int, days: int = 1) -> Callable[[Desk, Ledger], object]:
    def act(desk: Desk, chain: Ledger) -> object:
        who = chain.holders[0].investor.party_id
        return statements.file_statement(
            desk.session,
            OPERATIONS,
            chain.tokenization.id,
            as_of=today() - timedelta(days=days),
            rows=[(who, units) for units in rows],
        )

    return act


@pytest.mark.parametrize(
    ("act", "code"),
    [
        (_statement(), "statement_malformed"),
        (_statement(0), "statement_malformed"),
        (_statement(-5), "statement_malformed"),
        (_statement(300, 300), "statement_malformed"),
        (_statement(600, days=0), "statement_dated_in_future"),
        (_statement(600, days=-1), "statement_dated_in_future"),
    ],
)
def test_file_statement__malformed__is_refused(
    desk: Desk, act: Callable[[Desk, Ledger], object], code: str
) -> None:
    chain = ledger.live(desk, 600)

    assert refusal(lambda: act(desk, chain)) == (code, None)
    assert statements.list_statements(desk.session, chain.tokenization.id) == []


def test_file_statement__day_before_the_chain_or_unknown_party__is_not_found(desk: Desk) -> None:
    chain = ledger.live(desk, 600)
    with pytest.raises(NotFound):
        _statement(600, days=30)(desk, chain)
    with pytest.raises(NotFound):
        statements.file_statement(
            desk.session,
            OPERATIONS,
            chain.tokenization.id,
            as_of=today() - YESTERDAY,
            rows=[(uuid4(), 600)],
        )


def broken(desk: Desk) -> tuple[Ledger, ReconciliationBreak]:
    chain = ledger.live(desk, 600, 400)
    file(desk, chain, 600, 399)
    [item] = run(desk, chain)
    return chain, item


def test_run__again__finds_the_same_break_and_opens_no_second(desk: Desk) -> None:
    chain, item = broken(desk)
    first_seen = item.last_seen_at

    assert run(desk, chain) == [item]
    assert item.last_seen_at > first_seen


def test_database__second_open_break_of_one_difference__is_refused(desk: Desk) -> None:
    _, item = broken(desk)

    refused_by(
        desk.session,
        "uq_reconciliation_break_open",
        "INSERT INTO reconciliation_break (id, recorded_at, tokenization_id, rule, subject, detail,"
        " state, last_seen_at) SELECT gen_random_uuid(), now(), tokenization_id, rule, subject,"
        " '', 'OPEN', now() FROM reconciliation_break WHERE id = :id",
        id=item.id,
    )


def test_approve_fix__once_a_new_statement_agrees__closes_it(desk: Desk) -> None:
    chain, item = broken(desk)
    reconciliation.investigate_break(desk.session, OPERATIONS, item.id)
    reconciliation.propose_fix(
        desk.session, OPERATIONS, item.id, explanation="Credited late.", reference="CDC-17"
    )
    said = refusal(lambda: reconciliation.approve_fix(desk.session, COMPLIANCE, item.id))
    assert said == ("break_still_found", "REG-01")

    file(desk, chain, 600, 400)
    reconciliation.approve_fix(desk.session, COMPLIANCE, item.id)

    assert (item.state, item.closed_by) == (BreakState.RESOLVED, COMPLIANCE.subject)
    assert run(desk, chain) == []
    file(desk, chain, 600, 399)
    [again] = run(desk, chain)
    assert again.id != item.id, "what comes back is a break of its own"


def test_accept_loss__by_two__stays_written_off_while_it_is_the_same(desk: Desk) -> None:
    chain, item = broken(desk)
    reconciliation.investigate_break(desk.session, OPERATIONS, item.id)
    pair = ((COMPLIANCE, Role.COMPLIANCE), (CHECKER, Role.REGISTRAR_CHECKER))
    for who, role in pair:
        reconciliation.accept_loss(desk.session, who, item.id, role=role, reason="Cannot be had.")

    assert item.state == BreakState.WRITTEN_OFF
    assert run(desk, chain) == [item], "it is not opened anew at every run"
    file(desk, chain, 600, 398)
    [grown] = run(desk, chain)
    assert (grown.id != item.id, grown.state) == (True, BreakState.OPEN)


def test_break__decided_by_another_role__is_forbidden(desk: Desk) -> None:
    _, item = broken(desk)

    said = refusal(lambda: reconciliation.investigate_break(desk.session, COMPLIANCE, item.id))
    assert said == ("transition_forbidden", None)
    reconciliation.investigate_break(desk.session, OPERATIONS, item.id)
    said = refusal(
        lambda: reconciliation.propose_fix(
            desk.session, OPERATIONS, item.id, explanation=" ", reference="CDC-17"
        )
    )
    assert said == ("fix_malformed", None)
    said = refusal(
        lambda: reconciliation.accept_loss(
            desk.session, COMPLIANCE, item.id, role=Role.COMPLIANCE, reason=" "
        )
    )
    assert said == ("reason_missing", None)
    assert item.state == BreakState.INVESTIGATING
