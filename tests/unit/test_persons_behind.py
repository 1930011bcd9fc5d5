"""Which person is behind a principal."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.api_key.secret import NewSecret, hash_of, prefix_of
from registry.kernel.actor import Actor, Role, person_of, system_subject

pytestmark = pytest.mark.unit

PEOPLE = st.text(min_size=1).filter(lambda text: not text.startswith("key:"))


@given(name=st.from_regex(r"[a-z0-9][a-z0-9-]{0,62}", fullmatch=True), person=PEOPLE)
def test_person_of__system__is_who_made_its_key(name: str, person: str) -> None:
    assert person_of(system_subject(name, person)) == person
    assert person_of(person) == person


def test_is_person_of__system_and_its_maker__are_one_person() -> None:
    maker = Actor("REG-7", frozenset({Role.REGISTRAR_CHECKER}))
    desk = Actor("key:desk@REG-7", frozenset({Role.REGISTRAR_MAKER}))
    other = Actor("key:desk@REG-8", frozenset({Role.REGISTRAR_MAKER}))

    assert maker.is_person_of("REG-9", desk.subject)
    assert desk.is_person_of(maker.subject)
    assert desk.is_person_of("key:scanner@REG-7")
    assert not desk.is_person_of(other.subject, "REG-8", "desk", None)
    assert not maker.is_person_of()
    assert (desk.is_system, maker.is_system) == (True, False)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "mk_",
        "mk_0123456789ab",
        "mk_0123456789ab_",
        "mk_0123456789ab_" + "x" * 42,
        "mk_0123456789ab_" + "x" * 44,
        "mk_0123456789AB_" + "x" * 43,
        "mk_0123456789ab_" + "x" * 42 + "\n",
        "sk_0123456789ab_" + "x" * 43,
    ],
)
def test_prefix_of__no_key__is_none(text: str) -> None:
    assert prefix_of(text) is None


def test_secret__made_anew__differs_and_is_found_by_its_prefix() -> None:
    made = [NewSecret.make() for _ in range(50)]

    assert all(prefix_of(secret.text) == secret.prefix for secret in made)
    assert len({hash_of(secret.text) for secret in made}) == len({s.prefix for s in made}) == 50
