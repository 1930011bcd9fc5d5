"""Eligibility, what-if and dry run over HTTP, with a real node behind them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from eth_utils.address import to_checksum_address

from chain.sync.indexer import Indexer
from registry.compliance.terms import ComplianceTerms
from registry.investor import service as investors
from registry.investor import wallets
from registry.kernel.actor import Actor, Role
from registry.kernel.clock import now
from registry.operation.models import OperationState
from registry.tokenization import service as tokenizations
from tests import factories as make
from tests.api.house import House, house_settings, open_house, problem_of
from tests.chain.market import FIRST, HELD, ISSUER, SECOND, SOLD, Market, Proposal, propose
from tests.chain.suite import catch_up
from tests.chain.world import World, address_of, key_of

pytestmark = pytest.mark.chain

STRANGER = to_checksum_address(b"\x77" * 20)
WHY = {"purpose": "inspection 12/2026", "legal_basis": "section 4 of the Act"}
OVERSEERS = {Role.COMPLIANCE, Role.REGULATOR, Role.AUDITOR}


@contextlib.contextmanager
def house_of(world: World, folder: Path, **changes: Any) -> Iterator[House]:
    settings = house_settings(folder, **({"rpc_url": world.node.url} | changes))
    with open_house(settings, world.database) as house:
        yield house


@pytest.fixture
def house(minted: Market, tmp_path: Path) -> Iterator[House]:
    catch_up(Indexer(minted.world.database, minted.world.client))
    with house_of(minted.world, tmp_path / "api") as house:
        yield house


def wallet_of(person: int) -> str:
    return to_checksum_address(address_of(key_of(person)))


def actor_of(market: Market, person: int) -> Actor:
    with market.world.database.reading() as session:
        investor = investors.get_investor(session, market.wallet(person).investor_id)
        return make.actor(Role.INVESTOR, subject=investor.subject)


def ask(house: House, market: Market, who: Actor | Role, **body: Any) -> Any:
    said = {"token_id": str(market.deal.tokenization_id), "units": "1"} | body
    response = house.caller(who).post("/v1/eligibility", said)
    assert response.status_code == 200, response.text
    return response.json()


def readings(house: House) -> list[tuple[str, dict[str, Any]]]:
    found: list[tuple[str, dict[str, Any]]] = house.one(
        "SELECT coalesce(json_agg(json_build_array(actor, facts) ORDER BY id), '[]'::json) "
        "FROM journal_entry WHERE act = 'personal_data_read'"
    )
    return found


def party_of(market: Market, person: int) -> str:
    with market.world.database.reading() as session:
        investor = investors.get_investor(session, market.wallet(person).investor_id)
        return str(investor.party_id)


def failed(answer: Any) -> list[str]:
    return [rule["name"] for rule in answer["rules"] if not rule["passed"]]


def test_eligibility__before_the_opening__the_pause_alone_stops_a_transfer(
    house: House, minted: Market
) -> None:
    answer = ask(
        house,
        minted,
        actor_of(minted, FIRST),
        **{"wallet": wallet_of(SECOND), "from": wallet_of(FIRST), "units": str(SOLD[FIRST])},
    )

    assert (answer["movement"], answer["eligible"]) == ("transfer", False)
    assert failed(answer) == ["token_not_paused"]
    assert (answer["agrees"], answer["differences"]) == (True, [])
    assert answer["chain"] == {
        "is_verified": True,
        "can_transfer": True,
        "would_pass": False,
        "reason": "Pausable: paused",
        "arguments": None,
    }
    head = minted.world.client.head()
    assert answer["as_of_block"]["hash"] == f"0x{head.hash.hex()}"
    paused = next(rule for rule in answer["rules"] if rule["name"] == "token_not_paused")
    assert (paused["id"], paused["kept_by"]) == ("ELG-06", "token")
    assert paused["remedy"]
    assert paused["message"] != paused["message_ur"]


def test_eligibility__more_than_is_declared__is_refused_with_the_figures(
    house: House, minted: Market
) -> None:
    answer = ask(house, minted, Role.COMPLIANCE, wallet=wallet_of(FIRST))

    assert failed(answer) == ["supply_cap"]
    assert answer["agrees"]
    assert answer["chain"]["reason"] == "Compliance not followed"
    [supply] = [rule for rule in answer["rules"] if rule["name"] == "supply_cap"]
    assert supply["detail"] == "0 units are left to mint."


def test_eligibility__of_an_investor__finds_their_wallet(house: House, minted: Market) -> None:
    answer = ask(
        house,
        minted,
        Role.COMPLIANCE,
        **{"investor_id": str(minted.wallet(SECOND).investor_id), "from": wallet_of(ISSUER)},
    )

    assert answer["wallet"] == wallet_of(SECOND)
    assert failed(answer) == ["token_not_paused"]


def test_eligibility__kyc_that_ran_out_here_alone__is_no_difference_with_the_chain(
    house: House, minted: Market
) -> None:
    minted.let_kyc_run_out(SECOND)

    answer = ask(
        house, minted, Role.COMPLIANCE, **{"wallet": wallet_of(SECOND), "from": wallet_of(FIRST)}
    )

    assert failed(answer) == ["kyc", "token_not_paused"]
    assert answer["agrees"]


def test_eligibility__of_a_stranger__is_told_without_what_is_known_of_them(
    house: House, minted: Market
) -> None:
    body = {"wallet": wallet_of(SECOND), "from": wallet_of(FIRST)}
    minted.let_kyc_run_out(SECOND)

    mine = ask(house, minted, actor_of(minted, SECOND), **body)
    theirs = ask(house, minted, actor_of(minted, FIRST), **body)

    def details(answer: Any) -> list[str | None]:
        return [rule["detail"] for rule in answer["rules"] if rule["name"] == "kyc"]

    assert failed(mine) == failed(theirs)
    assert details(mine) == ["No KYC of the receiver is approved."]
    assert details(theirs) == [None]


def test_eligibility__of_others__is_not_told_to_who_may_not_read_investors(
    house: House, minted: Market
) -> None:
    said = {"token_id": str(minted.deal.tokenization_id), "units": "1"}
    with house.unchanged():
        for role in sorted(set(Role) - OVERSEERS):
            caller = house.caller(make.actor(role, Role.INVESTOR, subject=f"some-{role}"))
            for asked in (
                {"investor_id": str(minted.wallet(SECOND).investor_id)},
                {"wallet": wallet_of(SECOND)},
                {"wallet": wallet_of(SECOND), "from": wallet_of(FIRST)},
                {"wallet": STRANGER},
            ):
                problem_of(caller.post("/v1/eligibility", said | asked), 404, "not_found")


def test_eligibility__of_others__is_noted_of_whom_and_why(house: House, minted: Market) -> None:
    said = {"token_id": str(minted.deal.tokenization_id), "units": "1"}
    investor = {"investor_id": str(minted.wallet(SECOND).investor_id)}
    moved = {"wallet": wallet_of(SECOND), "from": wallet_of(FIRST)}
    for role in sorted(OVERSEERS):
        caller = house.caller(role)
        for asked, persons in ((investor, {SECOND}), (moved, {FIRST, SECOND})):
            answer = caller.post("/v1/eligibility", said | asked, params=WHY)
            assert answer.status_code == 200, answer.text
            who, facts = readings(house)[-1]
            assert who == make.ACTORS[role].subject
            assert set(facts["parties"]) == {party_of(minted, person) for person in persons}
            assert (facts["rows"], facts["purpose"]) == (len(persons), WHY["purpose"])
        with house.unchanged():
            nobody = caller.post("/v1/eligibility", said | {"wallet": STRANGER}, params=WHY)
            assert nobody.status_code == 200, nobody.text
            if role != Role.COMPLIANCE:
                problem_of(caller.post("/v1/eligibility", said | investor), 422, "purpose_required")


def test_eligibility__by_an_investor_of_another__is_noted(house: House, minted: Market) -> None:
    body = {"wallet": wallet_of(SECOND), "from": wallet_of(FIRST)}
    asker = actor_of(minted, FIRST)

    ask(house, minted, asker, **body)

    who, facts = readings(house)[-1]
    assert (who, facts["roles"]) == (asker.subject, ["investor"])
    assert party_of(minted, SECOND) in facts["parties"]


def test_eligibility__of_oneself__is_answered_and_not_noted(house: House, minted: Market) -> None:
    mine = {"investor_id": str(minted.wallet(FIRST).investor_id)}
    with house.unchanged():
        assert ask(house, minted, actor_of(minted, FIRST), **mine)["wallet"] == wallet_of(FIRST)


def test_eligibility__bad_questions__are_refused(house: House, minted: Market) -> None:
    caller = house.caller(Role.COMPLIANCE)
    said = {"token_id": str(minted.deal.tokenization_id), "units": "1"}
    for change in (
        {},
        {"wallet": wallet_of(FIRST), "investor_id": str(minted.deal.asset_id)},
        {"wallet": wallet_of(FIRST).lower()},
        {"wallet": wallet_of(FIRST), "units": "0"},
        {"wallet": wallet_of(FIRST), "units": 1},
        {"wallet": wallet_of(FIRST), "from": "0x1"},
    ):
        problem_of(caller.post("/v1/eligibility", said | change), 422, "request_invalid")
    nothing = said | {"token_id": str(minted.deal.asset_id), "wallet": wallet_of(FIRST)}
    problem_of(caller.post("/v1/eligibility", nothing), 404, "not_found")
    nobody = said | {"investor_id": str(minted.deal.asset_id)}
    problem_of(caller.post("/v1/eligibility", nobody), 404, "not_found")
    stranger = house.caller(actor_of(minted, FIRST))
    problem_of(stranger.post("/v1/eligibility", said | {"wallet": STRANGER}), 404, "not_found")


def test_eligibility__node_away__is_said_and_holds_no_connection(
    minted: Market, tmp_path: Path
) -> None:
    catch_up(Indexer(minted.world.database, minted.world.client))
    body = {
        "token_id": str(minted.deal.tokenization_id),
        "units": "1",
        "wallet": wallet_of(FIRST),
    }
    with house_of(minted.world, tmp_path / "away", rpc_url="http://127.0.0.1:1") as house:
        response = house.caller(Role.COMPLIANCE).post("/v1/eligibility", body)

        problem = problem_of(response, 503, "chain_unavailable")
        assert "127.0.0.1" not in str(problem)
        assert response.headers["retry-after"]


def test_what_if__holders_of_the_sale__are_held_against_new_rules(
    house: House, minted: Market
) -> None:
    path = f"/v1/tokens/{minted.deal.tokenization_id}/what_if"
    rules = {"allowed_countries": ["PK"], "max_units_per_holder": "400", "max_holders": 2}

    response = house.caller(Role.COMPLIANCE).post(path, {"compliance": rules})

    assert response.status_code == 200, response.text
    found = response.json()
    assert (found["holders"], found["holders_over"]) == (3, 1)
    assert int(found["supply_units"]) == sum(HELD.values())
    [balances] = [rule for rule in found["rules"] if rule["name"] == "max_balance"]
    assert [holder["wallets"] for holder in balances["over"]] == [[wallet_of(ISSUER)]]
    assert int(balances["over_units"]) == HELD[ISSUER] - 400
    assert sorted(found["cannot_receive"]) == sorted([wallet_of(ISSUER), wallet_of(FIRST)])
    assert found["needs_adoption"]
    assert found["findings"][0]["id"] == "CMP-03"


def test_what_if__unknown_country_or_token__is_refused(house: House, minted: Market) -> None:
    caller = house.caller(Role.COMPLIANCE)
    body: dict[str, Any] = {"compliance": {"allowed_countries": ["XX"]}}

    path = f"/v1/tokens/{minted.deal.tokenization_id}/what_if"
    problem_of(caller.post(path, body), 422, "country_unknown")
    nowhere = f"/v1/tokens/{minted.deal.asset_id}/what_if"
    problem_of(caller.post(nowhere, {"compliance": {}}), 404, "not_found")


# -- before the deployment -----------------------------------------------------------------------


@pytest.fixture
def proposal(platform: World, tmp_path: Path) -> Proposal:
    return propose(platform, tmp_path / "documents")


def with_terms(world: World, proposal: Proposal, terms: ComplianceTerms) -> None:
    """Let the approved terms be other ones; nobody could do that, but time does the like."""
    with world.database.transaction() as session:
        row = tokenizations.get_tokenization(session, proposal.tokenization_id, lock=True)
        row.compliance = terms.record()
        session.add(row)


def rehearse(world: World, folder: Path, proposal: Proposal) -> Any:
    body = {
        "allotments": [
            {"units": "400", "wallet": wallet_of(FIRST)},
            {"units": "5", "country": "AE"},
            {"units": "5", "wallet": STRANGER},
        ]
    }
    with house_of(world, folder / "api") as house:
        path = f"/v1/tokenizations/{proposal.tokenization_id}/dry_run"
        response = house.caller(Role.COMPLIANCE).post(path, body)
    assert response.status_code == 200, response.text
    return response.json()


def test_dry_run__approved_terms__tells_refusals_and_the_gas_of_the_deployment(
    platform: World, proposal: Proposal, tmp_path: Path
) -> None:
    found = rehearse(platform, tmp_path, proposal)

    assert found["refused"] == 2
    first, abroad, stranger = found["allotments"]
    assert (first["wallet"], first["refused_by"]) == (wallet_of(FIRST), [])
    assert [rule["name"] for rule in abroad["refused_by"]] == ["country_allowed"]
    assert (abroad["wallet"], abroad["country"]) == (None, "AE")
    assert "kyc" in [rule["name"] for rule in stranger["refused_by"]]
    assert found["rest"]["wallet"] == wallet_of(ISSUER)
    assert found["deployment"]["would_pass"]
    assert 3_000_000 < int(found["deployment"]["gas"]) < 8_000_000


def test_dry_run__of_others_wallets__tells_who_may_not_read_investors_nothing_of_them(
    platform: World, proposal: Proposal, tmp_path: Path
) -> None:
    units, place = "400", f"/v1/tokenizations/{proposal.tokenization_id}/dry_run"
    body = {"allotments": [{"units": units, "wallet": wallet_of(FIRST)}]}
    nobody = {"allotments": [{"units": units, "wallet": STRANGER}]}

    def refusals(house: House, who: Actor | Role, body: Any) -> Any:
        answer = house.caller(who).post(place, body)
        assert answer.status_code == 200, answer.text
        return answer.json()["allotments"][0]["refused_by"]

    with house_of(platform, tmp_path / "api") as house:
        theirs = refusals(house, Role.OPERATIONS, body)
        assert theirs == refusals(house, Role.OPERATIONS, nobody) != []
        assert refusals(house, Role.COMPLIANCE, body) == []
        with platform.database.reading() as session:
            known = wallets.find_wallet(session, address_of(key_of(FIRST)))
            assert known is not None
            party = investors.get_investor(session, known.investor_id).party_id
        told = [(who, str(party) in facts["parties"]) for who, facts in readings(house)]
    assert [who for who, of_them in told if of_them] == [make.COMPLIANCE.subject]


def test_dry_run__deployment__is_what_the_worker_then_carries_out(
    platform: World, proposal: Proposal, tmp_path: Path
) -> None:
    full = ComplianceTerms(
        allowed_countries=("PK", "AE"),
        max_units_per_holder=600,
        max_holders=50,
        lockup_days=30,
        closes_at=now().replace(microsecond=0) + timedelta(days=400),
    )
    with_terms(platform, proposal, full)
    assert rehearse(platform, tmp_path, proposal)["deployment"]["would_pass"]

    operation = proposal.deploy(platform)
    platform.settle()

    [deployed] = [row for row in platform.operations() if row.id == operation.id]
    assert deployed.state == OperationState.FINAL


def test_dry_run__what_the_contracts_refuse__is_decoded(
    platform: World, proposal: Proposal, tmp_path: Path
) -> None:
    moment = now().replace(microsecond=0) + timedelta(days=9)
    with_terms(platform, proposal, ComplianceTerms(opens_at=moment, closes_at=moment))

    found = rehearse(platform, tmp_path, proposal)

    assert [finding["id"] for finding in found["findings"]] == ["CMP-10"]
    assert not found["deployment"]["would_pass"]
    assert found["deployment"]["gas"] is None
    assert found["deployment"]["reason"] == "TransferDatesInvalid"
