"""Papers that ran out (DOC-02) and titles on no registered instrument (TTL-06)."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any
from uuid import UUID

import pytest

from registry.asset.classes import class_of
from registry.asset.law import Law, read_law
from registry.asset.models import AssetClass
from registry.document.models import Document, DocumentState
from registry.onboarding.papers import last_good_day, paper_findings

pytestmark = pytest.mark.unit

TODAY = date(2026, 7, 28)
YESTERDAY, LONG_AGO = TODAY - timedelta(days=1), TODAY - timedelta(days=400)
LAHORE = {"province": "PK-PB", "district": "Lahore"}
VILLAGE = LAHORE | {"tehsil": "Raiwind", "mauza": "Chak 1", "hadbast_no": "7"}


def law(asset_class: AssetClass, regime: str) -> Law:
    return read_law(class_of(asset_class), regime, VILLAGE)


FLAT = law(AssetClass.LAND_APARTMENT, "REGISTERED_DEED_URBAN")
FARM = law(AssetClass.LAND_AGRICULTURAL, "REVENUE_RECORD_RURAL")


def paper(kind: str, **fields: Any) -> Document:
    return Document(
        asset_id=UUID(int=1),
        kind=kind,
        **{"state": DocumentState.VERIFIED, "valid_until": None, "issued_on": None} | fields,
    )


@pytest.mark.parametrize(
    ("papers", "fires"),
    [
        ([], False),
        ([paper("NEC")], False),
        ([paper("NEC", valid_until=TODAY)], False),
        ([paper("NEC", valid_until=YESTERDAY)], True),
        # a newer paper of the kind heals it, a rejected one does not
        ([paper("NEC", valid_until=YESTERDAY), paper("NEC", valid_until=TODAY)], False),
        (
            [paper("NEC", valid_until=YESTERDAY), paper("NEC", state=DocumentState.REJECTED)],
            True,
        ),
        ([paper("NEC", valid_until=YESTERDAY, state=DocumentState.SUPERSEDED)], False),
        # nobody asks for a gas bill
        ([paper("GAS_BILL", valid_until=LONG_AGO)], False),
    ],
)
def test_paper_findings__required_paper_ran_out__fires_doc_02(
    papers: list[Document], fires: bool
) -> None:
    found = paper_findings(FLAT, papers, "REGISTERED_DEED", TODAY)

    assert set(found) == ({"DOC-02"} if fires else set())


@pytest.mark.parametrize(("age_days", "fires"), [(0, False), (30, False), (31, True)])
def test_paper_findings__fard__is_good_for_thirty_days(age_days: int, fires: bool) -> None:
    fard = paper("FARD_MALKIAT", issued_on=TODAY - timedelta(days=age_days))

    found = paper_findings(FARM, [fard], "RECORD_OF_RIGHTS", TODAY)

    assert set(found) == ({"DOC-02"} if fires else set())


@pytest.mark.parametrize(("age_days", "fires"), [(365, False), (366, True)])
def test_paper_findings__noc_of_the_lda__is_good_for_a_year(age_days: int, fires: bool) -> None:
    plot = law(AssetClass.LAND_PLOT, "LDA_ALLOTMENT")
    noc = paper("NOC", issued_on=TODAY - timedelta(days=age_days))

    found = paper_findings(plot, [noc], "AUTHORITY_TRANSFER", TODAY)

    assert set(found) == ({"DOC-02"} if fires else set())


def test_last_good_day__dated_and_limited__is_the_earlier() -> None:
    fard = paper("FARD_MALKIAT", issued_on=TODAY, valid_until=TODAY + timedelta(days=90))

    assert last_good_day(FARM, fard) == TODAY + timedelta(days=30)
    assert last_good_day(FLAT, fard) == TODAY + timedelta(days=90)


@pytest.mark.parametrize(
    ("held_under", "basis", "fires"),
    [
        (FLAT, "REGISTERED_DEED", False),
        (FLAT, "COURT_DECREE", False),
        # there is no oral mutation in an urban estate
        (FLAT, "RECORD_OF_RIGHTS", True),
        (FARM, "RECORD_OF_RIGHTS", False),
    ],
)
def test_paper_findings__basis_in_an_urban_estate__fires_ttl_06(
    held_under: Law, basis: str, fires: bool
) -> None:
    found = paper_findings(held_under, [], basis, TODAY)

    assert set(found) == ({"TTL-06"} if fires else set())
