"""R-06 against a second computation: declarations from the journal, flows by rounds, no solver."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any
from uuid import UUID

import pytest

from registry.interest.models import InterestNature
from registry.interest.rules import Interest
from registry.kernel.actor import Role
from registry.kernel.clock import now, today
from registry.party.models import Party
from tests import deeds, owning, sales
from tests import factories as make
from tests.api.house import House, problem_of
from tests.api.projected import FIRST_BLOCK, project
from tests.api.reports import Replayed, ask, instant, person, read, rows_of
from tests.owning import shares

pytestmark = pytest.mark.db

ROUNDS = 200
NOBODY = "00000000-0000-7000-8000-000000000000"


@dataclass(frozen=True)
class Scene:
    """A token of a buyer, of two companies that own each other's shares, and of one that is silent.

    Parameters
    ----------
    holders
        What each party holds, of 1,000 units.
    """

    token_id: UUID
    asset_code: str
    vehicle: UUID
    holders: dict[UUID, int]
    people: dict[str, UUID]
    companies: dict[str, UUID]
    before: datetime


@pytest.fixture(scope="module")
def scene(house: House) -> Scene:
    with house.desk() as desk:
        wrapped = sales.wrapped_apartment(desk)
        tokenization = sales.deployed(desk, wrapped)
        buyer, small = make.buyer(desk), make.buyer(desk)
        companies = {name: make.company(desk) for name in ("mills", "trading", "silent")}
        holders = [(buyer, 100), (small, 50)]
        holders += [
            (make.issuer(desk, companies[name]), units)
            for name, units in (("mills", 500), ("trading", 250), ("silent", 100))
        ]
        mints = [
            (FIRST_BLOCK + number, holder.wallet.address, units)
            for number, (holder, units) in enumerate(holders, 1)
        ]
        project(desk, house.services.settings, tokenization, mints)
        held = {holder.investor.party_id: units for holder, units in holders}
    before = now()
    with house.desk() as desk:
        found = {name: desk.session.get_one(Party, party.id) for name, party in companies.items()}
        one, other, ruler = (
            desk.session.get_one(Party, buyer.investor.party_id),
            make.person(desk),
            make.person(desk),
        )
        mills, trading = found["mills"], found["trading"]
        owning.declare(desk, mills, shares(100, (trading, 20), (one, 30), (other, 50)))
        lines = [
            *shares(10, (mills, 5), (other, 2)).interests,
            Interest(ruler.id, InterestNature.CONTROL),
        ]
        owning.declare(desk, trading, shares(10, interests=lines))
        people = {"one": one.id, "other": other.id, "ruler": ruler.id}
    return Scene(
        tokenization.id,
        wrapped.asset.code,
        wrapped.issuer.investor.party_id,
        held,
        people,
        {name: party.id for name, party in companies.items()},
        before,
    )


def flows_by_journal(house: House, scene: Scene) -> dict[str, float]:
    """Let the units flow round after round, by what the sealed journal says was declared."""
    told = Replayed.of(house)
    owners: dict[str, list[tuple[str, Fraction]]] = {}
    for company in scene.companies.values():
        owners[str(company)] = []
        for said in told.rows("interest_declaration", party_id=company, state="CONFIRMED"):
            owners[str(company)] = [
                (line["holder_id"], Fraction(line["parts"], said["whole"]))
                for line in told.rows("declared_interest", declaration_id=said["id"])
                if line["parts"] is not None
            ]
    ended: dict[str, float] = defaultdict(float)
    moving = {
        str(party): units / sum(scene.holders.values()) for party, units in scene.holders.items()
    }
    for _ in range(ROUNDS):
        ahead: dict[str, float] = defaultdict(float)
        for party, share in moving.items():
            if party not in owners:
                ended[party] += share
                continue
            kept = share
            for owner, part in owners[party]:
                ahead[owner] += share * float(part)
                kept -= share * float(part)
            ended[f"unknown behind {party}"] += kept
        moving = ahead
    return dict(ended)


def owners_of(rows: list[dict[str, Any]]) -> dict[str, Fraction]:
    return {row["party"]: Fraction(row["effective"]) for row in rows if row["kind"] == "OWNER"}


def whole_of(rows: list[dict[str, Any]]) -> Fraction:
    """Add up everything that the report tells."""
    rest = [
        Fraction(row["effective"]) for row in rows if row["kind"] in {"UNKNOWN", "BELOW_THRESHOLD"}
    ]
    return sum(owners_of(rows).values(), sum(rest, Fraction(0)))


def test_r_06__token__is_what_the_journal_gives_round_after_round(
    house: House, scene: Scene
) -> None:
    rows = rows_of(house, "R-06", token=scene.token_id, threshold="1/100", reveal=True, limit=2)
    expected = flows_by_journal(house, scene)

    found = owners_of(rows)
    for party_id, share in found.items():
        assert float(share) == pytest.approx(expected[party_id], abs=1e-12)
    people = {party for party, share in expected.items() if share >= 0.01 and " " not in party}
    assert found.keys() == people
    assert whole_of(rows) == 1
    unknown = [float(Fraction(row["effective"])) for row in rows if row["kind"] == "UNKNOWN"]
    behind = [share for party, share in expected.items() if " " in party and share > 1e-9]
    assert sorted(unknown) == pytest.approx(sorted(behind), abs=1e-12)
    one = str(scene.people["one"])
    named = [row for row in rows if row["party"] == one]
    assert {row["name"] for row in named} == {person(house, one)["name"]}
    assert sum(Fraction(row["chain_share"]) for row in named) == found[one]
    assert {row["basis"] for row in named} == {"DIRECT", "INDIRECT"}
    assert {row["declared_on"] for row in named} == {None, "2020-01-01"}


def test_r_06__threshold_of_the_law__leaves_the_small_ones_and_says_how_much(
    house: House, scene: Scene
) -> None:
    rows = rows_of(house, "R-06", token=scene.token_id, reveal=True)

    assert {row["threshold"] for row in rows} == {"1/4"}
    assert all(share >= Fraction(1, 4) for share in owners_of(rows).values())
    assert whole_of(rows) == 1
    [ruler] = [row for row in rows if row["kind"] == "CONTROLLER"]
    assert (ruler["party"], ruler["basis"]) == (str(scene.people["ruler"]), "CONTROL")
    assert Fraction(ruler["chain_share"]) >= Fraction(1, 4)
    assert ruler["chain"].endswith("(CONTROL)")


def test_r_06__before_anybody_declared__knows_nobody_behind_the_companies(
    house: House, scene: Scene
) -> None:
    rows = rows_of(house, "R-06", token=scene.token_id, known_at=scene.before.isoformat())

    assert next(row["kind"] for row in rows) == "NOBODY"
    assert {row["basis"] for row in rows if row["kind"] == "UNKNOWN"} == {"UNDECLARED"}
    assert whole_of(rows) == 1


def test_r_06__asset_and_party__are_asked_the_same_way(house: House, scene: Scene) -> None:
    by_token = owners_of(rows_of(house, "R-06", token=scene.token_id, threshold="1/100"))

    assert owners_of(rows_of(house, "R-06", asset=scene.asset_code, threshold="1/100")) == by_token
    assert owners_of(rows_of(house, "R-06", party=scene.vehicle, threshold="1/100")) == by_token
    of_mills = rows_of(house, "R-06", party=scene.companies["mills"], threshold="1/100")
    # Of its shares 30 and 50 of 100; a fifth goes to trading, of which half comes back.
    assert owners_of(of_mills) == {
        str(scene.people["one"]): Fraction(30, 100) / (1 - Fraction(1, 10)),
        str(scene.people["other"]): (Fraction(50, 100) + Fraction(2, 10) * Fraction(2, 10))
        / (1 - Fraction(1, 10)),
    }


def test_r_06__policy_of_then__is_the_threshold_of_a_report_as_of_then(
    house: House, scene: Scene
) -> None:
    begins = today() + timedelta(days=30)
    body = {"name": "UBO", "value": "1/2", "source": "Test", "valid_from": str(begins)}
    row = house.caller(Role.COMPLIANCE).post("/v1/policies/rows", body).json()
    house.caller(Role.REGISTRAR_CHECKER).post(f"/v1/policies/rows/{row['id']}/confirm")
    then = (now() + timedelta(days=32)).isoformat()

    today_s = rows_of(house, "R-06", party=scene.companies["mills"])
    later = rows_of(house, "R-06", party=scene.companies["mills"], as_of=then)

    assert {row["threshold"] for row in today_s} == {"1/4"}
    assert {row["threshold"] for row in later} == {"1/2"}
    assert len(owners_of(today_s)) == 2
    assert len(owners_of(later)) == 1


def test_r_06__without_reveal__masks_the_persons(house: House, scene: Scene) -> None:
    page = read(house, "R-06", token=scene.token_id, threshold="1/100")

    named = [row for row in page["items"] if row["party"]]
    assert named
    assert all("*" in row["name"] for row in named)


def test_r_04__beneficial__has_what_r_06_gives_the_person_of_each(
    house: House, scene: Scene
) -> None:
    other = str(scene.people["other"])
    plain = rows_of(house, "R-04", party=other, beneficial=False)
    rows = rows_of(house, "R-04", party=other, limit=1)

    assert plain == [row for row in rows if not row["kind"].startswith("UBO")] == []
    by_token = owners_of(rows_of(house, "R-06", token=scene.token_id, threshold="1/100"))
    of_mills = owners_of(rows_of(house, "R-06", party=scene.companies["mills"]))[other]
    of_trading = owners_of(rows_of(house, "R-06", party=scene.companies["trading"]))[other]
    tokens = {row["holder"]: Fraction(row["share"]) for row in rows if row["kind"] == "UBO_TOKEN"}
    assert tokens == {
        str(scene.companies["mills"]): Fraction(500, 1000) * of_mills,
        str(scene.companies["trading"]): Fraction(250, 1000) * of_trading,
    }
    titles = [row for row in rows if row["kind"] == "UBO_TITLE"]
    assert [(row["asset"], row["holder"], Fraction(row["share"])) for row in titles] == [
        (scene.asset_code, str(scene.vehicle), by_token[other])
    ]
    assert sum(tokens.values()) == by_token[other]


def began_by_journal(told: Replayed, company: UUID, owner: UUID) -> datetime:
    """Go through the declarations in time: when they last began to name the owner."""
    began: datetime | None = None
    ended: datetime | None = None
    said = told.rows("interest_declaration", party_id=company, state="CONFIRMED")
    for each in sorted(said, key=lambda row: datetime.fromisoformat(row["valid_from"])):
        begins = datetime.fromisoformat(each["valid_from"])
        if ended is not None and ended < begins:
            began = None
        lines = told.rows("declared_interest", declaration_id=each["id"], holder_id=owner)
        began = (began or begins) if any(lines) else None
        ended = instant(each["valid_to"])
    assert began is not None
    return began


def test_r_04__beneficial__began_when_the_journal_says(house: House) -> None:
    with house.desk() as desk:
        company, mother = make.company(desk), make.company(desk)
        one, other = make.person(desk), make.person(desk)
        title = deeds.farm(desk, make.owned_by(company))
        owning.declare(desk, mother, shares(1, (one, 1), valid_from=now()))
        moment = now()
        ended = shares(
            1, (other, 1), valid_from=moment, valid_to=moment + timedelta(microseconds=1)
        )
        owning.declare(desk, company, ended)
        both = ((mother, 60), (other, 40))
        for owners in (both, ((other, 100),), both):
            owning.declare(desk, company, shares(100, *owners, valid_from=now()))
        ids = {"title": title.id, "company": company.id, "mother": mother.id}
        people = (one.id, other.id)
    told = Replayed.of(house)
    [version] = told.rows("title_version", title_id=ids["title"])
    held = datetime.fromisoformat(version["valid_from"])

    def since(person_id: UUID) -> datetime | None:
        [row] = rows_of(house, "R-04", party=person_id)
        assert (row["kind"], row["holder"]) == ("UBO_TITLE", str(ids["company"]))
        return instant(row["since"])

    over = began_by_journal(told, ids["mother"], people[0])
    by_mother = began_by_journal(told, ids["company"], ids["mother"])
    assert since(people[0]) == max(held, over, by_mother) == by_mother
    # Named in every declaration but for the first, which had ended.
    declared = began_by_journal(told, ids["company"], people[1])
    assert since(people[1]) == max(held, declared) == declared < by_mother


def test_r_06_and_r_04__title_that_is_only_claimed__is_nobodys(house: House, scene: Scene) -> None:
    """A dossier that names the vehicle as owner makes it no owner of several assets."""
    holder = next(iter(scene.holders))

    def told() -> list[Any]:
        return [
            rows_of(house, "R-06", party=scene.vehicle),
            rows_of(house, "R-04", party=holder, beneficial=True),
        ]

    before = told()
    with house.desk() as desk:
        vehicle = desk.session.get_one(Party, scene.vehicle)
        claimed = make.open_apartment(desk, vehicle)
        code = claimed.code
    assert told() == before
    problem_of(ask(house, "R-06", asset=code), 404, "not_found")


def test_r_04__tax_number_of_several__is_asked_for_by_party(house: House, scene: Scene) -> None:
    ntn = "4107733-2"
    with house.desk() as desk:
        one, _ = make.person(desk, ntn=ntn), make.person(desk, ntn=ntn)
        make.person(desk, ntn="4107734-0")
        party_id = one.id

    with house.unchanged():
        problem = problem_of(ask(house, "R-04", ntn=ntn), 409, "party_ambiguous")
    assert "party" in problem["remedy"]
    for query in ({"party": party_id}, {"ntn": "4107734-0"}):
        assert rows_of(house, "R-04", **query) == []


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ({}, 422, "subject_required"),
        ({"party": NOBODY, "asset": "AAA-BBB-0001"}, 422, "subject_required"),
        ({"party": NOBODY}, 404, "not_found"),
        ({"token": NOBODY}, 404, "not_found"),
        ({"asset": "AAA-BBB-0001"}, 404, "not_found"),
        ({"party": NOBODY, "threshold": "0"}, 422, "request_invalid"),
        ({"party": NOBODY, "threshold": "0.25"}, 422, "request_invalid"),
        ({"party": NOBODY, "threshold": "3/2"}, 422, "threshold_wrong"),
        ({"party": NOBODY, "threshold": "1/0"}, 422, "request_invalid"),
    ],
)
def test_r_06__nothing_that_there_is__is_refused(
    house: House, query: dict[str, Any], status: int, code: str
) -> None:
    with house.unchanged():
        problem_of(ask(house, "R-06", **query), status, code)
