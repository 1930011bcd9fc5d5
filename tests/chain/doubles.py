"""The contracts of `contracts/tests/doubles/Wallets.sol`, compiled once and kept.

The compiler takes longer to start than all tests of them together. After a change of the source:
``python -m tests.chain.doubles``.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import solcx

from chain.contracts.compile import CONTRACTS, SETTINGS, SOLC

SOURCE = Path("tests/doubles/Wallets.sol")
KEPT = Path(__file__).parent / "doubles.json"


def bytecodes() -> dict[str, bytes]:
    """Give the code that creates each contract, by its name."""
    kept = json.loads(KEPT.read_text("utf-8"))
    assert kept["source_sha256"] == _source_hash(), "run python -m tests.chain.doubles"
    return {name: bytes.fromhex(code) for name, code in kept["bytecodes"].items()}


def _source_hash() -> str:
    return hashlib.sha256((CONTRACTS / SOURCE).read_bytes()).hexdigest()


def _compile() -> dict[str, str]:
    content = (CONTRACTS / SOURCE).read_text("utf-8")
    output = solcx.compile_standard(
        {
            "language": "Solidity",
            "sources": {str(SOURCE): {"content": content}},
            "settings": {**SETTINGS, "outputSelection": {"*": {"*": ["evm.bytecode.object"]}}},
        },
        base_path=CONTRACTS,
        solc_binary=SOLC,
    )
    made = output["contracts"][str(SOURCE)]
    return {name: each["evm"]["bytecode"]["object"] for name, each in made.items()}


if __name__ == "__main__":
    said = {"source_sha256": _source_hash(), "bytecodes": _compile()}
    KEPT.write_text(json.dumps(said, indent=2, sort_keys=True) + "\n", "utf-8")
