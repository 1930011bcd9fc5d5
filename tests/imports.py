"""Files of fields around one mauza, as somebody's land records department exports them."""

from __future__ import annotations

import csv
import io
import json
from threading import Event
from typing import Any
from uuid import UUID

from registry.bulk.runner import ImportWorker
from registry.kernel.actor import Role
from tests.api.house import House
from tests.db.ground import SIDE, field

PATH = "/v1/assets/imports"
LAND = {"asset_class": "LAND_AGRICULTURAL", "title_regime": "REVENUE_RECORD_RURAL"}
AREA = "7-11-2"
"""Kanal, marla, sarsai of a field whose side is SIDE, within PAR-01's thousandth."""


def mapping(owner: UUID | str, **changes: Any) -> dict[str, Any]:
    """Map the rows of `rows`: columns of their own names to a dossier's fields."""
    area = [{"from": "kanal"}, {"from": "marla"}, {"from": "sarsai", "default": "0"}]
    khasra = {"no": {"from": "khasra"}, "area_kms": area, "geom": {"json": "geometry"}}
    whole = {
        "location": {
            "province": "PK-PB",
            "district": "Okara",
            "tehsil": "Depalpur",
            "mauza": {"from": "village"},
            "hadbast_no": "999",
        },
        "details": {"khasras": [khasra], "area_kms": area, "marla_kind": "MARLA_272_25"},
        "underlying_keys": [{"template": "KHASRA|PK-PB|OKARA|DEPALPUR|999|{khasra:key}"}],
        "ownership": {"kul_hissay": 1, "owners": [{"party_id": str(owner), "hissa": 1}]},
    }
    return whole | changes


def row(number: int, **changes: Any) -> dict[str, Any]:
    """Return the fields of one parcel; neighbours of one line of ten share an edge."""
    west, south = 73.1 + (number % 10) * SIDE, 30.6 + (number // 10) * SIDE
    fields = {
        "khasra": f"{number}/1",
        "village": "Chak Demo 12",
        "kanal": 7,
        "marla": 11,
        "sarsai": 2,
        "geometry": field(west, south),
    }
    return fields | changes


def rows(count: int, first: int = 1) -> list[dict[str, Any]]:
    return [row(number) for number in range(first, first + count)]


def ndjson(items: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(item) + "\n" for item in items).encode()


def geojson(items: list[dict[str, Any]]) -> bytes:
    features = [
        {
            "type": "Feature",
            "properties": {name: value for name, value in item.items() if name != "geometry"},
            "geometry": item["geometry"],
        }
        for item in items
    ]
    return json.dumps({"type": "FeatureCollection", "features": features}).encode()


def as_csv(items: list[dict[str, Any]]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(items[0]))
    writer.writeheader()
    for item in items:
        writer.writerow(item | {"geometry": json.dumps(item["geometry"])})
    return text.getvalue().encode()


def send(house: House, content: bytes, said: dict[str, Any] | str, **fields: str) -> Any:
    """Hand a file in as the maker, and return the answer."""
    told = said if isinstance(said, str) else json.dumps(said)
    form = LAND | {"mapping": told, "code_prefix": "OKR"} | fields
    key = form.pop("key", None)
    files = {"file": ("fields", content, "application/octet-stream")}
    return house.caller(Role.REGISTRAR_MAKER).ask("POST", PATH, key=key, data=form, files=files)


def work(house: House, batch_rows: int = 100) -> None:
    """Be the worker until nothing is left to do."""
    worker = ImportWorker(
        house.database, house.services.vault, house.services.store, batch_rows=batch_rows
    )
    while worker.turn(Event()):
        pass


def imported(house: House, content: bytes, said: dict[str, Any], **fields: str) -> dict[str, Any]:
    """Hand a file in, have it worked, and return the import as it then stands."""
    answer = send(house, content, said, **fields)
    assert answer.status_code == 202, answer.text
    work(house)
    found: dict[str, Any] = house.caller(Role.AUDITOR).get(answer.headers["Location"]).json()
    return found


def results(house: House, job: dict[str, Any], **query: Any) -> list[dict[str, Any]]:
    """Read the results of all rows."""
    path, found = f"{PATH}/{job['id']}/rows", []
    page = house.caller(Role.AUDITOR).get(path, **query).json()
    found += page["items"]
    while page["next"]:
        page = house.caller(Role.AUDITOR).get(path, cursor=page["next"], **query).json()
        found += page["items"]
    return found


def reasons(result: dict[str, Any]) -> list[str]:
    """Return what a row was refused, or warned, for: rule ids, else codes."""
    return [problem["rule"] or problem["code"] for problem in result["problems"]]
