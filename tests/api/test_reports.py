"""The frame of the reports: who may ask, how, in which format, and what is written down of it."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest

from api.verify_cli import verify_paper
from registry.kernel.actor import Role
from registry.kernel.papers import PaperRefused
from registry.kernel.sealed_pdf import attachment_of
from registry.kernel.signing import PublicKeys, read_signing_keys
from registry.report.answering import MAX_PDF_ROWS
from registry.report.values import cells_of
from tests.api.house import House, new_report_key, problem_of
from tests.api.projected import FIRST_BLOCK, Minted, mint_to_many
from tests.api.reports import WHY, ask, public_keys, read, rows_of

pytestmark = pytest.mark.db

HOLDERS = MAX_PDF_ROWS + 1
SOME = FIRST_BLOCK + 40
FORMATS = ("json", "csv", "pdf")


@pytest.fixture(scope="module")
def minted(house: House) -> Minted:
    return mint_to_many(house, HOLDERS)


@pytest.fixture
def papers(house: House, minted: Minted) -> dict[str, bytes]:
    """The same answer in every format."""
    asked: dict[str, Any] = {"token": minted.token_id, "as_of": f"block:{SOME}"}
    return {
        kind: ask(house, "R-05", **asked, format=kind).raise_for_status().content
        for kind in FORMATS
    }


def refused(content: bytes, keys: PublicKeys) -> str:
    with pytest.raises(PaperRefused) as refusal:
        verify_paper(content, keys)
    return refusal.value.reason


# What is asked, and by whom


@pytest.mark.parametrize(
    ("missing", "wrong"),
    [
        ("purpose", None),
        ("legal_basis", None),
        ("purpose", "ab"),
        ("purpose", "   "),
        ("legal_basis", "x" * 501),
    ],
)
def test_report__without_a_reason__is_refused_and_nothing_is_told(
    house: House, minted: Minted, missing: str, wrong: str | None
) -> None:
    why: dict[str, Any] = {**WHY, missing: wrong}
    query = {name: value for name, value in why.items() if value is not None}
    with house.unchanged():
        caller = house.caller(Role.REGULATOR)
        answer = caller.get("/v1/reports/R-05", token=str(minted.token_id), **query)
    problem_of(answer, 422, "request_invalid")


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ({"token": "rubbish"}, 422, "request_invalid"),
        ({"token": None}, 422, "request_invalid"),
        ({"token": "00000000-0000-7000-8000-000000000000"}, 404, "not_found"),
        ({"as_of": "block:999999"}, 409, "block_not_synced"),
        ({"as_of": "yesterday"}, 422, "as_of_malformed"),
        ({"as_of": "9999-12-31T23:59:59Z"}, 422, "as_of_malformed"),
        ({"as_of": "0001-01-01T00:00:00Z"}, 422, "as_of_malformed"),
        ({"known_at": "2999-01-01T00:00:00Z"}, 422, "known_at_in_future"),
        ({"cursor": "rubbish"}, 422, "cursor_invalid"),
        ({"format": "xlsx"}, 422, "request_invalid"),
        ({"limit": 201}, 422, "request_invalid"),
        ({"limit": 0}, 422, "request_invalid"),
    ],
)
def test_report__asked_wrongly__is_refused_and_nothing_is_noted(
    house: House, minted: Minted, query: dict[str, Any], status: int, code: str
) -> None:
    asked: dict[str, Any] = {"token": str(minted.token_id)} | query
    asked = {name: value for name, value in asked.items() if value is not None}
    with house.unchanged():
        problem_of(ask(house, "R-05", **asked), status, code)


def test_report__to_reveal__is_for_who_may(house: House, minted: Minted) -> None:
    query: dict[str, Any] = {"token": minted.token_id, "reveal": True}
    problem_of(ask(house, "R-05", Role.AUDITOR, **query), 403, "reveal_not_allowed")

    shown, masked = (
        [row for row in rows_of(house, "R-05", token=minted.token_id, as_of=f"block:{SOME}",
                                reveal=reveal) if row["name"]]
        for reveal in (True, False)
    )  # fmt: skip
    assert len(shown) == len(minted.known)
    assert not any("***" in row["name"] or "***" in row["cnic"] for row in shown)
    assert all("***" in row["name"] and "*****" in row["cnic"] for row in masked)


# What is written down


def test_report__read__is_journalled_with_who_whom_and_why(house: House, minted: Minted) -> None:
    page = read(
        house, "R-05", Role.COMPLIANCE, token=minted.token_id, as_of=f"block:{SOME}", limit=40
    )

    entries = house.caller(Role.AUDITOR).get("/v1/journal", subject_id="R-05", limit=200).json()
    entry = entries["items"][-1]
    facts = entry["facts"]
    assert (entry["act"], entry["subject_kind"]) == ("personal_data_read", "report")
    assert facts["purpose"] == WHY["purpose"]
    assert facts["legal_basis"] == WHY["legal_basis"]
    assert facts["parameters"] == {"token": str(minted.token_id)}
    assert facts["content_sha256"] == page["envelope"]["content_sha256"]
    assert (facts["rows"], facts["block"], facts["revealed"]) == (40, SOME, False)
    assert set(facts["parties"]) == {row["party"] for row in page["items"] if row["party"]}


# Pages, files and hashes


def test_report__page_by_page__is_the_whole_of_it(house: House, minted: Minted) -> None:
    asked: dict[str, Any] = {"token": minted.token_id, "as_of": f"block:{SOME}"}
    whole = read(house, "R-05", **asked, limit=200)
    pages = rows_of(house, "R-05", **asked, limit=7)

    assert pages == whole["items"]
    assert whole["envelope"]["is_whole"]
    assert whole["next"] is None
    first = read(house, "R-05", **asked, limit=7)
    assert not first["envelope"]["is_whole"]
    answer = ask(house, "R-05", **asked, limit=7)
    assert answer.headers["link"].endswith('rel="next"')
    assert answer.headers["cache-control"] == "no-store"


def test_report__in_every_format__has_one_hash_and_is_verified(
    house: House, papers: dict[str, bytes]
) -> None:
    keys = public_keys(house)
    attached = attachment_of(papers["pdf"])
    assert attached is not None
    [*_, (mark, envelope, _)] = csv.reader(io.StringIO(papers["csv"].decode(), newline=""))
    whole = read_all(house, papers)

    assert mark == "#envelope"
    hashes = {json.loads(text)["content_sha256"] for text in (envelope,)}
    hashes.add(json.loads(attached)["envelope"]["content_sha256"])
    hashes.add(whole["envelope"]["content_sha256"])
    assert len(hashes) == 1
    for kind in FORMATS:
        told = verify_paper(papers[kind], keys)
        assert told[0].startswith("report R-05 Token holder register: 40 rows, whole"), kind
        assert f"eip155:31337 {SOME} " in told[2]


def read_all(house: House, papers: dict[str, bytes]) -> dict[str, Any]:
    said: dict[str, Any] = json.loads(papers["json"])
    assert said["envelope"]["is_whole"]
    return said


def test_report__by_accept__comes_in_the_format_that_it_names(house: House, minted: Minted) -> None:
    path, query = "/v1/reports/R-05", {"token": minted.token_id, "as_of": f"block:{SOME}"} | WHY
    for accept, kind in (
        ("text/csv", "text/csv; charset=utf-8"),
        ("application/pdf", "application/pdf"),
        ("*/*", "application/json"),
    ):
        answer = house.caller(Role.AUDITOR).ask(
            "GET", path, params=query, headers={"Accept": accept}
        )
        assert answer.headers["content-type"] == kind


def test_report__longer_than_a_file__is_refused_by_its_length(house: House, minted: Minted) -> None:
    query: dict[str, Any] = {"token": minted.token_id, "format": "pdf"}
    with house.unchanged():
        problem_of(ask(house, "R-05", **query), 409, "report_too_long")
    answer = ask(house, "R-05", token=minted.token_id, format="csv")
    assert len(answer.text.splitlines()) == HOLDERS + 2


# Forgeries


def test_verify__other_key__is_refused(papers: dict[str, bytes]) -> None:
    (stranger,) = read_signing_keys(new_report_key())
    keys = PublicKeys.read(json.dumps(stranger.public_jwk))

    assert {refused(paper, keys) for paper in papers.values()} == {"key_unknown"}


def test_verify__a_figure_altered__is_refused(house: House, papers: dict[str, bytes]) -> None:
    keys = public_keys(house)
    said = json.loads(papers["json"])
    said["items"][3]["balance"] = "1000000"
    assert refused(json.dumps(said).encode(), keys) == "content_altered"
    said = json.loads(papers["json"])
    del said["items"][3]
    assert refused(json.dumps(said).encode(), keys) == "content_altered"
    lines = papers["csv"].decode().splitlines(keepends=True)
    assert refused("".join(lines[:3] + lines[4:]).encode(), keys) == "content_altered"
    changed = papers["csv"].replace(b",PK,", b",IN,", 1)
    if changed != papers["csv"]:
        assert refused(changed, keys) == "content_altered"


def test_verify__an_envelope_altered__is_refused(house: House, papers: dict[str, bytes]) -> None:
    keys = public_keys(house)
    said = json.loads(papers["json"])
    said["envelope"]["block"]["finality"] = "latest"
    assert refused(json.dumps(said).encode(), keys) == "signature_wrong"
    assert refused(papers["csv"].replace(b"inspection", b"vacation"), keys) == "signature_wrong"
    said = json.loads(papers["json"])
    said["remark"] = "All of these have consented."
    assert refused(json.dumps(said).encode(), keys) == "content_altered"


def test_verify__rows_of_another_format_beside_its_own__are_refused(
    house: House, papers: dict[str, bytes]
) -> None:
    """Else the true cells would be checked, and the forged items read."""
    keys, said = public_keys(house), json.loads(papers["json"])
    names = [column["name"] for column in said["envelope"]["columns"]]
    true_cells = [list(cells_of(names, item)) for item in said["items"]]
    said["items"][3]["balance"] = "1000000"
    for more in ({"cells": true_cells}, {"cells": true_cells, "header": names}):
        assert refused(json.dumps(said | more).encode(), keys) == "content_altered"
    header = {"header": names}
    assert refused(json.dumps(json.loads(papers["json"]) | header).encode(), keys) == (
        "content_altered"
    )


def test_verify__next_page_that_is_none__is_refused(house: House, minted: Minted) -> None:
    keys = public_keys(house)
    page = read(house, "R-05", token=minted.token_id, limit=7)
    verify_paper(json.dumps(page).encode(), keys)
    for following in ("All of these have consented.", "x" * 401, 7, ["x"], ""):
        forged = json.dumps(page | {"next": following}).encode()
        assert refused(forged, keys) == "content_altered"
    whole = read(house, "R-05", token=minted.token_id, as_of=f"block:{SOME}", limit=200)
    assert refused(json.dumps(whole | {"next": "abc"}).encode(), keys) == "content_altered"


def test_verify__a_name_twice__is_refused(house: House, papers: dict[str, bytes]) -> None:
    twice = papers["json"].replace(b"{", b'{"items": [], ', 1)

    assert refused(twice, public_keys(house)) == "unreadable"


def test_verify__a_pdf_altered_anywhere__is_refused(house: House, papers: dict[str, bytes]) -> None:
    keys, paper = public_keys(house), papers["pdf"]
    for place in range(0, len(paper), 997):
        altered = bytearray(paper)
        altered[place] ^= 1
        assert refused(bytes(altered), keys) in {
            "pdf_altered", "unreadable", "content_altered", "signature_wrong", "key_unknown",
        }  # fmt: skip
    assert refused(paper + b"\n%more", keys) == "pdf_altered"


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b"[]", b"{", b"%PDF-1.7", b"a,b\n1,2\n", b"\xff\xfe", b'{"envelope": 7}',
     b'{"envelope": {"form": "milkiyat-report/9"}}', b"[" * 100_000, b'{"a":' * 100_000],
)  # fmt: skip
def test_verify__what_is_no_paper__is_refused(house: House, content: bytes) -> None:
    assert refused(content, public_keys(house)) in {"unreadable", "form_unknown"}
