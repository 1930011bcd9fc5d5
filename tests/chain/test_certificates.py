"""Certificates on a real chain: issued, anchored, proven offline, ended by what happens later."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pypdfium2
import pytest
import zxingcpp

from registry.certificate.verify import check_certificate
from registry.investor.models import Investor
from registry.kernel.actor import Actor, Role
from registry.kernel.papers import Paper, PaperRefused
from registry.kernel.sealed_pdf import attachment_of
from registry.kernel.signing import PublicKeys
from registry.title import service as titles
from tests import factories as make
from tests.api.house import Caller, House, problem_of
from tests.api.people import ok
from tests.chain import anchored
from tests.chain.market import FIRST, HELD, ISSUER, KEYS, SECOND, Market
from tests.chain.test_eligibility_api import actor_of, house_of
from tests.chain.world import address_of, key_of
from tests.factories import CHECKER, MAKER

pytestmark = pytest.mark.chain

TITLE = {"kind": "TITLE", "purpose": "Sale of a flat", "legal_basis": "Application of the owner"}


@pytest.fixture
def house(minted: Market, tmp_path: Path) -> Iterator[House]:
    anchored.read_chain(minted.world)
    keys = dict(zip(("pii_key", "pii_index_key"), KEYS, strict=True))
    with house_of(minted.world, tmp_path / "api", **keys) as house:
        yield house


def title_of(market: Market) -> str:
    with market.world.database.reading() as session:
        return str(titles.title_of_asset(session, market.deal.asset_id).id)


def certify_title(house: House, market: Market) -> str:
    body = TITLE | {"title_id": title_of(market)}
    return str(ok(house.caller(MAKER).post("/v1/certificates", body), 201)["id"])


def holder(market: Market, person: int) -> Actor:
    return actor_of(market, person)


def certify_holding(house: House, market: Market, person: int = FIRST) -> str:
    body = {"kind": "HOLDING", "token_id": str(market.deal.tokenization_id)}
    caller = house.caller(holder(market, person))
    return str(ok(caller.post("/v1/certificates", body), 201)["id"])


def take(caller: Caller, certificate: str) -> dict[str, Any]:
    taken: dict[str, Any] = ok(caller.get(f"/v1/certificates/{certificate}"))
    return taken


def keys_of(house: House) -> PublicKeys:
    return PublicKeys.read(json.dumps(house.services.signing[0].public_jwk))


def standing(house: House, certificate: str, **query: str) -> dict[str, Any]:
    asked = house.stranger().get(f"/v1/certificates/{certificate}/verify", **query)
    said: dict[str, Any] = ok(asked)
    return said


def test_title__issued_and_anchored__is_proven_to_the_root_on_chain(
    house: House, minted: Market
) -> None:
    certificate = certify_title(house, minted)
    caller = house.caller(MAKER)
    pending = take(caller, certificate)
    assert (pending["state"], pending["proof"]) == ("PENDING_ANCHOR", None)
    told = check_certificate(Paper(pending), keys_of(house))
    assert "its root is not on chain yet: ask for it again to have the proof" in told

    found = anchored.anchor(minted.world)
    taken = take(caller, certificate)

    assert taken["state"] == "ANCHORED"
    assert taken["content"] == pending["content"]
    assert check_certificate(Paper(taken), keys_of(house))
    proof = taken["proof"]
    size = int(proof["tree_size"])
    assert anchored.root_on_chain(minted.world, size).hex() == proof["root"]
    assert proof["anchor"]["tx_hash"] == f"0x{(found.tx_hash or b'').hex()}"
    assert standing(house, certificate)["anchoring"] == "ANCHORED"


def codes_on(pdf: bytes) -> list[str]:
    """Read the codes on the first page, as somebody who points a telephone at it."""
    with pypdfium2.PdfDocument(pdf) as document:
        seen = document[0].render(scale=3).to_numpy()
    return [code.text for code in zxingcpp.read_barcodes(seen)]


@pytest.mark.parametrize("language", ["en", "ur"])
def test_pdf__of_a_title__is_sealed_and_carries_its_proof(
    house: House, minted: Market, language: str
) -> None:
    certificate = certify_title(house, minted)
    anchored.anchor(minted.world)
    caller = house.caller(MAKER)
    headers = {"Accept": "application/pdf", "Accept-Language": language}
    asked = caller.ask("GET", f"/v1/certificates/{certificate}", headers=headers)

    assert asked.headers["content-type"] == "application/pdf"
    pdf = asked.content
    record = json.loads(attachment_of(pdf) or b"")
    assert record == take(caller, certificate)
    assert check_certificate(Paper(record, pdf), keys_of(house))
    with pytest.raises(PaperRefused) as refusal:
        check_certificate(Paper(record, pdf.replace(b"/Count 1", b"/Count 2")), keys_of(house))
    assert refusal.value.reason == "pdf_altered"
    [code] = codes_on(pdf)
    base, digest = house.services.settings.public_base, record["envelope"]["content_sha256"]
    asks = f"/v1/certificates/{certificate}/verify?sha256={digest}"
    assert code == f"{base}{asks}"
    assert ok(house.stranger().get(asks))["id"] == certificate
    again = caller.get(f"/v1/certificates/{certificate}", format="pdf")
    assert again.headers["content-type"] == "application/pdf"


def owner_exchanged(record: dict[str, Any]) -> None:
    record["content"]["owners"][0]["name"] = "Somebody Else"


def hash_exchanged(record: dict[str, Any]) -> None:
    owner_exchanged(record)
    record["envelope"]["content_sha256"] = "ab" * 32


def act_exchanged(record: dict[str, Any]) -> None:
    record["proof"]["entry"]["facts"]["content_sha256"] = "ab" * 32


def path_shortened(record: dict[str, Any]) -> None:
    record["proof"]["audit_path"].pop()


def root_exchanged(record: dict[str, Any]) -> None:
    record["proof"]["root"] = "ab" * 32


def proof_taken_out(record: dict[str, Any]) -> None:
    record["proof"] = None


def remark_added(record: dict[str, Any]) -> None:
    record["remark"] = "free of any encumbrance"


def note_added(record: dict[str, Any]) -> None:
    record["envelope"]["note"] = "free of any encumbrance"


@pytest.mark.parametrize(
    ("alter", "reason"),
    [
        (owner_exchanged, "content_altered"),
        (hash_exchanged, "signature_wrong"),
        (act_exchanged, "proof_wrong"),
        (path_shortened, "proof_wrong"),
        (root_exchanged, "proof_wrong"),
        (proof_taken_out, "proof_wrong"),
        (remark_added, "content_altered"),
        (note_added, "content_altered"),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_check__altered__is_refused_with_the_reason(
    house: House, minted: Market, alter: Callable[[dict[str, Any]], None], reason: str
) -> None:
    certificate = certify_title(house, minted)
    anchored.anchor(minted.world)
    record = copy.deepcopy(take(house.caller(MAKER), certificate))
    alter(record)

    with pytest.raises(PaperRefused) as refusal:
        check_certificate(Paper(record), keys_of(house))
    assert refusal.value.reason == reason


def test_holding__of_an_investor__says_how_much_at_a_final_block(
    house: House, minted: Market
) -> None:
    certificate = certify_holding(house, minted)

    record = take(house.caller(holder(minted, FIRST)), certificate)

    content = record["content"]
    assert content["units"] == str(HELD[FIRST])
    assert content["holder"]["name"]
    assert content["block"]["finality"] == "finalized"
    assert int(content["block"]["number"]) < minted.world.client.head().number
    assert content["wallets"][0]["balance"] == str(HELD[FIRST])
    assert check_certificate(Paper(record), keys_of(house))
    assert standing(house, certificate)["state"] == "VALID"


def test_holding__of_a_company__is_certified_too(house: House, minted: Market) -> None:
    with minted.world.database.reading() as session:
        investor = minted.wallet(ISSUER).investor_id
        subject = session.get_one(Investor, investor).subject
    company = make.actor(Role.ISSUER, subject=subject)
    body = {"kind": "HOLDING", "token_id": str(minted.deal.tokenization_id)}

    issued = ok(house.caller(company).post("/v1/certificates", body), 201)

    record = take(house.caller(company), issued["id"])
    assert record["content"]["units"] == str(HELD[ISSUER])


def test_verify__balance_changed__names_the_block(house: House, minted: Market) -> None:
    certificate = certify_holding(house, minted)
    other = certify_holding(house, minted, SECOND)
    token = minted.suite()
    minted.open()
    minted.world.node.fund(address_of(key_of(FIRST)))
    issuer = address_of(key_of(ISSUER))
    moved = token.person(FIRST).call("Token", token.token, "transfer", issuer, 7)
    anchored.read_chain(minted.world)

    said = standing(house, certificate)

    assert said["state"] == "SUPERSEDED"
    (change,) = said["changes"]
    assert (change["cause"], change["by"]) == ("BALANCE", str(moved.block_number))
    assert said["block"]["number"] >= moved.block_number
    assert standing(house, other)["state"] == "VALID"


def test_verify__encumbrance_added__is_superseded_and_no_name_is_told(
    house: House, minted: Market
) -> None:
    certificate = certify_title(house, minted)
    record = take(house.caller(MAKER), certificate)
    digest = record["envelope"]["content_sha256"]
    assert standing(house, certificate, sha256=digest)["state"] == "VALID"
    minted.put_stay_order_in_force()

    said = standing(house, certificate, sha256=digest)

    assert said["state"] == "SUPERSEDED"
    assert said["changes"][0]["cause"] == "ENCUMBRANCE_ADDED"
    assert record["content"]["owners"][0]["name"] not in json.dumps(said)
    assert standing(house, certificate, sha256="ab" * 32)["state"] == "OTHER_CONTENT"


def test_verify__for_a_phone__is_a_page_in_its_language(house: House, minted: Market) -> None:
    certificate = certify_title(house, minted)
    path = f"/v1/certificates/{certificate}/verify"
    headers = {"Accept": "text/html", "Accept-Language": "ur"}

    page = house.stranger().ask("GET", path, headers=headers)

    assert page.headers["content-type"].startswith("text/html")
    assert '<html lang="ur" dir="rtl">' in page.text
    assert certificate in page.text
    assert "<script" not in page.text
    nobody = f"/v1/certificates/{title_of(minted)}/verify"
    unknown = house.stranger().ask("GET", nobody, headers={"Accept": "text/html"})
    assert unknown.status_code == 404
    assert "Unknown" in unknown.text
    problem_of(house.stranger().get(nobody), 404, "not_found")


def test_verify__revoked__says_so(house: House, minted: Market) -> None:
    certificate = certify_title(house, minted)
    body = {"reason": "Issued on the wrong application"}
    ok(house.caller(CHECKER).post(f"/v1/certificates/{certificate}/revoke", body))

    said = standing(house, certificate)

    assert (said["state"], said["changes"][0]["cause"]) == ("REVOKED", "REVOKED")
    assert "wrong application" not in json.dumps(said)


def test_verify__asked_too_often__is_refused(minted: Market, tmp_path: Path) -> None:
    anchored.read_chain(minted.world)
    with house_of(minted.world, tmp_path / "api", rate_limit_address_per_minute=3) as house:
        path = f"/v1/certificates/{title_of(minted)}/verify"
        answers = [house.stranger().get(path).status_code for _ in range(5)]
    assert 429 in answers


def test_issue__bad_requests__change_nothing(house: House, minted: Market) -> None:
    registrar, investor = house.caller(MAKER), house.caller(holder(minted, FIRST))
    token = str(minted.deal.tokenization_id)
    title = TITLE | {"title_id": title_of(minted)}
    with house.unchanged():
        problem_of(investor.post("/v1/certificates", title), 403, "certificate_not_allowed")
        problem_of(
            registrar.post("/v1/certificates", {"kind": "HOLDING", "token_id": token}),
            404,
            "not_found",
        )
        unknown = TITLE | {"title_id": token}
        problem_of(registrar.post("/v1/certificates", unknown), 404, "not_found")
        for bad in (
            {"kind": "DEED"},
            title | {"purpose": " "},
            title | {"more": 1},
            {},
            title | {"token_id": token},
            {"kind": "TITLE", "title_id": title_of(minted)},
        ):
            assert registrar.post("/v1/certificates", bad).status_code == 422


def test_issue__same_key_again__is_the_same_certificate(house: House, minted: Market) -> None:
    registrar = house.caller(MAKER)
    body = TITLE | {"title_id": title_of(minted)}

    first = registrar.post("/v1/certificates", body, key="one")
    again = registrar.post("/v1/certificates", body, key="one")

    assert (first.status_code, again.json()) == (201, first.json())
    listed = ok(registrar.get("/v1/certificates"))
    assert [row["id"] for row in listed["items"]] == [first.json()["id"]]


def test_holding__nothing_of_it__is_refused(house: House, minted: Market) -> None:
    certificate = certify_holding(house, minted)
    other = house.caller(holder(minted, SECOND))
    problem_of(other.get(f"/v1/certificates/{certificate}"), 404, "not_found")
    with house.desk() as desk:
        newcomer, _ = make.enrolled(desk)
    body = {"kind": "HOLDING", "token_id": str(minted.deal.tokenization_id)}
    problem_of(house.caller(newcomer).post("/v1/certificates", body), 409, "holding_empty")
