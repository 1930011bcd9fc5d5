"""Which whole wallets cases freeze now, token by token."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from sqlmodel import Session

from registry.captable import portfolio
from registry.captable import service as captable
from registry.case.models import Case, CaseKind
from registry.case.repository import list_freezes, read_recoveries
from registry.tokenization import service as tokenizations


def frozen_wallets(session: Session, counts: Callable[[Case], bool]) -> set[tuple[UUID, bytes]]:
    """Give token and wallet of whatever cases freeze as a whole.

    A recovery takes a freeze along and leaves it on the lost wallet too, so both are frozen by one
    case. The new wallet counts as soon as the chain shows it frozen: a recovery that is on its way,
    or was overtaken by the freeze, has taken nothing along.

    Parameters
    ----------
    counts
        Which cases are looked at.
    """
    found = set()
    recoveries = read_recoveries(session)
    for case, act in list_freezes(session, CaseKind.FREEZE_WALLET):
        if not counts(case):
            continue
        found.add((act.tokenization_id, act.wallet))
        found |= {
            (act.tokenization_id, heir)
            for heir in recoveries.places_of(act.wallet) - {act.wallet}
            if _is_frozen(session, act.tokenization_id, heir)
        }
    return found


def _is_frozen(session: Session, tokenization_id: UUID, wallet: bytes) -> bool:
    tokenization = tokenizations.get_tokenization(session, tokenization_id)
    if tokenization.token_address is None:
        return False
    token = captable.find_token(session, tokenization.token_address)
    return token is not None and portfolio.is_frozen(session, token, wallet)
