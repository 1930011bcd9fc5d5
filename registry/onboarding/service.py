"""Bringing an asset into the register and keeping it there: every use case, by one name."""

from __future__ import annotations

from registry.onboarding.amendment import (
    approve_amendment,
    cancel_amendment,
    hash_to_approve,
    list_amendments,
    propose_amendment,
)
from registry.onboarding.decision import (
    approve_dossier,
    lapse_dossier,
    list_forgotten,
    missing_approvals,
    reject_dossier,
    required_approvals,
    return_dossier,
    withdraw_dossier,
)
from registry.onboarding.dossier import Dossier, amend_dossier, dossier_hash, open_dossier
from registry.onboarding.standing import (
    close_cause,
    close_cause_by_hand,
    list_causes,
    open_cause,
    reinstate_asset,
    required_for_reinstatement,
    retire_asset,
    standing_hash,
    suspend_asset,
)
from registry.onboarding.submission import submit_dossier

__all__ = [
    "Dossier",
    "amend_dossier",
    "approve_amendment",
    "approve_dossier",
    "cancel_amendment",
    "close_cause",
    "close_cause_by_hand",
    "dossier_hash",
    "hash_to_approve",
    "lapse_dossier",
    "list_amendments",
    "list_causes",
    "list_forgotten",
    "missing_approvals",
    "open_cause",
    "open_dossier",
    "propose_amendment",
    "reinstate_asset",
    "reject_dossier",
    "required_approvals",
    "required_for_reinstatement",
    "retire_asset",
    "return_dossier",
    "standing_hash",
    "submit_dossier",
    "suspend_asset",
    "withdraw_dossier",
]
