"""KEY-02: the place in a natural key is that of the location, as far as the key names it."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from registry.asset.key_place import check_key_place, place_fault
from registry.jurisdiction.interface import Subject
from registry.jurisdiction.pakistan import PAKISTAN
from registry.jurisdiction.plain import PLAIN
from registry.kernel.errors import Invalid

pytestmark = pytest.mark.unit

LAHORE = {"province": "PK-PB", "district": "Lahore", "place": "Gulberg III"}
CLIFTON = {"province": "PK-SD", "district": "Karachi South", "place": "Clifton"}
CAPITAL = {"province": "PK-IS", "district": "Islamabad"}

SOUND = [
    (Subject.APARTMENT, "APT|PK-PB|LAHORE|GULBERG-III|TOWER|7", LAHORE),
    (Subject.APARTMENT, "APT|LDA|AVENUE-I|TOWER|7", LAHORE),
    (Subject.APARTMENT, "APT|SOME-SOCIETY|TOWER|7", LAHORE),
    (Subject.PREMISES, "UNIT|PK-SD|KARACHI|CLIFTON|OFFICE-18", CLIFTON),
    (Subject.PREMISES, "UNIT|CDA|BLUE-AREA|PLAZA|5", CAPITAL),
    (Subject.PLOT, "PLT|DHA|PHASE-6|BLOCK-Z|1", LAHORE),
    (Subject.PLOT, "PLT|DHA|PHASE-6|BLOCK-Z|1", CLIFTON),
    (Subject.INDUSTRIAL_SITE, "PLT|GWADAR-FZ|NORTH|D-7", {"province": "PK-BA"}),
]
ELSEWHERE = {
    "province": (Subject.APARTMENT, "APT|PK-SD|LAHORE|GULBERG-III|TOWER|7", LAHORE),
    "no province": (Subject.APARTMENT, "APT|PK-ZZ|LAHORE|GULBERG-III|TOWER|7", LAHORE),
    "country": (Subject.APARTMENT, "APT|AE-DU|LAHORE|GULBERG-III|TOWER|7", LAHORE),
    "district": (Subject.APARTMENT, "APT|PK-PB|MULTAN|GULBERG-III|TOWER|7", LAHORE),
    "district of the city": (Subject.PREMISES, "UNIT|PK-SD|KARACHI-SOUTH|A|B", CLIFTON),
    "authority": (Subject.PREMISES, "UNIT|CDA|BLUE-AREA|PLAZA|5", LAHORE),
    "zone": (Subject.INDUSTRIAL_SITE, "PLT|GWADAR-FZ|NORTH|D-7", CLIFTON),
    "plot": (Subject.PLOT, "PLT|PK-SD|LAHORE|BLOCK-Z|1", LAHORE),
}


@pytest.mark.parametrize(("subject", "key", "location"), SOUND)
def test_key__of_the_place__passes(subject: Subject, key: str, location: Mapping[str, str]) -> None:
    form = PAKISTAN.key_forms[subject]

    assert form.pattern.fullmatch(key)
    check_key_place(PAKISTAN, form, [key], location)


@pytest.mark.parametrize(("subject", "key", "location"), ELSEWHERE.values(), ids=ELSEWHERE)
def test_key__of_another_place__is_refused_where_it_stands(
    subject: Subject, key: str, location: Mapping[str, str]
) -> None:
    form = PAKISTAN.key_forms[subject]
    # the form alone lets it through
    assert form.pattern.fullmatch(key)
    with pytest.raises(Invalid) as refusal:
        check_key_place(PAKISTAN, form, [key], location)

    said = refusal.value
    assert (said.code, said.rule) == ("underlying_key_elsewhere", "KEY-02")
    assert said.field == "/underlying_keys/0"
    assert said.remedy is not None


def test_key__that_names_a_district__needs_one_in_the_location() -> None:
    form, key = PAKISTAN.key_forms[Subject.APARTMENT], "APT|PK-PB|LAHORE|GULBERG-III|TOWER|7"

    with pytest.raises(Invalid) as refusal:
        check_key_place(PAKISTAN, form, [key], {"province": "PK-PB"})

    assert (refusal.value.code, refusal.value.field) == (
        "location_incomplete",
        "/location/district",
    )
    # A run of the rules on what was recorded before finds it, and does not fall over.
    assert place_fault(PAKISTAN, form, key, {"province": "PK-PB"}) is not None


def test_farmland__of_a_district_in_a_city__is_keyed_by_its_revenue_district() -> None:
    form = PAKISTAN.key_forms[Subject.FARMLAND]
    malir = {"province": "PK-SD", "district": "Malir", "tehsil": "Gadap", "hadbast_no": "7"}

    assert place_fault(PAKISTAN, form, "KHASRA|PK-SD|MALIR|GADAP|7|12", malir) is None
    assert place_fault(PAKISTAN, form, "KHASRA|PK-SD|KARACHI|GADAP|7|12", malir) is not None


def test_plain__parcel_of_another_region__is_refused() -> None:
    form = PLAIN.key_forms[Subject.APARTMENT]

    assert place_fault(PLAIN, form, "PARCEL|DE-BY|12|3", {"region": "DE-BY"}) is None
    assert place_fault(PLAIN, form, "PARCEL|DE-BE|12|3", {"region": "DE-BY"}) is not None
