"""What the register holds of what a batch of rows claims: one query a batch for each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlmodel import Session

from registry.bulk.drafts import Draft
from registry.kernel.vault import Vault
from registry.parcel.batch import Neighbour, Overlap, Shape, find_overlaps, lock_ground
from registry.parcel.shares import parents_of

_FINGERPRINTS = text("SELECT cnic_fingerprint, id FROM party WHERE cnic_fingerprint = ANY(:known)")
# Land whose owner is other land comes through a dossier of its own, where circles are looked for.
_PARTIES = text("SELECT id FROM party WHERE id = ANY(:known) AND asset_id IS NULL")
_CODES = text("SELECT code, id FROM asset WHERE code = ANY(:known)")
_KEYS = text("SELECT key, asset_id FROM underlying_key WHERE live AND key = ANY(:known)")
_ROWS = text(
    "SELECT asset_id, row_no FROM bulk_import_row"
    " WHERE import_id = :import_id AND asset_id = ANY(:known)"
)
_ASSETS = text("SELECT id, code FROM asset WHERE id = ANY(:known)")
_LOCK_PARENTS = text(
    "SELECT pg_advisory_xact_lock(hashtextextended(parent, 4))"
    " FROM unnest(CAST(:known AS text[])) AS parent"
)
_SHARES = text(
    "SELECT parent_key, numerator, denominator FROM undivided_share"
    " WHERE live AND parent_key = ANY(:known)"
)


@dataclass(frozen=True, slots=True)
class OnGround:
    """A parcel of a row lies on another one: of the register, or of a row of the batch."""

    number: str
    other: Neighbour | Draft
    overlap: Overlap


class Register:
    """The register as one batch finds it, inside the transaction that will write it.

    Whatever locks are taken here are held until COMMIT. Parents are locked in one order, the
    ground in one call; the keys' own unique index has the last word on keys.
    """

    def __init__(
        self,
        session: Session,
        vault: Vault,
        import_id: UUID,
        drafts: Sequence[Draft],
        *,
        hold: bool,
    ) -> None:
        self._session = session
        self._import_id = import_id
        self.keys = self._pairs(_KEYS, {key for draft in drafts for key in draft.keys})
        self.codes = self._pairs(_CODES, {draft.code for draft in drafts if draft.code})
        self.parties = self._read_parties(vault, drafts)
        surveyed = _surveyed(drafts)
        if hold:
            lock_ground(session, [shape.extent for _, _, shape in surveyed])
        self.overlaps = self._read_overlaps(surveyed)
        self.shares = self._read_shares(drafts, hold=hold)
        self._names = self._read_names()

    def _pairs(self, query: Any, known: Collection[Any], **more: Any) -> dict[Any, Any]:
        if not known:
            return {}
        rows = self._session.connection().execute(query, {"known": list(known)} | more)
        return {row[0]: row[1] for row in rows}

    def _read_parties(self, vault: Vault, drafts: Sequence[Draft]) -> Mapping[UUID | str, UUID]:
        said = {who for draft in drafts for who, _ in draft.owners}
        prints = {vault.fingerprint(who): who for who in said if isinstance(who, str)}
        by_print = self._pairs(_FINGERPRINTS, prints)
        found: dict[UUID | str, UUID] = {
            prints[bytes(digest)]: party_id for digest, party_id in by_print.items()
        }
        ids = [who for who in said if isinstance(who, UUID)]
        if ids:
            known = self._session.connection().execute(_PARTIES, {"known": ids})
            found |= {party_id: party_id for party_id in known.scalars()}
        return found

    def _read_overlaps(
        self, surveyed: Sequence[tuple[Draft, int, Shape]]
    ) -> Mapping[int, list[OnGround]]:
        """Return, by row, what its parcels lie on; each country's own tolerance counts."""
        found: dict[int, list[OnGround]] = defaultdict(list)
        shapes = [shape for _, _, shape in surveyed]
        policies = {
            id(draft.law.jurisdiction.policy): draft.law.jurisdiction.policy
            for draft, _, _ in surveyed
            if draft.law is not None
        }
        for policy in policies.values():
            for item in find_overlaps(self._session, shapes, policy):
                draft, place, _ = surveyed[item.at]
                if draft.law is not None and draft.law.jurisdiction.policy is policy:
                    other = surveyed[item.other][0] if isinstance(item.other, int) else item.other
                    number = draft.units[place].number
                    found[draft.no].append(OnGround(number, other, item))
        return found

    def _read_shares(self, drafts: Sequence[Draft], *, hold: bool) -> dict[str, Fraction]:
        parents = sorted({parent for draft in drafts for parent in claimed_parents(draft)})
        taken: dict[str, Fraction] = dict.fromkeys(parents, Fraction(0))
        if parents:
            connection = self._session.connection()
            if hold:
                connection.execute(_LOCK_PARENTS, {"known": parents})
            for parent, numerator, denominator in connection.execute(_SHARES, {"known": parents}):
                taken[parent] += Fraction(numerator, denominator)
        return taken

    def _read_names(self) -> Mapping[UUID, str]:
        holders = {*self.keys.values(), *self.codes.values()}
        for items in self.overlaps.values():
            holders |= {item.other.asset_id for item in items if isinstance(item.other, Neighbour)}
        rows = self._pairs(_ROWS, holders, import_id=self._import_id)
        codes = self._pairs(_ASSETS, holders)
        return {
            holder: f"row {rows[holder]} of this file" if holder in rows else code
            for holder, code in codes.items()
        }

    def name_of(self, holder: UUID) -> str:
        """Name an asset to the reader of a row's result: by its row, if it came with this file."""
        return self._names[holder]


def claimed_parents(draft: Draft) -> list[str]:
    """Name the parcels of which the row claims an undivided share."""
    has_part = draft.details is not None and draft.details.part_of_parent() is not None
    return parents_of(draft.keys) if has_part else []


def _surveyed(drafts: Sequence[Draft]) -> list[tuple[Draft, int, Shape]]:
    return [
        (draft, place, shape)
        for draft in drafts
        for place, shape in enumerate(draft.shapes)
        if shape is not None
    ]
