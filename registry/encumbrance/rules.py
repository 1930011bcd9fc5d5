"""What each kind of encumbrance stops, and what it must state."""

from __future__ import annotations

from collections.abc import Mapping

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


def effect_of(kind: EncumbranceKind, *, lender_consent: bool) -> Effect:
    """Return what the law of the register lets this kind stop; a lender's consent discloses."""
    if kind in SECURITY_INTERESTS and lender_consent:
        return Effect.DISCLOSE
    return _EFFECTS[kind]


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
        ``encumbrance_incomplete``.
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
    if kind in COURT_AND_STATE and not (authority and case_no):
        raise Invalid(
            "encumbrance_incomplete",
            f"A {kind} states the authority and the case number.",
            field="/authority",
        )
