"""Whose logs are read, and what is known of them before a range is."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace

from sqlmodel import Session, col, select

from chain.contracts.platform import platform_contract
from registry.captable.contracts import list_followed
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
    compliances
        The compliance contract of each token, and its token.
    contracts
        The platform's own contracts that serve all tokens, by their names.
    """

    factory: bytes | None
    agent: bytes | None
    emitters: Mapping[bytes, tuple[bytes, bool]]
    other_agents: Mapping[bytes, AbstractSet[bytes]] = field(default_factory=dict)
    compliances: Mapping[bytes, bytes] = field(default_factory=dict)
    contracts: Mapping[bytes, str] = field(default_factory=dict)

    @property
    def addresses(self) -> list[bytes]:
        known = (self.factory, self.agent, *self.contracts, *self.emitters, *self.compliances)
        return [item for item in known if item is not None]

    @property
    def tokens(self) -> list[bytes]:
        return [address for address, (_, is_registry) in self.emitters.items() if not is_registry]

    @property
    def is_anybody(self) -> bool:
        """Whether there is anything to ask for: the agent alone is asked about no token."""
        return bool(self.factory or self.contracts or self.emitters)

    def addresses_but(self, heard: Collection[bytes]) -> list[bytes]:
        return [item for item in self.addresses if item not in heard]

    def with_tokens(self, tokens: Iterable[ProjectedToken]) -> Watched:
        emitters, compliances = dict(self.emitters), dict(self.compliances)
        for token in tokens:
            compliances[token.compliance] = token.address
            emitters[token.address] = (token.address, False)
            emitters[token.identity_registry] = (token.address, True)
        return replace(self, emitters=emitters, compliances=compliances)


def read_watched(session: Session, chain_id: int, *, only: Token | None = None) -> Watched:
    """Return whose logs are read of a chain, as far as it is projected.

    Parameters
    ----------
    only
        A token that is caught up by itself; without it, those that go with the chain.
    """
    factory = platform_contract(session, chain_id, "TREXFactory")
    case_agent = platform_contract(session, chain_id, "CaseAgent")
    agent = case_agent.address if case_agent else None
    tokens = [only] if only is not None else _going_along(session, chain_id)
    others: dict[bytes, set[bytes]] = {}
    for token, found in list_agents(session, chain_id):
        if found != agent:
            others.setdefault(token, set()).add(found)
    # A suite that is deployed is told of once, to whoever follows the chain.
    deployer = factory.address if factory and only is None else None
    contracts = list_followed(session, chain_id) if only is None else ()
    named = {each.address: each.name for each in contracts}
    watched = Watched(deployer, agent, {}, others, contracts=named)
    return watched.with_tokens(
        ProjectedToken(
            address=token.address,
            identity_registry=token.identity_registry,
            compliance=token.compliance,
            block_number=token.block_number,
        )
        for token in tokens
    )


def _going_along(session: Session, chain_id: int) -> Sequence[Token]:
    return session.exec(
        select(Token).where(
            col(Token.chain_id) == chain_id,
            col(Token.caught_up_to).is_(None),
            col(Token.refusal).is_(None),
        )
    ).all()
