"""What a checker approves: the SHA-256 of the canonical case, or of its lift."""

from __future__ import annotations

from sqlmodel import Session

from registry.case.models import Case, CaseAct, CaseKind, CaseLift
from registry.case.repository import acts_in_hand, current_lift
from registry.kernel.canonical import record_hash


def case_hash(session: Session, case: Case) -> bytes:
    """Return the hash of exactly what would be done, and on what basis.

    Of a recovery the acts are no part: it takes whatever the lost wallet holds, and gives it to
    the same person.
    """
    lift = current_lift(session, case)
    acts = acts_in_hand(session, case)
    record = {
        "case": str(case.id),
        "kind": case.kind,
        "wallet": _hex(case.wallet),
        "counterparty": _hex(case.counterparty),
        "investor": str(case.investor_id) if case.investor_id else None,
        "order": str(case.order_id) if case.order_id else None,
        "takes_frozen": case.takes_frozen,
        "heirs": case.heirs,
        "lift": str(lift.id) if lift else None,
        "legal_basis": (lift or case).legal_basis,
        "reason": (lift or case).reason,
        **_ground(lift or case),
        "acts": [] if case.kind == CaseKind.RECOVERY else [_act(act) for act in acts],
    }
    return record_hash(record)


def _ground(said: Case | CaseLift) -> dict[str, str]:
    if said.kyc_review_id is not None:
        return {"kyc_review": str(said.kyc_review_id)}
    if said.document_id is None or said.document_sha256 is None:
        return {"by_order": str(said.order_id)}
    return {"document": str(said.document_id), "document_sha256": said.document_sha256.hex()}


def _act(act: CaseAct) -> dict[str, str | None]:
    return {
        "number": str(act.number),
        "act": act.act,
        "token": str(act.tokenization_id),
        "wallet": _hex(act.wallet),
        "counterparty": _hex(act.counterparty),
        "units": str(act.units) if act.units is not None else None,
    }


def _hex(address: bytes | None) -> str | None:
    return f"0x{address.hex()}" if address is not None else None
