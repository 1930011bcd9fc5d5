"""The API's description: current, complete, and the same as what is answered."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from api.auth.access import ACCESS, PUBLIC
from api.cli import OPENAPI, app
from api.schemas.common import MEDIA_TYPE
from registry.kernel.actor import Role
from tests.api.house import House

pytestmark = pytest.mark.db

ALWAYS = {"401", "403", "404", "409", "422", "429", "503"}
DEVELOPMENT = "/dev/token"
WELL_KNOWN = "/.well-known/jwks.json"
"""Named by others: RFC 8615, and every library that looks for keys."""
REPORT = re.compile(r"(?<=^/v1/reports)/R-[0-9]{2}$")
"""Named as the regulators name them."""
QUESTIONS = {"lint_compliance", "dry_run_tokenization", "ask_what_if", "check_eligibility"}
"""Too long for a query string, so they are sent as a body; they change nothing."""


@pytest.fixture(scope="module")
def document(house: House) -> dict[str, Any]:
    return house.app.openapi()


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method, path, operation


def test_openapi__committed_file__is_current(document: dict[str, Any]) -> None:
    committed = json.loads(OPENAPI.read_text("utf-8"))

    assert committed == json.loads(json.dumps(document)), "Run: make openapi"


def test_openapi__served__is_the_same(house: House, document: dict[str, Any]) -> None:
    served = house.stranger().get("/openapi.json")

    assert served.json() == json.loads(json.dumps(document))
    assert house.stranger().get("/docs").status_code == 200


def test_openapi__operations__are_those_of_the_access_table(document: dict[str, Any]) -> None:
    found = [operation["operationId"] for _, _, operation in operations(document)]

    assert sorted(found) == sorted(ACCESS)


def test_openapi__every_operation__documents_its_problems(document: dict[str, Any]) -> None:
    for method, path, operation in operations(document):
        if not path.startswith("/v1/"):
            continue
        refusals = {status for status in operation["responses"] if int(status) >= 400}
        is_edit = method == "patch" or (path.endswith("/amendments") and method == "post")
        expected = ALWAYS | ({"412", "428"} if is_edit else set())
        expected |= {"400", "413"} if "requestBody" in operation else set()
        assert refusals == expected, (method, path)
        for status in refusals:
            content = operation["responses"][status]["content"]
            assert content.keys() == {MEDIA_TYPE}, (method, path, status)
            assert content[MEDIA_TYPE]["schema"]["$ref"].endswith("/Problem")


def test_openapi__every_operation__has_one_success_and_says_what_it_is(
    document: dict[str, Any],
) -> None:
    for method, path, operation in operations(document):
        successes = [status for status in operation["responses"] if status < "400"]
        # Banks look at nothing but whether it is a success: 202 is money of no order.
        expected = 2 if path == "/v1/payments/webhooks/{rail}" else 1
        assert len(successes) == expected, (method, path)
        assert operation["summary"]
        assert operation["description"].strip()
        assert operation["tags"]


def test_openapi__every_guarded_operation__asks_for_a_token(document: dict[str, Any]) -> None:
    for _, path, operation in operations(document):
        is_public = ACCESS[operation["operationId"]] == PUBLIC
        assert (operation.get("security") is None) == is_public, path


def test_openapi__every_mutation__takes_an_idempotency_key(document: dict[str, Any]) -> None:
    for method, path, operation in operations(document):
        names = {parameter["name"].lower() for parameter in operation.get("parameters", ())}
        name = operation["operationId"]
        is_mutation = method != "get" and ACCESS[name] != PUBLIC and name not in QUESTIONS
        assert ("idempotency-key" in names) == is_mutation, (method, path)
        if method == "patch":
            assert "if-match" in names


def test_openapi__every_name__is_in_snake_case(document: dict[str, Any]) -> None:
    snake = re.compile(r"^[a-z][a-z0-9]*(_[a-z0-9]+)*$")
    for _, path, operation in operations(document):
        if path == WELL_KNOWN:
            continue
        for part in REPORT.sub("", path).strip("/").split("/"):
            assert snake.match(part.strip("{}")), path
        assert snake.match(operation["operationId"])
    for name, schema in document["components"]["schemas"].items():
        if name not in {"HTTPValidationError", "ValidationError"}:
            for field in schema.get("properties", {}):
                assert snake.match(field), (name, field)


def test_openapi__every_body__is_closed(document: dict[str, Any]) -> None:
    """A misspelt field is refused, not ignored."""
    schemas = document["components"]["schemas"]
    for method, path, operation in operations(document):
        content = operation.get("requestBody", {}).get("content", {})
        reference = content.get("application/json", {}).get("schema", {}).get("$ref")
        if reference is not None:
            schema = schemas[reference.rsplit("/", 1)[1]]
            assert schema["additionalProperties"] is False, (method, path)


def test_answers__of_some_refusals__have_the_documented_media_type(
    house: House, document: dict[str, Any]
) -> None:
    problem = document["components"]["schemas"]["Problem"]
    maker = house.caller(Role.REGISTRAR_MAKER)
    answers = [
        house.stranger().get("/v1/me"),
        house.caller(Role.INVESTOR).get("/v1/assets"),
        maker.get("/v1/assets/00000000-0000-7000-8000-000000000000"),
        maker.post("/v1/parties", {}),
    ]

    assert [answer.status_code for answer in answers] == [401, 403, 404, 422]
    for answer in answers:
        assert answer.headers["content-type"] == MEDIA_TYPE
        assert set(problem["required"]) <= answer.json().keys()


def test_openapi__printed__needs_no_bucket(
    document: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    monkeypatch.setenv("DOCUMENT_STORE", "s3://nowhere")
    monkeypatch.setenv("S3_ENDPOINT_URL", "http://127.0.0.1:1")

    printed = CliRunner().invoke(app, ["openapi"])

    assert printed.exit_code == 0, printed.output
    assert json.loads(printed.stdout)["paths"] == json.loads(json.dumps(document["paths"]))


def test_openapi__schemas__are_named_for_what_they_are(document: dict[str, Any]) -> None:
    # Of two models with one name FastAPI tells the modules, which every client then has to type.
    assert [name for name in document["components"]["schemas"] if "__" in name] == []
