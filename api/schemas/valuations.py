"""Valuations and wrappers over HTTP."""

from __future__ import annotations

from datetime import date, datetime
from typing import Self
from uuid import UUID

from api.schemas.common import Body, MoneyAmount, Read, Sha256Hex, ShortText
from api.schemas.free_text import FreeText
from registry.valuation.models import Valuation, ValuationState
from registry.wrapper.models import RegisterOfRecord, WrapperType


class ValuationCreate(Body):
    """A valuer's opinion, with the range within which the value lies where one is given."""

    value: MoneyAmount
    low: MoneyAmount | None = None
    high: MoneyAmount | None = None
    basis_date: date
    method: ShortText
    report_sha256: Sha256Hex


class ValuationRead(Read):
    """A valuation and where it stands; `changed_much` needed two checkers."""

    id: UUID
    asset_id: UUID
    value: MoneyAmount
    low: MoneyAmount | None
    high: MoneyAmount | None
    basis_date: date
    method: str
    report_sha256: str
    state: ValuationState
    valuer: str
    checker: str | None
    second_checker: str | None
    changed_much: bool
    reason: FreeText | None
    recorded_at: datetime

    @classmethod
    def of(cls, valuation: Valuation) -> Self:
        return cls(
            **valuation.model_dump(
                exclude={"report_sha256", "amount_paisa", "low_paisa", "high_paisa"}
            ),
            value=MoneyAmount.of(valuation.amount_paisa),
            low=MoneyAmount.of_known(valuation.low_paisa),
            high=MoneyAmount.of_known(valuation.high_paisa),
            report_sha256=valuation.report_sha256.hex(),
        )


class WrapperCreate(Body):
    """The vehicle that holds the asset for its token holders."""

    party_id: UUID
    type: WrapperType
    register_of_record: RegisterOfRecord


class WrapperRead(Read):
    """The named vehicle."""

    id: UUID
    asset_id: UUID
    party_id: UUID
    type: WrapperType
    register_of_record: RegisterOfRecord
    named_by: str
