"""A range's events folded, by set, into what changed of each holder of each token.

What a holder has at the end of a block is what they had before, and the sum of all that moved in
it: in which order does not matter, so movements are sorted by holder and block, summed for each
block, and then summed up block after block.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from registry.captable import amounts
from registry.captable.amounts import Limbs
from registry.captable.columns import NOBODY, Transfers
from registry.captable.events import ProjectedEvent
from registry.captable.models import EventKind
from registry.captable.spans import Spans

MOVING = frozenset({EventKind.TRANSFER, EventKind.TOKENS_FROZEN, EventKind.TOKENS_UNFROZEN})
"""What changes a balance or its frozen part."""

_SIGNS = {EventKind.TOKENS_FROZEN: 1, EventKind.TOKENS_UNFROZEN: -1}

NEAR = 2**20
"""Numbers that are no further apart are sorted as they are. A range has fewer blocks, fewer tokens
and fewer holders than this, so that three such numbers always fit into one of 63 bits."""

Holding = tuple[int, int]
"""Balance and frozen part, in whole fractions."""
Numbers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Numbered:
    """Transfers with the database's numbers of their tokens and holders.

    Parameters
    ----------
    token, source, target
        int64, shape (n,); `NOBODY` where a mint has no source, and a burn no target.
    """

    said: Transfers
    token: Numbers
    source: Numbers
    target: Numbers

    @classmethod
    def of(
        cls, said: Transfers, tokens: Mapping[bytes, int], holders: Mapping[bytes, int]
    ) -> Numbered:
        """Look up the numbers; every token and every wallet that is named has one."""
        of_token = np.array([tokens.get(each, 0) for each in said.tokens], np.int64)
        of_wallet = np.array([holders.get(each, NOBODY) for each in said.wallets], np.int64)
        # Another event may name the zero address, as one that is frozen say: then it has a number.
        of_wallet[NOBODY] = NOBODY
        if not len(said):
            return cls(said, *(np.empty(0, np.int64),) * 3)
        return cls(said, of_token[said.token], of_wallet[said.source], of_wallet[said.target])


def minted_of(said: Transfers) -> dict[bytes, int]:
    """Give by how much the supply of each token became larger."""
    sums = np.zeros((len(said.tokens), said.units.shape[1] + 1), np.int64)
    for sign, is_one in ((1, said.source == NOBODY), (-1, said.target == NOBODY)):
        np.add.at(sums[:, :-1], said.token[is_one], sign * said.units[is_one])
    return dict(zip(said.tokens, amounts.to_ints(amounts.carried(sums)), strict=True))


@dataclass(frozen=True, slots=True)
class Changes:
    """By how much each holder's balance and frozen part changed in each block.

    Parameters
    ----------
    token_no, holder_no
        Who changed, sorted as the index of the history is, int64, shape (holders,).
    first
        Place of each holder's first change, int64, shape (holders,).
    block
        Of each change, rising for each holder, int64, shape (changes,).
    units, frozen
        Sums within the block, with a sign, shape (changes, limbs).
    """

    token_no: Numbers
    holder_no: Numbers
    first: Numbers
    block: Numbers
    units: Limbs
    frozen: Limbs

    def upon(self, balances: Limbs, frozen: Limbs) -> Spans:
        """Add the changes, one after the other, to what each holder had before, (holders, limbs).

        Parameters
        ----------
        balances, frozen
            Not negative.
        """
        counts = np.diff(np.append(self.first, len(self.block)))
        return Spans(
            token_no=self.token_no,
            holder_no=self.holder_no,
            first=self.first,
            counts=counts,
            block=self.block,
            balance=_running(balances, self.units, self.first, counts),
            frozen=_running(frozen, self.frozen, self.first, counts),
        )


def changes_of(
    transfers: Numbered,
    events: Sequence[ProjectedEvent],
    tokens: Mapping[bytes, int],
    holders: Mapping[bytes, int],
) -> Changes:
    """Sum up what moved, by token, holder and block.

    Parameters
    ----------
    events
        All but transfers; some of them freeze.
    tokens, holders
        Numbers of all that the events name.
    """
    said = transfers.said
    left, came = transfers.source != NOBODY, transfers.target != NOBODY
    freezes = _freezes(events, tokens, holders)
    moved = int(left.sum() + came.sum())
    token = _joined(
        transfers.token[left], transfers.token[came], [each.token_no for each in freezes]
    )
    holder = _joined(
        transfers.source[left], transfers.target[came], [each.holder_no for each in freezes]
    )
    block = _joined(said.block[left], said.block[came], [each.block_number for each in freezes])
    # One limb more than any of them has: the sum of many may need it.
    units = np.zeros((len(block), said.units.shape[1] + 1), np.int64)
    units[:moved, :-1] = np.concatenate(
        [-said.units.compress(left, axis=0), said.units.compress(came, axis=0)]
    )
    frozen_by = _frozen_by(freezes)
    frozen = np.zeros((len(block), frozen_by.shape[1] + 1), np.int64)
    frozen[moved:, :-1] = frozen_by
    return _summed(token, holder, block, units, frozen)


def _joined(left: Numbers, came: Numbers, frozen: Sequence[int]) -> Numbers:
    return np.concatenate([left, came, np.array(frozen, np.int64)])


class _Freeze(NamedTuple):
    """Units of a holder that an agent freezes; fewer than none, where they are free again."""

    token_no: int
    holder_no: int
    block_number: int
    units: int


def _freezes(
    events: Iterable[ProjectedEvent], tokens: Mapping[bytes, int], holders: Mapping[bytes, int]
) -> list[_Freeze]:
    return [
        _Freeze(
            tokens[event.token],
            holders[event.target],
            event.block_number,
            _SIGNS[event.kind] * event.units,
        )
        for event in events
        if event.kind in _SIGNS and event.target is not None and event.units is not None
    ]


def _frozen_by(freezes: Sequence[_Freeze]) -> Limbs:
    signs = np.array([-1 if each.units < 0 else 1 for each in freezes], np.int64)
    return amounts.of_ints([abs(each.units) for each in freezes]) * signs[:, None]


def _summed(
    token: Numbers, holder: Numbers, block: Numbers, units: Limbs, frozen: Limbs
) -> Changes:
    """Sort movements by who and when, and add up those of one block."""
    assert len(block) < amounts.MOST_SUMMED, "more than a range ever has"
    order = np.argsort(_sorting_key(token, holder, block))
    token, holder, block = token[order], holder[order], block[order]
    is_other = _changes_in(token) | _changes_in(holder)
    starts = np.flatnonzero(is_other | _changes_in(block))
    firsts = np.flatnonzero(is_other[starts])
    return Changes(
        token_no=token[starts][firsts],
        holder_no=holder[starts][firsts],
        first=firsts,
        block=block[starts],
        units=_sums(units, order, starts),
        frozen=_sums(frozen, order, starts),
    )


def _sorting_key(token: Numbers, holder: Numbers, block: Numbers) -> Numbers:
    """Give one number for each movement that sorts by token, then holder, then block."""
    key = np.zeros(len(block), np.int64)
    for column in (token, holder, block):
        place, count = _places(column)
        key = key * count + place
    return key


def _places(column: Numbers) -> tuple[Numbers, int]:
    """Give small numbers that sort as these do, and how many there may be."""
    least, most = (int(column.min()), int(column.max())) if len(column) else (0, 0)
    spread = most - least + 1
    if spread <= NEAR:
        return column - least, spread
    known, place = np.unique(column, return_inverse=True)
    return place, len(known)


def _changes_in(column: Numbers) -> NDArray[np.bool_]:
    """Tell where a sorted column has another value than before; so it does at its beginning."""
    differs = np.ones(len(column), np.bool_)
    differs[1:] = column[1:] != column[:-1]
    return differs


def _sums(limbs: Limbs, order: NDArray[np.intp], starts: NDArray[np.intp]) -> Limbs:
    if not len(starts) or not limbs.any():
        return np.zeros((len(starts), limbs.shape[1]), np.int64)
    # Their sum up to each end, less that up to the end before: a third of `reduceat`'s time.
    ends = np.append(starts[1:], len(order)) - 1
    sums = np.cumsum(limbs.take(order, axis=0), axis=0).take(ends, axis=0)
    sums[1:] -= sums[:-1].copy()
    return amounts.carried(sums)


def _running(before: Limbs, changes: Limbs, first: Numbers, counts: Numbers) -> Limbs:
    """Give what there is after each change: what was before, and all changes up to it."""
    width = max(before.shape[1] + 1, changes.shape[1])
    sums = np.cumsum(amounts.widened(changes, width), axis=0)
    # What was summed of the holders before is taken off again.
    others = np.where(first[:, None] > 0, sums.take(first - 1, axis=0), 0)
    return amounts.carried(
        sums + np.repeat(amounts.widened(before, width) - others, counts, axis=0)
    )
