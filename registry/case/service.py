"""Use cases on cases until they are approved: opened, approved, rejected, withdrawn; and lifted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlmodel import Session

from registry.captable import portfolio
from registry.case import soundness
from registry.case.guards import MACHINE
from registry.case.hashing import case_hash
from registry.case.layout import WHOLE, TokenUnits, lay_out, lay_out_lift, write_acts
from registry.case.models import FREEZES, Case, CaseKind, CaseLift
from registry.case.receiving import receiving_wallet
from registry.case.repository import current_lift, get_case, list_own_acts
from registry.court_order import service as orders
from registry.investor import service as investors
from registry.investor import wallets
from registry.investor.models import WalletState
from registry.journal import service as journal
from registry.kernel.actor import Actor, Role
from registry.kernel.errors import Conflict, Invalid
from registry.lifecycle import service as lifecycle
from registry.mutation.heirs import Heir, Relation, shares_of_heirs
from registry.onboarding import approvals

ADDRESS_BYTES = 20
MAX_HEIRS = 40
"""As many forced transfers as fit into one block with room to spare."""

CHECKERS = (Role.COMPLIANCE, Role.REGISTRAR_CHECKER)


@dataclass(frozen=True, slots=True)
class NamedHeir:
    """An heir of a succession; parts are stated for all heirs, or for none."""

    investor_id: UUID
    relation: Relation
    hissa: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewCase:
    """A case as compliance opens it.

    Parameters
    ----------
    wallet, counterparty
        20 bytes. For a recovery the lost wallet and the new one.
    investor_id
        The deceased, for a succession; for nothing else.
    tokens
        On which tokens; none of them for a recovery or a succession, which take everything.
    """

    kind: CaseKind
    legal_basis: str
    reason: str
    document_id: UUID
    document_sha256: bytes
    order_id: UUID | None = None
    wallet: bytes | None = None
    counterparty: bytes | None = None
    investor_id: UUID | None = None
    takes_frozen: bool = False
    tokens: tuple[TokenUnits, ...] = ()
    heirs: tuple[NamedHeir, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NewLift:
    """On what basis a freeze ends."""

    legal_basis: str
    reason: str
    document_id: UUID
    document_sha256: bytes


def open_case(session: Session, actor: Actor, new: NewCase) -> Case:
    """Open a case; it does nothing before another person has approved it.

    Raises
    ------
    Invalid
        ``case_malformed``, ``case_tokens_malformed``, ``case_paper_differs``,
        ``source_of_other_asset``, ``heirs_invalid``, ``heirs_not_in_table``,
        ``share_not_positive``.
    Conflict
        ``wallet_unknown``, ``nothing_held``, ``identity_not_ready``, or as
        `soundness.require_sound`.
    NotFound
    """
    _check_shape(new)
    if new.order_id is not None:
        orders.get_order(session, new.order_id)
    case = Case(
        **{
            name: getattr(new, name)
            for name in NewCase.__dataclass_fields__
            if name not in {"tokens", "heirs"}
        },
        heirs=_name_heirs(session, new),
        maker=actor.subject,
    )
    _find_subject(session, case, new.tokens)
    planned = lay_out(session, case, new.tokens)
    soundness.require_sound(session, case, planned)
    touched = {act.tokenization_id for act in planned}
    soundness.require_paper(session, new.document_id, new.document_sha256, touched)
    session.add(case)
    session.flush()
    write_acts(session, case, planned)
    journal.record(
        session, actor, "legal_case_opened", "legal_case", case.id,
        kind=case.kind, document_sha256=new.document_sha256.hex(), acts=len(planned),
        case_hash=case_hash(session, case).hex(),
    )  # fmt: skip
    return case


def _check_shape(new: NewCase) -> None:
    """Refuse a case that lacks what its kind needs, or names what it has no use for."""
    kind = new.kind
    wanted = {
        "wallet": kind != CaseKind.SUCCESSION,
        "counterparty": kind in {CaseKind.FORCED_TRANSFER, CaseKind.RECOVERY},
        "investor_id": kind == CaseKind.SUCCESSION,
        "heirs": kind == CaseKind.SUCCESSION,
    }
    for name, needed in wanted.items():
        if bool(getattr(new, name)) != needed:
            verb = "needs" if needed else "has no use for"
            raise _malformed(f"A {kind} {verb} {name}.", f"/{name}")
    if kind in WHOLE and new.tokens:
        raise _malformed(f"A {kind} takes everything; it names no tokens.", "/tokens")
    if new.takes_frozen and kind not in {CaseKind.FORCED_TRANSFER, CaseKind.BURN}:
        raise _malformed(f"A {kind} takes no frozen units.", "/takes_frozen")
    for name in ("wallet", "counterparty"):
        address = getattr(new, name)
        if address is not None and (len(address) != ADDRESS_BYTES or not any(address)):
            raise _malformed("An address is 20 bytes, not all zero.", f"/{name}")
    if new.wallet is not None and new.wallet == new.counterparty:
        raise _malformed("From a wallet to itself nothing moves.", "/counterparty")
    if len(new.heirs) > MAX_HEIRS:
        raise _malformed(f"At most {MAX_HEIRS} heirs stand in one case.", "/estate/heirs")


def _malformed(detail: str, field: str) -> Invalid:
    return Invalid("case_malformed", detail, field=field)


def _name_heirs(session: Session, new: NewCase) -> list[dict[str, Any]]:
    """Return the heirs with the wallet that receives and the exact share of each."""
    if not new.heirs:
        return []
    assert new.investor_id is not None
    investors.get_investor(session, new.investor_id)
    named = [(heir, investors.get_investor(session, heir.investor_id)) for heir in new.heirs]
    if new.investor_id in {investor.id for _, investor in named}:
        raise Invalid("heirs_invalid", "The deceased is no heir.", field="/estate/heirs")
    shares = shares_of_heirs(
        [Heir(investor.party_id, heir.relation, heir.hissa) for heir, investor in named]
    )
    found = []
    for heir, investor in named:
        share = shares[investor.party_id]
        wallet = receiving_wallet(session, investor.id)
        soundness.require_receiver(session, wallet.address)
        found.append(
            {
                "investor_id": str(investor.id),
                "party_id": str(investor.party_id),
                "relation": heir.relation.value,
                "wallet": f"0x{wallet.address.hex()}",
                "share": [str(share.numerator), str(share.denominator)],
            }
        )
    return found


def _find_subject(session: Session, case: Case, tokens: Sequence[TokenUnits]) -> None:
    """Find whose wallet the case is about; it must be one that we or the token know."""
    if case.wallet is None:
        return
    holder = soundness.find_holder(session, case.wallet)
    case.investor_id = holder.id if holder else None
    if case.kind == CaseKind.RECOVERY:
        _require_own_wallets(session, case)
        return
    named = [soundness.deployed(session, token.tokenization_id) for token in tokens]
    holds = any(portfolio.holding_in(session, item, case.wallet).balance_units for item in named)
    if holder is None and not holds:
        raise Conflict(
            "wallet_unknown",
            "Nobody has proven this wallet, and it holds nothing of these tokens.",
        )


def _require_own_wallets(session: Session, case: Case) -> None:
    assert case.wallet is not None
    assert case.counterparty is not None
    lost = wallets.find_wallet(session, case.wallet)
    new = soundness.require_receiver(session, case.counterparty, linked=False)
    if lost is None or lost.state != WalletState.PROVEN or lost.investor_id != new.investor_id:
        raise Conflict(
            "wallet_of_other",
            "The lost and the new wallet are not both proven wallets of one investor.",
            remedy="Have the investor prove the new wallet under the same enrolment.",
        )


def approve_case(
    session: Session, actor: Actor, case_id: UUID, *, role: Role, seen_hash: bytes
) -> Case:
    """Approve exactly the case, or the lift of it, that was read.

    Raises
    ------
    Forbidden
        ``checker_is_maker``, ``approval_not_yours``, ``transition_forbidden``.
    Conflict
        ``case_changed``, ``source_not_verified``, ``approval_not_needed``,
        ``transition_refused``, or as `soundness.require_sound` and `require_liftable`.
    """
    case = get_case(session, case_id, lock=True)
    given = {"seen_hash": seen_hash}
    lifecycle.ask(session, actor, MACHINE, case, "approve", given=given)
    lift = current_lift(session, case)
    approvals.approve(
        session,
        actor,
        subject=("legal_case", case.id),
        role=role,
        maker=(lift or case).maker,
        dossier_hash=seen_hash,
        required=Counter({role: 1}) if role in CHECKERS else Counter(),
    )
    lifecycle.fire(session, actor, MACHINE, case, "approve", given=given, case_hash=seen_hash.hex())
    (lift or case).approved_by = actor.subject
    session.flush()
    return case


def reject_case(session: Session, actor: Actor, case_id: UUID, *, reason: str) -> Case:
    """Refuse the case, or the lift of it.

    Raises
    ------
    Forbidden
        ``checker_is_maker``, ``transition_forbidden``.
    Conflict
        ``transition_refused``.
    """
    return _give_up(session, actor, case_id, "reject", reason)


def withdraw_case(session: Session, actor: Actor, case_id: UUID, *, reason: str) -> Case:
    """Take back what one opened, of which nothing has happened on chain.

    Raises
    ------
    Forbidden
        ``not_the_maker``, ``transition_forbidden``.
    Conflict
        ``acts_happened``, ``transition_refused``.
    """
    return _give_up(session, actor, case_id, "withdraw", reason)


def _give_up(session: Session, actor: Actor, case_id: UUID, event: str, reason: str) -> Case:
    case = get_case(session, case_id, lock=True)
    lift = current_lift(session, case)
    lifecycle.fire(session, actor, MACHINE, case, event, given={"reason": reason}, reason=reason)
    if lift is not None:
        lift.dropped = True
    session.flush()
    return case


def open_lift(session: Session, actor: Actor, case_id: UUID, new: NewLift) -> Case:
    """Open the end of a freeze: the opposite acts, for another person to approve.

    Raises
    ------
    Invalid
        ``case_paper_differs``, ``source_of_other_asset``.
    Conflict
        ``case_not_liftable``, ``order_in_force``, ``nothing_held``, ``transition_refused``.
    Forbidden
        ``transition_forbidden``.
    """
    case = get_case(session, case_id, lock=True)
    own = list_own_acts(session, case.id)
    planned = lay_out_lift(session, own) if case.kind in FREEZES else []
    lifecycle.ask(session, actor, MACHINE, case, "lift", given={"acts": planned})
    touched = {act.tokenization_id for act in own}
    soundness.require_paper(session, new.document_id, new.document_sha256, touched)
    lifecycle.fire(session, actor, MACHINE, case, "lift", given={"acts": planned})
    lift = CaseLift(
        case_id=case.id,
        **{name: getattr(new, name) for name in NewLift.__dataclass_fields__},
        maker=actor.subject,
    )
    session.add(lift)
    session.flush()
    write_acts(session, case, planned, lift_id=lift.id)
    return case
