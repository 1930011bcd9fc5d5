"""Reading the files of a bulk import: what is taken row by row, and what is refused whole."""

from __future__ import annotations

import gzip
import io
import json
from decimal import Decimal
from typing import Any

import pytest

from registry.bulk.formats import FileFormat, SourceRow, read_rows, sniff_format
from registry.bulk.source import MAX_ROW_CHARACTERS, PIECE_BYTES, read_pieces
from registry.kernel.errors import Invalid

pytestmark = pytest.mark.unit


def rows(file_format: FileFormat, content: bytes) -> list[SourceRow]:
    return list(read_rows(file_format, read_pieces(io.BytesIO(content))))


def collection(*features: Any, **more: Any) -> bytes:
    return json.dumps({"type": "FeatureCollection", **more, "features": features}).encode()


def feature(no: int) -> dict[str, Any]:
    point = {"type": "Point", "coordinates": [73.1, 30.6]}
    return {"type": "Feature", "properties": {"khasra": f"{no}/1"}, "geometry": point}


def test_geojson__more_than_one_piece__gives_every_feature_once() -> None:
    content = collection(*map(feature, range(1, 4001)))
    assert len(content) > PIECE_BYTES

    found = rows(FileFormat.GEOJSON, content)

    assert [row.no for row in found] == list(range(1, 4001))
    assert [row.fields["khasra"] for row in found if row.fields] == [
        f"{no}/1" for no in range(1, 4001)
    ]


def test_json__number_with_a_point__is_kept_digit_for_digit() -> None:
    (row,) = rows(FileFormat.NDJSON, b'{"sarsai": 3.10000000000000000001}')

    assert row.fields == {"sarsai": Decimal("3.10000000000000000001")}


def test_csv__mark_and_quotes__are_read() -> None:
    (row,) = rows(FileFormat.CSV, '\ufeffkhasra;mauza\n512/1;"Chak; 12"\n'.encode())

    assert row.fields == {"khasra": "512/1", "mauza": "Chak; 12"}


@pytest.mark.parametrize(
    ("file_format", "content"),
    [
        (FileFormat.CSV, b"a,b\n1,2\n1\n1,2,3\n3,4\n"),
        (FileFormat.NDJSON, b'{"a": 1}\n{"a": \n{"a": 1, "a": 2}\n{"a": 2}\n'),
        (FileFormat.NDJSON, b'{"a": 1}\n[1]\n{"a": 1} x\n\n{"a": 2}\n'),
    ],
)
def test_rows__some_malformed__do_not_stop_the_others(
    file_format: FileFormat, content: bytes
) -> None:
    found = rows(file_format, content)

    assert [row.no for row in found if row.flaw] == [2, 3]
    assert [row.no for row in found if row.fields] == [1, 4]


def test_csv__cells_of_many_lines__count_for_their_own_row_only() -> None:
    long = '"' + "line\n" * 20_000 + '"'
    content = "a,b\n" + f"1,{long}\n" * 30
    assert len(content) > 2 * MAX_ROW_CHARACTERS

    found = rows(FileFormat.CSV, content.encode())

    assert {row.size for row in found} == {len(f"1,{long}\n")}
    assert [row.no for row in found if row.fields] == list(range(1, 31))


@pytest.mark.parametrize("file_format", [FileFormat.GEOJSON, FileFormat.NDJSON])
def test_rows__of_json__say_how_long_they_are(file_format: FileFormat) -> None:
    one = json.dumps(feature(1))
    content = collection(feature(1)) if file_format is FileFormat.GEOJSON else one.encode()

    assert [row.size for row in rows(file_format, content)] == [len(one)]


WHOLE = collection(feature(1), feature(2))
REFUSED: dict[str, tuple[FileFormat, bytes, str]] = {
    "empty": (FileFormat.CSV, b"", "import_empty"),
    "gzip": (FileFormat.CSV, gzip.compress(b"a,b\n"), "import_compressed"),
    "zip": (FileFormat.CSV, b"PK\x03\x04" + b"\0" * 60, "import_compressed"),
    "utf16": (FileFormat.CSV, "a,b\n".encode("utf-16"), "import_encoding"),
    "utf16_unmarked": (FileFormat.CSV, "a,b\n".encode("utf-16-le"), "import_encoding"),
    "latin1": (FileFormat.CSV, "a,b\n\xe9,2\n".encode("latin-1"), "import_encoding"),
    "cut_character": (FileFormat.CSV, "a,b\n1,\u0627".encode()[:-1], "import_encoding"),
    "columns_repeated": (FileFormat.CSV, b"a,b,a\n1,2,3\n", "import_columns_repeated"),
    "column_unnamed": (FileFormat.CSV, b"a,,c\n1,2,3\n", "import_malformed"),
    "quote_open": (FileFormat.CSV, b'a,b\n1,"2\n', "import_malformed"),
    "line_endless": (FileFormat.CSV, b"a,b\n" + b"x" * (MAX_ROW_CHARACTERS + 9),
                     "import_row_too_long"),
    "row_endless": (FileFormat.CSV, b"a,b\n" + b'"\n",x,' * (MAX_ROW_CHARACTERS // 5),
                    "import_row_too_long"),
    "no_collection": (FileFormat.GEOJSON, b'{"type": "Feature"}', "import_malformed"),
    "behind_the_end": (FileFormat.GEOJSON, WHOLE + b"{}", "import_malformed"),
    "crs": (FileFormat.GEOJSON,
            collection(crs={"properties": {"name": "urn:ogc:def:crs:EPSG::32643"}}),
            "import_crs_refused"),
    "bomb_in_a_feature": (FileFormat.GEOJSON,
                          b'{"type":"FeatureCollection","features":[' + b"[" * 200_000,
                          "import_too_deep"),
    "bomb_in_a_line": (FileFormat.NDJSON, b'{"a":' * 100_000, "import_too_deep"),
    "deep": (FileFormat.NDJSON, b'{"a":' + b"[" * 30 + b"]" * 30 + b"}", "import_too_deep"),
}  # fmt: skip


@pytest.mark.parametrize(("file_format", "content", "code"), REFUSED.values(), ids=REFUSED.keys())
def test_file__unreadable_as_a_whole__is_refused(
    file_format: FileFormat, content: bytes, code: str
) -> None:
    with pytest.raises(Invalid) as refused:
        rows(file_format, content)

    assert (refused.value.code, refused.value.field) == (code, "/file")


@pytest.mark.parametrize("end", range(1, len(WHOLE), 7))
def test_geojson__truncated_anywhere__is_refused(end: int) -> None:
    with pytest.raises(Invalid) as refused:
        rows(FileFormat.GEOJSON, WHOLE[:end])

    assert refused.value.code == "import_malformed"


@pytest.mark.parametrize(
    ("beginning", "file_format"),
    [
        ('{"type": "FeatureCollection",\n "features": [', FileFormat.GEOJSON),
        (WHOLE.decode(), FileFormat.GEOJSON),
        ('{"khasra": "1"}\n{"khasra": "2"}\n', FileFormat.NDJSON),
        ("khasra,kanal\n1,8\n", FileFormat.CSV),
    ],
)
def test_sniff__known_beginning__names_the_format(beginning: str, file_format: FileFormat) -> None:
    assert sniff_format(beginning) is file_format


@pytest.mark.parametrize("beginning", ["[1, 2]", "<kml>", "hello", ""])
def test_sniff__unknown_beginning__is_refused(beginning: str) -> None:
    with pytest.raises(Invalid) as refused:
        sniff_format(beginning)

    assert refused.value.code == "import_format_unknown"
