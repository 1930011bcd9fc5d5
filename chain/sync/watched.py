"""Whose logs are read, and what is known of them before a range is."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from sqlmodel import Session

from registry.captable.bulk import cursor_of
from registry.captable.events import ProjectedToken
from registry.captable.following import Followed, read_followed
from registry.captable.models import Token
from registry.captable.suites import suite_at

_FACTORY, _AGENT = "TREXFactory", "CaseAgent"
NAMES = (_FACTORY, _AGENT)
"""Of the platform's own contracts, those that tell of all tokens."""


class Part(NamedTuple):
    """A contract as a part of one token's suite.

    Parameters
    ----------
    contract
        By which its ABI is known.
    tells_wallets
        Whether it says who is registered: one part of a suite does.
    """

    token: bytes
    contract: str
    tells_wallets: bool = False


@dataclass(frozen=True, slots=True)
class Watched:
    """Whose logs are read.

    Parameters
    ----------
    emitters
        By address, of which tokens it is a part: T-REX lets several share a registry, and several
        registries a storage, whose logs are then said of each of them.
    suites
        Of each token, by its address.
    agent
        The CaseAgent, which tells of forced acts on every token.
    other_agents
        Who else may act on a token, by the token; a token that has none is left out.
    contracts
        The platform's own contracts that serve all tokens, by their names.
    """

    factory: bytes | None
    agent: bytes | None
    emitters: Mapping[bytes, tuple[Part, ...]]
    suites: Mapping[bytes, ProjectedToken] = field(default_factory=dict)
    other_agents: Mapping[bytes, AbstractSet[bytes]] = field(default_factory=dict)
    contracts: Mapping[bytes, str] = field(default_factory=dict)

    @property
    def addresses(self) -> list[bytes]:
        known = (self.factory, self.agent, *self.contracts, *self.emitters)
        return [item for item in known if item is not None]

    @property
    def tokens(self) -> list[bytes]:
        return list(filter(self.is_token, self.emitters))

    def is_token(self, address: bytes) -> bool:
        return any(part.contract == "Token" for part in self.emitters.get(address, ()))

    @property
    def is_anybody(self) -> bool:
        """Whether there is anything to ask for: the agent alone is asked about no token."""
        return bool(self.factory or self.contracts or self.emitters)

    def addresses_but(self, heard: Collection[bytes]) -> list[bytes]:
        return [item for item in self.addresses if item not in heard]

    def with_tokens(self, tokens: Iterable[ProjectedToken]) -> Watched:
        """Give the same with other tokens, or with other suites of these."""
        emitters, suites = dict(self.emitters), dict(self.suites)
        for token in tokens:
            if token.address in suites:
                _leave_out(emitters, token.address)
            suites[token.address] = token
            for address, part in _parts_of(token):
                known = emitters.get(address, ())
                if part not in known:
                    emitters[address] = (*known, part)
        return replace(self, emitters=emitters, suites=suites)


def _leave_out(emitters: dict[bytes, tuple[Part, ...]], token: bytes) -> None:
    for address, parts in list(emitters.items()):
        kept = tuple(part for part in parts if part.token != token)
        if kept:
            emitters[address] = kept
        else:
            del emitters[address]


def storage_part(token: ProjectedToken) -> tuple[bytes, Part]:
    """Give the contract that tells who is registered for a token."""
    if token.identity_storage is None:
        part = Part(token.address, "IdentityRegistry", tells_wallets=True)
        return token.identity_registry, part
    part = Part(token.address, "IdentityRegistryStorage", tells_wallets=True)
    return token.identity_storage, part


def _parts_of(token: ProjectedToken) -> Iterator[tuple[bytes, Part]]:
    yield token.address, Part(token.address, "Token")
    yield token.compliance, Part(token.address, "ModularCompliance")
    yield storage_part(token)
    if token.identity_storage is not None:
        yield token.identity_registry, Part(token.address, "IdentityRegistry")


def watched_of(found: Followed, *, only: ProjectedToken | None = None) -> Watched:
    """Give whose logs are read of a chain, as far as it is projected.

    Parameters
    ----------
    only
        A token that is caught up by itself; without it, those that go with the chain.
    """
    agent = found.platform.get(_AGENT)
    others: dict[bytes, set[bytes]] = {}
    for token, known in found.agents:
        if known != agent:
            others.setdefault(token, set()).add(known)
    if only is None:
        deployer, contracts, tokens = found.platform.get(_FACTORY), found.contracts, found.tokens
    else:
        # A suite that is deployed is told of once, to whoever follows the chain.
        deployer, contracts, tokens = None, {}, [only]
    watched = Watched(deployer, agent, {}, other_agents=others, contracts=contracts)
    return watched.with_tokens(tokens)


def read_watched(
    session: Session, chain_id: int, *, only: Token | None = None, after: int | None = None
) -> Watched:
    """Read it, see `watched_of`.

    Parameters
    ----------
    after
        With the suite and the agents that the token had after this block, which may be others than
        it has now.
    """
    suite = None if only is None else suite_at(session, only, after)
    with cursor_of(session) as cursor:
        found = read_followed(cursor, chain_id, NAMES, agents_after=after)
    return watched_of(found, only=suite)
