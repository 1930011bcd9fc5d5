"""Each rule has facts that break exactly it, and facts on either side of its limit."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from fractions import Fraction

import pytest

from registry.rulebook.checks import CHECKS
from registry.rulebook.facts import Facts, Finding, LiveEncumbrance, TokenTerms
from registry.rulebook.service import (
    Moment,
    RuleResult,
    RulesRefused,
    evaluate,
    failures,
    require,
    rule_book,
)

pytestmark = pytest.mark.unit

TODAY = date(2026, 7, 15)
SOUND = Facts(
    today=TODAY,
    rival_keys=(),
    kul_hissay=8,
    hissa=(1, 2, 5),
    title_proof=frozenset({"REGISTERED_SALE_DEED", "COURT_DECREE"}),
    verified_kinds=frozenset({"REGISTERED_SALE_DEED", "NEC"}),
    wrapper_fraction=Fraction(1),
    encumbrances=(),
    value_paisa=1000,
    valued_on=TODAY,
    valuation_max_age_days=30,
    price_max_age_days=1,
    max_secured_fraction=Fraction(1, 2),
    insured_paisa=1000,
    expires_on=TODAY,
    right_ends_on=TODAY,
    rival_tokenizations=0,
    terms=TokenTerms(fractions=10, price_paisa=10, economic_share=Fraction(1), maturity=TODAY),
)


def lien(effect: str = "DISCLOSE", secured_paisa: int = 0) -> LiveEncumbrance:
    return LiveEncumbrance("MORTGAGE", effect, secured_paisa)


def maturing(on: date | None) -> TokenTerms:
    return TokenTerms(fractions=1, price_paisa=1, economic_share=Fraction(1), maturity=on)


def terms(fractions: int, price_paisa: int, share: Fraction = Fraction(1)) -> TokenTerms:
    return TokenTerms(fractions, price_paisa, share)


LEASED = replace(SOUND, expires_on=None)

# rule: facts that break it, the nearest facts that keep it
LIMITS: list[tuple[str, Facts, Facts]] = [
    ("KEY-01", replace(SOUND, rival_keys=("APT|X|1|2",)), SOUND),
    ("SHR-01", replace(SOUND, hissa=(1, 2, 4)), SOUND),
    ("SHR-01", replace(SOUND, hissa=(1, 2, 6)), SOUND),
    ("SHR-01", replace(SOUND, hissa=(9, -1)), replace(SOUND, hissa=(7, 1))),
    ("SHR-01", replace(SOUND, hissa=(8, 0)), replace(SOUND, hissa=(8,))),
    (
        "TTL-05",
        replace(SOUND, verified_kinds=frozenset({"ALLOTMENT_LETTER", "MUTATION", "NEC"})),
        replace(SOUND, verified_kinds=frozenset({"COURT_DECREE"})),
    ),
    ("TTL-05", replace(SOUND, verified_kinds=frozenset()), SOUND),
    ("WRP-01", replace(SOUND, wrapper_fraction=None), SOUND),
    ("WRP-01", replace(SOUND, wrapper_fraction=Fraction(10**18 - 1, 10**18)), SOUND),
    (
        "WRP-01",
        replace(
            SOUND,
            wrapper_fraction=Fraction(1, 3) - Fraction(1, 10**18),
            terms=terms(1, 1, Fraction(1, 3)),
        ),
        replace(SOUND, wrapper_fraction=Fraction(1, 3), terms=terms(1, 1, Fraction(1, 3))),
    ),
    (
        "WRP-01",
        replace(SOUND, wrapper_fraction=Fraction(1, 3), terms=None),
        replace(SOUND, terms=None),
    ),
    (
        "ENC-01",
        replace(SOUND, encumbrances=(lien("BLOCK_TOKENIZE"),)),
        replace(SOUND, encumbrances=(lien(),)),
    ),
    (
        "ENC-01",
        replace(SOUND, encumbrances=(lien(), lien("BLOCK_TRANSFER"))),
        replace(SOUND, encumbrances=(lien(), lien())),
    ),
    (
        "ENC-02",
        replace(SOUND, encumbrances=(lien("BLOCK_ALL"),)),
        replace(SOUND, encumbrances=(lien(),)),
    ),
    (
        "ENC-04",
        replace(SOUND, encumbrances=(lien(secured_paisa=501),)),
        replace(SOUND, encumbrances=(lien(secured_paisa=500),)),
    ),
    (
        "ENC-04",
        replace(SOUND, encumbrances=(lien(secured_paisa=250), lien(secured_paisa=251))),
        replace(SOUND, encumbrances=(lien(secured_paisa=250), lien(secured_paisa=250))),
    ),
    ("VAL-01", replace(SOUND, valued_on=None, value_paisa=None), SOUND),
    (
        "VAL-01",
        replace(SOUND, valued_on=TODAY - timedelta(days=31)),
        replace(SOUND, valued_on=TODAY - timedelta(days=30)),
    ),
    (
        "VAL-02",
        replace(SOUND, valued_on=TODAY - timedelta(days=2)),
        replace(SOUND, valued_on=TODAY - timedelta(days=1)),
    ),
    ("EWR-02", replace(SOUND, insured_paisa=999), SOUND),
    (
        # a receipt that ran out is one fault, not two
        "EWR-03",
        replace(
            SOUND,
            expires_on=TODAY - timedelta(days=1),
            right_ends_on=TODAY - timedelta(days=1),
            terms=None,
        ),
        replace(SOUND, terms=None),
    ),
    ("TOK-01", replace(SOUND, rival_tokenizations=1), SOUND),
    (
        "TOK-06",
        replace(LEASED, terms=maturing(TODAY + timedelta(days=1))),
        replace(LEASED, terms=maturing(TODAY)),
    ),
    (
        # no token can outlive what has ended, whatever it says of itself
        "TOK-06",
        replace(LEASED, right_ends_on=TODAY - timedelta(days=1), terms=None),
        replace(LEASED, right_ends_on=TODAY, terms=None),
    ),
    ("TOK-06", replace(SOUND, terms=maturing(date.max)), replace(SOUND, terms=maturing(None))),
    (
        "TOK-06",
        replace(SOUND, terms=maturing(date.max)),
        replace(SOUND, terms=maturing(date.max), expires_on=None, right_ends_on=None),
    ),
    (
        "TOK-04",
        replace(SOUND, terms=terms(7, 143)),
        replace(SOUND, terms=terms(8, 125)),
    ),
    (
        # a third of 1000 is no whole number of paisa
        "TOK-04",
        replace(SOUND, terms=terms(334, 1, Fraction(1, 3))),
        replace(SOUND, terms=terms(333, 1, Fraction(1, 3))),
    ),
    (
        "TOK-04",
        replace(SOUND, encumbrances=(lien(secured_paisa=400),), terms=terms(601, 1)),
        replace(SOUND, encumbrances=(lien(secured_paisa=400),), terms=terms(600, 1)),
    ),
]


def fired(moment: Moment, facts: Facts) -> set[str]:
    return {result.id for result in evaluate(moment, facts) if not result.passed}


def asked(moment: Moment) -> set[str]:
    return {rule.id for rule in rule_book().values() if moment in rule.moments}


def test_rule_book__checks__are_of_rules_that_are_asked() -> None:
    assert set(CHECKS) <= {rule.id for rule in rule_book().values() if rule.moments}


def test_rule_book__every_rule__speaks_two_languages_and_knows_a_remedy() -> None:
    for rule in rule_book().values():
        assert set(rule.moments.values()) <= {"CRITICAL", "MEDIUM", "WARNING"}
        assert rule.moments or set(rule.kept_by)
        assert set(rule.kept_by) <= {"database", "service", "chain", "reconciliation"}
        assert rule.message.endswith(".")
        assert rule.message_ur.endswith("\u06d4")  # the Urdu full stop
        assert rule.remedy.endswith(".")


def test_limits__every_rule__has_a_violation() -> None:
    assert {rule for rule, _, _ in LIMITS} == set(CHECKS)


@pytest.mark.parametrize("moment", Moment)
def test_evaluate__sound_facts__fires_nothing(moment: Moment) -> None:
    assert fired(moment, SOUND) == set()
    require(moment, SOUND)


@pytest.mark.parametrize(("rule", "beyond", "within"), LIMITS)
def test_evaluate__one_rule_broken__fires_exactly_it(
    rule: str, beyond: Facts, within: Facts
) -> None:
    # every rule of tokenization is asked at the opening of a sale again, and some only there
    moment = Moment.TOKENIZATION if rule in asked(Moment.TOKENIZATION) else Moment.OFFERING

    assert fired(moment, beyond) == {rule}
    assert fired(moment, within) == set()


@pytest.mark.parametrize("moment", Moment)
def test_evaluate__everything_broken__fires_the_rules_of_the_moment(moment: Moment) -> None:
    broken = replace(
        SOUND,
        rival_keys=("APT|X|1|2",),
        hissa=(),
        verified_kinds=frozenset(),
        wrapper_fraction=None,
        encumbrances=(lien("BLOCK_TOKENIZE", 2000), lien("BLOCK_ALL")),
        valued_on=TODAY - timedelta(days=31),
        insured_paisa=0,
        expires_on=TODAY - timedelta(days=1),
        terms=maturing(TODAY + timedelta(days=1)),
        rival_tokenizations=1,
        findings={rule: Finding("It is wrong.") for rule in rule_book().keys() - CHECKS.keys()},
    )

    results = evaluate(moment, broken)

    assert {result.id for result in results} == asked(moment)
    assert all(result.detail for result in results)
    # the debt is above the value: no amount below zero is shown to anyone
    assert not any("-" in (result.detail or "") for result in results if result.id == "TOK-04")


def test_rule_book__opening_of_a_sale__asks_what_tokenization_asks() -> None:
    assert asked(Moment.TOKENIZATION) < asked(Moment.OFFERING)


def test_evaluate__price_that_does_not_move_daily__may_be_older_than_a_day() -> None:
    land = replace(SOUND, price_max_age_days=None, valued_on=TODAY - timedelta(days=30))

    assert fired(Moment.OFFERING, land) == set()


def test_evaluate__debt_against_the_cap_of_the_country__decides() -> None:
    strict = replace(
        SOUND,
        max_secured_fraction=Fraction(1, 4),
        encumbrances=(lien(secured_paisa=251),),
        terms=None,
    )

    assert fired(Moment.TOKENIZATION, strict) == {"ENC-04"}
    assert fired(Moment.TOKENIZATION, replace(strict, encumbrances=(lien(secured_paisa=250),))) == (
        set()
    )


def test_evaluate__finding_less_grave_than_its_rule__is_as_grave_as_found() -> None:
    near = replace(SOUND, findings={"PAR-01": Finding("0.4 % off.", severity="MEDIUM")})

    results = [result for result in evaluate(Moment.SUBMISSION, near) if not result.passed]

    assert [(result.id, result.severity) for result in results] == [("PAR-01", "MEDIUM")]
    assert failures(results) == []


def test_evaluate__not_valued__insurance_and_debt_wait_for_the_value() -> None:
    unvalued = replace(
        SOUND,
        value_paisa=None,
        valued_on=None,
        insured_paisa=0,
        encumbrances=(lien(secured_paisa=10**12),),
    )

    assert fired(Moment.TOKENIZATION, unvalued) == {"VAL-01"}


def test_evaluate__class_without_receipt__asks_no_insurance_or_expiry() -> None:
    assert fired(Moment.TOKENIZATION, replace(SOUND, insured_paisa=None, expires_on=None)) == set()


def test_failures__warning_that_failed__does_not_block() -> None:
    failed = [
        RuleResult(rule_book()["KEY-01"], severity, passed, None)
        for severity in ("CRITICAL", "MEDIUM", "WARNING")
        for passed in (True, False)
    ]

    assert [(item.severity, item.passed) for item in failures(failed)] == [("CRITICAL", False)]


def test_require__two_rules_broken__names_both_in_the_order_of_the_book() -> None:
    broken = replace(SOUND, rival_tokenizations=1, wrapper_fraction=None)

    with pytest.raises(RulesRefused) as refusal:
        require(Moment.TOKENIZATION, broken)

    assert [result.id for result in refusal.value.failed] == ["WRP-01", "TOK-01"]
    assert refusal.value.code == "rules_refused"
    assert "WRP-01, TOK-01" in refusal.value.detail
