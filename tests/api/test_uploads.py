"""Uploading papers: what is taken, what is refused, and what is given back."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from registry.kernel.actor import Role
from registry.kernel.clock import today
from tests import factories as make
from tests.api.house import MAX_UPLOAD_BYTES, Caller, House, problem_of
from tests.api.town import UNKNOWN, Town

pytestmark = pytest.mark.db

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 32


@pytest.fixture
def path(town: Town) -> str:
    return f"/v1/assets/{town.draft.id}/documents"


@pytest.fixture
def maker(town: Town) -> Iterator[Caller]:
    with town.house.unchanged():
        yield town.house.caller(Role.REGISTRAR_MAKER)


REFUSED: dict[str, tuple[bytes, dict[str, str], str]] = {
    "empty": (b"", {}, "document_empty"),
    "text": (b"I am a deed, believe me.", {}, "document_type_refused"),
    "program": (b"MZ\x90\0" + b"\0" * 60, {}, "document_type_refused"),
    "elf": (b"\x7fELF" + b"\0" * 60, {}, "document_type_refused"),
    "web_page": (b"<html><script>alert(1)</script>", {}, "document_type_refused"),
    "drawing_with_script": (b"<svg onload='x()'/>", {}, "document_type_refused"),
    "archive": (b"PK\x03\x04" + b"\0" * 60, {}, "document_type_refused"),
    "kind_small": (PNG, {"kind": "deed"}, "request_invalid"),
    "kind_long": (PNG, {"kind": "D" * 65}, "request_invalid"),
    "kind_climbs": (PNG, {"kind": "../DEED"}, "request_invalid"),
    "kind_newline": (PNG, {"kind": "DEED\n"}, "request_invalid"),
    "issued_tomorrow": (
        PNG,
        {"issued_on": str(today() + timedelta(days=1))},
        "document_dated_in_future",
    ),
    "issued_never": (PNG, {"issued_on": "2026-02-30"}, "request_invalid"),
    "issuer_nul": (PNG, {"issuer": "Sub\0Registrar"}, "request_invalid"),
    "issuer_long": (PNG, {"issuer": "x" * 201}, "request_invalid"),
}


@pytest.mark.parametrize(("content", "fields", "code"), REFUSED.values(), ids=REFUSED.keys())
def test_upload__wrong__is_refused(
    maker: Caller, path: str, content: bytes, fields: dict[str, str], code: str
) -> None:
    problem_of(maker.upload(path, content, **fields), 422, code)
    problem_of(maker.upload(path, content, key="a-key", **fields), 422, code)


def test_upload__too_large__is_refused(maker: Caller, path: str) -> None:
    content = make.pdf() + b"0" * (MAX_UPLOAD_BYTES + 70_000)

    problem_of(maker.upload(path, content), 413, "request_too_large")


def test_upload__no_file__is_refused(maker: Caller, path: str) -> None:
    problem_of(maker.ask("POST", path, data={"kind": "DEED"}), 422, "request_invalid")
    problem_of(maker.ask("POST", path, json={"kind": "DEED"}), 422, "request_invalid")


def test_upload__file_field_that_is_text__is_refused(maker: Caller, path: str) -> None:
    problem_of(
        maker.ask("POST", path, data={"kind": "DEED", "file": "%PDF-1.7"}), 422, "request_invalid"
    )


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"--x\r\nrubbish", "multipart/form-data; boundary=x"),
        (b"rubbish", "multipart/form-data"),
        (b"rubbish", "multipart/form-data; boundary="),
        (b"--x--\r\n", "multipart/form-data; boundary=x"),
        (b"--x\r\nContent-Disposition: form-data\r\n\r\n1\r\n--x--\r\n",
         "multipart/form-data; boundary=x"),
    ],
)  # fmt: skip
def test_upload__form_unreadable__is_refused(
    maker: Caller, path: str, body: bytes, content_type: str
) -> None:
    headers = {"Content-Type": content_type}
    response = maker.ask("POST", path, content=body, headers=headers)

    assert response.status_code in {400, 422}, response.text
    assert response.headers["content-type"] == "application/problem+json"


def test_upload__same_bytes_twice__is_refused(house: House, draft: Any) -> None:
    """Under its own asset as filed; under another by rule DOC-01, with an alert that stays."""
    maker, content = house.caller(Role.REGISTRAR_MAKER), make.pdf()
    with house.desk() as desk:
        other = make.open_apartment(desk)
    first = maker.upload(f"/v1/assets/{draft.id}/documents", content).json()
    alerts = "SELECT count(*) FROM journal_entry WHERE act = 'document_known_alert'"
    before = house.one(alerts)

    again = maker.upload(f"/v1/assets/{draft.id}/documents", content, kind="X1")
    problem_of(again, 409, "document_filed")
    assert house.one(alerts) == before
    problem = problem_of(
        maker.upload(f"/v1/assets/{other.id}/documents", content, kind="X1"), 409, "document_known"
    )
    assert [rule["id"] for rule in problem["rules"]] == ["DOC-01"]
    assert house.one(alerts) == before + 1
    filed = "SELECT count(*) FROM document WHERE sha256 = decode(:digest, 'hex')"
    assert house.one(filed, digest=first["sha256"]) == 1


def test_upload__to_an_unknown_asset__is_not_found(maker: Caller) -> None:
    problem_of(maker.upload(f"/v1/assets/{UNKNOWN}/documents", PNG), 404, "not_found")


# What is taken


@pytest.fixture
def draft(house: House) -> Any:
    with house.desk() as desk:
        return make.open_apartment(desk)


@pytest.mark.parametrize(
    "name",
    [
        "../../../../etc/passwd",
        "..\\..\\windows\\system32",
        "/etc/passwd",
        "file:///etc/passwd",
        "http://169.254.169.254/latest/meta-data",
        "$(touch pwned)`id`;rm -rf",
        "فرد ملکیت.pdf",
        "x" * 500,
        "deed.pdf\u202efdp.exe",
        "%2e%2e%2fdeed.pdf",
    ],
)
def test_upload__name_of_any_kind__is_only_a_label(house: House, draft: Any, name: str) -> None:
    """The bytes lie under their own hash; the name goes nowhere near the disk or a header."""
    maker, content = house.caller(Role.REGISTRAR_MAKER), make.pdf()
    store = house.services.settings.data_dir / "documents"
    before = files(store)

    response = maker.upload(f"/v1/assets/{draft.id}/documents", content, name=name)

    assert response.status_code == 201, response.text
    document = response.json()
    assert document["sha256"] == hashlib.sha256(content).hexdigest()
    assert len(document["file_name"]) <= 200
    [blob] = files(store) - before
    stored_as = hashlib.sha256((store / blob).read_bytes()).hexdigest()
    assert blob == f"{stored_as[:2]}/{stored_as}"
    assert content not in (store / blob).read_bytes()
    given = maker.get(f"/v1/documents/{document['id']}/content")
    assert given.content == content
    assert given.headers["content-disposition"] == f'attachment; filename="{document["id"]}"'


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    "hidden", [b"\0", b"\r\nX-Evil: 1", b"\x7f", b"\x1b[2J", "\u202e".encode()]
)
def test_upload__control_character_in_the_name__changes_nothing_or_is_cleaned(
    house: House, draft: Any, hidden: bytes
) -> None:
    content = make.pdf()
    body = (
        b'--x\r\nContent-Disposition: form-data; name="kind"\r\n\r\nDEED\r\n'
        b'--x\r\nContent-Disposition: form-data; name="file"; filename="a' + hidden + b'b.pdf"\r\n'
        b"Content-Type: application/pdf\r\n\r\n" + content + b"\r\n--x--\r\n"
    )
    response = house.caller(Role.REGISTRAR_MAKER).ask(
        "POST",
        f"/v1/assets/{draft.id}/documents",
        content=body,
        headers={"Content-Type": "multipart/form-data; boundary=x"},
    )

    assert response.status_code in {201, 400, 422}, response.text
    if response.status_code == 201:
        assert response.json()["file_name"].isprintable()


@pytest.mark.parametrize(
    ("content", "media_type"),
    [(b"%PDF-1.4\n1", "application/pdf"), (PNG + b"2", "image/png"),
     (b"\xff\xd8\xff\xe0" + b"\0" * 32, "image/jpeg")],
)  # fmt: skip
def test_upload__type__is_read_from_the_bytes(
    house: House, draft: Any, content: bytes, media_type: str
) -> None:
    maker = house.caller(Role.REGISTRAR_MAKER)

    document = maker.upload(f"/v1/assets/{draft.id}/documents", content, name="malware.exe").json()

    assert document["media_type"] == media_type
    given = maker.get(f"/v1/documents/{document['id']}/content")
    assert given.headers["content-type"] == media_type


def test_upload__bytes_altered_on_disk__are_not_given_out(house: House, draft: Any) -> None:
    maker, content = house.caller(Role.REGISTRAR_MAKER), make.pdf()
    document = maker.upload(f"/v1/assets/{draft.id}/documents", content).json()
    one = "SELECT encode(stored_as, 'hex') FROM document WHERE id = :id"
    name = house.one(one, id=document["id"])
    stored = house.services.settings.data_dir / "documents" / name[:2] / name
    stored.chmod(0o600)
    stored.write_bytes(content + b"altered")

    problem_of(maker.get(f"/v1/documents/{document['id']}/content"), 500, "internal_error")
