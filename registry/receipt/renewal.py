"""What a warehouse renews after the goods came in: its accreditation, and their insurance."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date
from typing import Any
from uuid import UUID

from sqlmodel import Session

from registry.document.models import Document
from registry.kernel.errors import Invalid
from registry.kernel.money import Money
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


def renewed(
    session: Session, receipt: WarehouseReceipt, renewal: Renewal, *, most_insured: int
) -> dict[str, Any]:
    """Return what the renewal changes on the receipt, by column.

    Parameters
    ----------
    most_insured
        Paisa that the dossier says, which others than the warehouse have approved.

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
        if paper.valid_until is None:
            raise _malformed("Its paper does not say until when.", "/accreditation_id")
        if until is not None and until > paper.valid_until:
            raise _malformed(f"Its paper ends on {paper.valid_until}.", "/accredited_until")
        changes["accredited_until"] = until
    if _is_said(insured, renewal.insurance_id, "insured"):
        _paper(session, receipt, renewal.insurance_id, "INSURANCE")
        if insured is not None and not 0 < insured <= most_insured:
            raise _malformed(
                f"The dossier says that the goods are insured for {Money(most_insured)} rupees; "
                "more is amended there first.",
                "/insured",
            )
        changes["insured_paisa"] = insured
    return changes


def told(renewal: Renewal) -> dict[str, str]:
    """Say for the journal what was renewed, and on which papers."""
    return {name: str(value) for name, value in asdict(renewal).items() if value is not None}


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
