"""The links of the description lead somewhere: to what can be asked next about a thing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from api.links import THINGS
from registry.kernel.actor import Role
from tests.api.house import House
from tests.api.people import ok

pytestmark = pytest.mark.db

NO_THINGS = {
    "/v1/journal/{seq}": "a place in the journal, of which there is nothing else to ask",
    "/v1/me/statements/{period}": "made when it is asked for",
    "/v1/payments/webhooks/{rail}": "a rail",
}


@pytest.fixture(scope="module")
def document(house: House) -> dict[str, Any]:
    return house.app.openapi()


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for operation in methods.values():
            yield path, operation


def links_of(document: dict[str, Any], name: str, status: str) -> dict[str, Any]:
    [operation] = [each for _, each in operations(document) if each["operationId"] == name]
    found: dict[str, Any] = operation["responses"][status].get("links", {})
    return found


def test_links__all__name_an_operation_and_its_parameters(document: dict[str, Any]) -> None:
    takes = {
        operation["operationId"]: {each["name"] for each in operation.get("parameters", ())}
        for _, operation in operations(document)
    }
    shared = document["components"]["links"]
    found = [
        shared[link["$ref"].rsplit("/", 1)[1]] if "$ref" in link else link
        for _, operation in operations(document)
        for response in operation["responses"].values()
        for link in response.get("links", {}).values()
    ]

    assert len(found) > len(shared) > 200
    for link in found:
        assert link["parameters"].keys() <= takes[link["operationId"]], link


def test_links__of_a_new_thing__are_all_that_is_asked_by_its_id(document: dict[str, Any]) -> None:
    under = {
        operation["operationId"]
        for path, operation in operations(document)
        if path.startswith("/v1/cases/{case_id}")
    }

    assert links_of(document, "open_case", "201").keys() == under
    assert links_of(document, "get_case", "200").keys() == under - {"get_case"}
    assert links_of(document, "approve_case", "200").keys() == {"get_case"}
    assert links_of(document, "list_cases", "200").keys() == {"get_case"}


def test_links__of_what_the_chain_does__lead_to_the_operation(document: dict[str, Any]) -> None:
    assert links_of(document, "deploy_tokenization", "202").keys() == {"get_operation"}


def test_things__held_against_the_paths__are_complete(document: dict[str, Any]) -> None:
    paths = document["paths"]
    first = {match[0] for path in paths if (match := re.match(r"[^{]*\{\w+\}", path))}

    assert {path for each in THINGS.values() for path in each} | NO_THINGS.keys() == first
    assert THINGS.keys() <= document["components"]["schemas"].keys()


def test_links__of_a_new_person__lead_to_it(house: House, document: dict[str, Any]) -> None:
    maker = house.caller(Role.REGISTRAR_MAKER)
    body = {"kind": "NATURAL", "name": "Linked", "cnic": "35202-7654321-9"}
    made = ok(maker.post("/v1/parties", body), 201)
    shared = document["components"]["links"]["get_party"]
    (path,) = [path for path, each in operations(document) if each["operationId"] == "get_party"]

    assert shared["parameters"] == {"party_id": "$response.body#/id"}
    assert ok(maker.get(path.format(party_id=made["id"])))["id"] == made["id"]
