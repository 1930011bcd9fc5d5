"""The rules themselves: pure functions from facts to the reason of a failure, or None.

What each rule is called, how grave it is, when it runs and what it says to people is data, in
`rules.json`. A rule that is asked and does not stand here is found by the context that knows
(`Facts.findings`); a test has facts that break each of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction

from registry.kernel.money import Money, lakh_grouped
from registry.rulebook.facts import Facts

Check = Callable[[Facts], str | None]


def _key_is_free(facts: Facts) -> str | None:
    return f"Claimed elsewhere: {', '.join(facts.rival_keys)}." if facts.rival_keys else None


def _shares_make_the_whole(facts: Facts) -> str | None:
    total = sum(facts.hissa)
    if total == facts.kul_hissay and all(part > 0 for part in facts.hissa):
        return None
    return f"{total} of {facts.kul_hissay} parts have an owner."


def _title_is_proven(facts: Facts) -> str | None:
    if facts.title_proof & facts.verified_kinds:
        return None
    return f"Not verified: {' or '.join(sorted(facts.title_proof))}."


def _wrapper_holds_the_title(facts: Facts) -> str | None:
    if facts.wrapper_fraction is None:
        return "No wrapper is named."
    needed = facts.terms.economic_share if facts.terms else Fraction(1)
    if facts.wrapper_fraction >= needed:
        return None
    return f"The wrapper holds {facts.wrapper_fraction} of the title, {needed} is needed."


def _nothing_forbids_tokenizing(facts: Facts) -> str | None:
    stops = {"BLOCK_TOKENIZE", "BLOCK_TRANSFER"}
    blocking = [item.kind for item in facts.encumbrances if item.effect in stops]
    return f"In force: {', '.join(blocking)}." if blocking else None


def _no_order_stops_everything(facts: Facts) -> str | None:
    blocking = [item.kind for item in facts.encumbrances if item.effect == "BLOCK_ALL"]
    return f"In force: {', '.join(blocking)}." if blocking else None


def _debt_is_capped(facts: Facts) -> str | None:
    if facts.value_paisa is None or facts.secured_paisa == 0:
        return None
    share = Fraction(facts.secured_paisa, facts.value_paisa)
    if share <= facts.max_secured_fraction:
        return None
    return (
        f"{lakh_grouped(Money(facts.secured_paisa))} are secured on a value of "
        f"{lakh_grouped(Money(facts.value_paisa))}."
    )


def _value_is_fresh(facts: Facts) -> str | None:
    if facts.valued_on is None:
        return "No valuation is accepted."
    age_days = (facts.today - facts.valued_on).days
    if age_days <= facts.valuation_max_age_days:
        return None
    return f"It is {age_days} days old; {facts.valuation_max_age_days} are allowed."


def _price_is_of_today(facts: Facts) -> str | None:
    if facts.price_max_age_days is None or facts.valued_on is None:
        return None
    age_days = (facts.today - facts.valued_on).days
    if age_days <= facts.price_max_age_days:
        return None
    return f"The price is {age_days} days old; {facts.price_max_age_days} are allowed."


def _goods_are_insured(facts: Facts) -> str | None:
    if facts.insured_paisa is None or facts.value_paisa is None:
        return None
    if facts.insured_paisa >= facts.value_paisa:
        return None
    return (
        f"Insured for {lakh_grouped(Money(facts.insured_paisa))}, worth "
        f"{lakh_grouped(Money(facts.value_paisa))}."
    )


def _receipt_is_good(facts: Facts) -> str | None:
    if facts.expires_on is None or facts.expires_on >= facts.today:
        return None
    return f"It expired on {facts.expires_on}."


def _right_outlives_the_token(facts: Facts) -> str | None:
    ends = facts.right_ends_on
    if ends is None:
        return None
    if ends < facts.today and ends != facts.expires_on:
        # Of a receipt that ran out EWR-03 speaks already.
        return f"The right behind the token ended on {ends}."
    maturity = facts.terms.maturity if facts.terms else None
    if maturity is None or maturity <= ends:
        return None
    return f"The token matures on {maturity}, the right behind it ends on {ends}."


def _one_thing_one_token(facts: Facts) -> str | None:
    if facts.rival_tokenizations == 0:
        return None
    return f"Alive besides this one: {facts.rival_tokenizations}."


def _fractions_are_backed(facts: Facts) -> str | None:
    if facts.terms is None or facts.value_paisa is None:
        return None
    issued = facts.terms.fractions * facts.terms.price_paisa
    backing = max(facts.value_paisa - facts.secured_paisa, 0) * facts.terms.economic_share
    if issued <= backing:
        return None
    return f"{lakh_grouped(Money(issued))} would be issued on {lakh_grouped(Money(int(backing)))}."


CHECKS: Mapping[str, Check] = {
    "KEY-01": _key_is_free,
    "SHR-01": _shares_make_the_whole,
    "TTL-05": _title_is_proven,
    "WRP-01": _wrapper_holds_the_title,
    "ENC-01": _nothing_forbids_tokenizing,
    "ENC-02": _no_order_stops_everything,
    "ENC-04": _debt_is_capped,
    "VAL-01": _value_is_fresh,
    "VAL-02": _price_is_of_today,
    "EWR-02": _goods_are_insured,
    "EWR-03": _receipt_is_good,
    "TOK-01": _one_thing_one_token,
    "TOK-04": _fractions_are_backed,
    "TOK-06": _right_outlives_the_token,
}
