"""Plants, mining sites and fleets: figures that follow from each other, and their limits."""

from __future__ import annotations

from datetime import date
from fractions import Fraction
from typing import Any

import pytest

from registry.asset.classes import check_details, class_of
from registry.asset.interface import ClassDetails
from registry.asset.mining_site import MiningSiteDetails
from registry.asset.models import AssetClass
from registry.kernel.errors import Invalid
from tests.dossiers import sample

pytestmark = pytest.mark.unit

PLANT, SITE = AssetClass.ENERGY_GENERATION, AssetClass.ENERGY_MINING_SITE
FLEET = AssetClass.ENERGY_MINING_FLEET


def read(asset_class: AssetClass, **changes: Any) -> ClassDetails:
    return check_details(class_of(asset_class), {**sample(asset_class).details, **changes})


def machine(serial: str, ths: str = "200", j_per_th: str = "17.5") -> dict[str, str]:
    return {"model": "S21", "serial": serial, "ths": ths, "j_per_th": j_per_th}


def test_mining_site__load__is_the_sum_of_its_machines() -> None:
    details = read(SITE)

    assert isinstance(details, MiningSiteDetails)
    assert details.load().it_load_mw == Fraction("20.125")
    assert details.load().facility_mw == Fraction("21.3325")
    assert details.load().hashrate_ths == 1_150_000


@pytest.mark.parametrize(
    ("changes", "rules"),
    [
        ({}, set()),
        ({"contracted_mw": "21.3325"}, set()),
        ({"contracted_mw": "21.332499"}, {"NRG-01"}),
        ({"hashrate_phs": "1207.5"}, set()),
        ({"hashrate_phs": "1207.500001"}, {"NRG-03"}),
        ({"hashrate_phs": "1"}, set()),
    ],
)
def test_mining_site__limits__fire_exactly_their_rules(
    changes: dict[str, Any], rules: set[str]
) -> None:
    assert set(read(SITE, **changes).findings()) == rules


TWO_MACHINES = {
    "units": 2,
    "hashrate_phs": "0.4",
    "it_load_mw": "0.007",
    "facility_mw": "0.00742",
}


@pytest.mark.parametrize(
    ("serials", "rules"), [(["A", "B"], set()), (["A", "A"], {"NRG-02"}), ([], set())]
)
def test_mining_site__serial_numbers__stand_once(serials: list[str], rules: set[str]) -> None:
    assert set(read(SITE, **TWO_MACHINES, serials=serials).findings()) == rules


@pytest.mark.parametrize(
    "changes",
    [
        {"it_load_mw": "20.126"},
        {"facility_mw": "21.3326"},
        {"units": 5751},
        {"units": 0},
        {"pue": "0.99"},
        {"pue": "1.07"},
        {"uptime_pct_guaranteed": "100.1"},
        {"holder_revenue_share": [6, 5]},
        {"holder_revenue_share": [0, 5]},
        {"source": "HAMSTERS"},
        {"serials_file_sha256": "00"},
        {"serials_file_sha256": "G" * 64},
        {"serials": ["A"]},
        {"ppa_ends": "soon"},
    ],
)
def test_mining_site__malformed__is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(Invalid, match="details_invalid"):
        read(SITE, **changes)


@pytest.mark.parametrize(
    ("changes", "rules"),
    [
        ({}, set()),
        ({"contracted_mw": "0.007419"}, {"NRG-01"}),
        ({"machines": [machine("A"), machine("A")]}, {"NRG-02"}),
        ({"reported_phs": "0.42"}, set()),
        ({"reported_phs": "0.420001"}, {"NRG-03"}),
        ({"reported_phs": None}, set()),
        ({"machines": []}, {"TTL-02"}),
        (
            {"machines": [machine("A"), machine("A", ths="300")], "reported_phs": "0.6"},
            {"NRG-01", "NRG-02", "NRG-03"},
        ),
    ],
)
def test_mining_fleet__limits__fire_exactly_their_rules(
    changes: dict[str, Any], rules: set[str]
) -> None:
    assert set(read(FLEET, **changes).findings()) == rules


def test_mining_fleet__machines__name_its_keys() -> None:
    details = read(FLEET, hosting_ends="2031-12-31")

    assert details.key_endings() == ("|DEMO-1-1", "|DEMO-1-2")
    assert details.right_ends_on() == date(2031, 12, 31)


@pytest.mark.parametrize(
    "changes",
    [
        {"machines": [machine("a")]},
        {"machines": [machine("A", ths="0")]},
        {"machines": [machine("A") | {"colour": "red"}]},
        {"holder_revenue_share": [2, 1]},
        {"host": ""},
    ],
)
def test_mining_fleet__malformed__is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(Invalid, match="details_invalid"):
        read(FLEET, **changes)


def test_plant__contract__ends_the_right() -> None:
    details = read(PLANT, ppa_ends="2045-12-31")

    assert details.right_ends_on() == date(2045, 12, 31)
    assert details.findings() == {}


@pytest.mark.parametrize(
    "changes",
    [
        {"p50_mwh_year": "16206.001"},
        {"annual_revenue_pkr": "239848800.01"},
        {"capacity_factor": "0.186"},
        {"capacity_factor": "1.0001"},
        {"capacity_factor": "0"},
        {"dc_mwp": "11"},
        {"dc_mwp": "-10"},
        {"tariff_pkr_kwh": "14.81"},
    ],
)
def test_plant__figures_that_do_not_follow__are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(Invalid, match="details_invalid"):
        read(PLANT, **changes)
