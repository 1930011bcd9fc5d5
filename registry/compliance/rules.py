"""May these units move: each rule, passed or not, by our own reckoning.

The figures and their order of comparison are those of `contracts/compliance`; a property test
holds the two against each other. Every rule is asked, whatever the others say.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import cache
from pathlib import Path

from registry.compliance.facts import Movement, TokenFacts

MAX_WALLETS = 32
"""`MaxBalanceModule.MAX_WALLETS`: wallets of one identity that may hold."""
MAX_LOTS = 64
"""`LockupModule.MAX_LOTS`: lots that one wallet may have."""


class Keeper(StrEnum):
    """Who refuses where a rule fails.

    Parameters
    ----------
    REGISTRY
        We: nothing is sent.
    IDENTITY
        The identity registry, in `isVerified`.
    COMPLIANCE
        A module, in `canTransfer`.
    TOKEN
        The token itself.
    """

    REGISTRY = "registry"
    IDENTITY = "identity"
    COMPLIANCE = "compliance"
    TOKEN = "token"  # noqa: S105


@dataclass(frozen=True, slots=True)
class RuleText:
    """One rule of eligibility as people read it."""

    id: str
    name: str
    kept_by: Keeper
    passed: str
    passed_ur: str
    failed: str
    failed_ur: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What one rule says of one movement.

    Parameters
    ----------
    detail : str | None
        The figures that decided, where the rule fails.
    """

    rule: RuleText
    detail: str | None

    @property
    def passed(self) -> bool:
        return self.detail is None


@cache
def eligibility_book() -> Mapping[str, RuleText]:
    """Return every rule of eligibility by its name, in the order of the book."""
    rows = json.loads((Path(__file__).parent / "eligibility.json").read_text("utf-8"))
    return {row["name"]: RuleText(**(row | {"kept_by": Keeper(row["kept_by"])})) for row in rows}


def judge(token: TokenFacts, movement: Movement, moment: datetime) -> tuple[Answer, ...]:
    """Ask every rule.

    Parameters
    ----------
    moment
        The registry's own clock, against which a KYC runs out.
    """
    details = {
        "kyc": _kyc(movement, moment),
        **{name: check(token, movement) for name, check in _CHECKS.items()},
    }
    return tuple(Answer(rule, details[name]) for name, rule in eligibility_book().items())


def passes(answers: tuple[Answer, ...], *keepers: Keeper) -> bool:
    """Tell whether every rule of these keepers passed."""
    return all(answer.passed for answer in answers if answer.rule.kept_by in keepers)


def _kyc(movement: Movement, moment: datetime) -> str | None:
    until = movement.receiver.kyc_until
    if until is None:
        return "No KYC of the receiver is approved."
    return None if until > moment else f"It ran out at {until}."


def _registered(_token: TokenFacts, movement: Movement) -> str | None:
    return None if movement.receiver.identity else "The identity registry does not know it."


def _claim(token: TokenFacts, movement: Movement) -> str | None:
    claim = movement.receiver.claim
    if movement.receiver.identity is None or claim is None or not claim.issued_at:
        return "There is no claim."
    if claim.is_in_force_at(token.timestamp):
        return None
    if claim.issued_at <= claim.revoked_at:
        return f"It was revoked at {_at(claim.revoked_at)}."
    return f"It ran out at {_at(claim.expires_at)}."


def _receiver_frozen(_token: TokenFacts, movement: Movement) -> str | None:
    return "Its address is frozen." if movement.receiver.frozen else None


def _sender_frozen(_token: TokenFacts, movement: Movement) -> str | None:
    frozen = movement.sender is not None and movement.sender.frozen
    return "Its address is frozen." if frozen else None


def _paused(token: TokenFacts, movement: Movement) -> str | None:
    is_first_issue = movement.sender is None and not token.was_opened
    return "It is paused." if token.paused and not is_first_issue else None


def _title(token: TokenFacts, movement: Movement) -> str | None:
    if token.is_halted:
        return "Its status is HALT."
    no_mint = token.is_mint_stopped and movement.sender is None
    return "Its status is NO_MINT." if no_mint else None


def _supply(token: TokenFacts, movement: Movement) -> str | None:
    if token.terms is None or movement.sender is not None:
        return None
    left = token.declared_units - token.supply_units
    return None if movement.units <= left else f"{max(left, 0)} units are left to mint."


def _country(token: TokenFacts, movement: Movement) -> str | None:
    country = movement.receiver.country
    if token.terms is None or country in token.terms.country_numbers:
        return None
    return f"The wallet is registered in country {country:03}." if country else "It has no country."


def _max_balance(token: TokenFacts, movement: Movement) -> str | None:
    most = token.terms.max_units_per_holder if token.terms else None
    if most is None:
        return None
    receiver, sender = movement.receiver, movement.sender
    if receiver.owner_wallets >= MAX_WALLETS and not receiver.balance_units:
        return f"{MAX_WALLETS} wallets of the person hold already."
    if sender is not None and sender.owner == receiver.owner:
        # One's own units between one's own wallets.
        return None
    if movement.units <= most - receiver.owner_units:
        return None
    return f"The person holds {receiver.owner_units} of at most {most} units."


def _holder_cap(token: TokenFacts, movement: Movement) -> str | None:
    cap = token.terms.max_holders if token.terms else None
    receiver, sender = movement.receiver, movement.sender
    if cap is None or token.holders < cap or receiver.balance_units or receiver.owner_wallets:
        return None
    one_leaves = (
        sender is not None
        and token.holders == cap
        and sender.owner_wallets == 1
        and sender.balance_units == movement.units
    )
    return None if one_leaves else f"There are {token.holders} holders of at most {cap}."


def _lockup(token: TokenFacts, movement: Movement) -> str | None:
    if token.terms is None or not token.terms.lockup_s:
        return None
    holder = movement.sender or movement.receiver
    lots = [lot for lot in holder.lots if lot.release_at > token.timestamp]
    if movement.sender is None:
        return f"The wallet has {len(lots)} locked lots." if len(lots) >= MAX_LOTS else None
    locked = sum(lot.units for lot in lots)
    if not locked or movement.units <= movement.sender.balance_units - locked:
        return None
    first = min(lot.release_at for lot in lots)
    held = movement.sender.balance_units
    return f"{locked} of {held} units are locked; the next are free at {_at(first)}."


def _window(token: TokenFacts, movement: Movement) -> str | None:
    if token.terms is None or movement.sender is None:
        return None
    is_open = token.terms.is_open_at(token.timestamp)
    return None if is_open else f"They are closed at {_at(token.timestamp)}."


def _free_balance(_token: TokenFacts, movement: Movement) -> str | None:
    sender = movement.sender
    if sender is None:
        return None
    free = sender.balance_units - sender.frozen_units
    return None if movement.units <= free else f"{free} units are free of {sender.balance_units}."


def _at(timestamp: int) -> str:
    return datetime.fromtimestamp(timestamp, UTC).isoformat()


_CHECKS: Mapping[str, Callable[[TokenFacts, Movement], str | None]] = {
    "identity_registered": _registered,
    "claim_in_force": _claim,
    "receiver_not_frozen": _receiver_frozen,
    "sender_not_frozen": _sender_frozen,
    "token_not_paused": _paused,
    "title_status": _title,
    "supply_cap": _supply,
    "country_allowed": _country,
    "max_balance": _max_balance,
    "holder_cap": _holder_cap,
    "lockup": _lockup,
    "transfer_window": _window,
    "free_balance": _free_balance,
}
