"""What a warehouse renews after the goods came in: its accreditation, and their insurance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from sqlmodel import Session

from registry.document.models import Document
from registry.kernel.errors import Invalid
from registry.receipt.models import WarehouseReceipt
from registry.receipt.papers import verified_paper


@dataclass(frozen=True, slots=True, kw_only=True)
class Renewal:
    """What is new, each on a verified paper of the asset; None leaves it as it was.

    Parameters
    ----------
    accredited_until
        Last day of the new accreditation; not after the last day of its paper.
    accreditation_id
        The paper of kind ACCREDITATION.
    insured_paisa
        The new sum insured.
    insurance_id
        The policy, a paper of kind INSURANCE.
    """

    accredited_until: date | None = None
    accreditation_id: UUID | None = None
    insured_paisa: int | None = None
    insurance_id: UUID | None = None


NO_RENEWAL = Renewal()


def renewed(session: Session, receipt: WarehouseReceipt, renewal: Renewal) -> dict[str, Any]:
    """Return what the renewal changes on the receipt, by column.

    Raises
    ------
    Invalid
        ``renewal_malformed``, ``source_of_other_asset``, ``source_of_other_kind``.
    Conflict
        ``source_not_verified``.
    """
    until, insured = renewal.accredited_until, renewal.insured_paisa
    changes: dict[str, Any] = {}
    if _is_said(until, renewal.accreditation_id, "accredited_until"):
        paper = _paper(session, receipt, renewal.accreditation_id, "ACCREDITATION")
        if paper.valid_until is not None and until is not None and until > paper.valid_until:
            raise _malformed(f"Its paper ends on {paper.valid_until}.", "/accredited_until")
        changes["accredited_until"] = until
    if _is_said(insured, renewal.insurance_id, "insured"):
        _paper(session, receipt, renewal.insurance_id, "INSURANCE")
        if insured is not None and insured <= 0:
            raise _malformed("Goods are insured for a sum above zero.", "/insured")
        changes["insured_paisa"] = insured
    return changes


def told(changes: Mapping[str, Any]) -> dict[str, str]:
    """Say for the journal what was renewed."""
    return {name: str(value) for name, value in changes.items()}


def _is_said(value: object, paper: UUID | None, name: str) -> bool:
    if (value is None) != (paper is None):
        raise _malformed("What is renewed, and the paper that says so, come together.", f"/{name}")
    return value is not None


def _paper(
    session: Session, receipt: WarehouseReceipt, paper_id: UUID | None, kind: str
) -> Document:
    assert paper_id is not None, "a renewal names its paper"
    return verified_paper(session, receipt.asset_id, paper_id, kind=kind)


def _malformed(detail: str, field: str) -> Invalid:
    return Invalid("renewal_malformed", detail, field=field)
