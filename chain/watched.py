"""Whose logs are read, and what is known of them before a range is."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace

from sqlmodel import Session, col, select

from chain.platform import platform_contract
from registry.captable.events import ProjectedToken
from registry.captable.models import Token
from registry.captable.roles import list_agents


@dataclass(frozen=True, slots=True)
class Watched:
    """Whose logs are read: address to (token, whether it is the token's identity registry).

    Parameters
    ----------
    agent
        The CaseAgent, which tells of forced acts on every token.
    other_agents
        Who else may act on a token, by the token; a token that has none is left out.
    """

    factory: bytes | None
    agent: bytes | None
    emitters: Mapping[bytes, tuple[bytes, bool]]
    other_agents: Mapping[bytes, AbstractSet[bytes]] = field(default_factory=dict)

    @property
    def addresses(self) -> list[bytes]:
        return [item for item in (self.factory, self.agent, *self.emitters) if item is not None]

    def addresses_but(self, heard: Collection[bytes]) -> list[bytes]:
        return [item for item in self.addresses if item not in heard]

    def with_tokens(self, tokens: Iterable[ProjectedToken]) -> Watched:
        emitters = dict(self.emitters)
        for token in tokens:
            emitters[token.address] = (token.address, False)
            emitters[token.identity_registry] = (token.address, True)
        return replace(self, emitters=emitters)


def read_watched(session: Session, chain_id: int) -> Watched:
    """Return whose logs are read of a chain, as far as it is projected."""
    factory = platform_contract(session, chain_id, "TREXFactory")
    case_agent = platform_contract(session, chain_id, "CaseAgent")
    agent = case_agent.address if case_agent else None
    tokens = session.exec(select(Token).where(col(Token.chain_id) == chain_id)).all()
    others: dict[bytes, set[bytes]] = {}
    for token, found in list_agents(session, chain_id):
        if found != agent:
            others.setdefault(token, set()).add(found)
    watched = Watched(factory.address if factory else None, agent, {}, others)
    return watched.with_tokens(
        ProjectedToken(
            address=token.address,
            identity_registry=token.identity_registry,
            compliance=token.compliance,
            block_number=token.block_number,
        )
        for token in tokens
    )
