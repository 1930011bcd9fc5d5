"""REG-01: a statement of the register of record that does not come is a difference too."""

from __future__ import annotations

from sqlmodel import Session

from registry.captable.supply import first_minted_at, supply_at
from registry.kernel.clock import day_of, today
from registry.policy.models import PolicyName
from registry.policy.service import policy_on
from registry.reconciliation.statements import newest_statement
from registry.reconciliation.views import Difference, TokenView
from registry.tokenization.models import TokenizationState
from registry.wrapper import service as wrappers
from registry.wrapper.models import RegisterOfRecord

STATEMENT = "statement"
"""What such a break is of."""
_AWAITED = frozenset(
    {TokenizationState.LIVE, TokenizationState.PAUSED, TokenizationState.REDEEMING}
)


def late_statement(session: Session, view: TokenView) -> list[Difference]:
    """Say so where the newest statement is older than the policy lets it be, or there is none.

    Nothing is awaited where the token is itself the register of record, nor while nobody holds it.
    The days of a token without a statement are counted from its first mint.
    """
    tokenization = view.tokenization
    wrapper = wrappers.find_wrapper(session, tokenization.asset_id)
    if (
        tokenization.state not in _AWAITED
        or wrapper is None
        or wrapper.register_of_record == RegisterOfRecord.TOKEN_REGISTER
        or not supply_at(session, view.token, view.block)
    ):
        return []
    newest = newest_statement(session, tokenization.id)
    minted_at = first_minted_at(session, view.token)
    if newest is None and minted_at is None:
        return []
    most = int(policy_on(session, PolicyName.REGISTER_STATEMENT, today()).value)
    if newest is not None:
        since, said = newest.as_of, f"The newest statement of {wrapper.register_of_record} is of"
    else:
        assert minted_at is not None
        since = day_of(minted_at)
        said = f"{wrapper.register_of_record} has stated nothing; somebody holds fractions since"
    if (today() - since).days <= most:
        return []
    return [Difference("REG-01", STATEMENT, f"{said} {since}: more than {most} days.")]
