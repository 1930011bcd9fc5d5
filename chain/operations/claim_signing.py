"""What the claim key signs: claims for our issuer contract, so many a day.

It signs off chain and before anything is sent, so the policy of transactions never sees it. Whoever
has a signature can have it carried out: so it counts on the day on which it was given, whatever
became of the transaction.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import func, text
from sqlmodel import Session, col, select

from chain.errors import MustWait, PolicyRefused
from chain.operations.effect import Chain
from chain.typed_policy import require_typed
from registry.kernel.clock import now
from registry.kernel.rows import among, insert_many
from registry.operation.errors import operation_problem
from registry.operation.models import ClaimSignature, Operation

DAY = timedelta(hours=24)


def sign_claims(
    session: Session, chain: Chain, operations: Sequence[Operation], typed_data: Mapping[str, Any]
) -> bytes:
    """Sign a batch of claims by the claim key; 65 bytes r, s, v.

    Parameters
    ----------
    operations
        One for each claim. Each counts once against the limit of a day, when it is first signed.

    Raises
    ------
    PolicyRefused
        ``signer_contract_forbidden``, ``signer_method_forbidden``, or ``signer_limit_exceeded``:
        a batch of more than there is room for today, which is halved. One claim alone waits.
    MustWait
        ``signer_limit_reached``: the last 24 hours used the limit up, or it is 0.
    SignerUnavailable, SignerRefused
        The key cannot be used.
    """
    require_typed(
        session,
        chain.chain_id,
        chain.policy.claim_issuer.signs,
        typed_data,
        "ClaimIssuer",
        keys="Claim keys",
        section="claim_issuer",
    )
    claims = len(typed_data["message"]["claims"])
    assert claims == len(operations), "each claim has its operation"
    limit = chain.policy.claim_issuer.claims_per_day
    _count(session, [operation.id for operation in operations], limit)
    return chain.claim_signer.sign_typed_data(dict(typed_data))


def _count(session: Session, wanted: Collection[UUID], limit: int | None) -> None:
    """Count what is signed for the first time, unless it would be too much."""
    if limit is not None:
        # Two workers count one after the other.
        session.execute(text("SELECT pg_advisory_xact_lock(hashtext('claim_limit'))"))
    known = session.exec(
        select(ClaimSignature.operation_id).where(among(col(ClaimSignature.operation_id), wanted))
    ).all()
    anew = sorted(set(wanted) - set(known))
    if limit is not None and anew:
        _require_room(session, len(anew), limit)
    if anew:
        rows = [{"operation_id": each, "signed_at": now()} for each in anew]
        # Another worker may prepare the same at this moment.
        session.execute(insert_many(ClaimSignature, rows).on_conflict_do_nothing())


def _require_room(session: Session, more: int, limit: int) -> None:
    used = session.exec(
        select(func.count())
        .select_from(ClaimSignature)
        .where(col(ClaimSignature.signed_at) > now() - DAY)
    ).one()
    if used < limit < used + more:
        # It is halved: what there is room for goes, in the order of planning.
        raise PolicyRefused(
            operation_problem(
                "signer_limit_exceeded",
                f"{more} claims at once; the claim key signs {limit - used} more of {limit} a day.",
                remedy="Raise claims_per_day in SIGNER_POLICY, if it is meant.",
            )
        )
    if used + more > limit:
        raise MustWait(
            operation_problem(
                "signer_limit_reached",
                f"The claim key has signed {used} of {limit} claims of the last 24 hours.",
                remedy="It goes on by itself; or raise claims_per_day in SIGNER_POLICY."
                if limit
                else "Raise claims_per_day in SIGNER_POLICY.",
            )
        )
