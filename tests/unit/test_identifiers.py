from __future__ import annotations

import pytest

from registry.kernel.identifiers import (
    container_fault,
    hs_fault,
    imo_fault,
    known_ports,
    unlocode_fault,
    voyage_fault,
)

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("number", ["ZZZU1000015", "ZZZU1000020", "CSQU3054383"])
def test_container_fault__good_check_digit__is_none(number: str) -> None:
    assert container_fault(number) is None


@pytest.mark.parametrize("number", ["ZZZU1000016", "CSQU3054384"])
def test_container_fault__wrong_check_digit__is_said(number: str) -> None:
    assert "check digit" in (container_fault(number) or "")


@pytest.mark.parametrize(
    "number",
    ["", "ZZZX1000015", "ZZZU100001", "ZZZU10000155", "zzzu1000015", "ZZZU 100001 5",
     "ZZZU1000015\n", "ZZZU100001\u0665"],
)  # fmt: skip
def test_container_fault__other_form__is_said(number: str) -> None:
    assert "not written as" in (container_fault(number) or "")


@pytest.mark.parametrize("number", ["9074729", "IMO 0123450"])
def test_imo_fault__good_check_digit__is_none(number: str) -> None:
    assert imo_fault(number) is None


@pytest.mark.parametrize("number", ["9074728", "IMO 0123451"])
def test_imo_fault__wrong_check_digit__is_said(number: str) -> None:
    assert "check digit" in (imo_fault(number) or "")


@pytest.mark.parametrize("number", ["", "907472", "90747290", "IMO9074729", "imo 9074729"])
def test_imo_fault__other_form__is_said(number: str) -> None:
    assert "not written as" in (imo_fault(number) or "")


@pytest.mark.parametrize("code", ["PKGWD", "PKKHI", "PKBQM", "PKLHE", "PKISB", "PKQCT", "AEJEA"])
def test_unlocode_fault__known_port__is_none(code: str) -> None:
    assert unlocode_fault(code) is None


@pytest.mark.parametrize(
    ("code", "said"),
    [("PKZZZ", "list"), ("PKGW", "written"), ("PKGW1", "written"), ("pkgwd", "written"),
     ("PK GWD", "written"), ("", "written")],
)  # fmt: skip
def test_unlocode_fault__other__is_said(code: str, said: str) -> None:
    assert said in (unlocode_fault(code) or "")


def test_known_ports__every_code__is_written_as_one_and_stands_once() -> None:
    assert len(known_ports()) > 60
    assert all("written" not in (unlocode_fault(code) or "") for code in known_ports())


@pytest.mark.parametrize("code", ["100199", "10019900", "1001990000", "100199000000"])
def test_hs_fault__six_to_twelve_digits__is_none(code: str) -> None:
    assert hs_fault(code) is None


@pytest.mark.parametrize("code", ["", "10019", "1001990", "10019900000000", "10019A", "100199\n"])
def test_hs_fault__other__is_said(code: str) -> None:
    assert hs_fault(code)


@pytest.mark.parametrize("reference", ["26D1W", "2601N", "26ZZR"])
def test_voyage_fault__good_form__is_none(reference: str) -> None:
    assert voyage_fault(reference) is None


@pytest.mark.parametrize("reference", ["", "26D1", "26D1X", "2D1WW", "26d1W", "26D1W\n", "26D12W"])
def test_voyage_fault__other__is_said(reference: str) -> None:
    assert voyage_fault(reference)
