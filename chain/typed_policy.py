"""What keys sign off chain: data of EIP-712, asked of the data itself whoever wants it signed."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Any

from sqlmodel import Session

from chain.contracts.platform import platform_address
from chain.errors import PolicyRefused
from registry.operation.errors import operation_problem


def require_typed(
    session: Session,
    chain_id: int,
    allowed: Mapping[str, AbstractSet[str]],
    typed_data: Mapping[str, Any],
    name: str,
    *,
    keys: str,
    section: str,
) -> None:
    """Let data be signed for one contract of ours on our chain, of a type that the policy names.

    Parameters
    ----------
    allowed
        Types by the name of the platform's contract.
    name
        Of the contract that the data is meant for.
    keys, section
        Whose keys they are, and where the policy tells of them: for the problem.

    Raises
    ------
    PolicyRefused
        ``signer_contract_forbidden``, ``signer_method_forbidden``.
    """
    domain, kind = typed_data["domain"], typed_data["primaryType"]
    place = platform_address(session, chain_id, name)
    is_ours = domain["chainId"] == chain_id and domain["verifyingContract"] == place
    remedy = f"Allow it under `{section}` in SIGNER_POLICY, if it is meant."
    if not is_ours or name not in allowed:
        detail = f"{keys} do not sign for {domain['verifyingContract']}."
        raise PolicyRefused(operation_problem("signer_contract_forbidden", detail, remedy=remedy))
    if kind not in allowed[name]:
        detail = f"{keys} do not sign a {kind} of {name}."
        raise PolicyRefused(operation_problem("signer_method_forbidden", detail, remedy=remedy))
