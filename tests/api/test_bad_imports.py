"""Bad files of every kind: a problem for the file, or a result for the row, and nothing else."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from typing import Any

import pytest

from registry.kernel.actor import Role
from tests import factories as make
from tests.api.house import House, problem_of
from tests.db.ground import field
from tests.imports import (
    LAND,
    PATH,
    as_csv,
    geojson,
    imported,
    mapping,
    ndjson,
    reasons,
    results,
    row,
    rows,
    send,
)

pytestmark = pytest.mark.e2e


def _zipped() -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("fields.csv", as_csv(rows(1)))
    return packed.getvalue()


_CRS = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32643"}}
BAD_FILES: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "import_empty"),
    "a header alone": (as_csv(rows(1)).split(b"\r\n")[0] + b"\r\n", "import_empty"),
    "no features": (b'{"type": "FeatureCollection", "features": []}', "import_empty"),
    "truncated GeoJSON": (geojson(rows(3))[:-40], "import_malformed"),
    "truncated in a feature": (geojson(rows(3))[:300], "import_malformed"),
    "an open quote": (as_csv(rows(2)) + b'"9/1,Chak', "import_malformed"),
    "UTF-16": (as_csv(rows(1)).decode().encode("utf-16"), "import_encoding"),
    "Latin-1": (as_csv([row(1, village="Fätehpur")]).decode().encode("latin-1"), "import_encoding"),
    "gzip": (gzip.compress(as_csv(rows(1))), "import_compressed"),
    "ZIP": (_zipped(), "import_compressed"),
    "a bomb of brackets": (
        b'{"type": "FeatureCollection", "features": ' + b"[" * 100_000,
        "import_too_deep",
    ),
    "nested too deep": (
        ndjson([row(1, village=json.loads("[" * 60 + "]" * 60))]),
        "import_too_deep",
    ),
    "an endless row": (b'{"khasra": "' + b"9" * 1_100_000 + b'"}\n', "import_row_too_long"),
    "a column twice": (b"khasra,khasra\n1,2\n", "import_columns_repeated"),
    "other columns": (b"plot;owner\n1;2\n", "import_columns_missing"),
    "a foreign system": (
        json.dumps({"type": "FeatureCollection", "crs": _CRS, "features": []}).encode(),
        "import_crs_refused",
    ),
    "a crs that is a text": (
        b'{"type": "FeatureCollection", "crs": "EPSG:32643", "features": []}',
        "import_crs_refused",
    ),
    "a picture": (b"\x89PNG\r\n\x1a\n" + b"\x00" * 64, "import_encoding"),
    "a page": (b"<html></html>", "import_format_unknown"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_import__of_a_bad_file__is_refused_and_changes_nothing(house: House, name: str) -> None:
    content, code = BAD_FILES[name]
    with house.unchanged():
        answer = send(house, content, mapping("00000000-0000-0000-0000-000000000000"))
    problem_of(answer, 422, code)


OK = mapping("00000000-0000-0000-0000-000000000000")
BAD_MAPPINGS: dict[str, Any] = {
    "no JSON": "{",
    "a list": "[]",
    "a bomb": "[" * 50_000,
    "a decimal": '{"location": 1.5}',
    "NaN": '{"location": NaN}',
    "a misspelt part": OK | {"detials": {}},
    "a part left out": {name: part for name, part in OK.items() if name != "ownership"},
    "a field of another class": OK | {"details": {"qty_kg": {"from": "kanal"}}},
    "an unknown expression": OK | {"location": {"from": "village", "eval": "1"}},
    "a template with attributes": OK | {"underlying_keys": [{"template": "{khasra!r}"}]},
    "a template that does not end": OK | {"underlying_keys": [{"template": "{khasra"}]},
    "an expression of nothing": OK | {"location": {"from": ""}},
}


@pytest.mark.parametrize("name", BAD_MAPPINGS)
def test_import__with_a_bad_mapping__is_refused_and_changes_nothing(
    house: House, name: str
) -> None:
    with house.unchanged():
        answer = send(house, ndjson(rows(1)), BAD_MAPPINGS[name])
    problem_of(answer, 422, "import_mapping_invalid")


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"code_prefix": "okr"}, "code_prefix_malformed"),
        ({"title_regime": "EWR"}, "regime_not_applicable"),
        ({"format": "xlsx"}, "request_invalid"),
        ({"asset_class": "LAND"}, "request_invalid"),
    ],
)
def test_import__with_bad_fields__is_refused_and_changes_nothing(
    house: House, fields: dict[str, str], code: str
) -> None:
    with house.unchanged():
        problem_of(send(house, ndjson(rows(1)), OK, **fields), 422, code)


def test_import__without_codes_and_prefix__is_refused(house: House) -> None:
    form = LAND | {"mapping": json.dumps(OK)}
    files = {"file": ("fields", ndjson(rows(1)))}
    answer = house.caller(Role.REGISTRAR_MAKER).ask("POST", PATH, data=form, files=files)
    problem_of(answer, 422, "code_prefix_missing")


@pytest.fixture(scope="module")
def owner(house: House) -> str:
    with house.desk() as desk:
        return str(make.person(desk).id)


BAD_ROWS: dict[str, tuple[bytes, list[str]]] = {
    "a formula": (ndjson([row(1, village="=1+1")]), ["import_value_refused"]),
    "a formula with plus": (ndjson([row(1, village="+cmd|x")]), ["import_value_refused"]),
    "a formula with at": (ndjson([row(1, village="@SUM(A1)")]), ["import_value_refused"]),
    "a NUL": (ndjson([row(1, village="Chak\u0000")]), ["import_value_refused"]),
    "an escape": (ndjson([row(1, village="\u001b[2J")]), ["import_value_refused"]),
    "a turned text": (ndjson([row(1, village="Chak\u202e21")]), ["import_value_refused"]),
    "a huge number": (ndjson([row(1, kanal=10**60)]), ["import_value_refused"]),
    "no number": (
        ndjson([row(1)]).replace(b'"kanal": 7', b'"kanal": NaN'),
        ["import_value_refused"],
    ),
    "an absurd exponent": (
        ndjson([row(1)]).replace(b'"sarsai": 2', b'"sarsai": 2e9999'),
        ["import_value_refused"],
    ),
    "a name twice": (
        ndjson([row(1)]).replace(b'"kanal": 7', b'"kanal": 7, "kanal": 8'),
        ["import_row_malformed"],
    ),
    "no object": (b'{"khasra": "1/1"}\n7\n', ["import_row_malformed"]),
    "a long text": (ndjson([row(1, village="x" * 300)]), ["location_malformed"]),
    "no area": (ndjson([row(1, kanal=0, marla=0, sarsai=0)]), ["details_invalid"]),
    "a point": (
        ndjson([row(1, geometry={"type": "Point", "coordinates": [73.1, 30.6]})]),
        ["geometry_invalid"],
    ),
    "coordinates that are texts": (
        ndjson([row(1, geometry={"type": "Polygon", "coordinates": [["73.1", "30.6"]] * 5})]),
        ["geometry_invalid"],
    ),
    "another continent": (
        ndjson([row(1, geometry=field(1.0, 1.0))]),
        ["geometry_outside"],
    ),
    "one cell too many": (
        as_csv([row(1)]).rstrip(b"\r\n") + b",more\r\n",
        ["import_row_malformed"],
    ),
    "a cell that is no JSON": (
        as_csv([row(1, geometry="x")]).replace(b'"""x"""', b"POLYGON"),
        ["import_field_malformed"],
    ),
}


@pytest.mark.parametrize("name", BAD_ROWS)
def test_import__of_a_bad_row__refuses_that_row_only(house: House, owner: str, name: str) -> None:
    content, codes = BAD_ROWS[name]
    assets = house.one("SELECT count(*) FROM asset")
    job = imported(house, content, mapping(owner))
    assert job["state"] == "DONE"
    assert job["counts"]["accepted"] == 0
    assert set(reasons(results(house, job)[-1])) == set(codes)
    assert house.one("SELECT count(*) FROM asset") == assets


def test_import__dry_run_of_very_long_rows__is_refused(house: House) -> None:
    with house.desk() as desk:
        owner = make.person(desk).id
    junk = "x" * (1024 * 1024 - 1000)
    content = ndjson([item | {"junk": junk} for item in rows(33)])

    answer = send(house, content, mapping(owner), dry_run="true", format="ndjson")

    problem_of(answer, 422, "import_dry_run_too_long")


def test_import__details_of_endless_faults__are_one_problem(house: House) -> None:
    with house.desk() as desk:
        owner = make.person(desk).id
    content = ndjson([row(1, details={"khasras": ["no khasra"] * 5_000})])

    job = imported(house, content, mapping(owner, details={"json": "details"}))

    [result] = results(house, job)
    [problem] = result["problems"]
    assert problem["code"] == "details_invalid"
    assert "faults" in problem["detail"]
