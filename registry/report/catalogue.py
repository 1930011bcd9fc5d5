"""Every report, in the order of their codes: a new one is a module and a line here."""

from __future__ import annotations

from typing import Any

from registry.report.r01_title_extract import TITLE_EXTRACT
from registry.report.r02_ownership_history import OWNERSHIP_HISTORY
from registry.report.r03_encumbrances import ENCUMBRANCES
from registry.report.r04_holdings import HOLDINGS
from registry.report.r05_token_holders import TOKEN_HOLDERS
from registry.report.r06_beneficial_owners import BENEFICIAL_OWNERS
from registry.report.r07_large_holders import LARGE_HOLDERS
from registry.report.r08_backing import BACKING
from registry.report.r09_reconciliation import RECONCILIATION
from registry.report.r10_supply_movements import SUPPLY_MOVEMENTS
from registry.report.r11_transfers import TRANSFERS
from registry.report.r12_travel_rule import TRAVEL_RULE
from registry.report.r13_ctr_candidates import CTR_CANDIDATES
from registry.report.r14_suspicions import SUSPICIONS
from registry.report.r15_screening import SCREENING
from registry.report.r16_orders import COURT_ORDERS
from registry.report.r17_disputes import DISPUTES
from registry.report.r18_valuations import VALUATIONS
from registry.report.r19_stock import STOCK
from registry.report.r20_endorsements import ENDORSEMENTS
from registry.report.r21_production import PRODUCTION
from registry.report.r22_onboarding import ONBOARDING
from registry.report.r23_redemptions import REDEMPTIONS
from registry.report.r24_readings import WHO_LOOKED
from registry.report.r25_land_concentration import LAND_CONCENTRATION
from registry.report.r26_complaints import COMPLAINTS
from registry.report.r27_journal_proof import JOURNAL_PROOF
from registry.report.report import Report

CATALOGUE: tuple[Report[Any], ...] = (
    TITLE_EXTRACT,
    OWNERSHIP_HISTORY,
    ENCUMBRANCES,
    HOLDINGS,
    TOKEN_HOLDERS,
    BENEFICIAL_OWNERS,
    LARGE_HOLDERS,
    BACKING,
    RECONCILIATION,
    SUPPLY_MOVEMENTS,
    TRANSFERS,
    TRAVEL_RULE,
    CTR_CANDIDATES,
    SUSPICIONS,
    SCREENING,
    COURT_ORDERS,
    DISPUTES,
    VALUATIONS,
    STOCK,
    ENDORSEMENTS,
    PRODUCTION,
    ONBOARDING,
    REDEMPTIONS,
    WHO_LOOKED,
    LAND_CONCENTRATION,
    COMPLAINTS,
    JOURNAL_PROOF,
)
