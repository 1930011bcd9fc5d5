"""Shipping contracts: freight or hire that an obligor owes, assigned to the wrapper."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from datetime import date
from enum import StrEnum
from typing import Self

from pydantic import model_validator

from registry.asset.interface import (
    LAND_APPROVALS,
    AssetClassSpec,
    ClassDetails,
    ShortText,
    found,
)
from registry.asset.models import AssetClass
from registry.jurisdiction.interface import KeyForm, Subject
from registry.kernel.identifiers import imo_fault, voyage_fault
from registry.kernel.money import Money
from registry.rulebook.facts import Finding


class ContractKind(StrEnum):
    """What is owed for."""

    TIME_CHARTER = "TIME_CHARTER"
    VOYAGE_CHARTER = "VOYAGE_CHARTER"
    AFFREIGHTMENT = "AFFREIGHTMENT"
    SLOT_CHARTER = "SLOT_CHARTER"


class ShippingContractDetails(ClassDetails):
    """The contract, and what is still owed under it.

    Parameters
    ----------
    obligor
        Who owes; has acknowledged the assignment in a paper of its own.
    receivable_pkr
        What is owed until `ends`.
    """

    kind: ContractKind
    obligor: ShortText
    contract_ref: ShortText
    vessel_name: ShortText | None = None
    imo: ShortText | None = None
    universal_voyage: ShortText | None = None
    starts: date
    ends: date
    receivable_pkr: str

    @model_validator(mode="after")
    def _runs_and_owes(self) -> Self:
        if self.ends <= self.starts:
            raise ValueError("the contract ends before it has begun")
        owed = Money.parse(self.receivable_pkr, field="/details/receivable_pkr")
        if owed.paisa == 0:
            raise ValueError("nothing is owed under the contract")
        return self

    def right_ends_on(self) -> date | None:
        return self.ends

    def findings(self) -> Mapping[str, Finding]:
        return found(
            ID_03=[imo_fault(self.imo) if self.imo else None],
            ID_06=[voyage_fault(self.universal_voyage) if self.universal_voyage else None],
        )


SHIPPING_CONTRACT = AssetClassSpec(
    asset_class=AssetClass.SHIPPING_CONTRACT,
    label="Shipping contract",
    subject=Subject.FREIGHT_CONTRACT,
    details=ShippingContractDetails,
    keys=KeyForm(
        re.compile(r"CONTRACT\|[A-Z0-9-]+\|[A-Z0-9/-]+"), "CONTRACT|obligor|reference, upper case"
    ),
    approvals=Counter(LAND_APPROVALS),
)
