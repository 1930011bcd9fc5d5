"""Keys as the settings name them, opened at the start: by role, each once, and apart."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chain.contracts.platform import STEPS, plan_platform
from chain.errors import SignerRefused
from chain.runtime import embedded_keys, open_chain
from chain.signing.policies import GWEI, SignerRole
from registry.kernel.settings import Settings
from registry.operation.models import OperationState
from tests.chain.kms import AWS_KEY, GCP_KEY, Kms
from tests.chain.outcomes import assert_deployed_once
from tests.chain.stage import Stage
from tests.chain.world import World

pytestmark = pytest.mark.chain


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Kms]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIATEST")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    with Kms(b"\x51" * 32) as running:
        yield running


@pytest.fixture
def gcp() -> Iterator[Kms]:
    with Kms(b"\x52" * 32) as running:
        yield running


@pytest.fixture
def world(empty_stage: Stage, tmp_path: Path) -> Iterator[World]:
    with empty_stage.open(tmp_path) as opened:
        yield opened


def settings(tmp_path: Path, world: World, **named: Any) -> Settings:
    return Settings(
        data_dir=tmp_path, rpc_url=world.node.url, signer_password="correct horse", **named
    )


def of_aws(kms: Kms) -> str:
    return f"aws-kms:{AWS_KEY}?region=eu-west-1&endpoint={kms.url}"


def of_gcp(kms: Kms) -> str:
    return f"gcp-kms:{GCP_KEY}?endpoint={kms.url}"


def test_open_chain__keys_everywhere__each_has_its_role(
    world: World, tmp_path: Path, aws: Kms, gcp: Kms
) -> None:
    named = settings(
        tmp_path,
        world,
        signer_agents=f"{of_aws(aws)},{of_gcp(gcp)},file:agent.json",
        signer_settlement=of_gcp(gcp),
        gcp_metadata_url=gcp.url,
        fee_ceiling_wei=7 * GWEI,
        fee_legacy=True,
    )
    chain = open_chain(named, world.node.url)

    assert len({key.address for key in chain.keys(SignerRole.AGENT)}) == 3
    assert chain.roles(chain.agents[1]) == [SignerRole.AGENT, SignerRole.SETTLEMENT]
    assert len(chain.senders) == 5
    assert (chain.fees.ceiling_wei, chain.fees.legacy) == (7 * GWEI, True)
    assert sorted(path.name for path in embedded_keys(named).iterdir()) == [
        "agent.json",
        "claim_issuer.json",
        "confirmer.json",
        "platform.json",
    ]


def test_open_chain__no_pool_named__the_deployer_does_it_all(world: World, tmp_path: Path) -> None:
    chain = open_chain(settings(tmp_path, world), world.node.url)
    assert chain.keys(SignerRole.AGENT) == chain.keys(SignerRole.DEPLOYER)
    assert len(chain.senders) == 2


@pytest.mark.parametrize(
    ("named", "words"),
    [
        ({"signer_confirmer": "file:platform.json"}, "SIGNER_CONFIRMER"),
        (
            {"signer_agents": "file:a.json", "signer_confirmer": "file:a.json"},
            "SIGNER_CONFIRMER",
        ),
        ({"signer_agents": "file:a.json,file:a.json"}, "SIGNER_AGENTS"),
        ({"signer_agents": "file:a.json,b.json"}, "b.json"),
        ({"signer_policy": Path("/nowhere/policy.json")}, "SIGNER_POLICY"),
    ],
)
def test_open_chain__keys_that_are_one__are_refused(
    world: World, tmp_path: Path, named: dict[str, Any], words: str
) -> None:
    with pytest.raises(SignerRefused, match=words):
        open_chain(settings(tmp_path, world, **named), world.node.url)


def test_platform__deployed_by_a_key_in_hardware__once_with_high_s_and_bad_days(
    world: World, tmp_path: Path, aws: Kms
) -> None:
    chain = open_chain(settings(tmp_path, world, signer_deployer=of_aws(aws)), world.node.url)
    world = World(world.node, world.database, chain)
    for signer in chain.senders:
        world.node.fund(signer.address)
    aws.is_high = True
    denied = (400, {"__type": "AccessDeniedException", "message": "not authorized"})
    aws.troubles.extend([denied] * 5)
    with world.database.transaction() as session:
        plan_platform(session, chain.chain_id)
    assert world.turn() > 0, "the others of this turn are signed"
    waiting = [each for each in world.operations() if each.waits_for is not None]
    assert len(waiting) == 5
    for operation in waiting:
        assert operation.state == OperationState.PLANNED
        assert operation.waits_for is not None
        assert operation.waits_for["code"] == "signer_refused"
        assert "AccessDeniedException" in operation.waits_for["detail"]

    world.settle()

    assert_deployed_once(world)
    assert world.client.nonce(chain.platform.address) == len(STEPS)
