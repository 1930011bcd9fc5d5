"""What a mutation is entered with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from registry.mutation.heirs import Heir
from registry.mutation.models import Initiation, MutationKind


@dataclass(frozen=True, slots=True)
class Side:
    """One seller or buyer.

    Parameters
    ----------
    hissa
        Parts of the mutation's own `kul_hissay`.
    """

    party_id: UUID
    hissa: int
    died_on: date | None = None
    relation: str | None = None


@dataclass(frozen=True, slots=True)
class Estate:
    """Somebody died, and these are the heirs; the whole of their share passes."""

    deceased_id: UUID
    died_on: date
    heirs: tuple[Heir, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherHalf:
    """What passes on the other title of an exchange; who gives here takes there.

    Parameters
    ----------
    number
        Of the mutation that is entered on that title.
    kul_hissay
        The whole in which its parts are counted.
    """

    title_id: UUID
    number: str
    kul_hissay: int
    sellers: Sequence[Side]
    buyers: Sequence[Side]
    witness_ids: Sequence[UUID] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NewMutation:
    """What a mutation is entered with.

    Parameters
    ----------
    kul_hissay
        The whole in which the sellers' and buyers' parts are counted.
    estate
        In place of sellers and buyers, for an inheritance.
    effective_at
        Legal instant of the deed or decree; None takes the attestation's.
    reverses_id
        The implemented mutation that an appellate order undoes.
    encumbrance_id
        The burden whose beginning or end a mortgage, redemption or lease records.
    merged_title_ids
        Titles that a consolidation merges with this one.
    result_asset_ids
        Assets, opened as drafts, whose titles come out of a partition or consolidation.
    exchanged_for
        The other half of an exchange of one title for another.
    counterpart_id
        The half that was entered before this one.
    """

    kind: MutationKind
    initiation: Initiation
    number: str
    kul_hissay: int = 1
    sellers: Sequence[Side] = ()
    buyers: Sequence[Side] = ()
    estate: Estate | None = None
    witness_ids: Sequence[UUID] = ()
    entered_on: date | None = None
    effective_at: datetime | None = None
    predecessor_id: UUID | None = None
    reverses_id: UUID | None = None
    encumbrance_id: UUID | None = None
    merged_title_ids: Sequence[UUID] = ()
    result_asset_ids: Sequence[UUID] = ()
    land_value_paisa: int | None = None
    assessed_paisa: int | None = None
    fard_token_no: str | None = None
    fard_token_on: date | None = None
    exchanged_for: OtherHalf | None = None
    counterpart_id: UUID | None = None

    @property
    def is_half(self) -> bool:
        """Whether what is given here is paid for on another title."""
        return self.exchanged_for is not None or self.counterpart_id is not None
