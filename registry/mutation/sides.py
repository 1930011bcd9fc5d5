"""Who gives and who takes in a mutation, checked against the title as it is on that day."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import lcm
from uuid import UUID

from sqlmodel import Session

from registry.kernel.clock import SEAT, today
from registry.kernel.errors import Conflict, Invalid
from registry.mutation import rules
from registry.mutation.forms import Estate, NewMutation, Side
from registry.mutation.heirs import shares_of_heirs
from registry.mutation.models import MutationKind
from registry.party import service as parties
from registry.party.models import PartyKind
from registry.title import service as titles
from registry.title.models import TitleVersion
from registry.title.rules import MAX_KUL_HISSAY, Ownership


@dataclass(frozen=True, slots=True)
class Sides:
    """Sellers and buyers, their parts counted in one whole."""

    kul_hissay: int
    sellers: Sequence[Side]
    buyers: Sequence[Side]


def sides_of(session: Session, version: TitleVersion, new: NewMutation) -> Sides:
    """Return who gives and takes, checked against the version of this day."""
    ownership = titles.ownership_of(session, version)
    if new.estate is not None:
        sides = _of_estate(new, new.estate, ownership.fraction_of(new.estate.deceased_id))
    else:
        sides = Sides(new.kul_hissay, new.sellers, new.buyers)
    if not 0 < sides.kul_hissay <= MAX_KUL_HISSAY:
        raise Invalid("share_not_positive", "The whole is above 0.", field="/kul_hissay")
    passing = rules.Transfer(
        _parts(sides.sellers, sides.kul_hissay, "/sellers"),
        _parts(sides.buyers, sides.kul_hissay, "/buyers"),
    )
    if new.kind in rules.TRANSFERS and new.reverses_id is None:
        rules.check_sides(new.kind, passing, is_half=new.is_half)
        rules.transfer(ownership, passing)
        _check_deaths(session, new, sides, passing, ownership)
    elif passing.given or passing.taken:
        rules.check_sides(MutationKind.FARD_BADR, passing)
    for side in (*sides.sellers, *sides.buyers):
        parties.get_party(session, side.party_id)
    return sides


def _parts(sides: Sequence[Side], kul_hissay: int, pointer: str) -> dict[UUID, Fraction]:
    if len({side.party_id for side in sides}) != len(sides):
        raise Invalid("owner_repeated", "A party stands twice.", field=pointer)
    return {side.party_id: Fraction(side.hissa, kul_hissay) for side in sides}


def _of_estate(new: NewMutation, estate: Estate, left: Fraction) -> Sides:
    if new.kind != MutationKind.INHERITANCE or new.sellers or new.buyers:
        raise Invalid(
            "estate_not_applicable",
            "An estate stands in place of sellers and buyers, in an inheritance only.",
            field="/estate",
        )
    if not left:
        raise Conflict(
            "share_exceeded",
            f"{estate.deceased_id} holds nothing of this title.",
            rule="SHR-03",
        )
    taken = {party: part * left for party, part in shares_of_heirs(estate.heirs).items()}
    whole = lcm(left.denominator, *(part.denominator for part in taken.values()))
    relations = {heir.party_id: heir.relation for heir in estate.heirs}
    deceased = Side(estate.deceased_id, int(left * whole), died_on=estate.died_on)
    heirs = [
        Side(party, int(part * whole), relation=relations[party]) for party, part in taken.items()
    ]
    return Sides(whole, [deceased], heirs)


def _check_deaths(
    session: Session, new: NewMutation, sides: Sides, passing: rules.Transfer, held: Ownership
) -> None:
    dead = [side for side in sides.sellers if side.died_on is not None]
    if any(side.died_on and side.died_on > today() for side in dead):
        raise Invalid("death_in_future", "Nobody has died in the future.", field="/sellers")
    if new.kind not in rules.OF_THE_DEAD:
        return
    if len(dead) != len(sides.sellers) or len(dead) != 1:
        raise Invalid(
            "deceased_required",
            f"A {new.kind} is of one person who has died: state when.",
            field="/sellers",
        )
    [(party, part)] = passing.given.items()
    if parties.get_party(session, party).kind != PartyKind.NATURAL:
        raise Invalid(
            "deceased_not_natural",
            "A company, a group or a piece of land does not die.",
            field="/sellers",
        )
    if new.kind == MutationKind.INHERITANCE and part != held.fraction_of(party):
        raise Invalid(
            "estate_incomplete",
            "Of somebody who has died the whole share passes, not a part.",
            field="/sellers",
        )
    _check_passes_after_death(new, dead[0])


def _check_passes_after_death(new: NewMutation, deceased: Side) -> None:
    assert deceased.died_on is not None
    passes_at = new.effective_at
    if passes_at is not None and passes_at.astimezone(SEAT).date() < deceased.died_on:
        raise Invalid(
            "effective_before_death",
            f"On {passes_at.isoformat()} the owner lived: they died on {deceased.died_on}.",
            field="/effective_at",
        )
