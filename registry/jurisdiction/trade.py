"""Regimes of goods and contracts: the law merchant, much the same in every country."""

from __future__ import annotations

from collections.abc import Mapping

from registry.jurisdiction.interface import Subject, TitleRegime

NOTHING_MORE: frozenset[str] = frozenset()

TRADE_REGIMES: Mapping[str, TitleRegime] = {
    "EWR": TitleRegime(
        title_proof=frozenset({"EWR"}),
        required=frozenset({"EWR", "ASSAY_REPORT", "WEIGHT_NOTE", "INSURANCE", "ACCREDITATION"}),
        basis="EWR",
        subjects={Subject.WAREHOUSED_GOODS: NOTHING_MORE},
    ),
    "VAULT_ALLOCATED": TitleRegime(
        # Allocated means that the list names the bars: a certificate of a weight is a claim.
        title_proof=frozenset({"BAR_LIST"}),
        required=frozenset({"BAR_LIST", "VAULT_CERTIFICATE", "ASSAY_REPORT", "INSURANCE"}),
        basis="VAULT_CERT",
        subjects={Subject.BULLION: NOTHING_MORE},
    ),
    "EBL_TO_ORDER": TitleRegime(
        title_proof=frozenset({"EBL"}),
        required=frozenset({"EBL"}),
        basis="EBL",
        subjects={Subject.CARGO: NOTHING_MORE},
    ),
    "CONTRACT_ASSIGNED": TitleRegime(
        title_proof=frozenset({"ASSIGNMENT"}),
        required=frozenset({"CONTRACT", "ASSIGNMENT", "OBLIGOR_ACKNOWLEDGEMENT"}),
        basis="CONTRACT",
        subjects={Subject.FREIGHT_CONTRACT: NOTHING_MORE},
    ),
    "CONTRACT_PLUS_CHATTELS": TitleRegime(
        title_proof=frozenset({"PPA"}),
        required=frozenset({"PPA", "SITE_LEASE"}),
        basis="CONTRACT",
        subjects={
            Subject.POWER_PLANT: frozenset({"GENERATION_LICENCE"}),
            Subject.MINING_SITE: frozenset({"EQUIPMENT_SCHEDULE", "INSURANCE"}),
        },
    ),
    "CONTRACT_HOSTED_CHATTELS": TitleRegime(
        title_proof=frozenset({"BILL_OF_SALE"}),
        required=frozenset({"BILL_OF_SALE", "EQUIPMENT_SCHEDULE", "HOSTING_AGREEMENT"}),
        basis="CONTRACT",
        subjects={Subject.MINING_MACHINES: frozenset({"INSURANCE"})},
    ),
}
