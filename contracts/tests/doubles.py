"""Contracts that only tests need: forged identities, a contract wallet, a money that misbehaves."""

from functools import cache
from pathlib import Path

from brownie import accounts, compile_source

SOURCE = Path(__file__).parent / "doubles" / "Doubles.sol"


@cache
def _compiled():
    return compile_source(SOURCE.read_text(), solc_version="0.8.30", evm_version="cancun")


def deploy_double(name, *arguments):
    return getattr(_compiled(), name).deploy(*arguments, {"from": accounts[0]})
