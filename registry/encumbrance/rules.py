"""What each kind of encumbrance stops, what it must state, and which papers end it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from registry.encumbrance.models import Effect, EncumbranceKind
from registry.kernel.errors import Invalid

SECURITY_INTERESTS = frozenset(
    {EncumbranceKind.MORTGAGE, EncumbranceKind.CHARGE, EncumbranceKind.PLEDGE}
)
COURT_AND_STATE = frozenset(
    {
        EncumbranceKind.STAY_ORDER,
        EncumbranceKind.ATTACHMENT,
        EncumbranceKind.FREEZE_ORDER,
        EncumbranceKind.ACQUISITION_NOTICE,
    }
)
SELF_LAPSING = frozenset(
    {
        EncumbranceKind.PRE_EMPTION_CLAIM,
        EncumbranceKind.CAVEAT,
        EncumbranceKind.LEASE,
        EncumbranceKind.TENANCY,
        EncumbranceKind.EASEMENT,
        EncumbranceKind.COVENANT,
    }
)
"""Kinds that end by themselves after `ends_on`; an order or a debt never does."""

LENDER_CONSENT = "LENDER_CONSENT"
"""Kind of the paper by which a lender agrees to a tokenization."""

_BLOCKS_TRANSFER = frozenset(
    {
        EncumbranceKind.LIS_PENDENS,
        EncumbranceKind.PRE_EMPTION_CLAIM,
        EncumbranceKind.CAVEAT,
        EncumbranceKind.TAX_LIEN,
        EncumbranceKind.SOCIETY_DUES,
    }
)

_EFFECTS: Mapping[EncumbranceKind, Effect] = {
    kind: (
        Effect.BLOCK_TOKENIZE
        if kind in SECURITY_INTERESTS
        else Effect.BLOCK_ALL
        if kind in COURT_AND_STATE
        else Effect.BLOCK_TRANSFER
        if kind in _BLOCKS_TRANSFER
        else Effect.DISCLOSE
    )
    for kind in EncumbranceKind
}

_RELEASES = frozenset({"REDEMPTION_DEED", "FAK_UR_REHN", "DISCHARGE_NOC", "NOC"})
_COURT_ENDS = frozenset({"VACATING_ORDER"})
_CLEARANCES = frozenset({"NDC", "TAX_CLEARANCE"})
_FINAL = frozenset({"FINAL_ORDER", "VACATING_ORDER", "WITHDRAWAL_DEED"})
_SURRENDERS = frozenset({"SURRENDER_DEED", "TERMINATION_DEED", "NOC"})

NOTICES = frozenset({"NOTICE_OF_SALE", "INVOCATION_NOTICE"})
"""Papers with which a holder begins to enforce."""

SALE_CERTIFICATES = frozenset({"SALE_CERTIFICATE"})
"""Paper that ends an enforcement with a sale."""


def effect_of(kind: EncumbranceKind, *, lender_consent: bool) -> Effect:
    """Return what the law of the register lets this kind stop; a lender's consent discloses."""
    if kind in SECURITY_INTERESTS and lender_consent:
        return Effect.DISCLOSE
    return _EFFECTS[kind]


def discharge_papers(kind: EncumbranceKind) -> frozenset[str]:
    """Return the kinds of papers one of which ends an encumbrance (`registry-domain` 1.2)."""
    if kind in SECURITY_INTERESTS:
        return _RELEASES
    if kind in COURT_AND_STATE:
        return _COURT_ENDS
    if kind in {EncumbranceKind.TAX_LIEN, EncumbranceKind.SOCIETY_DUES}:
        return _CLEARANCES
    return _FINAL if kind in _BLOCKS_TRANSFER else _SURRENDERS


def has_lapsed(kind: EncumbranceKind, ends_on: date | None, today: date) -> bool:
    """Tell whether its last day is over, and it ends by that."""
    return kind in SELF_LAPSING and ends_on is not None and ends_on < today


def check_terms(
    kind: EncumbranceKind,
    *,
    rank: int | None,
    amount_paisa: int | None,
    has_holder: bool,
    authority: str | None,
    case_no: str | None,
) -> None:
    """Refuse an encumbrance that leaves out what its kind must state.

    Raises
    ------
    Invalid
        ``encumbrance_incomplete``, ``rank_not_applicable``.
    """
    if (rank or 0) < 0 or (amount_paisa or 0) < 0:
        # A debt below zero would raise what may be issued on the asset (TOK-04).
        raise Invalid(
            "encumbrance_incomplete", "A rank and an amount are above zero.", field="/amount"
        )
    if kind in SECURITY_INTERESTS and not (rank and amount_paisa and has_holder):
        raise Invalid(
            "encumbrance_incomplete",
            f"A {kind} states its rank, its amount and its holder.",
            field="/rank",
        )
    if kind not in SECURITY_INTERESTS and rank is not None:
        raise Invalid(
            "rank_not_applicable",
            f"{kind} secures no debt, so it has no rank among those who are paid.",
            field="/rank",
            rule="ENC-03",
        )
    if kind in COURT_AND_STATE and not (authority and case_no):
        raise Invalid(
            "encumbrance_incomplete",
            f"A {kind} states the authority and the case number.",
            field="/authority",
        )


def check_consent(kind: EncumbranceKind, *, lender_consent: bool) -> None:
    """Refuse a lender's consent where there is no lender.

    Raises
    ------
    Invalid
        ``consent_not_applicable``.
    """
    if lender_consent and kind not in SECURITY_INTERESTS:
        raise Invalid(
            "consent_not_applicable",
            f"A {kind} has no lender whose consent could open it.",
            field="/lender_consent",
        )
