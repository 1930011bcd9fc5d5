"""Wrappers: the SPV, trust or bailment in whose name the title stands for the holders."""

from __future__ import annotations

from enum import StrEnum
from uuid import UUID

from sqlmodel import Field

from registry.kernel.columns import Record, enumeration


class WrapperType(StrEnum):
    SPV_SHARES = "SPV_SHARES"
    TRUST_UNITS = "TRUST_UNITS"
    BAILMENT = "BAILMENT"
    REIT_UNITS = "REIT_UNITS"


class RegisterOfRecord(StrEnum):
    CDC_CDS = "CDC_CDS"
    COMPANY_REGISTER = "COMPANY_REGISTER"
    TRUSTEE_REGISTER = "TRUSTEE_REGISTER"
    TOKEN_REGISTER = "TOKEN_REGISTER"  # noqa: S105 - a register, no password


class Wrapper(Record, table=True):
    """The legal vehicle of one asset, and the register that counts in law."""

    asset_id: UUID = Field(foreign_key="asset.id", unique=True)
    party_id: UUID = Field(foreign_key="party.id")
    type: WrapperType = enumeration(WrapperType)
    register_of_record: RegisterOfRecord = enumeration(RegisterOfRecord)
    named_by: str
