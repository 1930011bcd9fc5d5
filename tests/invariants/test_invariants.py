"""Every rule of the register has a fixture that breaks it, and exactly it fires."""

from __future__ import annotations

import pytest

from registry.rulebook.service import rule_book
from tests.factories import Desk
from tests.invariants import mutations, rights, things, tokens
from tests.invariants.fired import CASES, Act, fired

pytestmark = pytest.mark.db

MODULES = (mutations, rights, things, tokens)
NAMED = [
    pytest.param(rule, act, id=f"{rule}-{name}")
    for rule, acts in CASES.items()
    for name, act in acts.items()
]


def test_invariants__every_rule__has_a_violation() -> None:
    assert CASES.keys() == rule_book().keys(), MODULES


@pytest.mark.parametrize(("rule", "act"), NAMED)
def test_invariants__one_rule_broken__fires_exactly_it(desk: Desk, rule: str, act: Act) -> None:
    assert fired(desk, act) == {rule}
