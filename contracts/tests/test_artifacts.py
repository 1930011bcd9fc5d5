"""What is tested here is what is deployed."""

import json

import pytest
from brownie import project
from published import ROOT

COMMITTED = sorted(json.loads((ROOT / "artifacts/lock.json").read_text())["contracts"])


@pytest.mark.parametrize("name", COMMITTED)
def test_artifact__committed__is_what_is_tested(name):
    """The same compiler settings here and in chain/compile.py give the same bytecode."""
    committed = json.loads((ROOT / f"artifacts/{name}.json").read_text())
    tested = getattr(project.get_loaded_projects()[0], name)
    assert committed["bytecode"] == f"0x{tested.bytecode}"
