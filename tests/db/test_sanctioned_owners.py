"""Whom a list names acts through nobody else: companies, groups and land that they are behind."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import pytest

from registry.investor import service as investors
from registry.investor.models import KycState
from registry.kernel.actor import Actor, Role
from registry.kernel.errors import Conflict, Forbidden, NotFound
from registry.kyc_standing import service as standing
from registry.party.models import Party, PartyKind
from registry.sanctions import hits, lists
from registry.sanctions.models import HitState, SanctionsHit, SanctionsScreening, Verdict
from registry.sanctions.screening import is_screened, screen_party
from registry.title.owners import parties_behind, parties_in_front
from tests import factories as make
from tests import kyc, owning
from tests.factories import COMPLIANCE, Desk
from tests.kyc import FIRST_OFFICER, SECOND_OFFICER
from tests.owning import company_of, group_of, land_of, shares
from tests.sanctioned import Entry, file_of

pytestmark = pytest.mark.db

WHY = "The same father, and the same date of birth."


def owner(desk: Desk) -> Party:
    """Record somebody whom the list will name."""
    return make.person(
        desk, kind=PartyKind.NATURAL, name="Mohd Usman Barlasi", dob=date(1971, 3, 4),
        nationality="PK",
    )  # fmt: skip


def declaring(desk: Desk, *holders: Party) -> Party:
    """Record a company that declares shareholders, each of one share of a thousand."""
    company = make.company(desk)
    owning.declare(desk, company, shares(1_000, *((each, 1) for each in holders)))
    return company


Through = Callable[[Desk, Party], Party]
THROUGH: dict[str, Through] = {
    "beneficial owner": company_of,
    "shareholder": declaring,
    "shareholder of a shareholder": lambda desk, who: declaring(desk, declaring(desk, who)),
    "owner of a shareholder": lambda desk, who: declaring(desk, company_of(desk, who)),
    "member": lambda desk, who: group_of(desk, who, make.person(desk)),
    "owner of a member": lambda desk, who: group_of(desk, company_of(desk, who), make.person(desk)),
    "owner of the land": lambda desk, who: land_of(desk, declaring(desk, who)),
}
through = pytest.mark.parametrize("through", THROUGH.values(), ids=THROUGH)


def decide(desk: Desk, hit: SanctionsHit, verdict: Verdict) -> None:
    hits.recommend_hit(desk.session, FIRST_OFFICER, hit.id, verdict=verdict, reason=WHY)
    standing.confirm_hit(desk.session, SECOND_OFFICER, hit.id, reason=WHY)


@through
def test_front__of_somebody__is_whoever_they_are_behind(desk: Desk, through: Through) -> None:
    who, stranger = owner(desk), make.person(desk)
    front = through(desk, who)
    company_of(desk, stranger)

    in_front = parties_in_front(desk.session, [who.id])

    assert front.id in in_front
    assert stranger.id not in in_front
    assert all(who.id in parties_behind(desk.session, [each]) for each in in_front)


@through
def test_hit__of_somebody_behind__blocks_until_it_is_no_match(desk: Desk, through: Through) -> None:
    who = owner(desk)
    front = through(desk, who)
    lists.import_list(desk.session, COMPLIANCE, file_of())
    assert not is_screened(desk.session, front.id)
    [hit] = screen_party(desk.session, desk.vault, front.id)

    assert (hit.party_id, is_screened(desk.session, front.id)) == (who.id, True)
    with pytest.raises(Conflict, match="sanctions_hit_stands"):
        hits.require_unlisted(desk.session, front.id)
    hits.require_unlisted(desk.session, make.company(desk).id)
    decide(desk, hit, Verdict.FALSE_POSITIVE)
    hits.require_unlisted(desk.session, front.id)


@pytest.mark.parametrize("name", ["beneficial owner", "shareholder of a shareholder"])
def test_approve__of_a_company__asks_of_whoever_is_behind_it(desk: Desk, name: str) -> None:
    company = THROUGH[name](desk, owner(desk))
    who = make.actor(Role.ISSUER)
    investor = investors.enrol_for_company(desk.session, who, company.id)
    make.proven_wallet(desk, who, investor.id)
    review = kyc.recommended(desk, who, investor)
    edition = lists.import_list(desk.session, COMPLIANCE, file_of())

    # The batches have come to the company, and not yet to its owner.
    desk.session.add(
        SanctionsScreening(party_id=company.id, list_id=edition.id, party_version=company.version)
    )
    desk.session.flush()
    with pytest.raises(Conflict, match="sanctions_not_screened"):
        kyc.approve(desk, review)
    [hit] = screen_party(desk.session, desk.vault, company.id)
    with pytest.raises(Conflict, match="sanctions_hit_stands"):
        kyc.approve(desk, review)
    decide(desk, hit, Verdict.FALSE_POSITIVE)
    kyc.approve(desk, review)
    assert investor.kyc_state == KycState.APPROVED


@through
def test_true_match__of_somebody_behind__ends_the_kyc_of_whoever_is_in_front(
    desk: Desk, through: Through
) -> None:
    who = owner(desk)
    front = through(desk, who)
    if front.kind == PartyKind.LEGAL:
        concerned = make.issuer(desk, front).investor
    else:
        concerned = make.buyer(desk).investor
        concerned.party_id = front.id
    stranger = make.issuer(desk, make.company(desk)).investor
    lists.import_list(desk.session, COMPLIANCE, file_of())
    [hit] = screen_party(desk.session, desk.vault, who.id)

    decide(desk, hit, Verdict.TRUE_MATCH)

    assert hit.state == HitState.TRUE_MATCH
    assert (concerned.kyc_state, stranger.kyc_state) == (KycState.REVOKED, KycState.APPROVED)


Act = Callable[[Desk, Actor, SanctionsHit], object]


def recommend(desk: Desk, who: Actor, hit: SanctionsHit) -> object:
    verdict = Verdict.FALSE_POSITIVE
    return hits.recommend_hit(desk.session, who, hit.id, verdict=verdict, reason=WHY)


def give_back(desk: Desk, who: Actor, hit: SanctionsHit) -> object:
    recommend(desk, FIRST_OFFICER, hit)
    return hits.return_hit(desk.session, who, hit.id, reason=WHY)


def confirm(desk: Desk, who: Actor, hit: SanctionsHit) -> object:
    recommend(desk, FIRST_OFFICER, hit)
    return standing.confirm_hit(desk.session, who, hit.id, reason=WHY)


def reopen(desk: Desk, who: Actor, hit: SanctionsHit) -> object:
    decide(desk, hit, Verdict.TRUE_MATCH)
    return hits.reopen_hit(desk.session, who, hit.id, reason=WHY)


def about(desk: Desk, kind: str) -> tuple[SanctionsHit, Actor]:
    """Give a hit, and an officer whom it concerns, behind it, themselves or in front of it."""
    who = owner(desk)
    company = company_of(desk, who)
    parties = {
        "of themselves": (who, who),
        "of an owner": (company, who),
        "of a company of theirs": (who, company),
    }
    theirs, named = parties[kind]
    officer = make.actor(Role.COMPLIANCE)
    investors.enrol_as(desk.session, COMPLIANCE, theirs.id, subject=officer.subject)
    name = "Mohd Usman Barlasi" if named == who else named.name or ""
    entry = Entry("XXe.078", name, is_entity=named != who)
    lists.import_list(desk.session, COMPLIANCE, file_of([entry]))
    found = screen_party(desk.session, desk.vault, named.id)
    return next(hit for hit in found if hit.party_id == named.id), officer


@pytest.mark.parametrize("act", [recommend, give_back, confirm, reopen])
@pytest.mark.parametrize(
    ("kind", "refusal"),
    [
        # Not even that there is one.
        ("of themselves", "not_found"),
        ("of an owner", "checker_is_maker"),
        ("of a company of theirs", "checker_is_maker"),
    ],
)
def test_hit__that_concerns_an_officer__is_judged_by_others(
    desk: Desk, kind: str, refusal: str, act: Act
) -> None:
    hit, officer = about(desk, kind)

    with pytest.raises((Forbidden, NotFound), match=refusal):
        act(desk, officer, hit)

    assert hit.state != HitState.FALSE_POSITIVE


def test_hit__of_a_stranger__is_judged_by_an_officer_who_invests(desk: Desk) -> None:
    who = owner(desk)
    lists.import_list(desk.session, COMPLIANCE, file_of())
    [hit] = screen_party(desk.session, desk.vault, who.id)
    officer = make.actor(Role.COMPLIANCE)
    investors.enrol_as(desk.session, COMPLIANCE, make.person(desk).id, subject=officer.subject)

    recommend(desk, officer, hit)
    assert hit.state == HitState.RECOMMENDED
