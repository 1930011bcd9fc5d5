"""`milkiyat verify` of several pages: whether they join, and are the whole of a report."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from api.verify_cli import add_verify, verify_paper
from registry.kernel.papers import signed
from tests.api.house import House
from tests.api.moves import Moves, minted, moves
from tests.api.reports import public_keys, read

pytestmark = pytest.mark.db

Pages = list[dict[str, Any]]


@pytest.fixture
def chain(house: House) -> Moves:
    chain = moves(house, 3)
    chain.mine(*(minted(who.wallet.address, 10) for who in chain.buyers))
    return chain


def pages_of(house: House, code: str, **query: Any) -> Pages:
    pages = [read(house, code, limit=1, **query)]
    while pages[-1]["next"] is not None:
        pages.append(read(house, code, limit=1, cursor=pages[-1]["next"], **query))
    return pages


def verify(house: House, folder: Path, pages: Sequence[dict[str, Any]]) -> tuple[int, str]:
    app = typer.Typer()
    app.callback()(lambda: None)
    add_verify(app, lambda: house.database)
    keys = folder / "keys.json"
    keys.write_text(house.stranger().get("/v1/public_keys").text)
    files = []
    for number, page in enumerate(pages):
        files.append(folder / f"{number}.json")
        files[-1].write_text(json.dumps(page))
    ended = CliRunner().invoke(app, ["verify", *map(str, files), "--key", str(keys)])
    assert ended.exception is None or isinstance(ended.exception, SystemExit), ended.exception
    return ended.exit_code, ended.output


@pytest.mark.parametrize("code", ["R-05", "R-09"])
def test_verify__all_pages_in_any_order__are_the_whole_report(
    chain: Moves, tmp_path: Path, code: str
) -> None:
    pages = pages_of(chain.house, code, token=chain.token_id)

    for order in (pages, pages[::-1]):
        ended, said = verify(chain.house, tmp_path, order)
        assert (ended, "3 rows on 3 pages, whole" in said) == (0, True), said
    envelopes = [page["envelope"] for page in pages]
    assert [page["is_first"] for page in envelopes] == [True, False, False]
    assert [page["follows_sha256"] for page in envelopes] == [
        None, *(page["last_sha256"] for page in envelopes[:-1])
    ]  # fmt: skip


def test_verify__a_page_left_out_or_twice__is_refused(chain: Moves, tmp_path: Path) -> None:
    first, second, third = pages_of(chain.house, "R-05", token=chain.token_id)
    for some, why in (
        ([second, third], "the first page is not there"),
        ([first, third], "what follows row 1 is not there"),
        ([first, second], "what follows row 2 is not there"),
        ([first, second, second, third], "a page is there twice"),
        ([first, first, second, third], "a page is there twice"),
    ):
        ended, said = verify(chain.house, tmp_path, some)
        assert ended == 1
        assert "(pages_do_not_join)" in said
        assert why in said


def test_verify__pages_of_two_answers__are_refused(chain: Moves, tmp_path: Path) -> None:
    house = chain.house
    first, _, third = pages_of(house, "R-05", token=chain.token_id)
    chain.mine(minted(chain.buyers[0].wallet.address, 1))
    _, later, _ = pages_of(house, "R-05", token=chain.token_id)
    other = read(house, "R-24")

    assert "they differ in their as_of" in verify(house, tmp_path, [first, later, third])[1]
    assert "they differ in their report" in verify(house, tmp_path, [first, other, third])[1]
    whole = read(house, "R-05", token=chain.token_id, as_of=first["envelope"]["as_of"])
    assert "they differ in their known_at" in verify(house, tmp_path, [first, whole])[1]


def test_verify__page_of_the_form_before__holds_alone_and_joins_nothing(
    chain: Moves, tmp_path: Path
) -> None:
    house = chain.house
    key = house.services.signing[0]
    pages = pages_of(house, "R-05", token=chain.token_id)
    old = []
    for page in pages:
        envelope = dict(page["envelope"]) | {"form": "milkiyat-report/1"}
        for name in ("is_first", "follows_sha256", "last_sha256", "key"):
            del envelope[name]
        old.append(page | signed(envelope, key))

    assert verify_paper(json.dumps(old[0]).encode(), public_keys(house))
    ended, said = verify(house, tmp_path, old)
    assert (ended, "(form_wrong)" in said) == (1, True), said
