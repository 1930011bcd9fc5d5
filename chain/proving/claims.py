"""Asking claim store and issuer whether they say what the projection says of claims.

One question for each identity and kind of claim: of a claim in force, the issuer is asked as a
token asks it in a transfer, which proves all of it at once; of everything else, what the store has
in its slot, so that a claim that was missed is found as well. They go along with the questions
about balances, in the same call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from chain.contracts.abi import contract
from chain.node.client import hex_of
from chain.proving.difference import Difference, differ
from chain.proving.many_calls import WORD, Call, address_word, number_word
from registry.captable.believed import HolderFacts
from registry.captable.claims_believed import EVIDENCE_BYTES, ClaimFact, ClaimsBelieved

CLAIM = "claim"
"""How what differs begins, where it is about claims."""
VOID = "void"
_SLOT_WORDS = 5


@dataclass(frozen=True, slots=True)
class Question:
    """One call, and what the answer has to be.

    Parameters
    ----------
    what
        What it is about, for whoever reads of a difference.
    read
        Gives the answer in the form of `ours`; it is given None for a call that was refused.
    """

    call: Call
    what: str
    holder: bytes | None
    ours: str | bool
    read: Callable[[bytes | None], str | bool]

    def differs(self, answer: bytes | None) -> list[Difference]:
        """Tell how the chain differs, if it does."""
        return differ(self.what, self.ours, self.read(answer), holder=self.holder)


def is_of_claims(difference: Difference) -> bool:
    """Tell whether something that differs is about claims."""
    return str(difference["what"]).startswith(CLAIM)


def questions(claims: ClaimsBelieved | None, holders: Sequence[HolderFacts]) -> list[Question]:
    """Give what is to be asked about claims, of these holders and in general."""
    if claims is None:
        return []
    found = list(_general(claims))
    for holder in holders:
        found += [_about(holder, fact) for fact in claims.about.get(holder.identity, ())]
    return found


def _general(claims: ClaimsBelieved) -> Iterator[Question]:
    for kind in claims.kinds:
        data = contract("ClaimStore").functions["isAdmitted"].selector
        data += address_word(kind.issuer) + number_word(kind.topic)
        what = f"{CLAIM}s on topic {kind.topic} by {hex_of(kind.issuer)} count"
        yield Question((kind.store, data), what, None, kind.is_admitted, _read_yes)
    for key in claims.keys:
        data = contract("ClaimIssuer").functions["isSigningKey"].selector + address_word(key.key)
        what = f"{CLAIM}s of {hex_of(key.issuer)} by key {hex_of(key.key)} are accepted"
        yield Question((key.issuer, data), what, None, key.is_active, _read_yes)


def _about(holder: HolderFacts, fact: ClaimFact) -> Question:
    what = f"{CLAIM} on topic {fact.topic} by {hex_of(fact.issuer)}"
    ours = _written(fact)
    if fact.is_in_force:
        call = (fact.issuer, _is_valid(holder.identity, fact))
        return Question(
            call, what, holder.address, ours, lambda told: ours if _is_yes(told) else VOID
        )
    data = contract("ClaimStore").functions["claimOf"].selector
    data += address_word(fact.issuer) + address_word(holder.identity) + number_word(fact.topic)
    return Question((fact.store, data), what, holder.address, ours, _read_slot)


def _is_valid(identity: bytes, fact: ClaimFact) -> bytes:
    """Give the calldata of `isClaimValid` for a claim that carries no signature.

    By hand, as everything that is asked for each holder.
    """
    said = (
        number_word(fact.issued_at)
        + number_word(fact.expires_at)
        + fact.evidence.ljust(WORD, b"\0")
    )
    words = (
        contract("ClaimIssuer").functions["isClaimValid"].selector,
        address_word(identity),
        number_word(fact.topic),
        number_word(4 * WORD),  # where the signature begins
        number_word(5 * WORD),  # where the data does
        number_word(0),
        number_word(len(said)),
        said,
    )
    return b"".join(words)


def _written(fact: ClaimFact) -> str:
    if not fact.issued_at:
        return _nothing(fact.revoked_at)
    said = (
        f"issued {fact.issued_at}, expires {fact.expires_at}, key {fact.key_index},"
        f" evidence {hex_of(fact.evidence)}"
    )
    # Of a claim in force an older revocation is no matter, and is not asked for.
    if fact.revoked_at and not fact.is_in_force:
        said += f", revoked {fact.revoked_at}"
    return said


def _nothing(revoked_at: int) -> str:
    return f"none, revoked {revoked_at}" if revoked_at else "none"


def _read_slot(answer: bytes | None) -> str:
    if answer is None:
        return "refused"
    if len(answer) != _SLOT_WORDS * WORD:
        return f"undecodable {hex_of(answer)}"
    words = [answer[place : place + WORD] for place in range(0, len(answer), WORD)]
    issued_at, expires_at, revoked_at, key_index = (
        int.from_bytes(word, "big") for word in words[:-1]
    )
    fact = ClaimFact(
        store=b"",
        issuer=b"",
        topic=0,
        issued_at=issued_at,
        expires_at=expires_at,
        revoked_at=revoked_at,
        key_index=key_index,
        evidence=words[-1][:EVIDENCE_BYTES],
        is_in_force=False,
    )
    return _written(fact)


def _read_yes(answer: bytes | None) -> str | bool:
    return "refused" if answer is None else _is_yes(answer)


def _is_yes(answer: bytes | None) -> bool:
    return answer is not None and int.from_bytes(answer, "big") == 1
