"""Bullion, bills of lading and shipping contracts: on both sides of each limit."""

from __future__ import annotations

from copy import deepcopy
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from registry.asset.bullion import fine_ounces
from registry.asset.classes import check_details, class_of
from registry.asset.interface import ClassDetails
from registry.asset.law import dossier_findings, read_law
from registry.asset.models import AssetClass
from registry.kernel.errors import Invalid
from tests.dossiers import PORTS, sample

pytestmark = pytest.mark.unit

BULLION, EBL = AssetClass.COMMODITY_BULLION, AssetClass.SHIPPING_EBL
CONTRACT = AssetClass.SHIPPING_CONTRACT


def read(asset_class: AssetClass, **changes: Any) -> ClassDetails:
    return check_details(class_of(asset_class), {**sample(asset_class).details, **changes})


def bars(**changes: str) -> list[dict[str, str]]:
    """Return the sample's bars, the first of them changed."""
    found: list[dict[str, str]] = deepcopy(sample(BULLION).details["bars"])
    found[0] |= changes
    return found


@pytest.mark.parametrize(
    ("gross", "assay", "fine"),
    [
        ("401.125", "995.8", "399.440"),
        ("400.525", "999.9", "400.485"),
        ("398.750", "999.5", "398.551"),
    ],
)
def test_fine_ounces__known_bar__is_to_the_thousandth(gross: str, assay: str, fine: str) -> None:
    assert str(fine_ounces(Decimal(gross), Decimal(assay))) == fine


@pytest.mark.parametrize(
    ("changes", "total", "fires"),
    [
        ({}, "799.925", False),
        ({}, "799.924", True),
        ({}, "799.926", True),
        ({"fine_oz": "399.441"}, "799.926", True),
        # no step of the scale
        ({"gross_oz": "401.126", "fine_oz": "399.441"}, "799.926", True),
        ({"gross_oz": "400.000", "assay": "995.0", "fine_oz": "398.000"}, "798.485", False),
        ({"gross_oz": "400.000", "assay": "994.9", "fine_oz": "397.960"}, "798.445", True),
        ({"gross_oz": "400.000", "assay": "999.9", "fine_oz": "399.960"}, "800.445", False),
        ({"gross_oz": "400.000", "assay": "1000.0", "fine_oz": "400.000"}, "800.485", True),
        ({"gross_oz": "351.775", "assay": "995.0", "fine_oz": "350.016"}, "750.501", False),
        ({"gross_oz": "351.750", "assay": "995.0", "fine_oz": "349.991"}, "750.476", True),
        ({"gross_oz": "430.025", "assay": "999.9", "fine_oz": "429.982"}, "830.467", False),
        ({"gross_oz": "430.050", "assay": "999.9", "fine_oz": "430.007"}, "830.492", True),
        # the same bar listed twice
        (
            {"serial": "DM0002", "year": "2025", "gross_oz": "400.525", "assay": "999.9",
             "fine_oz": "400.485"},
            "800.970",
            True,
        ),
    ],
)  # fmt: skip
def test_bullion__bar_list__is_held_to_the_delivery_rules(
    changes: dict[str, str], total: str, fires: bool
) -> None:
    details = read(BULLION, bars=bars(**changes), fine_oz_total=total)

    assert set(details.findings()) == ({"BUL-01"} if fires else set())


def test_bullion__no_bar__covers_nothing() -> None:
    assert set(read(BULLION, bars=[], fine_oz_total="0").findings()) == {"TTL-02"}


def test_bullion__bars__name_its_keys_and_its_insurance() -> None:
    details = read(BULLION)

    assert details.key_endings() == ("|DMO1|DM0001|2024", "|DMO1|DM0002|2025")
    assert details.insured_paisa() == 1_400_000_000_00
    assert details.expires_on() is None


@pytest.mark.parametrize(
    "changes",
    [
        {"unit": "KGM"},
        {"bars": bars(serial="dm1")},
        {"bars": bars(year="24")},
        {"bars": bars(gross_oz="0")},
        {"bars": bars(assay="NaN")},
        {"bars": "many"},
        {"fine_oz_total": "-1"},
    ],
)
def test_bullion__malformed__is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(Invalid, match="details_invalid"):
        read(BULLION, **changes)


def container(number: str, **changes: str) -> dict[str, str]:
    return {"no": number, "seal": "SL1", "gross_kg": "25300", "net_kg": "25000"} | changes


@pytest.mark.parametrize(
    ("changes", "location", "rules"),
    [
        ({}, {}, set()),
        ({"containers": [container("ZZZU1000016")]}, {}, {"ID-02"}),
        ({"containers": [container("ZZZU100001")]}, {}, {"ID-02"}),
        ({"imo": "IMO 0123451"}, {}, {"ID-03"}),
        ({"imo": "123"}, {}, {"ID-03"}),
        ({}, {"unlocode_pod": "AEZZZ"}, {"ID-04"}),
        ({}, {"unlocode_pol": "PKGW"}, {"ID-04"}),
        ({"hs": ["100630", "1006"]}, {}, {"ID-05"}),
        ({"universal_voyage": "26D1X"}, {}, {"ID-06"}),
        ({"universal_voyage": None}, {}, set()),
        ({"containers": [container("ZZZU1000015")] * 2}, {}, {"EBL-01"}),
        ({"containers": []}, {}, {"TTL-02"}),
        (
            {"containers": [container("ZZZU1000016")], "imo": "IMO 0123451"},
            {"unlocode_pol": "XXXXX"},
            {"ID-02", "ID-03", "ID-04"},
        ),
    ],
)
def test_bill_of_lading__identifiers__fire_exactly_their_rules(
    changes: dict[str, Any], location: dict[str, str], rules: set[str]
) -> None:
    law = read_law(class_of(EBL), sample(EBL).regime, PORTS)

    assert set(dossier_findings(law, read(EBL, **changes), (), PORTS | location)) == rules


@pytest.mark.parametrize(
    "changes",
    [
        # a straight bill is no document of title
        {"is_to_order": False},
        {"hs": []},
        {"containers": [container("ZZZU1000015", gross_kg="24999")]},
        {"containers": [container("ZZZU1000015", seal="")]},
        {"containers": [container("ZZZU1000015", net_kg="0")]},
        {"packages": {"code": "BAG", "count": 1}},
        {"packages": {"code": "BG", "count": 0}},
        {"shipped_on_board": "18.7.2026"},
        {"vessel_name": ""},
        {"voyage": "26\u200b15"},
    ],
)
def test_bill_of_lading__malformed__is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(Invalid, match="details_invalid"):
        read(EBL, **changes)


@pytest.mark.parametrize(
    ("changes", "rules"),
    [
        ({}, set()),
        ({"imo": None, "universal_voyage": None, "vessel_name": None}, set()),
        ({"imo": "9074728"}, {"ID-03"}),
        ({"universal_voyage": "x"}, {"ID-06"}),
    ],
)
def test_shipping_contract__identifiers__fire_exactly_their_rules(
    changes: dict[str, Any], rules: set[str]
) -> None:
    assert set(read(CONTRACT, **changes).findings()) == rules


def test_shipping_contract__end__is_the_end_of_the_right() -> None:
    details = read(CONTRACT, starts="2026-01-01", ends="2026-01-02")

    assert details.right_ends_on() == date(2026, 1, 2)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"ends": "2026-01-01"}, "details_invalid"),
        ({"ends": "2025-12-31"}, "details_invalid"),
        ({"kind": "GIFT"}, "details_invalid"),
        ({"receivable_pkr": "0.00"}, "details_invalid"),
        ({"receivable_pkr": "-5"}, "money_malformed"),
    ],
)
def test_shipping_contract__malformed__is_refused(changes: dict[str, Any], code: str) -> None:
    with pytest.raises(Invalid, match=code):
        read(CONTRACT, **changes)
