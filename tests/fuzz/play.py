"""Requests that the description allows or nearly allows, as every role and as nobody."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from typing import Any

import hypothesis
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.core.result import Ok
from schemathesis.generation.case import Case
from schemathesis.generation.stateful import run_state_machine_as_test
from schemathesis.specs.openapi.schemas import OpenApiSchema

from api.auth.access import ACCESS
from registry.kernel.actor import Role
from tests.fuzz.asking import STREAMS, Asker, Operation, name_of

OUTSIDERS = 0.1
BATCH = 5
STEPS = 40


def schema_of(asker: Asker, only: str) -> OpenApiSchema:
    """Read the application's own description, but for its streams and what is not asked for."""
    document = asker.house.app.openapi()
    schema = schemathesis.openapi.from_dict(document)
    names = [
        operation["operationId"]
        for methods in document["paths"].values()
        for operation in methods.values()
    ]
    wanted = [name for name in names if name not in STREAMS and re.search(only, name)]
    chosen = schema.include(operation_id=wanted)
    assert isinstance(chosen, OpenApiSchema)
    return chosen


def ask_each(asker: Asker, schema: OpenApiSchema, seed: int, examples: int) -> Iterator[int]:
    """Ask every operation `examples` times as each role that may, and once as all others.

    Yields
    ------
    int
        How many operations were asked.
    """
    for number, operation in enumerate(_operations(schema), start=1):
        allowed = ACCESS[name_of(operation)] or asker.tokens
        roles = [role for role in asker.tokens for _ in range(examples if role in allowed else 1)]
        _generate(operation, seed, asker, roles)
        yield number


def walk(asker: Asker, schema: OpenApiSchema, seed: int) -> Iterator[int]:
    """Follow the links of the description, each step as somebody, for as long as one likes.

    Yields
    ------
    int
        How many walks were gone.
    """
    made: Any = schema.as_state_machine()

    class Walk(made):  # type: ignore[misc]
        def call(self, case: Case[Any], **_: Any) -> Any:
            return asker.ask(case, asker.role_for(name_of(case.operation), OUTSIDERS))

        def validate_response(self, *_: Any, **__: Any) -> None:
            """Judged when it was asked: a walk goes on after what it finds."""

    limits = settings(
        max_examples=BATCH, stateful_step_count=STEPS, deadline=None, database=None,
        phases=(Phase.generate,), suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    for walks in itertools.count(0, BATCH):
        run_state_machine_as_test(hypothesis.seed(seed + walks)(Walk), settings=limits)
        yield walks + BATCH


def _operations(schema: OpenApiSchema) -> Iterator[Operation]:
    for found in schema.get_all_operations():
        assert isinstance(found, Ok), found
        yield found.ok()


def _generate(operation: Operation, seed: int, asker: Asker, roles: Sequence[Role | None]) -> None:
    """Ask once as each of `roles`; the strategy is made once, which takes longer than to ask."""
    made: list[Case[Any]] = []

    @hypothesis.seed(seed)
    @settings(
        max_examples=len(roles),
        deadline=None,
        database=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy())
    def run(case: Case[Any]) -> None:
        made.append(case)

    run()
    # Of what has few values to choose from, few examples are made.
    for role, case in zip(roles, itertools.cycle(made), strict=False):
        asker.ask(case, role)
