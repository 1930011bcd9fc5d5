"""The deployment of a token, run to its end on the node's newest state, and not sent."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from chain.contracts.abi import contract, read_revert
from chain.contracts.platform import RULE_MODULES
from chain.eligibility import node_away, platform_places
from chain.errors import Reverted, RpcRefused, RpcUnavailable
from chain.node.client import ChainClient, bytes_of
from chain.operations.deploy_suite import deployment_call
from registry.kernel.db import Database
from registry.kernel.errors import Unavailable
from registry.tokenization import service as tokenizations
from registry.tokenization.models import TokenizationState

NEEDED = (
    "TREXFactory",
    "ClaimIssuer",
    "RegistrationDesk",
    "CaseAgent",
    "TitleStatusModule",
    *RULE_MODULES,
)
"""What a suite is deployed by and with."""


@dataclass(frozen=True, slots=True)
class DeploymentRun:
    """What would become of the deployment.

    Parameters
    ----------
    gas : int | None
        What it would take; None where it would revert.
    refusal : Reverted | None
        Why it would revert.
    """

    gas: int | None
    refusal: Reverted | None


def run_deployment(
    database: Database, client: ChainClient, tokenization_id: UUID
) -> DeploymentRun | None:
    """Estimate the deployment of an approved tokenization; of another one there is none.

    Raises
    ------
    NotFound
    Unavailable
        ``chain_unavailable``, ``platform_not_deployed``.
    """
    with database.reading() as session:
        tokenization = tokenizations.get_tokenization(session, tokenization_id)
        if tokenization.state != TokenizationState.APPROVED:
            return None
        factory = platform_places(session, client.chain_id, NEEDED)["TREXFactory"]
    asked = contract("TREXFactory").functions["owner"]
    try:
        owner = asked.decode(client.call(factory, asked.encode()))
        with database.reading() as session:
            tokenization = tokenizations.get_tokenization(session, tokenization_id)
            call = deployment_call(session, client.chain_id, tokenization, owner=owner)
        return DeploymentRun(client.estimate_gas(call.to, call.data, sender=bytes_of(owner)), None)
    except RpcUnavailable as error:
        raise node_away(error) from error
    except RpcRefused as refused:
        if not refused.is_revert:
            raise Unavailable(
                "chain_unavailable", "The chain's node does not answer this; try again soon."
            ) from refused
        return DeploymentRun(None, read_revert(bytes_of(refused.data or ""), refused.message))
