"""`eth_call` of the model: what the contracts hold at a block, in the ABI's own encoding."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from eth_abi.abi import decode, encode
from eth_utils.crypto import keccak

from tests.chaos.model.acts import CASE_AGENT, FACTORY
from tests.chaos.model.logs import word
from tests.chaos.model.state import State, Suite

MULTICALL = bytes.fromhex("ca11bde05977b3631167028862be2a173976ca11")
"""Multicall3, which stands there on most chains."""


class CallReverts(Exception):
    """The contract refuses, or there is none."""


def _selector(signature: str) -> bytes:
    return bytes(keccak(text=signature)[:4])


Answer = Callable[[Suite, bytes], bytes]
_OF_TOKEN: dict[bytes, Answer] = {
    _selector("totalSupply()"): lambda suite, _: word(suite.supply),
    _selector("paused()"): lambda suite, _: word(int(suite.paused)),
    _selector("balanceOf(address)"): lambda suite, data: word(suite.holds(_address(data))),
    _selector("getFrozenTokens(address)"): lambda suite, data: word(suite.locked(_address(data))),
    _selector("isFrozen(address)"): lambda suite, data: word(int(_address(data) in suite.stopped)),
    _selector("isAgent(address)"): lambda suite, data: word(int(_address(data) in suite.agents)),
    _selector("identityRegistry()"): lambda suite, _: word(suite.registry),
    _selector("compliance()"): lambda suite, _: word(suite.compliance),
    _selector("decimals()"): lambda _, __: word(0),
}
_OF_REGISTRY: dict[bytes, Answer] = {
    _selector("identity(address)"): lambda suite, data: word(_registered(suite, data)[0]),
    _selector("investorCountry(address)"): lambda suite, data: word(_registered(suite, data)[1]),
    _selector("contains(address)"): lambda suite, data: word(
        int(_address(data) in suite.registered)
    ),
    _selector("identityStorage()"): lambda suite, _: word(suite.storage),
}
_AGGREGATE = _selector("aggregate3((address,bool,bytes)[])")
_READ_HOLDINGS = _selector("read(address,address[])")


def call(
    state: State,
    to: bytes,
    data: bytes,
    *,
    overridden: bool = False,
    has_multicall: bool = False,
) -> bytes:
    """Answer a call.

    Parameters
    ----------
    overridden
        The caller lent the address a code: our reader of holdings, or our many calls in one.
    has_multicall
        Whether Multicall3 stands on this chain.

    Raises
    ------
    CallReverts
    """
    if overridden and data[:4] == _READ_HOLDINGS:
        return _read_holdings(state, data)
    if (overridden or has_multicall) and to == MULTICALL and data[:4] == _AGGREGATE:
        return _aggregate(state, data[4:])
    for suite in state.values():
        found = _OF_TOKEN if to == suite.token else {}
        if (registered := suite.registered_in(to)) is not None:
            suite, found = replace(suite, registered=registered), _OF_REGISTRY  # noqa: PLW2901
        if data[:4] in found:
            return found[data[:4]](suite, data[4:])
    raise CallReverts


def has_code(state: State, address: bytes) -> bool:
    return address in {FACTORY, CASE_AGENT} or any(
        address in {suite.token, suite.compliance} or suite.registered_in(address) is not None
        for suite in state.values()
    )


def _address(data: bytes) -> bytes:
    return data[12:32]


def _registered(suite: Suite, data: bytes) -> tuple[bytes, int]:
    return suite.registered.get(_address(data), (bytes(20), 0))


def _aggregate(state: State, data: bytes) -> bytes:
    """Answer several calls at once, as Multicall3 does."""
    answers = []
    for target, may_fail, inner in decode(["(address,bool,bytes)[]"], data)[0]:
        try:
            answers.append((True, call(state, bytes.fromhex(target[2:]), inner)))
        except CallReverts:
            if not may_fail:
                raise
            answers.append((False, b""))
    return encode(["(bool,bytes)[]"], [answers])


def _read_holdings(state: State, data: bytes) -> bytes:
    token, holders = decode(["address", "address[]"], data[4:])
    suite = state.get(bytes.fromhex(token[2:]))
    if suite is None:
        raise CallReverts
    wallets = [bytes.fromhex(holder[2:]) for holder in holders]
    amounts = [part for each in wallets for part in (suite.holds(each), suite.locked(each))]
    return encode(["uint256[]"], [amounts])
