"""Who is behind a token: through wallets, companies, groups, trusts, land and other tokens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from uuid import UUID

import pytest

from registry.captable.service import block_at
from registry.interest.models import InterestNature
from registry.interest.rules import Interest
from registry.investor import wallets
from registry.kernel.clock import now
from registry.ownership.graph import (
    Node,
    NodeKind,
    Reason,
    When,
    party_node,
    start_of_title,
    token_node,
)
from registry.ownership.reverse import what_is_behind
from registry.ownership.service import Ownership, who_is_behind
from registry.party.group import Member
from registry.party.models import Party, PartyKind
from registry.party.service import NewParty, create_party
from registry.tokenization.models import TokenizationState
from tests import factories as make
from tests import ledger, owning, sales
from tests.factories import MAKER, Buyer, Desk
from tests.ledger import Ledger
from tests.owning import shares

pytestmark = pytest.mark.db

QUARTER = Fraction(1, 4)
ALL = Fraction(1)


@dataclass(frozen=True)
class Question:
    """A live token, and what is asked of it."""

    desk: Desk
    chain: Ledger

    @property
    def when(self) -> When:
        return When(now(), block_at(self.desk.session, self.chain.chain_id, None))

    @property
    def person(self) -> Party:
        """The first buyer."""
        return self.desk.session.get_one(Party, self.chain.holders[0].investor.party_id)

    @property
    def node(self) -> Node:
        return token_node(self.chain.tokenization.id)

    def behind(
        self, threshold: Fraction = QUARTER, start: Mapping[Node, Fraction] | None = None
    ) -> Ownership:
        found = who_is_behind(self.desk.session, start or {self.node: ALL}, self.when, threshold)
        parts = [owner.share for owner in found.owners] + [gap.share for gap in found.unknown]
        assert sum(parts, found.below) == 1
        assert found.below >= 0
        return found

    def give(self, company: Party, units: int) -> None:
        """Mint to a wallet of a company's."""
        self._mint_to(make.issuer(self.desk, company), units)

    def give_somebody(self, units: int) -> None:
        """Mint to a person."""
        self._mint_to(make.buyer(self.desk), units)

    def _mint_to(self, holder: Buyer, units: int) -> None:
        self.chain.register(holder.wallet.address)
        self.chain.mint(holder.wallet.address, units)


@pytest.fixture
def asked(desk: Desk) -> Question:
    """A token of which one buyer has 10 units, and more is minted by each test."""
    return Question(desk, ledger.live(desk, 10))


def shares_of(found: Ownership) -> dict[UUID, Fraction]:
    return {owner.party_id: owner.share for owner in found.owners}


def test_owner__over_a_company_and_by_a_wallet_of_their_own__has_the_sum(asked: Question) -> None:
    desk = asked.desk
    person = asked.person
    company = make.company(desk)
    owning.declare(desk, company, shares(100, (person, 20)))
    asked.give(company, 90)

    found = asked.behind()

    # 10 of 100 directly, and a fifth of 90.
    assert shares_of(found) == {person.id: Fraction(28, 100)}
    assert [path.share for path in found.owners[0].paths] == [Fraction(18, 100), Fraction(1, 10)]
    assert found.owners[0].paths[0].nodes == (
        asked.node,
        party_node(company.id),
        party_node(person.id),
    )
    [gap] = found.unknown
    assert (gap.node, gap.reason, gap.share) == (
        party_node(company.id),
        Reason.UNDECLARED,
        Fraction(72, 100),
    )
    assert found.below == 0


def test_owner__almost_over_a_company__reaches_it_by_a_few_units_of_their_own(
    asked: Question,
) -> None:
    desk = asked.desk
    person = asked.person
    company = make.company(desk)
    owning.declare(desk, company, shares(999, (person, 249)))
    asked.give(company, 9_990)

    # 2,490 of 10,000 over the company, and 10, which nobody would look at alone.
    assert shares_of(asked.behind()) == {person.id: QUARTER}
    assert shares_of(asked.behind(Fraction(2_501, 10_000))) == {}


def test_owner__half_over_a_company_and_half_by_their_own__is_told(asked: Question) -> None:
    desk = asked.desk
    person = asked.person
    company = make.company(desk)
    owning.declare(desk, company, shares(7, (person, 1)))
    asked.give(company, 70)

    assert shares_of(asked.behind()) == {person.id: QUARTER}


def test_owner__of_several_small_wallets__is_found_by_their_sum(asked: Question) -> None:
    desk = asked.desk
    [buyer] = asked.chain.holders
    for _ in range(4):
        wallet = make.proven_wallet(desk, buyer.actor, buyer.investor.id)
        asked.chain.register(wallet.address)
        asked.chain.mint(wallet.address, 5)
    for _ in range(7):
        asked.give_somebody(10)

    found = asked.behind(Fraction(3, 10))

    assert shares_of(found) == {buyer.investor.party_id: Fraction(30, 100)}
    assert found.below == Fraction(70, 100)
    assert found.unknown == []


def test_company__without_a_declaration__is_unknown_and_nobody_is_behind(asked: Question) -> None:
    asked.give(make.company(asked.desk), 990)

    found = asked.behind()

    assert found.has_nobody
    assert [(gap.reason, gap.share) for gap in found.unknown] == [
        (Reason.UNDECLARED, Fraction(99, 100))
    ]
    assert found.below == Fraction(1, 100)


def test_companies__that_own_one_another__give_the_limit_or_are_told(asked: Question) -> None:
    desk = asked.desk
    one, two, person = make.company(desk), make.company(desk), make.person(desk)
    owning.declare(desk, one, shares(10, (two, 2), (person, 8)))
    owning.declare(desk, two, shares(10, (one, 5)))
    lonely, only = make.company(desk), make.company(desk)
    owning.declare(desk, lonely, shares(1, (only, 1)))
    owning.declare(desk, only, shares(1, (lonely, 1)))
    asked.give(one, 45)
    asked.give(lonely, 45)

    found = asked.behind()

    # Of one the person has 8/10, and again of the tenth that comes round: 8/9 in the limit.
    assert shares_of(found) == {person.id: Fraction(45, 100) * Fraction(8, 9)}
    assert found.owners[0].untold == Fraction(45, 100) * (Fraction(8, 9) - Fraction(8, 10))
    assert {(gap.node.id, gap.reason, gap.share) for gap in found.unknown} == {
        (lonely.id, Reason.CIRCULAR, Fraction(45, 100)),
        (two.id, Reason.UNDECLARED, Fraction(45, 100) * Fraction(1, 9)),
    }


def test_group__holding_a_company__is_its_members(asked: Question) -> None:
    desk = asked.desk
    heirs = [make.person(desk) for _ in range(2)]
    family = create_party(
        desk.session,
        desk.vault,
        MAKER,
        NewParty(
            kind=PartyKind.GROUP,
            name="Heirs of a shareholder",
            members=[Member(heirs[0].id, 2), Member(heirs[1].id, 1)],
        ),
    )
    company = make.company(desk)
    owning.declare(desk, company, shares(1, (family, 1)))
    asked.give(company, 90)

    assert shares_of(asked.behind()) == {heirs[0].id: Fraction(6, 10), heirs[1].id: Fraction(3, 10)}


def test_trust__its_trustee_and_settlor__are_told_beside_the_beneficiary(asked: Question) -> None:
    desk = asked.desk
    trust, trustees, trustee, settlor, child = (
        make.company(desk),
        make.company(desk),
        make.person(desk),
        make.person(desk),
        make.person(desk),
    )
    lines = [
        Interest(child.id, InterestNature.BENEFICIARY, 1),
        Interest(trustees.id, InterestNature.TRUSTEE),
        Interest(settlor.id, InterestNature.SETTLOR),
    ]
    owning.declare(desk, trust, shares(1, interests=lines))
    owning.declare(desk, trustees, shares(2, (trustee, 1)))
    asked.give(trust, 30)

    found = asked.behind()

    assert shares_of(found)[child.id] == Fraction(3, 4)
    node = party_node(trust.id)
    assert {(each.party_id, each.over, each.natures) for each in found.controllers} == {
        (settlor.id, (node,), (InterestNature.SETTLOR,)),
        (trustee.id, (node, party_node(trustees.id)), (InterestNature.TRUSTEE, None)),
    }
    assert {each.share for each in found.controllers} == {Fraction(3, 4)}


def test_ruler__of_who_has_less_than_the_threshold__is_not_told(asked: Question) -> None:
    desk = asked.desk
    company, ruler = make.company(desk), make.person(desk)
    owning.declare(desk, company, shares(1, interests=[Interest(ruler.id, InterestNature.CONTROL)]))
    asked.give(company, 3)

    assert asked.behind().controllers == []
    assert [each.party_id for each in asked.behind(Fraction(1, 10)).controllers] == [ruler.id]


def test_vehicle__that_holds_another_token__is_its_own_holders(asked: Question) -> None:
    desk = asked.desk
    outer = asked
    other = replace_chain(desk, outer, 25, 75)
    vehicle = desk.session.get_one(Party, other.wrapped.issuer.investor.party_id)
    outer.chain.register(other.wrapped.issuer.wallet.address)
    outer.chain.mint(other.wrapped.issuer.wallet.address, 90)

    found = outer.behind()

    [small, large] = other.holders
    assert shares_of(found) == {large.investor.party_id: Fraction(9, 10) * Fraction(3, 4)}
    assert found.owners[0].paths[0].nodes == (
        outer.node,
        party_node(vehicle.id),
        token_node(other.tokenization.id),
        party_node(large.investor.party_id),
    )
    assert found.below == Fraction(1, 10) + Fraction(9, 10) * QUARTER
    assert small.investor.party_id not in shares_of(found)


def replace_chain(desk: Desk, asked: Question, *units: int) -> Ledger:
    """Mint another token on the same chain."""
    wrapped = sales.wrapped_apartment(desk)
    tokenization = sales.deployed(desk, wrapped, declared_fractions=sum(units), price_paisa=1)
    chain = replace(asked.chain, wrapped=wrapped, tokenization=tokenization, holders=[])
    chain.mine(deploy=True)
    for part in units:
        holder = make.buyer(desk)
        chain.holders.append(holder)
        chain.register(holder.wallet.address)
        chain.mint(holder.wallet.address, part)
    return chain


def test_title__of_a_vehicle__is_its_token(asked: Question) -> None:
    asset = asked.chain.wrapped.asset
    start = start_of_title(asked.desk.session, asset.id, asked.when)

    assert start == {asked.node: ALL}
    [buyer] = asked.chain.holders
    assert shares_of(asked.behind(start=start)) == {buyer.investor.party_id: ALL}


def test_title__of_people_and_a_company__is_theirs(asked: Question) -> None:
    desk = asked.desk
    company, owner, partner = make.company(desk), make.person(desk), make.person(desk)
    owning.declare(desk, company, shares(3, (partner, 2)))
    asset = make.registered(desk, make.open_apartment(desk, company, owner))
    start = start_of_title(desk.session, asset.id, asked.when)

    found = asked.behind(start=start)

    assert start == {party_node(company.id): Fraction(1, 2), party_node(owner.id): Fraction(1, 2)}
    assert shares_of(found) == {owner.id: Fraction(1, 2), partner.id: Fraction(1, 3)}


def test_vehicle__of_several_things__is_not_guessed_at(asked: Question) -> None:
    desk = asked.desk
    vehicle = desk.session.get_one(Party, asked.chain.wrapped.issuer.investor.party_id)
    make.registered(desk, make.open_apartment(desk, vehicle))

    found = asked.behind(start={party_node(vehicle.id): ALL})

    assert [(gap.reason, gap.share) for gap in found.unknown] == [(Reason.SEVERAL_ASSETS, ALL)]
    assert found.has_nobody


def test_address__that_nobody_proved__is_unknown(asked: Question) -> None:
    desk = asked.desk
    stranger, claimed = b"\x01" * 20, b"\x02" * 20
    for address in (stranger, claimed):
        asked.chain.register(address)
        asked.chain.mint(address, 45)
    # Who only asks to be challenged for an address is not its owner.
    who, investor = make.enrolled(desk)
    wallets.challenge_wallet(desk.session, who, investor.id, address=claimed, message="Sign.")

    found = asked.behind()

    assert {(gap.address, gap.reason, gap.share) for gap in found.unknown} == {
        (stranger, Reason.UNPROVEN_WALLET, Fraction(45, 100)),
        (claimed, Reason.UNPROVEN_WALLET, Fraction(45, 100)),
    }
    assert found.below == Fraction(1, 10)


def test_group__that_rules__is_its_members_and_who_holds_the_threshold_of_it(
    asked: Question,
) -> None:
    desk = asked.desk
    [small] = asked.chain.holders
    large = make.buyer(desk)
    asked.chain.register(large.wallet.address)
    asked.chain.mint(large.wallet.address, 90)
    member = make.person(desk)
    vehicle = asked.chain.wrapped.issuer.investor.party_id
    group = owning.group_of(desk, member, desk.session.get_one(Party, vehicle))
    ruled = make.company(desk)
    lines = [Interest(group.id, InterestNature.CONTROL)]
    owning.declare(desk, ruled, shares(1, interests=lines))

    found = asked.behind(start={party_node(ruled.id): ALL})

    # A twentieth of a group, by a token of one of its members, makes nobody rule with it.
    assert {each.party_id for each in found.controllers} == {member.id, large.investor.party_id}
    assert small.investor.party_id not in {each.party_id for each in found.controllers}


def test_answer__as_of_a_block__is_of_the_holders_of_then(asked: Question) -> None:
    desk = asked.desk
    [buyer] = asked.chain.holders
    before = asked.when
    asked.give_somebody(90)

    then = who_is_behind(desk.session, {asked.node: ALL}, before, QUARTER)

    assert shares_of(then) == {buyer.investor.party_id: ALL}
    assert buyer.investor.party_id not in shares_of(asked.behind())


def test_title__ruled_vehicle__is_told_although_all_is_tokenized(asked: Question) -> None:
    desk = asked.desk
    vehicle = desk.session.get_one(Party, asked.chain.wrapped.issuer.investor.party_id)
    manager = make.person(desk)
    lines = [Interest(manager.id, InterestNature.CONTROL)]
    owning.declare(desk, vehicle, shares(1, interests=lines))

    found = who_is_behind(
        desk.session, {asked.node: ALL}, asked.when, QUARTER, ruled=[party_node(vehicle.id)]
    )

    assert [(each.party_id, each.share) for each in found.controllers] == [(manager.id, ALL)]
    whole = asked.behind(start={party_node(vehicle.id): ALL})
    assert [each.party_id for each in whole.controllers] == [manager.id]
    assert NodeKind.TOKEN in {node.kind for node in whole.owners[0].paths[0].nodes}


def test_reverse__everything_behind_which_somebody_is__agrees_with_the_question_asked_forward(
    asked: Question,
) -> None:
    desk = asked.desk
    person = asked.person
    one, two, stranger = make.company(desk), make.company(desk), make.company(desk)
    owning.declare(desk, one, shares(10, (two, 2), (person, 3)))
    owning.declare(desk, two, shares(10, (one, 5), (stranger, 1)))
    asked.give(two, 90)
    vehicle = asked.chain.wrapped.issuer.investor.party_id

    found = what_is_behind(desk.session, person.id, asked.when)

    # Of one 3/10 at once, and a tenth of all that again: a third. Of two the half of it.
    assert found.parts == {
        one.id: Fraction(1, 3),
        two.id: Fraction(1, 6),
        vehicle: Fraction(10, 100) + Fraction(90, 100) * Fraction(1, 6),
    }
    assert found.tokens == {asked.chain.tokenization.id: Fraction(1, 4)}
    for party_id, part in found.parts.items():
        forward = asked.behind(Fraction(1, 100), start={party_node(party_id): ALL})
        assert shares_of(forward)[person.id] == part
    assert what_is_behind(desk.session, stranger.id, asked.when).parts == {
        two.id: Fraction(1, 9),
        one.id: Fraction(2, 90),
        vehicle: Fraction(90, 100) * Fraction(1, 9),
    }


@pytest.mark.parametrize(
    ("of_vehicle", "part"),
    [(0, Fraction(1, 10)), (40, Fraction(10, 60)), (90, ALL)],
    ids=["others have the rest", "the vehicle has some itself", "the vehicle has the rest"],
)
def test_reverse__of_who_holds_little_of_a_token_alone__leaves_out_only_what_is_less(
    asked: Question, of_vehicle: int, part: Fraction
) -> None:
    desk = asked.desk
    [buyer] = asked.chain.holders
    issuer = asked.chain.wrapped.issuer
    vehicle = issuer.investor.party_id
    if of_vehicle:
        asked.chain.register(issuer.wallet.address)
        asked.chain.mint(issuer.wallet.address, of_vehicle)
    if of_vehicle < 90:
        asked.give_somebody(90 - of_vehicle)

    for least in (Fraction(1, 10), Fraction(1, 6), QUARTER, ALL):
        told = what_is_behind(desk.session, buyer.investor.party_id, asked.when, least=least).parts
        assert {each: has for each, has in told.items() if has >= least} == (
            {vehicle: part} if part >= least else {}
        )
    little = what_is_behind(desk.session, buyer.investor.party_id, asked.when, least=ALL)
    assert bool(little.parts) == (of_vehicle == 90)


def test_reverse__of_who_owned_it_before__is_nothing_now(asked: Question) -> None:
    desk = asked.desk
    company, before, now_owner = make.company(desk), make.person(desk), make.person(desk)
    owning.declare(desk, company, shares(1, (before, 1)))
    change = now()
    owning.declare(desk, company, shares(1, (now_owner, 1), valid_from=change))

    later, earlier = asked.when, replace(asked.when, as_of=owning.LONG_AGO)

    assert what_is_behind(desk.session, before.id, later).parts == {}
    assert what_is_behind(desk.session, before.id, earlier).parts == {company.id: ALL}
    assert what_is_behind(desk.session, now_owner.id, later).parts == {company.id: ALL}


def test_start_of_title__token_that_was_burned_since__is_what_it_was_then(desk: Desk) -> None:
    first = ledger.live(desk, 600, 400)
    asset_id, before = first.tokenization.asset_id, _now_of(first)
    for holder, units in zip(first.holders, (600, 400), strict=True):
        first.burn(holder.wallet.address, units)
    first.tokenization.state = TokenizationState.BURNED
    desk.session.flush()
    second = sales.deployed(desk, first.wrapped, declared_fractions=10)

    assert token_node(first.tokenization.id) in start_of_title(desk.session, asset_id, before)
    assert (
        start_of_title(desk.session, asset_id, _now_of(first))
        .keys()
        .isdisjoint({token_node(first.tokenization.id), token_node(second.id)})
    )


def _now_of(chain: Ledger) -> When:
    return When(now(), block_at(chain.desk.session, chain.chain_id, None))
