"""What-if and dry run: holders and allotments held against rules, on paper."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from registry.compliance.dry_run import Allotment, Outcome, rehearse
from registry.compliance.facts import Claim, WalletFacts
from registry.compliance.rules import eligibility_book
from registry.compliance.terms import ComplianceTerms
from registry.compliance.what_if import Effect, HeldWallet, WhatIf, what_if
from registry.kernel.settings import ROOT

pytestmark = pytest.mark.unit

MOMENT = datetime(2026, 7, 27, 9, 0, tzinfo=UTC)
NOW = int(MOMENT.timestamp())
URDU_STOP = "\u06d4"
PK, AE = 586, 784


def address(number: int) -> bytes:
    return number.to_bytes(20, "big")


HELD = [
    HeldWallet(address(1), address(101), PK, 30),
    HeldWallet(address(2), address(101), PK, 20),
    HeldWallet(address(3), address(102), AE, 10),
    HeldWallet(address(4), None, None, 5),
]

DEFAULT = ComplianceTerms()


def held_against(proposed: ComplianceTerms, present: ComplianceTerms | None = DEFAULT) -> WhatIf:
    return what_if(HELD, present, proposed, timestamp=NOW)


def effect(found: WhatIf, name: str) -> Effect:
    return next(effect for effect in found.effects if effect.rule.name == name)


def test_what_if__same_rules__touch_only_who_is_abroad_or_unknown() -> None:
    found = held_against(ComplianceTerms())

    assert (found.holders, found.supply_units) == (3, 65)
    assert effect(found, "max_balance").cannot_receive == ()
    assert found.cannot_receive == (address(3), address(4))
    assert not found.needs_adoption


def test_what_if__limit_for_one_holder__counts_all_wallets_of_a_person() -> None:
    balances = effect(held_against(ComplianceTerms(max_units_per_holder=10)), "max_balance")

    [over] = balances.over
    assert (over.wallets, over.units, over.over_units) == ((address(1), address(2)), 50, 40)
    assert balances.over_units == 40
    # Who is exactly at the limit is not over it, and can receive nothing either.
    assert [holder.units for holder in balances.cannot_receive] == [50, 10]


@pytest.mark.parametrize(("cap", "over"), [(1, 2), (2, 1), (3, 0), (9, 0)])
def test_what_if__cap_on_holders__says_how_many_are_beyond(cap: int, over: int) -> None:
    assert held_against(ComplianceTerms(max_holders=cap)).holders_over == over


def test_what_if__module_that_counts__needs_adoption_only_where_it_is_new() -> None:
    capped = ComplianceTerms(max_holders=9)

    assert held_against(capped).needs_adoption
    assert held_against(capped, None).needs_adoption
    assert not held_against(ComplianceTerms(max_holders=8), capped).needs_adoption
    assert held_against(ComplianceTerms(max_units_per_holder=8), capped).needs_adoption
    assert not what_if([], None, capped, timestamp=NOW).needs_adoption


def test_what_if__window__is_looked_at_in_the_time_of_the_block() -> None:
    assert held_against(ComplianceTerms(opens_at=MOMENT)).is_open_now
    later = MOMENT + timedelta(seconds=1)
    assert not held_against(ComplianceTerms(opens_at=later)).is_open_now


def person(number: int, country: int = PK, *, identity: int | None = None) -> WalletFacts:
    return WalletFacts(
        address=address(number),
        identity=address(identity or number + 100),
        country=country,
        kyc_until=MOMENT + timedelta(days=1),
        claim=Claim(NOW, NOW + 1000, 0),
    )


def refusals(outcomes: list[Outcome]) -> list[list[str]]:
    return [[answer.rule.name for answer in outcome.refusals] for outcome in outcomes]


def test_rehearse__allotments_in_order__later_ones_feel_the_earlier() -> None:
    terms = ComplianceTerms(max_units_per_holder=50, max_holders=2)
    plan = [
        Allotment(person(1), 50),
        Allotment(person(2, identity=101), 1),
        Allotment(person(3, AE), 1),
        Allotment(person(4), 40),
        Allotment(person(5), 10),
        Allotment(person(4), 11),
    ]

    found = rehearse(plan, terms, 90, MOMENT)

    assert refusals(found) == [
        [],
        ["max_balance"],
        ["country_allowed"],
        [],
        ["supply_cap", "holder_cap"],
        ["supply_cap", "max_balance"],
    ]


def test_rehearse__wallet_that_nobody_proved__lacks_everything_of_a_person() -> None:
    stranger = WalletFacts(address=address(9))

    [names] = refusals(rehearse([Allotment(stranger, 1)], ComplianceTerms(), 10, MOMENT))

    assert names == ["kyc", "identity_registered", "claim_in_force", "country_allowed"]


def test_rehearse__kyc_that_has_run_out__is_refused() -> None:
    late = MOMENT + timedelta(days=1)

    [names] = refusals(rehearse([Allotment(person(1), 1)], ComplianceTerms(), 10, late))

    assert names == ["kyc", "claim_in_force"]


def test_eligibility_book__every_rule__is_documented_in_both_languages() -> None:
    documented = (ROOT / "docs" / "reference" / "compliance.md").read_text("utf-8")

    assert [rule.id for rule in eligibility_book().values()] == [
        f"ELG-{number:02}" for number in range(1, 15)
    ]
    for rule in eligibility_book().values():
        assert f"| {rule.id} | `{rule.name}` | {rule.kept_by.value} |" in documented
        for text in (rule.passed, rule.failed, rule.remedy):
            assert text.endswith(".")
        for text in (rule.passed_ur, rule.failed_ur):
            assert text.endswith(URDU_STOP)
