"""Guards of the `document` machine: what must hold before a paper changes its state."""

from __future__ import annotations

from typing import Any

from registry.document.models import Document, DocumentState
from registry.kernel.clock import today
from registry.kernel.errors import Conflict, Forbidden, Invalid
from registry.lifecycle.service import Attempt, guard

MACHINE = "document"


@guard(MACHINE, "scan_ok")
def _nothing_was_found(attempt: Attempt[Any]) -> None:
    if attempt.given.get("danger") is not None:
        raise Conflict("document_dangerous", f"The paper contains {attempt.given['danger']}.")


@guard(MACHINE, "scan_fail", "reject", "revoke")
def _a_reason_is_given(attempt: Attempt[Any]) -> None:
    if not attempt.given.get("reason"):
        raise Invalid("reason_missing", "Say why.", field="/reason")


@guard(MACHINE, "verify")
def _the_source_confirmed_it_to_another(attempt: Attempt[Any]) -> None:
    document: Document = attempt.record
    if attempt.actor.is_person_of(document.uploaded_by):
        raise Forbidden(
            "verifier_is_uploader", "Whoever uploaded a paper cannot verify it (four eyes)."
        )
    if not (attempt.given.get("source_registry") and attempt.given.get("reference")):
        raise Invalid(
            "source_required", "Say which registry confirmed it, and under which reference."
        )


@guard(MACHINE, "expire")
def _it_has_run_out(attempt: Attempt[Any]) -> None:
    document: Document = attempt.record
    if document.valid_until is None or document.valid_until >= today():
        raise Conflict("document_still_valid", "The paper has not run out.")


@guard(MACHINE, "renew", "supersede")
def _a_newer_one_is_verified(attempt: Attempt[Any]) -> None:
    document: Document = attempt.record
    newer: Document | None = attempt.given.get("newer")
    if (
        newer is None
        or newer.state != DocumentState.VERIFIED
        or (newer.asset_id, newer.kind) != (document.asset_id, document.kind)
        or newer.recorded_at <= document.recorded_at
    ):
        raise Conflict(
            "document_not_replaced", "No newer verified paper of the same kind takes its place."
        )
