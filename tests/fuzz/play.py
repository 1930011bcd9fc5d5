"""Requests that the description allows or nearly allows, as every role and as nobody."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as seeded
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import Failure, FailureGroup
from schemathesis.core.result import Ok
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
from registry.kernel.actor import Role
from tests.api.house import House
from tests.api.scene import Scene
from tests.factories import ACTORS

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
STREAMS = frozenset({"stream_my_events", "stream_token_events"})
"""They do not end; tests of their own read them."""
SHOWN_CHARACTERS = 600


Operation = APIOperation[Any, Any, Any, Any]


@dataclass
class Played:
    """What was asked, and what went against the description.

    Parameters
    ----------
    failures
        By operation and kind of failure, the first of each as it can be asked again.
    """

    operations: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    failures: dict[tuple[str, str], str] = field(default_factory=dict)

    @property
    def requests(self) -> int:
        return self.statuses.total()


@dataclass(frozen=True)
class Player:
    """Asks as anybody.

    Parameters
    ----------
    told
        Called with each new failure.
    """

    house: House
    scene: Scene
    seed: int
    told: Callable[[str], object]
    played: Played = field(default_factory=Played)

    def play(self, examples: int, only: str = "") -> Played:
        """Ask every operation `examples` times as each role that may, and once as all others."""
        tokens = self._tokens()
        for operation in self._operations(only):
            self.played.operations += 1
            allowed = ACCESS[_name(operation)]
            for role, token in tokens.items():
                self._ask(operation, token, examples if role in allowed else 1)
        return self.played

    def _tokens(self) -> dict[Role | None, str | None]:
        people = ACTORS | {Role.INVESTOR: self.scene.owner}
        return {None: None} | {role: self.house.token(people[role]) for role in Role}

    def _operations(self, only: str) -> Iterator[Operation]:
        schema = schemathesis.openapi.from_dict(self.house.app.openapi())
        for found in schema.get_all_operations():
            assert isinstance(found, Ok), found
            operation = found.ok()
            name = _name(operation)
            if name not in STREAMS and re.search(only, name):
                yield operation

    def _ask(self, operation: Operation, token: str | None, often: int) -> None:
        headers = {"Authorization": f"Bearer {token}"} if token else {}

        @seeded(self.seed)
        @settings(
            max_examples=often,
            deadline=None,
            database=None,
            phases=(Phase.generate,),
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy())
        def run(case: Case[Any]) -> None:
            # Every other request is about something that is there.
            if self.played.requests % 2:
                case.path_parameters = (case.path_parameters or {}) | {
                    name: value
                    for name, value in self.scene.ids.items()
                    if name in (case.path_parameters or {})
                }
            response = case.call(base_url=str(self.house.client.base_url), headers=headers)
            self.played.statuses[response.status_code] += 1
            try:
                case.validate_response(response, checks=CHECKS)
            except (Failure, FailureGroup) as failure:
                for each in getattr(failure, "exceptions", [failure]):
                    self._note(_name(operation), each, case, response)

        run()

    def _note(self, name: str, failure: Failure, case: Case[Any], response: Response) -> None:
        key = (name, type(failure).__name__)
        if key in self.played.failures:
            return
        said = response.text[:SHOWN_CHARACTERS]
        self.played.failures[key] = (
            f"{name}: {failure.title}\n  {failure.message}\n  {case.as_curl_command()}\n"
            f"  {response.status_code} {said}"
        )
        self.told(self.played.failures[key])


def _name(operation: Operation) -> str:
    return str(operation.definition.raw["operationId"])
