"""One request as somebody, and what its answer does against the description."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import Failure, FailureGroup
from schemathesis.core.transport import Response
from schemathesis.generation.case import Case
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from api.auth.access import ACCESS
from api.links import told_of
from registry.kernel.actor import Role
from tests.api.house import House
from tests.fuzz.known import Known

Operation = APIOperation[Any, Any, Any, Any]

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
STREAMS = frozenset({"stream_my_events", "stream_events"})
"""They do not end; tests of their own read them."""
UNREADY = frozenset({"readyz"})
"""Says with 503 that it is not ready, as here, where nobody follows the chain."""
TOLD_ONCE = frozenset(
    {"propose_api_key", "add_webhook_endpoint", "rotate_webhook_secret", "invite_investor"}
)
"""Their answers hold a secret, which is not kept for a repetition."""
SHOWN_CHARACTERS = 600
REPEATED = 0.1
USUAL = 0.7
KEY = "Idempotency-Key"


@dataclass
class Played:
    """What was asked, and what went against the description.

    Parameters
    ----------
    operations
        Those asked, each with the statuses of its answers.
    failures
        By operation and kind of failure, the first of each as it can be asked again.
    """

    operations: dict[str, Counter[int]] = field(default_factory=dict)
    roles: set[str] = field(default_factory=set)
    requests: int = 0
    failures: dict[tuple[str, str], str] = field(default_factory=dict)

    def statuses(self) -> Counter[int]:
        return sum(self.operations.values(), Counter())

    def succeeded(self) -> int:
        """Count the operations that did what was asked at least once."""
        return sum(any(status < 300 for status in each) for each in self.operations.values())


@dataclass(frozen=True)
class Asker:
    """Asks as anybody, about what is there, and looks at the answers.

    Parameters
    ----------
    tokens
        Of each role, those of its people; of nobody, none.
    told
        Called with each new failure.
    """

    house: House
    tokens: Mapping[Role | None, list[str | None]]
    known: Known
    random: Random
    told: Callable[[str], object]
    played: Played = field(default_factory=Played)

    def role_for(self, name: str, outsiders: float) -> Role | None:
        """Draw who asks: mostly one of those who may."""
        allowed = sorted(ACCESS[name])
        if allowed and self.random.random() > outsiders:
            return self.random.choice(allowed)
        return self.random.choice([*self.tokens])

    def ask(self, case: Case[Any], role: Role | None) -> Response:
        """Send a request, after some of its values became such that exist, and judge the answer."""
        name = name_of(case.operation)
        token = self.random.choice(self.tokens[role])
        self._fill(case, role)
        response = self._send(case, token)
        self.played.requests += 1
        self.played.roles.add(str(role or "nobody"))
        self.played.operations.setdefault(name, Counter())[response.status_code] += 1
        self._judge(name, case, response)
        if response.status_code < 300:
            self._learn(case, response)
            self._follow(name, case, response, token)
        return response

    def _fill(self, case: Case[Any], role: Role | None) -> None:
        self.known.fill_path(self.random, case.path, case.path_parameters or {})
        if case.media_type == "application/json" and isinstance(case.body, dict):
            body = self.known.fill(self.random, self._thinned(case.operation, case.body))
            if "role" in body and role is not None and self.random.random() < USUAL:
                body["role"] = str(role)
            case.body = body
        case.query = self.known.fill(self.random, case.query or {})
        path = case.formatted_path
        etag = self.known.etag(path)
        if case.method.upper() == "PATCH" and etag and self.random.random() < 1 - REPEATED:
            case.headers["If-Match"] = etag

    def _thinned(self, operation: Operation, body: dict[str, Any]) -> dict[str, Any]:
        """Leave out what need not be said: with everything said at once most is contradictory."""
        content = operation.definition.raw["requestBody"]["content"]["application/json"]
        name = content["schema"].get("$ref", "").rsplit("/", 1)[-1]
        schema = self.house.app.openapi()["components"]["schemas"].get(name, {})
        needed = schema.get("required", ())
        return {
            field: value
            for field, value in body.items()
            if field in needed or self.random.random() > USUAL
        }

    def _send(self, case: Case[Any], token: str | None) -> Response:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return case.call(base_url=str(self.house.client.base_url), headers=headers)

    def _judge(self, name: str, case: Case[Any], response: Response) -> None:
        try:
            checks = [
                check for check in CHECKS if name not in UNREADY or check != not_a_server_error
            ]
            case.validate_response(response, checks=checks)
        except (Failure, FailureGroup) as failure:
            for each in getattr(failure, "exceptions", [failure]):
                self._note(
                    name, type(each).__name__, f"{each.title}\n  {each.message}", case, response
                )

    def _learn(self, case: Case[Any], response: Response) -> None:
        self.known.learn_etag(case.formatted_path, _header(response, "etag"))
        if response.content and _header(response, "content-type") == "application/json":
            answers = case.operation.definition.raw["responses"]
            model, _ = told_of(answers.get(str(response.status_code), {}))
            self.known.learn_answer(model, response.json())

    def _follow(self, name: str, case: Case[Any], response: Response, token: str | None) -> None:
        """See that what was made is where the answer says, and that a repetition is the same."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        location = _header(response, "location")
        if location is not None and self.random.random() < 0.5:
            there = self.house.client.get(location, headers=headers)
            if there.status_code not in {200, 403}:
                self._note(name, "Location", f"{location}: {there.status_code}", case, response)
        if KEY in case.headers and self.random.random() < REPEATED:
            again = self._send(case, token)
            is_same = name in TOLD_ONCE or again.content == response.content
            if again.status_code != response.status_code or not is_same:
                said = f"{again.status_code} {again.text[:SHOWN_CHARACTERS]}"
                self._note(name, "Repeated", f"the second answer: {said}", case, response)

    def _note(self, name: str, kind: str, said: str, case: Case[Any], response: Response) -> None:
        if (name, kind) in self.played.failures:
            return
        shown = response.text[:SHOWN_CHARACTERS]
        text = (
            f"{name}: {kind}: {said}\n  {case.as_curl_command()}\n  {response.status_code} {shown}"
        )
        self.played.failures[name, kind] = text
        self.told(text)


def name_of(operation: Operation) -> str:
    return str(operation.definition.raw["operationId"])


def _header(response: Response, name: str) -> str | None:
    values = response.headers.get(name)
    return values[0] if values else None
