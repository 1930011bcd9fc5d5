"""Requests that are no good whatever they ask for: unreadable, too large, of an unknown kind."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from registry.kernel.actor import Role
from tests.api.house import MAX_UPLOAD_BYTES, Caller, problem_of
from tests.api.town import UNKNOWN, Town

pytestmark = pytest.mark.db

JSON = {"Content-Type": "application/json"}
TOO_MUCH = MAX_UPLOAD_BYTES + 64 * 1024 + 1


@pytest.fixture
def maker(town: Town) -> Iterator[Caller]:
    with town.house.unchanged():
        yield town.house.caller(Role.REGISTRAR_MAKER)


UNREADABLE = {
    "no_body": (b"", 422, "request_invalid"),
    "not_json": (b"{", 422, "request_invalid"),
    "half_a_string": (b'{"name": "Aye', 422, "request_invalid"),
    "not_utf_8": (b'{"name": "\xff\xfe"}', 400, "request_malformed"),
    "nul_bytes": (b"\0" * 64, 422, "request_invalid"),
    "null": (b"null", 422, "request_invalid"),
    "a_list": (b"[]", 422, "request_invalid"),
    "a_string": (b'"kind"', 422, "request_invalid"),
    "a_number": (b"7", 422, "request_invalid"),
    "empty_object": (b"{}", 422, "request_invalid"),
    "very_deep": (b'{"name":' + b"[" * 50_000 + b"]" * 50_000 + b"}", 400, "request_malformed"),
    "endless_number": (b'{"name":' + b"9" * 5_000 + b"}", 400, "request_malformed"),
    "not_a_number": (b'{"kind": NaN, "name": Infinity}', 422, "request_invalid"),
    "key_half_a_character": (b'{"\\ud800": 1}', 422, "request_invalid"),
    "unknown_key": (b'{"__proto__": {}}', 422, "unknown_field"),
}


@pytest.mark.parametrize(("content", "status", "code"), UNREADABLE.values(), ids=UNREADABLE)
def test_body__unreadable__is_refused(
    maker: Caller, content: bytes, status: int, code: str
) -> None:
    problem_of(maker.ask("POST", "/v1/parties", content=content, headers=JSON), status, code)


@pytest.mark.parametrize(
    "media_type", ["text/plain", "application/x-www-form-urlencoded", "application/xml", "rubbish"]
)
def test_body__other_media_type__is_refused(maker: Caller, media_type: str) -> None:
    body = {"kind": "NATURAL", "name": "Ayesha", "cnic": "35202-7777777-1"}
    headers = {"Content-Type": media_type}
    response = maker.ask("POST", "/v1/parties", content=json.dumps(body), headers=headers)

    problem_of(response, 422, "request_invalid")


def test_body__unreadable_and_no_token__says_no_more_than_that(town: Town) -> None:
    response = town.house.stranger().ask("POST", "/v1/parties", content=b"{", headers=JSON)

    assert response.json()["code"] in {"token_missing", "request_invalid"}


def test_body__announced_too_large__is_refused_unread(maker: Caller) -> None:
    response = maker.ask("POST", "/v1/parties", content=b" " * TOO_MUCH, headers=JSON)

    problem_of(response, 413, "request_too_large")


@pytest.mark.parametrize("key", [None, "some-key"])
def test_body__too_large_without_saying_so__is_refused(maker: Caller, key: str | None) -> None:
    chunks = (b" " * 16_384 for _ in range(TOO_MUCH // 16_384 + 1))

    response = maker.ask("POST", "/v1/parties", content=chunks, headers=JSON, key=key)

    problem_of(response, 413, "request_too_large")


def test_body__announced_length_of_many_digits__is_refused(town: Town) -> None:
    url = town.house.client.base_url
    with socket.create_connection((url.host, url.port)) as connection:
        connection.sendall(
            b"POST /v1/parties HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999999999999\r\n\r\n"
        )
        answer = b""
        while b"}" not in answer:
            answer += connection.recv(65536)

    assert b" 413 " in answer.splitlines()[0]
    assert b"request_too_large" in answer


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE"])
def test_method__not_of_this_resource__is_refused(maker: Caller, method: str) -> None:
    response = maker.ask(method, "/v1/parties")

    assert response.status_code == 405
    assert response.headers["content-type"] == "application/problem+json"
    if method != "HEAD":
        problem_of(response, 405, "method_not_allowed")
    assert set(response.headers["allow"].replace(",", " ").split()) <= {"GET", "POST"}


@pytest.mark.parametrize(
    "path",
    ["/", "/v1", "/v2/assets", "/v1/nothing", "/v1/assets/x/y/z", "/v1//assets", "/../etc/passwd"],
)
def test_path__of_nothing__is_not_found(maker: Caller, path: str) -> None:
    problem_of(maker.ask("GET", path), 404, "not_found")


BY_ID = (
    ("GET", "/v1/parties/{}", Role.REGISTRAR_MAKER),
    ("GET", "/v1/assets/{}", Role.REGISTRAR_MAKER),
    ("POST", "/v1/assets/{}/submit", Role.REGISTRAR_MAKER),
    ("GET", "/v1/assets/{}/documents", Role.REGISTRAR_MAKER),
    ("GET", "/v1/assets/{}/valuations", Role.REGISTRAR_MAKER),
    ("GET", "/v1/assets/{}/wrapper", Role.REGISTRAR_MAKER),
    ("GET", "/v1/assets/{}/rule_runs", Role.REGISTRAR_MAKER),
    ("POST", "/v1/assets/{}/rule_runs", Role.REGISTRAR_MAKER),
    ("GET", "/v1/documents/{}", Role.REGISTRAR_MAKER),
    ("GET", "/v1/documents/{}/content", Role.REGISTRAR_MAKER),
    ("GET", "/v1/titles/{}", Role.REGISTRAR_MAKER),
    ("GET", "/v1/titles/{}/versions", Role.REGISTRAR_MAKER),
    ("GET", "/v1/titles/{}/encumbrances", Role.REGISTRAR_MAKER),
    ("GET", "/v1/encumbrances/{}", Role.REGISTRAR_MAKER),
    ("POST", "/v1/encumbrances/{}/activate", Role.REGISTRAR_CHECKER),
    ("GET", "/v1/tokenizations/{}", Role.REGISTRAR_MAKER),
    ("POST", "/v1/tokenizations/{}/deploy", Role.COMPLIANCE),
    ("POST", "/v1/tokenizations/{}/mint", Role.COMPLIANCE),
    ("POST", "/v1/tokenizations/{}/go_live", Role.COMPLIANCE),
    ("GET", "/v1/tokens/{}", Role.INVESTOR),
    ("GET", "/v1/investors/{}", Role.COMPLIANCE),
    ("GET", "/v1/offerings/{}", Role.INVESTOR),
    ("GET", "/v1/orders/{}", Role.INVESTOR),
    ("POST", "/v1/orders/{}/cancel", Role.INVESTOR),
    ("GET", "/v1/operations/{}", Role.INVESTOR),
    ("POST", "/v1/valuations/{}/accept", Role.VALUATION_CHECKER),
)


@pytest.mark.parametrize(("method", "path", "role"), BY_ID)
def test_id__of_nothing__is_not_found_and_of_no_form_is_wrong(
    town: Town, method: str, path: str, role: Role
) -> None:
    caller = town.house.caller(role)
    with town.house.unchanged():
        problem = problem_of(caller.ask(method, path.format(UNKNOWN)), 404, "not_found")
        assert problem["instance"] == path.format(UNKNOWN)
        for wrong in ("1", "%00", f"{UNKNOWN}'", "\u0660" * 32):
            problem_of(caller.ask(method, path.format(wrong)), 422, "request_invalid")
        climbing = path.format("..%2f..%2fetc%2fpasswd")
        problem_of(caller.ask(method, climbing), 404, "not_found")


@pytest.mark.parametrize(
    ("role", "path", "query", "code"),
    [
        (Role.REGISTRAR_MAKER, "/v1/assets", {"limit": 0}, "request_invalid"),
        (Role.REGISTRAR_MAKER, "/v1/assets", {"limit": 201}, "request_invalid"),
        (Role.REGISTRAR_MAKER, "/v1/assets", {"limit": "many"}, "request_invalid"),
        (Role.REGISTRAR_MAKER, "/v1/assets", {"limit": 10**30}, "request_invalid"),
        (Role.REGISTRAR_MAKER, "/v1/assets", {"state": "GONE"}, "request_invalid"),
        (Role.REGISTRAR_MAKER, "/v1/assets", {"code": "a\0b"}, "value_not_storable"),
        (Role.REGISTRAR_MAKER, "/v1/parties", {"lei": "a\0b"}, "value_not_storable"),
        (Role.REGISTRAR_MAKER, "/v1/parties", {"cnic": "' OR 1=1"}, "cnic_malformed"),
        (Role.AUDITOR, "/v1/journal", {"subject_id": "a\0b"}, "value_not_storable"),
        (Role.AUDITOR, "/v1/operations", {"subject_id": "a\0b"}, "value_not_storable"),
        (Role.AUDITOR, "/v1/operations", {"state": "lost"}, "request_invalid"),
        (Role.COMPLIANCE, "/v1/investors", {"kyc_state": "MAYBE"}, "request_invalid"),
        (Role.AUDITOR, "/v1/investors", {}, "purpose_required"),
    ],
    ids=str,
)
def test_query__wrong__is_refused(
    town: Town, role: Role, path: str, query: dict[str, Any], code: str
) -> None:
    problem_of(town.house.caller(role).get(path, **query), 422, code)


def dossier(town: Town) -> dict[str, Any]:
    caller = town.house.caller(Role.REGISTRAR_MAKER)
    now = caller.get(f"/v1/assets/{town.draft.id}").json()
    owners = [{"party_id": owner["party_id"], "hissa": owner["hissa"]} for owner in now["owners"]]
    same = ("title_regime", "location", "details", "underlying_keys")
    ownership = {"kul_hissay": now["kul_hissay"], "owners": owners}
    return {name: now[name] for name in same} | {"ownership": ownership}


@pytest.mark.parametrize(
    "version",
    ['"0"', '"99"', "0", "*", 'W/"1"', '"one"', '"\u0661"', '"' + "9" * 5000 + '"', '""'],
)
def test_if_match__not_the_version_that_stands__is_refused(
    town: Town, maker: Caller, version: str
) -> None:
    headers = {b"If-Match": version.encode()}
    path = f"/v1/assets/{town.draft.id}"
    response = maker.ask("PATCH", path, json=dossier(town), headers=headers)

    problem_of(response, 412, "stale_version")


def test_if_match__missing__is_asked_for(town: Town, maker: Caller) -> None:
    response = maker.patch(f"/v1/assets/{town.draft.id}", dossier(town))

    assert "ETag" in problem_of(response, 428, "if_match_required")["remedy"]
