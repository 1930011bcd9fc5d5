"""The published T-REX and ONCHAINID contracts, deployed unmodified from their npm packages."""

import json
from functools import cache
from pathlib import Path

from brownie import Contract, project, web3

ROOT = Path(project.get_loaded_projects()[0]._path)
ONCHAINID = ROOT / "node_modules/@onchain-id/solidity/artifacts/contracts"
TREX = ROOT / "node_modules/@tokenysolutions/t-rex/artifacts/contracts"

PATHS = {
    "Token": TREX / "token/Token.sol/Token.json",
    "ModularCompliance": TREX / "compliance/modular/ModularCompliance.sol/ModularCompliance.json",
    "TREXFactory": TREX / "factory/TREXFactory.sol/TREXFactory.json",
    "TREXImplementationAuthority": TREX
    / "proxy/authority/TREXImplementationAuthority.sol/TREXImplementationAuthority.json",
    "Identity": ONCHAINID / "Identity.sol/Identity.json",
    "ImplementationAuthority": ONCHAINID
    / "proxy/ImplementationAuthority.sol/ImplementationAuthority.json",
    "IdFactory": ONCHAINID / "factory/IdFactory.sol/IdFactory.json",
    "ClaimIssuer": ONCHAINID / "ClaimIssuer.sol/ClaimIssuer.json",
} | {
    name: TREX / f"registry/implementation/{name}.sol/{name}.json"
    for name in (
        "ClaimTopicsRegistry",
        "IdentityRegistry",
        "IdentityRegistryStorage",
        "TrustedIssuersRegistry",
    )
}


@cache
def artifact(name):
    return json.loads(PATHS[name].read_text())


def deploy_published(name, owner, *arguments):
    """Deploy an unmodified artifact of an npm package."""
    code = artifact(name)
    factory = web3.eth.contract(abi=code["abi"], bytecode=code["bytecode"])
    sent = factory.constructor(*arguments).transact({"from": owner.address, "gasPrice": 0})
    receipt = web3.eth.wait_for_transaction_receipt(sent)
    assert receipt.status == 1
    return published_at(name, receipt.contractAddress)


def published_at(name, address):
    return Contract.from_abi(name, address, artifact(name)["abi"])
