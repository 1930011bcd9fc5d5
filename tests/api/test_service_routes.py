"""/healthz, /readyz and /metrics: what a supervisor and Prometheus are told."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from registry.captable.nodes import NodeWatch
from registry.journal.sealer import seal_all
from registry.kernel.clock import now
from registry.kernel.db import Database
from registry.operation.models import SignerWatch
from tests.api.house import House, house_settings, open_house, problem_of
from tests.api.projected import mint_to_many

pytestmark = pytest.mark.db

SAMPLE = re.compile(r'^[a-zA-Z_:][\w:]*(\{[a-z_]+="[^"]*"(,[a-z_]+="[^"]*")*\})? [-+\deE.infNa]+$')


def gauge(house: House, name: str) -> float:
    text = house.stranger().get("/metrics").text
    found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
    assert found is not None, text
    return float(found[1])


def test_healthz__always__is_alive(fresh_house: House) -> None:
    response = fresh_house.stranger().get("/healthz")

    assert (response.status_code, response.json()) == (200, {"status": "alive"})


def test_readyz__chain_not_read_yet__says_so(fresh_house: House) -> None:
    response = fresh_house.stranger().get("/readyz")

    assert response.status_code == 503
    assert response.json()["reasons"] == ["the chain has not been read yet"]


def test_readyz__chain_read_a_moment_ago__is_ready(fresh_house: House) -> None:
    mint_to_many(fresh_house, 3)

    response = fresh_house.stranger().get("/readyz")

    assert response.status_code == 200
    assert response.json() | {"checked_at": None} == {
        "ready": True,
        "reasons": [],
        "warnings": [],
        "block_number": 103,
        "head_number": 104,
        "checked_at": None,
    }


def test_readyz__a_key_runs_out_of_money__is_ready_and_warns(fresh_house: House) -> None:
    mint_to_many(fresh_house, 3)
    with fresh_house.database.transaction() as session:
        for number, balance in enumerate((999, 1_000)):
            session.add(
                SignerWatch(
                    chain_id=31337,
                    signer=bytes([number + 1]) * 20,
                    roles="agent",
                    balance_wei=balance,
                    operation_cost_wei=10,
                    wanted_operations=100,
                    watched_at=now(),
                )
            )

    said = fresh_house.stranger().get("/readyz")

    assert said.status_code == 200
    [warning] = said.json()["warnings"]
    assert warning.startswith("0x0101")
    assert "999 wei" in warning
    first = "0x" + "01" * 20
    assert gauge(fresh_house, f'milkiyat_signer_funds_low{{roles="agent",signer="{first}"}}') == 1
    left = gauge(fresh_house, f'milkiyat_signer_operations_left{{roles="agent",signer="{first}"}}')
    assert left == 99


def test_readyz__a_key_is_not_looked_at_any_more__is_not_told(fresh_house: House) -> None:
    mint_to_many(fresh_house, 3)
    with fresh_house.database.transaction() as session:
        for number, age in enumerate((timedelta(0), timedelta(hours=1))):
            session.add(
                SignerWatch(
                    chain_id=31337,
                    signer=bytes([number + 1]) * 20,
                    roles="agent",
                    balance_wei=999,
                    operation_cost_wei=10,
                    wanted_operations=100,
                    watched_at=now() - age,
                )
            )

    [warning] = fresh_house.stranger().get("/readyz").json()["warnings"]
    assert warning.startswith("0x0101")
    retired = "0x" + "02" * 20
    assert retired not in fresh_house.stranger().get("/metrics").text


def test_readyz__nodes_left_out_and_in_doubt__warns_and_refuses(fresh_house: House) -> None:
    mint_to_many(fresh_house, 3)

    def stand(position: int, state: str, lag: int) -> None:
        with fresh_house.database.transaction() as session:
            session.merge(
                NodeWatch(
                    chain_id=31337,
                    position=position,
                    name="node.example:443",
                    state=state,
                    detail="it is told why",
                    lag_blocks=lag,
                    since=now(),
                    watched_at=now(),
                )
            )

    stand(1, "healthy", 0)
    stand(2, "behind", 12)
    said = fresh_house.stranger().get("/readyz")
    assert said.status_code == 200
    assert said.json()["warnings"] == ["node 2 (node.example:443) behind: it is told why"]
    assert gauge(fresh_house, 'milkiyat_node_up{node="1 node.example:443"}') == 1
    assert gauge(fresh_house, 'milkiyat_node_up{node="2 node.example:443"}') == 0
    assert gauge(fresh_house, 'milkiyat_node_lag_blocks{node="2 node.example:443"}') == 12
    left_out = 'milkiyat_node_left_out{node="2 node.example:443",reason="behind"}'
    assert gauge(fresh_house, left_out) == 1

    stand(2, "disagrees", 0)
    said = fresh_house.stranger().get("/readyz")
    assert said.status_code == 503
    assert said.json()["reasons"] == ["node 2 (node.example:443) disagrees: it is told why"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("checked_at = now() - interval '31 seconds'", "the chain was not read for 30 seconds"),
        ("degraded = 'the supply differs'", "the supply differs"),
    ],
)
def test_readyz__sync_behind_or_in_doubt__is_not_ready(
    fresh_house: House, change: str, reason: str
) -> None:
    mint_to_many(fresh_house, 3)
    with fresh_house.desk() as desk:
        desk.session.connection().exec_driver_sql(f"UPDATE sync_cursor SET {change}")

    response = fresh_house.stranger().get("/readyz")

    assert response.status_code == 503
    assert response.json()["reasons"] == [reason]


def test_readyz__a_token_differs_while_the_chain_is_in_doubt__names_both(
    fresh_house: House,
) -> None:
    mint_to_many(fresh_house, 3)
    with fresh_house.desk() as desk:
        desk.session.connection().exec_driver_sql(
            "UPDATE sync_cursor SET chain_doubt = 'a reorg', degraded = 'the supply differs'"
        )

    response = fresh_house.stranger().get("/readyz")

    assert response.status_code == 503
    assert response.json()["reasons"] == ["a reorg", "the supply differs"]


@pytest.fixture
def orphan(tmp_path: Path) -> Iterator[House]:
    """An API whose database is away."""
    database = Database("postgresql://nobody@127.0.0.1:9/nothing?connect_timeout=1")
    with open_house(house_settings(tmp_path), database) as house:
        yield house
    database.dispose()


def test_database_away__every_route_that_needs_it__is_unavailable(orphan: House) -> None:
    assert orphan.stranger().get("/healthz").status_code == 200
    for path in ("/readyz", "/metrics"):
        response = orphan.stranger().get(path)
        problem_of(response, 503, "database_unavailable")
        assert response.headers["retry-after"]
    token = orphan.token_with("somebody", ["auditor", "registrar_maker"])
    body = {"kind": "NATURAL", "name": "X", "cnic": "35202-1234567-1"}
    for key in (None, "a-key"):
        response = orphan.stranger(token).post("/v1/parties", body, key=key)
        problem_of(response, 503, "database_unavailable")
        assert "127.0.0.1" not in response.text


def test_metrics__asked_for__are_in_the_format_of_prometheus(fresh_house: House) -> None:
    response = fresh_house.stranger().get("/metrics")

    assert response.headers["content-type"].startswith("text/plain; version=")
    for line in response.text.splitlines():
        assert line.startswith("#") or SAMPLE.match(line), line


def test_metrics__operations_planned__are_counted(fresh_house: House) -> None:
    assert gauge(fresh_house, 'milkiyat_operations{state="planned"}') == 0
    assert gauge(fresh_house, 'milkiyat_operation_oldest_seconds{state="planned"}') == 0
    mint_to_many(fresh_house, 3)

    assert gauge(fresh_house, 'milkiyat_operations{state="planned"}') > 0
    assert gauge(fresh_house, 'milkiyat_operation_oldest_seconds{state="planned"}') >= 0
    assert gauge(fresh_house, "milkiyat_sync_lag_blocks") == 1
    assert gauge(fresh_house, "milkiyat_sync_degraded") == 0


def test_journal__newest_seal_rewritten__is_told_by_readyz_and_metrics(fresh_house: House) -> None:
    mint_to_many(fresh_house, 3)
    waiting = gauge(fresh_house, "milkiyat_journal_waiting")
    seal_all(fresh_house.database)
    assert gauge(fresh_house, "milkiyat_journal_sealed") == waiting > 0
    assert gauge(fresh_house, "milkiyat_journal_waiting") == 0
    assert gauge(fresh_house, "milkiyat_journal_waiting_seconds") == 0
    assert gauge(fresh_house, "milkiyat_journal_rows_missing") == 0
    assert gauge(fresh_house, "milkiyat_journal_broken") == 0
    with fresh_house.desk() as desk:
        connection = desk.session.connection()
        connection.exec_driver_sql("SET LOCAL session_replication_role = replica")
        connection.exec_driver_sql("UPDATE journal_seal SET root = sha256('x')")

    response = fresh_house.stranger().get("/readyz")

    assert response.status_code == 503
    assert response.json()["reasons"] == [
        "the newest seal of the journal does not hold (rule AUD-01)"
    ]
    assert gauge(fresh_house, "milkiyat_journal_broken") == 1
