"""A dry run: proposed allotments of a token that stands nowhere yet."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlmodel import Session

from registry.compliance.dry_run import Allotment, Outcome, rehearse
from registry.compliance.facts import Claim, WalletFacts
from registry.compliance.lint import lint
from registry.eligibility.service import own_wallets, owners_of, sees_everybody
from registry.investor import service as investors
from registry.investor import wallets
from registry.investor.models import Investor, Wallet
from registry.kernel.actor import Actor
from registry.kernel.clock import now
from registry.kernel.errors import Conflict, Invalid
from registry.kernel.ids import new_id
from registry.party import service as parties
from registry.party.rules import check_country, country_number
from registry.rulebook.service import RuleResult
from registry.tokenization import compliance
from registry.tokenization import service as tokenizations
from registry.tokenization.models import Tokenization
from registry.wrapper import service as wrappers

_A_YEAR = timedelta(days=365)
ADDRESS_LENGTH = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposed:
    """Units for a wallet that the register may know, or for anybody of a country.

    Parameters
    ----------
    wallet : bytes | None
        20 bytes.
    country : str | None
        ISO 3166-1 alpha-2 code of a person whose KYC is taken to be passed.
    """

    units: int
    wallet: bytes | None = None
    country: str | None = None


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What would become of each allotment, and of the rest, which the wrapper is minted.

    Parameters
    ----------
    rest : Outcome | None
        None where nothing is left, or no wallet of the wrapper is known; then `rest_units` says
        how much has nowhere to go.
    concerns : frozenset[UUID]
        The investors of whose wallets it tells: whoever is told of them is noted.
    """

    tokenization: Tokenization
    outcomes: Sequence[Outcome]
    rest_units: int
    rest: Outcome | None
    findings: Sequence[RuleResult]
    concerns: frozenset[UUID]


def dry_run(
    session: Session, actor: Actor, tokenization_id: UUID, proposed: Sequence[Proposed]
) -> Rehearsal:
    """Mint proposed allotments by our own rules, in order, and then the rest.

    To who may not read investors, a wallet that is not their own is as one of nobody.

    Raises
    ------
    Invalid
        ``country_unknown``; ``allotments_exceed_declared``.
    Conflict
        ``token_on_chain``: it stands already, so ask `/v1/eligibility`.
    """
    tokenization = tokenizations.get_tokenization(session, tokenization_id)
    if tokenization.token_address is not None:
        raise Conflict(
            "token_on_chain",
            "The token's contracts stand on chain: there is nothing to rehearse.",
            remedy="Ask /v1/eligibility, or /v1/tokens/{id}/what_if.",
        )
    declared, moment = tokenization.declared_fractions, now()
    total = sum(item.units for item in proposed)
    if total > declared:
        raise Invalid(
            "allotments_exceed_declared",
            f"{total} fractions are allotted, {declared} are declared.",
            field="/allotments",
        )
    known = _wallets_known_to(session, actor, proposed)
    allotments = [
        Allotment(_receiver(session, item, place, moment, known), item.units)
        for place, item in enumerate(proposed)
    ]
    treasury = _treasury(session, tokenization)
    if total < declared and treasury is not None:
        allotments.append(Allotment(_known(session, treasury), declared - total))
    rest = allotments[len(proposed) :]
    terms = compliance.terms_of(tokenization)
    outcomes = rehearse(allotments, terms, declared, moment)
    return Rehearsal(
        tokenization=tokenization,
        outcomes=outcomes[: len(proposed)],
        rest_units=declared - total,
        rest=outcomes[-1] if rest else None,
        findings=lint(terms, compliance.lint_facts(session, tokenization)),
        concerns=owners_of(session, known | {item.receiver.address for item in rest}),
    )


def _wallets_known_to(session: Session, actor: Actor, proposed: Sequence[Proposed]) -> set[bytes]:
    asked = {item.wallet for item in proposed if item.wallet is not None}
    return asked if sees_everybody(actor) else asked & own_wallets(session, actor)


def _receiver(
    session: Session, item: Proposed, place: int, moment: datetime, known: Collection[bytes]
) -> WalletFacts:
    if item.country is not None:
        alpha2 = check_country(item.country, field=f"/allotments/{place}/country")
        return _anybody(alpha2, moment)
    assert item.wallet is not None, "the schema asks for one of the two"
    wallet = wallets.find_wallet(session, item.wallet) if item.wallet in known else None
    return _known(session, wallet) if wallet else WalletFacts(address=item.wallet)


def _anybody(alpha2: str, moment: datetime) -> WalletFacts:
    """Make a person up, each time another one, whose papers are in order."""
    address = new_id().bytes.rjust(ADDRESS_LENGTH, b"\0")
    until = moment + _A_YEAR
    return WalletFacts(
        address=address,
        identity=address,
        country=country_number(alpha2),
        kyc_until=until,
        claim=Claim(int(moment.timestamp()), int(until.timestamp()), 0),
    )


def _known(session: Session, wallet: Wallet) -> WalletFacts:
    """Say what will be true of an investor's wallet once it is registered for the token."""
    investor = investors.get_investor(session, wallet.investor_id)
    party = parties.get_party(session, investor.party_id)
    until = investor.kyc_valid_until if investors.may_hold(investor) else None
    return WalletFacts(
        address=wallet.address,
        identity=wallet.identity,
        country=country_number(party.residence_country),
        kyc_until=until,
        # The claim is planned with the approval of the KYC, after the identity.
        claim=Claim(int(now().timestamp()), int(until.timestamp()), 0)
        if until and wallet.identity
        else None,
    )


def _treasury(session: Session, tokenization: Tokenization) -> Wallet | None:
    """Find the wallet that `offering.close_and_mint` gives the rest to."""
    wrapper = wrappers.find_wrapper(session, tokenization.asset_id)
    holder: Investor | None = (
        investors.find_investor_for(session, wrapper.party_id) if wrapper else None
    )
    if holder is None:
        return None
    own = wallets.list_wallets(session, holder.id)
    return next((wallet for wallet in own if wallet.identity is not None), None)
