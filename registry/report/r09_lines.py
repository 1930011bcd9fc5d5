"""R-09's lines: what each register says of one holder, some holders at once.

Parties come first, by their ids, and then the addresses that are nobody's. Each page asks for its
own holders: there may be a million of them. Only who differs is looked for among all.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

from sqlmodel import Session

from registry.captable.blocks import AsOfBlock
from registry.captable.bulk import cursor_of
from registry.captable.held import held_by
from registry.captable.models import Token
from registry.reconciliation.comparing import DIFFERING, FILED, OWNED

PARTY, ADDRESS = 0, 1
AT_ONCE = 1_000

_ALL = f"""
(SELECT party_id FROM register_statement_row
 WHERE statement_id = %(statement)s AND party_id > %(after)s ORDER BY party_id LIMIT %(limit)s)
UNION
(SELECT i.party_id FROM investor i
 WHERE i.party_id > %(after)s AND EXISTS (SELECT FROM ({OWNED}) o WHERE o.party_id = i.party_id)
 ORDER BY i.party_id LIMIT %(limit)s)
"""  # noqa: S608 - no value in it
_DIFFERING = f"""
SELECT party_id FROM ({DIFFERING.format(held="{held}", stated=FILED)}) d
WHERE %(statement)s::uuid IS NOT NULL AND party_id > %(after)s
UNION
SELECT i.party_id FROM wallet w JOIN investor i ON i.id = w.investor_id
WHERE w.address = ANY(%(denied)s) AND i.party_id > %(after)s
"""  # noqa: S608 - no value in it
_PARTIES = """
SELECT p.party_id, o.units, s.units, o.wallets
FROM (SELECT party_id FROM ({chosen}) c ORDER BY party_id LIMIT %(limit)s) p
LEFT JOIN register_statement_row s
  ON s.statement_id = %(statement)s AND s.party_id = p.party_id
LEFT JOIN LATERAL (
  SELECT sum(units) AS units, array_agg(address ORDER BY address) AS wallets
  FROM ({owned}) o WHERE o.party_id = p.party_id) o ON true
ORDER BY p.party_id
"""
_ADDRESSES = """
SELECT h.address, x.balance_units FROM ({held}) x JOIN holder h ON h.holder_no = x.holder_no
WHERE h.address > %(after)s AND {which} AND NOT EXISTS (
  SELECT FROM wallet w WHERE w.address = h.address)
ORDER BY h.address LIMIT %(limit)s
"""
_HAVE_ANY = """
SELECT h.address FROM ({held}) x JOIN holder h ON h.holder_no = x.holder_no
WHERE h.address = ANY(%(denied)s)
"""


@dataclass(slots=True)
class Line:
    """What each register says of one holder: a party, or an address that is nobody's."""

    party_id: UUID | None
    wallets: Sequence[bytes]
    stated: int | None = None
    cap_table: int = 0
    chain: int | None = None

    @property
    def key(self) -> tuple[int, str]:
        if self.party_id is None:
            return (ADDRESS, self.wallets[0].hex())
        return (PARTY, str(self.party_id))

    @property
    def difference(self) -> int:
        """Between the lowest and the highest of the figures that there are."""
        said = [self.cap_table, *(n for n in (self.stated, self.chain) if n is not None)]
        return max(said) - min(said)

    @property
    def subjects(self) -> list[str]:
        """What breaks call this holder."""
        wallets = [f"0x{wallet.hex()}" for wallet in self.wallets]
        whole = wallets if self.party_id is None else [f"party:{self.party_id}"]
        return [*whole, *(f"balance of {wallet}" for wallet in wallets)]


class Proof(NamedTuple):
    """What the chain said at a block: by how much more it has at an address than the cap table."""

    block_number: int
    more: Mapping[bytes, int]


@dataclass(frozen=True, slots=True)
class Registers:
    """The registers of one token that are held beside each other.

    Parameters
    ----------
    statement_id
        Of the register of record; None where it filed none.
    proof
        None where the chain was never asked.
    """

    session: Session
    token: Token
    block: AsOfBlock
    statement_id: UUID | None
    proof: Proof | None

    def lines(
        self, after: tuple[int, str] | None, *, at_once: int, differing: bool
    ) -> Iterator[Line]:
        """Yield lines in the order of their keys, asking for so many at once."""
        for line in self._said(after, at_once, differing=differing):
            if self.proof is not None:
                more = sum(self.proof.more.get(wallet, 0) for wallet in line.wallets)
                line.chain = line.cap_table + more
            if not differing or line.difference:
                yield line

    def _said(
        self, after: tuple[int, str] | None, at_once: int, *, differing: bool
    ) -> Iterator[Line]:
        place, last = after or (PARTY, str(UUID(int=0)))
        if place == PARTY:
            yield from self._parties(last, at_once, differing=differing)
            last = ""
        yield from self._addresses(last, at_once, differing=differing)

    def _parties(self, last: str, at_once: int, *, differing: bool) -> Iterator[Line]:
        query = _PARTIES.format(chosen=_DIFFERING if differing else _ALL, owned=OWNED)
        while found := self._ask(query, UUID(last), at_once):
            for party_id, units, stated, wallets in found:
                line = Line(party_id, wallets or (), self._stated(stated), int(units or 0))
                yield line
            if len(found) < at_once:
                return
            last = str(found[-1][0])

    def _addresses(self, last: str, at_once: int, *, differing: bool) -> Iterator[Line]:
        """Yield who is nobody's, and whom only the chain knows, by address."""
        unknown = self._only_on_chain()
        denied = differing and self.statement_id is None
        query = _ADDRESSES.format(
            held="{held}", which="h.address = ANY(%(denied)s)" if denied else "true"
        )
        after = bytes.fromhex(last)
        while found := self._ask(query, after, at_once):
            until = bytes(found[-1][0])
            for address in sorted(each for each in unknown if after < each <= until):
                yield Line(None, [address])
            for address, units in found:
                yield Line(None, [bytes(address)], self._stated(None), int(units))
            after = until
            if len(found) < at_once:
                break
        for address in sorted(each for each in unknown if each > after):
            yield Line(None, [address])

    def _only_on_chain(self) -> Collection[bytes]:
        """Return the addresses of which the chain says something, and the cap table nothing."""
        if self.proof is None or not self.proof.more:
            return ()
        known = {bytes(address) for (address,) in self._ask(_HAVE_ANY, b"", 0)}
        return self.proof.more.keys() - known

    def _stated(self, units: Any) -> int | None:
        if self.statement_id is None:
            return None
        return int(units or 0)

    def _ask(self, query: str, after: UUID | bytes, limit: int) -> list[tuple[Any, ...]]:
        values = {
            "statement": self.statement_id,
            "after": after,
            "limit": limit,
            "denied": list(self.proof.more) if self.proof else [],
        }
        query = query.format(held=held_by(self.token, self.block))
        with cursor_of(self.session) as cursor:
            return cursor.execute(query.encode(), values).fetchall()
