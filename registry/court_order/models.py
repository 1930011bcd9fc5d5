"""Orders of courts and of the state: received, authenticated, applied, lifted."""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from uuid import UUID

from pydantic import AwareDatetime
from sqlalchemy import CheckConstraint
from sqlmodel import Field

from registry.encumbrance.models import EncumbranceKind
from registry.kernel.columns import Record, binary, enumeration, instant, uint256


class CourtOrderState(StrEnum):
    RECEIVED = "RECEIVED"
    AUTHENTICATED = "AUTHENTICATED"
    APPLYING = "APPLYING"
    IN_FORCE = "IN_FORCE"
    LIFTING = "LIFTING"
    VACATED = "VACATED"
    EXPIRED = "EXPIRED"
    REJECTED = "REJECTED"


BINDING = (CourtOrderState.APPLYING, CourtOrderState.IN_FORCE, CourtOrderState.LIFTING)
"""States in which the register obeys; so it does an order that was varied, until it is applied
again (`repository.list_binding`)."""


COMMANDING = (CourtOrderState.APPLYING, CourtOrderState.IN_FORCE)
"""States in which it has more frozen, where there is more."""

ENDED = (CourtOrderState.LIFTING, CourtOrderState.VACATED, CourtOrderState.EXPIRED)
"""States in which what it froze is let go."""


class OrderScope(StrEnum):
    """What an order stops."""

    ASSET = "ASSET"
    PARTY = "PARTY"
    WALLET = "WALLET"
    AMOUNT = "AMOUNT"


class CourtOrder(Record, table=True):
    """One order, and what became of it.

    Parameters
    ----------
    kind
        The encumbrance that it puts on a title, where its scope is an asset.
    wallet
        20 bytes; for the scopes WALLET and AMOUNT.
    amount_units
        Fractions of the token of `tokenization_id` to be frozen; for the scope AMOUNT.
    document_sha256
        Of the order itself; `document_id` is that paper where it is filed under the asset.
    received_at, applied_at, in_force_at, lifted_at
        When it reached us, the register first obeyed it, the chain first showed it, and it ended;
        it binds from then on also while a variation waits.
    pause_wanted
        Whether a token of the asset was live when the order was applied, and had to be paused.
    """

    __tablename__ = "court_order"
    __table_args__ = (
        CheckConstraint(
            "CASE scope"
            " WHEN 'ASSET' THEN asset_id IS NOT NULL AND document_id IS NOT NULL"
            " WHEN 'PARTY' THEN party_id IS NOT NULL"
            " WHEN 'WALLET' THEN wallet IS NOT NULL"
            " ELSE wallet IS NOT NULL AND amount_units > 0 AND tokenization_id IS NOT NULL END",
            name="ck_court_order_scope",
        ),
    )

    scope: OrderScope = enumeration(OrderScope)
    kind: EncumbranceKind = enumeration(EncumbranceKind)
    authority: str
    case_no: str
    asset_id: UUID | None = Field(default=None, foreign_key="asset.id", index=True)
    party_id: UUID | None = Field(default=None, foreign_key="party.id", index=True)
    wallet: bytes | None = binary(nullable=True, default=None)
    tokenization_id: UUID | None = Field(default=None, foreign_key="tokenization.id")
    amount_units: int | None = uint256(default=None, nullable=True)
    document_id: UUID | None = Field(default=None, foreign_key="document.id")
    document_sha256: bytes = binary()
    issued_on: date
    ends_on: date | None = None
    received_at: AwareDatetime = instant(nullable=False)
    state: CourtOrderState = enumeration(CourtOrderState, default=CourtOrderState.RECEIVED)
    encumbrance_id: UUID | None = Field(default=None, foreign_key="encumbrance.id")
    pause_wanted: bool = False
    applied_at: AwareDatetime | None = instant()
    in_force_at: AwareDatetime | None = instant()
    vacating_sha256: bytes | None = binary(nullable=True, default=None)
    lifted_at: AwareDatetime | None = instant()
    maker: str
    authenticated_by: str | None = None
