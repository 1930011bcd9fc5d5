"""Bombs of nested JSON: refused wherever a body is read, whatever they hide in."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest

from registry.kernel.actor import Role
from tests.api.test_bad_dossiers import dossier
from tests.api.town import UNKNOWN, Town

pytestmark = pytest.mark.db

DEPTHS = (40, 300, 700, 900, 990, 5_000, 40_000)
"""From what any reader takes to what none does; between them lies the end of Python's stack."""
SHAPES = {"lists": ("[", "]"), "objects": ('{"a":', "}")}
HOLE = "put the bomb here"


def apartment(town: Town, **details: Any) -> dict[str, Any]:
    named = {"code": "LHR-APT-9998", "asset_class": "LAND_APARTMENT"}
    plain = dossier(town)
    return named | plain | {"details": plain["details"] | details}


def plot(town: Town) -> dict[str, Any]:
    details = {"area_kms": [1, 0, 0], "marla_kind": "MARLA_225", "geom": HOLE}
    named = {"code": "LHR-PLT-9998", "asset_class": "LAND_PLOT"}
    return named | dossier(town, details=details, underlying_keys=["PLT|A|B|C"])


BODIES: dict[str, tuple[str, Role, Any]] = {
    "unknown_detail": ("/v1/assets", Role.REGISTRAR_MAKER, lambda town: apartment(town, odd=HOLE)),
    "known_detail": (
        "/v1/assets",
        Role.REGISTRAR_MAKER,
        lambda town: apartment(town, undivided_share=HOLE),
    ),
    "geometry": ("/v1/assets", Role.REGISTRAR_MAKER, plot),
    "location": (
        "/v1/assets",
        Role.REGISTRAR_MAKER,
        lambda town: apartment(town) | {"location": {"province": HOLE}},
    ),
    "owners": (
        "/v1/assets",
        Role.REGISTRAR_MAKER,
        lambda town: apartment(town) | {"ownership": {"kul_hissay": 1, "owners": HOLE}},
    ),
    "unknown_field": (
        "/v1/parties",
        Role.REGISTRAR_MAKER,
        lambda _: {"kind": "NATURAL", "name": "Ayesha", "odd": HOLE},
    ),
    "whole_body": ("/v1/parties", Role.REGISTRAR_MAKER, lambda _: HOLE),
    "quality": (
        f"/v1/receipts/{UNKNOWN}/grade",
        Role.ASSAYER,
        lambda _: {"grade": "A", "quality": {"moisture_pct": HOLE}, "weight_note_id": str(UNKNOWN)},
    ),
}


def with_bomb(body: Any, shape: str, depth: int) -> bytes:
    opening, closing = SHAPES[shape]
    bomb = opening * depth + "1" + closing * depth
    return json.dumps(body).replace(json.dumps(HOLE), bomb).encode()


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", BODIES)
def test_body__nested_deeply__is_refused(town: Town, name: str, shape: str) -> None:
    path, role, body = BODIES[name]
    caller = town.house.caller(role)
    answers = {}
    with town.house.unchanged():
        for depth, key in itertools.product(DEPTHS, [None, f"bomb-{name}-{shape}"]):
            content = with_bomb(body(town), shape, depth)
            headers = {"Content-Type": "application/json"}
            answer = caller.ask("POST", path, content=content, headers=headers, key=key)
            answers[depth, key] = (answer.status_code, answer.headers["content-type"])

    assert all(
        status in {400, 422} and media_type == "application/problem+json"
        for status, media_type in answers.values()
    ), answers


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("depth", DEPTHS)
def test_payment_notice__nested_deeply__is_refused(town: Town, depth: int, shape: str) -> None:
    notice = with_bomb({"bank_reference": HOLE}, shape, depth)

    with town.house.unchanged():
        answer = town.house.notify(notice)

    assert (answer.status_code, answer.json()["code"]) == (422, "notice_invalid")
