"""The list of faults is whole, and what it names is there."""

from __future__ import annotations

import pytest

from registry.kernel.settings import ROOT
from tests.chaos.model.acts import What
from tests.chaos.model.lies import Kind
from tests.chaos.model.node import Met
from tests.chaos.proxy_postgres import Cut
from tests.chaos.rpc_faults import OF_ANYTHING, OF_BATCHES
from tests.chaos.sync import faults
from tests.chaos.sync.faults import FAULTS, REQUIRED, Seen
from tests.chaos.sync.schedule import FAILPOINTS, STATES

pytestmark = pytest.mark.unit

LAST = 29
"""Of what the chain, its node, the database and the processes do to a sync."""
NO_FAULT = {Seen.TOLD_AGAIN}


def test_faults__numbers_of_the_list__are_all_there_once() -> None:
    assert [fault.number for fault in FAULTS] == list(range(1, LAST + 1))
    assert all(fault.met or fault.elsewhere or fault.unplayed for fault in FAULTS)


def test_faults__whatever_is_counted__is_required() -> None:
    counted = {*Kind, *Met, *Cut, *OF_ANYTHING, *OF_BATCHES, *Seen, *FAILPOINTS}
    counted |= {faults.failing(state) for state in STATES} | {faults.did(what) for what in What}
    assert counted - set(REQUIRED) == NO_FAULT


@pytest.mark.parametrize("named", [each for fault in FAULTS for each in fault.elsewhere])
def test_faults__tests_elsewhere__are_there(named: str) -> None:
    path, name = named.split("::")
    assert f"\ndef {name}(" in (ROOT / path).read_text("utf-8")
