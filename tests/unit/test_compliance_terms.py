"""Compliance terms: one value for one meaning, and no figure that a module could not have."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain.contracts.module_settings import module_settings
from registry.compliance.terms import (
    DAY_S,
    ComplianceTerms,
    TradingHours,
    check_compliance_terms,
)
from registry.kernel.canonical import record_hash
from registry.kernel.errors import Invalid

pytestmark = pytest.mark.unit

MOMENT = datetime(2026, 7, 27, 9, 0, tzinfo=UTC)
"""A Monday, 14:00 in Pakistan."""
FULL = ComplianceTerms(
    allowed_countries=("PK", "AE"),
    max_units_per_holder=10,
    max_holders=5,
    lockup_days=30,
    lockup_until=MOMENT,
    opens_at=MOMENT,
    closes_at=MOMENT + timedelta(days=9),
    hours=TradingHours(start_s=9 * 3600, end_s=15 * 3600, weekdays=(1, 2, 3, 4, 5)),
)


@pytest.mark.parametrize("terms", [ComplianceTerms(), FULL])
def test_record__read_again__is_the_same_terms(terms: ComplianceTerms) -> None:
    assert ComplianceTerms.of_record(terms.record()) == terms


def test_record__said_otherwise__has_the_same_hash() -> None:
    karachi = timezone(timedelta(hours=5))
    other = ComplianceTerms.of_record(
        FULL.record()
        | {
            "allowed_countries": ["PK", "AE", "PK"],
            "opens_at": MOMENT.astimezone(karachi).isoformat(),
        }
    )

    assert record_hash(other.record()) == record_hash(FULL.record())


@pytest.mark.parametrize("change", [
    {"allowed_countries": ("PK",)}, {"max_units_per_holder": 11}, {"max_holders": None},
    {"lockup_days": 31}, {"lockup_until": None}, {"opens_at": None}, {"closes_at": None},
    {"hours": None}, {"hours": TradingHours(start_s=0, end_s=1, weekdays=(1,))},
])  # fmt: skip
def test_record__any_other_figure__has_another_hash(change: dict[str, Any]) -> None:
    fields = {name: getattr(FULL, name) for name in FULL.__dataclass_fields__}

    other = ComplianceTerms(**(fields | change))

    assert record_hash(other.record()) != record_hash(FULL.record())


@pytest.mark.parametrize(("change", "code"), [
    ({"allowed_countries": ("XX",)}, "country_unknown"),
    ({"allowed_countries": ("pk",)}, "country_unknown"),
    ({"max_units_per_holder": 0}, "compliance_terms_invalid"),
    ({"max_units_per_holder": 2**63}, "compliance_terms_invalid"),
    ({"max_holders": 0}, "compliance_terms_invalid"),
    ({"max_holders": 2**32}, "compliance_terms_invalid"),
    ({"lockup_days": 0}, "compliance_terms_invalid"),
    ({"lockup_days": 3651}, "compliance_terms_invalid"),
    ({"opens_at": datetime(1969, 12, 31, tzinfo=UTC)}, "compliance_terms_invalid"),
    ({"closes_at": MOMENT + timedelta(microseconds=1)}, "compliance_terms_invalid"),
    ({"hours": TradingHours(start_s=-1, end_s=1, weekdays=(1,))}, "compliance_terms_invalid"),
    ({"hours": TradingHours(start_s=0, end_s=DAY_S + 1, weekdays=(1,))},
     "compliance_terms_invalid"),
    ({"hours": TradingHours(start_s=0, end_s=1, weekdays=(8,))}, "compliance_terms_invalid"),
    ({"hours": TradingHours(start_s=0, end_s=1, weekdays=(1,), utc_offset_s=50_401)},
     "compliance_terms_invalid"),
])  # fmt: skip
def test_check__figure_no_module_could_have__is_refused(change: dict[str, Any], code: str) -> None:
    with pytest.raises(Invalid) as refusal:
        check_compliance_terms(ComplianceTerms(**change))

    assert refusal.value.code == code
    assert (refusal.value.field or "").startswith("/compliance/")


@pytest.mark.parametrize("terms", [
    ComplianceTerms(), FULL, ComplianceTerms(allowed_countries=()),
    ComplianceTerms(max_units_per_holder=2**63 - 1, max_holders=2**32 - 1, lockup_days=3650),
    ComplianceTerms(hours=TradingHours(start_s=0, end_s=DAY_S, weekdays=())),
])  # fmt: skip
def test_check__possible_terms__pass(terms: ComplianceTerms) -> None:
    check_compliance_terms(terms)


@pytest.mark.parametrize(("moment", "is_open"), [
    ("2026-07-27T03:59:59+00:00", False), ("2026-07-27T04:00:00+00:00", True),
    ("2026-07-27T09:59:59+00:00", True), ("2026-07-27T10:00:00+00:00", False),
    ("2026-08-01T05:00:00+00:00", False), ("2026-08-02T05:00:00+00:00", False),
    ("2026-08-03T05:00:00+00:00", True),
])  # fmt: skip
def test_hours__clock_of_pakistan__open_on_weekdays_from_nine_to_three(
    moment: str, is_open: bool
) -> None:
    assert FULL.hours is not None
    assert FULL.hours.is_open_at(int(datetime.fromisoformat(moment).timestamp())) == is_open


@given(
    st.integers(0, 2**32),
    st.integers(-14, 14),
    st.lists(st.integers(1, 7)).map(tuple),
)
def test_hours__whole_days__are_the_weekdays_of_the_calendar(
    timestamp: int, offset: int, weekdays: tuple[int, ...]
) -> None:
    hours = TradingHours(start_s=0, end_s=DAY_S, weekdays=weekdays, utc_offset_s=offset * 3600)

    local = datetime.fromtimestamp(timestamp, UTC) + timedelta(hours=offset)

    assert hours.is_open_at(timestamp) == (local.isoweekday() in weekdays)


def test_window__fixed_lock_up__opens_with_the_later_of_both() -> None:
    later = MOMENT + timedelta(days=1)
    for terms in (
        ComplianceTerms(opens_at=MOMENT, lockup_until=later),
        ComplianceTerms(opens_at=later, lockup_until=MOMENT),
        ComplianceTerms(lockup_until=later),
    ):
        assert terms.transfers_from == later
        assert not terms.is_open_at(int(later.timestamp()) - 1)
        assert terms.is_open_at(int(later.timestamp()))


def test_module_settings__each_rule__has_its_module_and_the_title_comes_last() -> None:
    names = [name for name, _ in module_settings(FULL, 100)]

    assert names == [
        "SupplyCapModule",
        "CountryAllowModule",
        "MaxBalanceModule",
        "HolderCapModule",
        "LockupModule",
        "TransferWindowModule",
        "TransferWindowModule",
        "TitleStatusModule",
    ]
    assert [setting is None for _, setting in module_settings(FULL, 100)] == [False] * 7 + [True]


def test_module_settings__default_terms__cap_supply_and_countries() -> None:
    names = [name for name, _ in module_settings(ComplianceTerms(), 100)]

    assert names == ["SupplyCapModule", "CountryAllowModule", "TitleStatusModule"]
    assert module_settings(None, 100) == [("TitleStatusModule", None)]
