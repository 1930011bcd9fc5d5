"""Who a holder was, and what was claimed of them, at each block: identity, country, claims."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from api.schemas.common import address_of
from registry.captable.contract_models import FollowedContract
from registry.captable.models import EventKind
from registry.kernel.actor import Role
from tests import factories as make
from tests.api.house import House, problem_of
from tests.api.moves import FIRST_MINED, Moves, minted, moves, wallet_no

pytestmark = pytest.mark.db

ONE, TWO = wallet_no(0), wallet_no(1)
FIRST, SECOND = wallet_no(70), wallet_no(71)
"""Identities."""
STORE, ISSUER = wallet_no(80), wallet_no(81)
TOPIC = 10101000666003
WHY = {"purpose": "inspection 9/2026", "legal_basis": "section 4"}
BEGAN = int(FIRST_MINED.timestamp())


def written(address: bytes) -> str:
    return f"0x{address.hex()}"


def registered(wallet: bytes, identity: bytes, country: int) -> dict[str, Any]:
    extra = {"identity": identity.hex(), "country": country}
    return {"kind": EventKind.IDENTITY_REGISTERED, "target": wallet, "extra": extra}


def corrected(wallet: bytes, country: int) -> dict[str, Any]:
    return {"kind": EventKind.COUNTRY_UPDATED, "target": wallet, "extra": {"country": country}}


def exchanged(old: bytes, new: bytes) -> dict[str, Any]:
    """Say that an identity was exchanged, and not of which wallet, as T-REX does."""
    extra = {"old_identity": old.hex(), "identity": new.hex()}
    return {"kind": EventKind.IDENTITY_UPDATED, "extra": extra}


def removed(wallet: bytes) -> dict[str, Any]:
    return {"kind": EventKind.IDENTITY_REMOVED, "target": wallet}


def about(event: str, identity: bytes, **said: Any) -> dict[str, Any]:
    named = {"identity": written(identity), "topic": TOPIC, "issuer": written(ISSUER)} | said
    values = {name: str(value) for name, value in named.items()}
    return {"address": STORE, "event": event, "subject": identity, "said": values}


def issued(identity: bytes, at: int, until: int) -> dict[str, Any]:
    evidence = "0x" + "ab" * 32
    times = {"issuedAt": BEGAN + at, "expiresAt": BEGAN + until}
    return about("ClaimIssued", identity, **times, keyIndex=1, evidenceHash=evidence)


def revoked(identity: bytes, at: int) -> dict[str, Any]:
    return about("ClaimRevoked", identity, revokedAt=BEGAN + at)


def general(address: bytes, event: str, **said: str) -> dict[str, Any]:
    return {"address": address, "event": event, "subject": None, "said": said}


KIND = {"issuer": written(ISSUER), "topic": str(TOPIC)}
KEY = {"signingKey": written(wallet_no(82)), "index": "1"}


@dataclass
class Told:
    """What is expected of ONE at each block: identity, country, states of claims."""

    chain: Moves
    expected: dict[int, tuple[bytes | None, int | None, list[str]]] = field(default_factory=dict)

    def read(self, what: str, **query: Any) -> Any:
        path = f"/v1/tokens/{self.chain.token_id}/{what}"
        response = self.chain.house.caller(Role.REGULATOR).get(path, **query)
        assert response.status_code == 200, response.text
        return response.json()


@pytest.fixture(scope="module")
def told(house: House) -> Told:
    story = Told(moves(house))
    chain = story.chain
    with house.database.transaction() as session:
        for address, name in ((STORE, "ClaimStore"), (ISSUER, "ClaimIssuer")):
            followed = FollowedContract(
                chain_id=chain.chain_id, address=address, name=name, block_number=1, read_from=1
            )
            session.add(followed)

    def mine(
        identity: bytes | None, country: int | None, states: list[str], *events: Any, **more: Any
    ) -> None:
        story.expected[chain.mine(*events, **more)] = (identity, country, states)

    admitted = [general(STORE, "KindAdmitted", **KIND), general(ISSUER, "SigningKeyAdded", **KEY)]
    mine(None, None, [], minted(ONE, 10), minted(TWO, 5), contracts=admitted)
    # Claims come before the registration; the second identity's lasts for six blocks.
    mine(None, None, [], contracts=[issued(FIRST, 1, 10_000), issued(SECOND, 2, 120)])
    mine(FIRST, 586, ["VALID"], registered(ONE, FIRST, 586), registered(TWO, FIRST, 36))
    mine(FIRST, 784, ["VALID"], corrected(ONE, 784))
    mine(FIRST, 784, ["REVOKED"], contracts=[revoked(FIRST, 60)])
    mine(FIRST, 784, ["VALID"], contracts=[issued(FIRST, 61, 10_000)])
    dismissed = general(STORE, "KindDismissed", **KIND)
    mine(FIRST, 784, ["DISMISSED"], contracts=[dismissed])
    mine(SECOND, 784, ["VALID"], exchanged(FIRST, SECOND), contracts=admitted[:1])
    mine(None, None, [], removed(ONE))
    mine(SECOND, 36, ["EXPIRED"], registered(ONE, SECOND, 36))
    mine(FIRST, 36, ["VALID"], exchanged(SECOND, FIRST))
    gone = general(ISSUER, "SigningKeyRemoved", **KEY)
    mine(FIRST, 36, ["KEY_REMOVED"], contracts=[gone])
    return story


def test_wallet__at_each_block__is_known_as_it_was_then(told: Told) -> None:
    for number, (identity, country, states) in told.expected.items():
        found = told.read(f"wallets/{address_of(ONE)}", as_of=f"block:{number}")
        assert found["identity"] == (address_of(identity) if identity else None), number
        assert found["country"] == country, number
        assert [claim["state"] for claim in found["claims"]] == states, number
    claim = found["claims"][0]
    assert claim["topic"] == str(TOPIC)
    assert claim["issuer"] == address_of(ISSUER)
    assert claim["evidence_hash"] == "0x" + "ab" * 32
    assert claim["revoked_at"] == "2026-01-01T00:01:00Z"


def test_holders__at_each_block__are_known_as_they_were_then(told: Told) -> None:
    for number, (identity, country, states) in told.expected.items():
        rows = told.read("holders", **WHY, as_of=f"block:{number}")["items"]
        row = next(row for row in rows if row["wallet"] == address_of(ONE))
        assert row["identity"] == (address_of(identity) if identity else None), number
        assert row["country"] == country, number
        assert [claim["state"] for claim in row["claims"]] == states, number


def test_claims__of_a_wallet__are_listed_up_to_the_block_page_by_page(told: Told) -> None:
    path = f"wallets/{address_of(ONE)}/claims"
    whole = told.read(path)["items"]
    paged = []
    cursor: dict[str, str] = {}
    while True:
        page = told.read(path, limit=1, **cursor)
        paged += page["items"]
        if page["next"] is None:
            break
        cursor = {"cursor": page["next"]}

    assert [row["event"] for row in whole] == ["ClaimIssued", "ClaimRevoked", "ClaimIssued"]
    assert whole[0]["said"]["identity"] == address_of(FIRST)
    assert whole[0]["time"] == "2026-01-01T00:00:36Z"
    assert paged == whole
    third = sorted(told.expected)[3]
    assert len(told.read(path, as_of=f"block:{third}")["items"]) == 1
    assert told.read(f"wallets/{address_of(wallet_no(99))}/claims")["items"] == []


def test_claims__asked_by_an_investor__are_only_their_own(told: Told) -> None:
    with told.chain.house.desk() as desk:
        me = make.buyer(desk)
    caller = told.chain.house.caller(me.actor)
    path = f"/v1/tokens/{told.chain.token_id}/wallets"

    assert caller.get(f"{path}/{address_of(me.wallet.address)}/claims").json()["items"] == []
    problem_of(caller.get(f"{path}/{address_of(ONE)}/claims"), 404, "not_found")


def test_known_at__after_a_reorg__is_what_was_known_of_the_holder(told: Told) -> None:
    last = max(told.expected)
    moment = told.chain.house.one("SELECT clock_timestamp()").isoformat().replace("+00:00", "Z")
    lost = {number: what for number, what in told.expected.items() if number > last - 6}

    told.chain.take_back_to(last - 6, "second")
    told.chain.mine(corrected(ONE, 1))

    now = told.read(f"wallets/{address_of(ONE)}")
    assert (now["identity"], now["country"]) == (address_of(FIRST), 1)
    assert [claim["state"] for claim in now["claims"]] == ["VALID"]
    for number, (identity, country, states) in lost.items():
        query = {"as_of": f"block:{number}", "known_at": moment}
        found = told.read(f"wallets/{address_of(ONE)}", **query)
        assert found["as_of_block"]["finality"] == "orphaned"
        assert found["identity"] == (address_of(identity) if identity else None), number
        assert found["country"] == country, number
        assert [claim["state"] for claim in found["claims"]] == states, number
