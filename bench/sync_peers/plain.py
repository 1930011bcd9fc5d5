"""The plain way: web3.py decodes each log, SQLAlchemy inserts the rows; balances now, no past."""

from __future__ import annotations

import time
from collections import defaultdict
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    String,
    Table,
    create_engine,
    insert,
)
from sqlalchemy.dialects.postgresql import insert as upsert
from web3 import HTTPProvider, Web3

from bench.sync_peers.run import read_task, report

BLOCKS_AT_ONCE = 100
TRANSFER_ABI: list[dict[str, Any]] = [
    {
        "type": "event",
        "name": "Transfer",
        "anonymous": False,
        "inputs": [
            {"name": "from", "type": "address", "indexed": True},
            {"name": "to", "type": "address", "indexed": True},
            {"name": "value", "type": "uint256", "indexed": False},
        ],
    }
]
_metadata = MetaData()
TRANSFERS = Table(
    "plain_transfer",
    _metadata,
    Column("block_number", BigInteger, primary_key=True),
    Column("log_index", Integer, primary_key=True),
    Column("tx_hash", LargeBinary),
    Column("source", String),
    Column("target", String),
    Column("units", Numeric(78, 0)),
)
BALANCES = Table(
    "plain_balance",
    _metadata,
    Column("holder", String, primary_key=True),
    Column("units", Numeric(78, 0)),
)
ZERO = "0x" + "0" * 40


def main() -> None:
    task = read_task()
    engine = create_engine(task.database.replace("postgresql://", "postgresql+psycopg://", 1))
    _metadata.create_all(engine)
    web3 = Web3(HTTPProvider(task.url))
    event = web3.eth.contract(
        address=Web3.to_checksum_address(task.token), abi=TRANSFER_ABI
    ).events.Transfer
    balances: dict[str, int] = defaultdict(int)
    seen = 0
    started = time.perf_counter()
    for first in range(task.deployed_at, task.head + 1, BLOCKS_AT_ONCE):
        last = min(first + BLOCKS_AT_ONCE - 1, task.head)
        logs = event.get_logs(from_block=first, to_block=last)
        touched = set()
        for entry in logs:
            said = entry["args"]
            balances[said["from"]] -= said["value"]
            balances[said["to"]] += said["value"]
            touched |= {said["from"], said["to"]}
        touched.discard(ZERO)
        seen += len(logs)
        with engine.begin() as connection:
            if logs:
                connection.execute(insert(TRANSFERS), [_row(entry) for entry in logs])
                statement = upsert(BALANCES)
                connection.execute(
                    statement.on_conflict_do_update(
                        index_elements=["holder"], set_={"units": statement.excluded.units}
                    ),
                    [{"holder": name, "units": balances[name]} for name in touched],
                )
    seconds = time.perf_counter() - started
    assert seen == task.events
    report(seconds)


def _row(entry: Any) -> dict[str, Any]:
    return {
        "block_number": entry["blockNumber"],
        "log_index": entry["logIndex"],
        "tx_hash": bytes(entry["transactionHash"]),
        "source": entry["args"]["from"],
        "target": entry["args"]["to"],
        "units": entry["args"]["value"],
    }


if __name__ == "__main__":
    main()
