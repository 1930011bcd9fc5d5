"""The securities of OCF files of one token: the same ones are known again at another block."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.api.house import House
from tests.api.moves import burned, minted, moves, wallet_no
from tests.api.test_exports import exported, unpacked

pytestmark = pytest.mark.db


def test_ocf__of_two_blocks__a_security_keeps_its_numbers(house: House) -> None:
    chain = moves(house)
    first, *others = sorted(wallet_no(number) for number in range(9))
    before = chain.mine(*(minted(wallet, 5) for wallet in (first, *others)))
    after = chain.mine(burned(first, 5))

    earlier, later = (
        issuances_of(unpacked(exported(chain, "ocf", as_of=f"block:{number}")))
        for number in (before, after)
    )

    assert len(later) == len(others)
    for its_id, item in later.items():
        for name in ("security_id", "custom_id", "stakeholder_id"):
            assert item[name] == earlier[its_id][name]
    assert len({item["custom_id"] for item in later.values()}) == len(others)


def issuances_of(files: dict[str, bytes]) -> dict[str, Any]:
    items = json.loads(files["transactions.ocf.json"])["items"]
    return {item["id"]: item for item in items}
