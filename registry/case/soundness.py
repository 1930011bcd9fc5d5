"""Whether a case could be carried out as things stand: asked when it is opened, approved, executed.

The chain asks most of it again; here the refusal says what to do about it, before anything is
signed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from uuid import UUID

from sqlmodel import Session

from registry.captable import portfolio
from registry.captable import service as captable
from registry.captable.models import ForcedAct
from registry.case.layout import BURNABLE, NOTHING_ON_CHAIN, PlannedAct
from registry.case.models import FREEZES, RUNNING, Case, CaseAct, CaseKind
from registry.case.repository import (
    find_other_recovery,
    find_unfinished,
    list_freezes,
    places_of,
    successor_of,
    units_on_their_way,
)
from registry.court_order import service as orders
from registry.court_order.models import (
    BINDING,
)
from registry.document import service as documents
from registry.document import sources
from registry.document.models import Document
from registry.investor import service as investors
from registry.investor import wallets
from registry.investor.models import Investor, Wallet, WalletState
from registry.kernel.errors import Conflict, Invalid
from registry.tokenization import service as tokenizations
from registry.tokenization.models import Tokenization, TokenizationState

_MOVES = (ForcedAct.FORCED_TRANSFER, ForcedAct.RECOVERY)
_TAKES = (ForcedAct.FORCED_TRANSFER, ForcedAct.BURN)


def require_sound(session: Session, case: Case, acts: Sequence[PlannedAct]) -> None:
    """Refuse a case of which some act could not be carried out now.

    Raises
    ------
    Conflict
        ``token_not_deployed``, ``token_not_redeeming`` (TOK-02), ``units_not_held``,
        ``units_frozen``, ``units_not_free``, ``wallet_frozen``, ``receiver_not_eligible``,
        ``order_not_in_force``, ``recovery_under_way``, ``cap_table_frozen``.
    """
    if case.order_id is not None and orders.get_order(session, case.order_id).state not in BINDING:
        raise Conflict("order_not_in_force", "The order of this case binds nobody now.")
    if case.kind == CaseKind.RECOVERY:
        assert case.counterparty is not None
        require_receiver(session, case.counterparty, linked=False)
        _require_only_recovery(session, case)
    for act in acts:
        tokenization = deployed(session, act.tokenization_id)
        require_act(session, case, act, tokenization)
        if act.counterparty is not None and case.kind != CaseKind.RECOVERY:
            require_receiver(session, act.counterparty)
    require_free(session, case, acts)


def deployed(session: Session, tokenization_id: UUID) -> Tokenization:
    """Return a tokenization whose token stands on chain and is projected.

    Raises
    ------
    Conflict
        ``token_not_deployed``.
    NotFound
    """
    tokenization = tokenizations.get_tokenization(session, tokenization_id)
    if not is_deployed(tokenization) or tokenization.token_address is None:
        raise Conflict("token_not_deployed", "The token does not stand on chain.")
    captable.get_token(session, tokenization.token_address)
    return tokenization


def is_deployed(tokenization: Tokenization) -> bool:
    """Tell whether the token stands on chain, and still obeys the platform."""
    return tokenization.token_address is not None and tokenization.state not in NOTHING_ON_CHAIN


def require_movable(act: ForcedAct, tokenization: Tokenization) -> None:
    """Refuse to move units of a token whose cap table is frozen: it is paid, or repaid, and burned.

    Raises
    ------
    Conflict
        ``cap_table_frozen``.
    """
    if act in _MOVES and tokenization.state == TokenizationState.REDEEMING:
        raise Conflict(
            "cap_table_frozen",
            "A redemption pays whoever held at its record date; nothing moves before it ends.",
            remedy="Have the payout held for whom the order names, or abort the redemption.",
        )
    if act in _MOVES and tokenization.state == TokenizationState.UNWINDING:
        raise Conflict(
            "cap_table_frozen",
            "The sale of this token is given up; its fractions are burned where they are.",
            remedy="Wait until they are burned. Money goes back by order, to who paid.",
        )


def require_act(session: Session, case: Case, act: PlannedAct, tokenization: Tokenization) -> None:
    require_movable(act.act, tokenization)
    held = portfolio.holding_in(session, tokenization, act.wallet)
    units, free = act.units or 0, free_units(session, tokenization, act.wallet, besides=case.id)
    if act.act == ForcedAct.BURN and tokenization.state not in BURNABLE:
        raise Conflict(
            "token_not_redeeming",
            f"The token is {tokenization.state}; its supply is what was declared (rule TOK-02).",
            remedy="Fractions are burned in a redemption or when the token is unwound.",
            rule="TOK-02",
        )
    if act.act == ForcedAct.UNFREEZE_UNITS and units > held.frozen_units:
        raise Conflict("units_not_held", f"{held.frozen_units} units are frozen, not {units}.")
    if act.act in _TAKES and units > held.balance_units:
        raise Conflict("units_not_held", f"The wallet holds {held.balance_units} units.")
    if act.act == ForcedAct.FREEZE_UNITS and units > free:
        raise Conflict("units_not_free", f"Only {max(free, 0)} units can still be frozen.")
    if act.act == ForcedAct.FREEZE_WALLET:
        _require_unfrozen(session, case, act)


def free_units(
    session: Session, tokenization: Tokenization, wallet: bytes, *, besides: UUID | None = None
) -> int:
    """Return how many units of a wallet are not frozen, and will not be by what is on its way.

    Below zero where more is on its way than there is.

    Parameters
    ----------
    besides
        A case whose own freeze is left out.
    """
    held = portfolio.holding_in(session, tokenization, wallet)
    coming = units_on_their_way(session, tokenization.id, wallet, besides=besides)
    return held.balance_units - held.frozen_units - coming


def require_free(session: Session, case: Case, acts: Iterable[PlannedAct | CaseAct]) -> None:
    """Refuse to take more of a wallet than is free, unless the case says so.

    The token itself frees whatever it lacks: it would undo a freeze without a word.

    Raises
    ------
    Conflict
        ``units_frozen``.
    """
    taken: dict[tuple[UUID, bytes], int] = defaultdict(int)
    for act in acts:
        if act.act in _TAKES and not case.takes_frozen:
            taken[act.tokenization_id, act.wallet] += int(act.units or 0)
    for (tokenization_id, wallet), units in taken.items():
        tokenization = tokenizations.get_tokenization(session, tokenization_id)
        free = free_units(session, tokenization, wallet)
        if units > free:
            raise Conflict(
                "units_frozen",
                f"Only {max(free, 0)} units are not frozen; the act would free the others.",
                remedy="Lift the freeze, or say takes_frozen where the order says so.",
            )


def _require_unfrozen(session: Session, case: Case, act: PlannedAct) -> None:
    if case.document_id is None:
        return
    for other, frozen in list_freezes(session, CaseKind.FREEZE_WALLET):
        same = successor_of(session, frozen.wallet) == act.wallet
        # A freeze by KYC is released by itself, and leaves alone what other cases hold.
        if (
            other.id != case.id
            and other.kyc_review_id is None
            and same
            and frozen.tokenization_id == act.tokenization_id
        ):
            raise Conflict(
                "wallet_frozen",
                f"Case {other.id} froze this wallet already.",
                remedy="One freeze of a wallet is enough; the first to be lifted would end both.",
            )


def _require_only_recovery(session: Session, case: Case) -> None:
    """A lost wallet has one successor: whatever is frozen follows it there."""
    other = find_other_recovery(session, case)
    if other is not None:
        raise Conflict(
            "recovery_under_way",
            f"Case {other.id} recovers this wallet already.",
            remedy="Withdraw or reject this case; the other one moves everything.",
        )


def require_at_rest(session: Session, freeze: Case) -> None:
    """Refuse to end a freeze while a recovery may still carry it to another wallet.

    Raises
    ------
    Conflict
        ``recovery_under_way``.
    """
    passage = find_unfinished(session, freeze.wallet or b"")
    if passage is not None:
        raise Conflict(
            "recovery_under_way",
            f"Case {passage.case_id} recovers this wallet, and takes the freeze along.",
            remedy="Execute that case to its end, or withdraw it; then the freeze can end.",
        )


def require_freezes_settled(session: Session, recovery: Case) -> None:
    """Refuse to recover a wallet while a freeze of it, or its end, is on its way.

    What overtakes the other would freeze, or free, a wallet that nobody has any more.

    Raises
    ------
    Conflict
        ``case_acts_under_way``.
    """
    for kind in FREEZES:
        for case, act in list_freezes(session, kind):
            if case.state in RUNNING and recovery.wallet in places_of(session, act.wallet):
                raise Conflict(
                    "case_acts_under_way",
                    f"Case {case.id} freezes this wallet, or frees it, at this moment.",
                    remedy="Wait for its operations, then execute the recovery.",
                )


def require_receiver(session: Session, address: bytes, *, linked: bool = True) -> Wallet:
    """Return the wallet of somebody who may receive units.

    Parameters
    ----------
    linked
        Whether it must have its identity already; else the case itself links it.

    Raises
    ------
    Conflict
        ``receiver_not_eligible``, with the reason.
    """
    wallet = wallets.find_wallet(session, address)
    if wallet is None:
        raise _not_eligible(address, "nobody has proven this wallet")
    if wallet.state != WalletState.PROVEN:
        raise _not_eligible(address, "this wallet was given up")
    if not investors.may_hold(investors.get_investor(session, wallet.investor_id)):
        raise _not_eligible(address, "the KYC of its investor is not in force")
    if linked and wallet.identity is None:
        raise _not_eligible(address, "it has no identity on chain yet")
    return wallet


def _not_eligible(address: bytes, why: str) -> Conflict:
    return Conflict(
        "receiver_not_eligible",
        f"0x{address.hex()} cannot receive: {why}.",
        remedy="Have the investor enrol, prove a wallet and pass KYC first.",
    )


def require_paper(
    session: Session, document_id: UUID, sha256: bytes, tokenization_ids: Iterable[UUID]
) -> Document:
    """Return the paper that a case rests on, filed under an asset that the case is about.

    Raises
    ------
    Invalid
        ``case_paper_differs``, ``source_of_other_asset``.
    NotFound
    """
    paper = documents.get_document(session, document_id)
    if paper.sha256 != sha256:
        raise Invalid(
            "case_paper_differs",
            "The document that is filed has another SHA-256.",
            field="/document_sha256",
        )
    assets = {tokenizations.get_tokenization(session, item).asset_id for item in tokenization_ids}
    if paper.asset_id not in assets:
        raise Invalid(
            "source_of_other_asset",
            "The document is filed under an asset whose token the case does not touch.",
            field="/document_id",
        )
    return paper


def require_verified_paper(session: Session, document_id: UUID) -> None:
    """Refuse to act on a paper that its registry has not confirmed.

    Raises
    ------
    Conflict
        ``source_not_verified``.
    """
    sources.require_verified(documents.get_document(session, document_id))


def find_holder(session: Session, wallet: bytes) -> Investor | None:
    """Return whose the wallet is, if anybody has proven it."""
    found = wallets.find_wallet(session, wallet)
    return None if found is None else investors.get_investor(session, found.investor_id)
