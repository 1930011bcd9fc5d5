"""Requests that meet: at one moment, or one in the middle of another."""

from __future__ import annotations

import random
import socket
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import UUID

import pytest

from api.schemas.common import address_of
from registry.asset.models import Asset
from registry.case.models import CaseKind
from registry.case.repository import get_case
from registry.encumbrance.models import Encumbrance, EncumbranceKind
from registry.kernel.actor import Role
from registry.tokenization.liens import put_encumbrance_in_force
from registry.tokenization.models import Tokenization, TokenizationState
from tests import cases as make_case
from tests import factories as make
from tests import ledger, sales
from tests.api.house import House, at_once, problem_of
from tests.api.town import encumber, lodge
from tests.db.races import meanwhile
from tests.factories import COMPLIANCE, Buyer, Desk

pytestmark = pytest.mark.db

REQUESTS = 150
SECONDS = 10.0


def statuses(answers: Any) -> dict[int, int]:
    return dict(Counter(answer.status_code for answer in answers))


def test_reads__more_at_once_than_there_are_threads__are_all_answered(house: House) -> None:
    """Each needs a connection and a thread; they used to stop each other for half a minute."""
    url = house.client.base_url
    request = (
        "GET /v1/parties HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        f"Authorization: Bearer {house.token(COMPLIANCE)}\r\n\r"
    ).encode()
    started = time.monotonic()
    connections = [socket.create_connection((url.host, url.port)) for _ in range(REQUESTS)]
    for connection in connections:
        connection.settimeout(SECONDS)
        connection.sendall(request)
    for connection in connections:
        connection.sendall(b"\n")

    lines = []
    for connection in connections:
        with connection, connection.makefile("rb") as answer:
            lines.append(answer.readline().strip())

    assert Counter(lines) == {b"HTTP/1.1 200 OK": REQUESTS}
    assert time.monotonic() - started < SECONDS


@pytest.fixture
def approved(house: House) -> Tokenization:
    with house.desk() as desk:
        return sales.approved(desk, sales.wrapped_apartment(desk))


def operations(house: House, kind: str, tokenization_id: UUID) -> int:
    query = (
        "SELECT count(*) FROM operation WHERE kind = :kind"
        " AND params->>'tokenization_id' = :id"
    )  # fmt: skip
    return int(house.one(query, kind=kind, id=str(tokenization_id)))


def test_deploy__several_at_one_moment__plans_one(house: House, approved: Tokenization) -> None:
    compliance = house.caller(Role.COMPLIANCE)
    path = f"/v1/tokenizations/{approved.id}/deploy"

    answers = at_once(*[lambda: compliance.post(path)] * 5)

    assert statuses(answers) == {202: 1, 409: 4}
    assert operations(house, "deploy_suite", approved.id) == 1


def test_deploy__several_under_keys_of_their_own__plans_one(
    house: House, approved: Tokenization
) -> None:
    compliance = house.caller(Role.COMPLIANCE)
    path = f"/v1/tokenizations/{approved.id}/deploy"

    answers = at_once(*[lambda n=n: compliance.post(path, key=f"{path}-{n}") for n in range(5)])

    assert statuses(answers) == {202: 1, 409: 4}
    assert operations(house, "deploy_suite", approved.id) == 1


@pytest.fixture
def sold(house: House) -> tuple[UUID, Buyer]:
    """An offering with one paid order of ten."""
    with house.desk() as desk:
        sale = sales.offering(desk, sales.wrapped_apartment(desk))
        who = make.buyer(desk)
        sales.pay(desk, sales.order(desk, sale, who, units=10))
        return sale.tokenization_id, who


def test_mint__several_at_one_moment__mints_once(house: House, sold: tuple[UUID, Buyer]) -> None:
    compliance = house.caller(Role.COMPLIANCE)
    path = f"/v1/tokenizations/{sold[0]}/mint"

    answers = at_once(*[lambda: compliance.post(path)] * 5)

    assert statuses(answers) == {202: 1, 409: 4}
    assert operations(house, "mint", sold[0]) == 2  # the order's, and the wrapper's rest
    units = (
        "SELECT sum((params->>'units')::int) FROM operation"
        " WHERE kind = 'mint' AND params->>'tokenization_id' = :id"
    )
    assert house.one(units, id=str(sold[0])) == sales.FRACTIONS


def test_go_live__before_the_chain_has_minted__is_refused(
    house: House, sold: tuple[UUID, Buyer]
) -> None:
    compliance = house.caller(Role.COMPLIANCE)
    compliance.post(f"/v1/tokenizations/{sold[0]}/mint")

    with house.unchanged():
        response = compliance.post(f"/v1/tokenizations/{sold[0]}/go_live")

    problem_of(response, 409, "not_reconciled")


def test_orders__many_for_the_last_fractions__sell_exactly_those(house: House) -> None:
    with house.desk() as desk:
        sale = sales.offering(desk, sales.wrapped_apartment(desk), offered_units=4)
        buyers = [make.buyer(desk) for _ in range(7)]
    path = f"/v1/offerings/{sale.id}/orders"

    answers = at_once(
        *[
            lambda who=who: house.caller(who.actor).post(
                path, {"units": "1", "wallet": address_of(who.wallet.address)}
            )
            for who in buyers
        ]
    )

    assert statuses(answers) == {201: 4, 409: 3}
    assert house.one("SELECT reserved_units FROM offering WHERE id = :id", id=sale.id) == 4


# Liens: an order of a court against what is being sold


def stay(desk: Desk, tokenization_id: UUID) -> Encumbrance:
    """Lodge a stay order on the asset of a token; the registrar's checker has not acted yet."""
    asset_id = desk.session.get_one(Tokenization, tokenization_id).asset_id
    return lodge(desk, desk.session.get_one(Asset, asset_id), EncumbranceKind.STAY_ORDER)


def test_mint__after_a_stay_order__is_refused(house: House, sold: tuple[UUID, Buyer]) -> None:
    with house.desk() as desk:
        lien = stay(desk, sold[0])
    activated = house.caller(Role.REGISTRAR_CHECKER).post(f"/v1/encumbrances/{lien.id}/activate")
    assert activated.is_success, activated.text

    with house.unchanged():
        response = house.caller(Role.COMPLIANCE).post(f"/v1/tokenizations/{sold[0]}/mint")

    problem = problem_of(response, 409, "rules_refused")
    assert [rule["id"] for rule in problem["rules"]] == ["ENC-02"]


def test_mint__while_a_stay_order_comes_into_force__is_refused(
    house: House, sold: tuple[UUID, Buyer]
) -> None:
    compliance = house.caller(Role.COMPLIANCE)
    with house.desk() as desk:
        lien = stay(desk, sold[0])
    with house.desk() as desk:
        put_encumbrance_in_force(desk.session, make.CHECKER, lien.id)
        path = f"/v1/tokenizations/{sold[0]}/mint"
        with meanwhile(house.database, lambda _: compliance.post(path)) as minting:
            desk.session.commit()
            response = minting.result()

    problem_of(response, 409, "rules_refused")
    assert operations(house, "mint", sold[0]) == 0


def test_order__after_a_stay_order__is_refused(house: House, sold: tuple[UUID, Buyer]) -> None:
    """Nobody is to pay for what a court has stopped."""
    with house.desk() as desk:
        lien = stay(desk, sold[0])
    with house.desk() as desk:
        put_encumbrance_in_force(desk.session, make.CHECKER, lien.id)
    sale = house.one("SELECT id FROM offering WHERE tokenization_id = :id", id=sold[0])
    who = sold[1]

    with house.unchanged():
        response = house.caller(who.actor).post(
            f"/v1/offerings/{sale}/orders",
            {"units": "1", "wallet": address_of(who.wallet.address)},
        )

    problem_of(response, 409, "asset_not_registered")


@pytest.mark.parametrize("step", ["deploy", "open", "go_live"])
def test_token__after_a_stay_order__takes_no_step(house: House, step: str) -> None:
    ready: dict[str, Callable[[Desk, Any], Tokenization]] = {
        "deploy": sales.approved,
        "open": sales.deployed,
        "go_live": lambda desk, wrapped: desk.session.get_one(
            Tokenization, sales.offering(desk, wrapped).tokenization_id
        ),
    }
    with house.desk() as desk:
        wrapped = sales.wrapped_apartment(desk)
        token = ready[step](desk, wrapped)
    compliance = house.caller(Role.COMPLIANCE)
    if step == "go_live":
        assert compliance.post(f"/v1/tokenizations/{token.id}/mint").is_success
    with house.desk() as desk:
        encumber(desk, desk.session.get_one(Asset, wrapped.asset.id), EncumbranceKind.STAY_ORDER)
    body = {"offered_units": "1"} if step == "open" else None

    with house.unchanged():
        response = compliance.post(f"/v1/tokenizations/{token.id}/{step}", body)

    problem_of(response, 409, "rules_refused")


def test_pause__for_a_reason_of_many_letters__is_planned(house: House) -> None:
    """A reason in Urdu has two bytes a letter, and an index a limit."""
    with house.desk() as desk:
        token = sales.deployed(desk, sales.wrapped_apartment(desk))
        desk.session.get_one(Tokenization, token.id).state = TokenizationState.LIVE
    letters = random.Random(2026)  # else it would compress, and fit
    reason = "".join(chr(letters.randrange(0x0620, 0x064A)) for _ in range(2000))

    response = house.caller(Role.COMPLIANCE).post(
        f"/v1/tokenizations/{token.id}/pause", {"reason": reason}
    )

    assert response.status_code == 202, response.text
    assert operations(house, "pause", token.id) == 1


def test_cases__two_freezes_of_one_wallet_at_one_moment__one_is_executed(house: House) -> None:
    """The first of two to be lifted would end both."""
    with house.desk() as desk:
        chain = ledger.live(desk, 600, 400)
        waiting = [make_case.opened(chain, CaseKind.FREEZE_WALLET).id for _ in range(4)]
        for case_id in waiting:
            make_case.approve(desk, get_case(desk.session, case_id))
    compliance = house.caller(Role.COMPLIANCE)

    answers = at_once(
        *[partial(compliance.post, f"/v1/cases/{case_id}/execute") for case_id in waiting]
    )

    assert statuses(answers) == {202: 1, 409: 3}
    for answer in answers:
        if answer.status_code != 202:
            problem_of(answer, 409, "wallet_frozen")
