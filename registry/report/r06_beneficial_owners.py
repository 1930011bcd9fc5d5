"""R-06: the persons behind a token, a title or a party, with exact shares and every way to them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from itertools import islice
from typing import Annotated, Any
from uuid import UUID

from pydantic import Field
from sqlmodel import Session, col, select

from registry.kernel.clock import day_of
from registry.kernel.errors import Invalid, NotFound
from registry.kernel.rows import among
from registry.ownership.graph import Node, NodeKind, When, party_node, start_of_title, token_node
from registry.ownership.service import Basis, Controller, Owner, Ownership, who_is_behind
from registry.ownership.solver import Path
from registry.party.models import NAMED_OPENLY, Party
from registry.policy.models import PolicyName
from registry.policy.service import policy_on
from registry.report.people import Person, cnic_column, name_column, people_of
from registry.report.report import Column, Kind, Question, Report, Row
from registry.report.subjects import OfAsset, asset_of
from registry.tokenization import service as tokenizations
from registry.tokenization.models import Tokenization
from registry.wrapper.service import find_wrapper

ALL = Fraction(1)


class Parameters(OfAsset):
    """Behind what, and from which share on."""

    token: Annotated[UUID | None, Field(description="The id of its tokenization")] = None
    party: Annotated[UUID | None, Field(description="A company, a trust or a group")] = None
    threshold: Annotated[
        str | None,
        Field(
            pattern=r"^[1-9][0-9]{0,8}(/[1-9][0-9]{0,8})?$",
            description="A fraction such as 1/10; without it, the law's of that day",
        ),
    ] = None


COLUMNS = (
    Column("kind"),
    Column("party", Kind.ID),
    name_column("name"),
    cnic_column(),
    Column("effective", Kind.FRACTION),
    Column("basis"),
    Column("chain"),
    Column("chain_share", Kind.FRACTION),
    Column("declared_on", Kind.DATE),
    Column("threshold", Kind.FRACTION),
)


@dataclass(frozen=True, slots=True)
class _Line:
    """One row, before the persons in it are opened."""

    kind: str
    party_id: UUID | None
    effective: Fraction | None
    basis: str | None
    chain: str | None
    chain_share: Fraction | None
    declared_on: date | None = None


def _rows(session: Session, question: Question[Parameters]) -> Iterator[Row]:
    threshold = _threshold(session, question)
    when = When(question.moment, question.block)
    start, ruled = _start(session, question, when)
    found = who_is_behind(session, start, when, threshold, ruled=ruled)
    lines = list(_lines(found, _labels(session, found)))
    seen = int(question.after[0]) + 1 if question.after else 0
    page = list(
        islice(enumerate(lines), seen, None if question.fetch is None else seen + question.fetch)
    )
    people = people_of(session, question, {line.party_id for _, line in page})
    for place, line in page:
        yield Row((place,), (*_values(line, people[line.party_id]), threshold))


def _values(line: _Line, person: Person) -> tuple[Any, ...]:
    return (
        line.kind,
        line.party_id,
        person.name,
        person.cnic,
        line.effective,
        line.basis,
        line.chain,
        line.chain_share,
        line.declared_on,
    )


def _threshold(session: Session, question: Question[Parameters]) -> Fraction:
    asked = question.parameters.threshold
    if asked is None:
        return policy_on(session, PolicyName.UBO, day_of(question.moment)).value
    threshold = Fraction(asked)
    if threshold > 1:
        raise Invalid("threshold_wrong", "Nobody has more than all of it.", field="threshold")
    return threshold


def _start(
    session: Session, question: Question[Parameters], when: When
) -> tuple[Mapping[Node, Fraction], Sequence[Node]]:
    """Find what is asked about, and the vehicle whose rulers are told too."""
    asked = question.parameters
    named = [asked.token, asked.party, asked.asset, asked.key]
    if len([each for each in named if each is not None]) != 1:
        raise Invalid(
            "subject_required",
            "The report is on one token, title or party, which is named in one way.",
            field="token",
            remedy="Send `token`, `asset`, `key` or `party`.",
        )
    if asked.party is not None:
        if session.get(Party, asked.party) is None:
            raise NotFound("party", asked.party)
        question.parties.add(asked.party)
        return {party_node(asked.party): ALL}, ()
    if asked.token is not None:
        tokenization = tokenizations.get_deployed(session, asked.token)
        return {token_node(tokenization.id): ALL}, _vehicle(session, tokenization.asset_id)
    asset, _ = asset_of(session, question)
    start = start_of_title(session, asset.id, when)
    if not start:
        raise NotFound("title version", f"of {asset.code} at {question.moment.isoformat()}")
    return start, _vehicle(session, asset.id)


def _vehicle(session: Session, asset_id: UUID) -> Sequence[Node]:
    wrapper = find_wrapper(session, asset_id)
    return () if wrapper is None else (party_node(wrapper.party_id),)


def _lines(found: Ownership, labels: Mapping[Node, str]) -> Iterator[_Line]:
    if found.has_nobody:
        yield _Line("NOBODY", None, None, None, None, None)
    for owner in found.owners:
        yield from _owner_lines(found, owner, labels)
    for ruler in found.controllers:
        yield _ruler_line(found, ruler, labels)
    for gap in found.unknown:
        label = labels.get(gap.node) if gap.address is None else f"0x{gap.address.hex()}"
        yield _Line("UNKNOWN", None, gap.share, gap.reason, label, gap.share)
    if found.below:
        yield _Line("BELOW_THRESHOLD", None, found.below, None, None, None)


def _owner_lines(found: Ownership, owner: Owner, labels: Mapping[Node, str]) -> Iterator[_Line]:
    for path in owner.paths:
        passed = path.nodes[:-1]
        is_direct = all(node.kind is NodeKind.TOKEN for node in passed)
        basis = Basis.DIRECT if is_direct else Basis.INDIRECT
        yield _Line(
            "OWNER", owner.party_id, owner.share, basis, _chain(passed, labels), path.share,
            _declared_on(found, path),
        )  # fmt: skip
    if owner.untold:
        told = "round and round, or by ways beyond those told"
        yield _Line("OWNER", owner.party_id, owner.share, Basis.INDIRECT, told, owner.untold)


def _declared_on(found: Ownership, path: Path[Node]) -> date | None:
    """Return the oldest of the papers on which a way rests."""
    days = [found.declared_on[node] for node in path.nodes if node in found.declared_on]
    return min(days, default=None)


def _ruler_line(found: Ownership, ruler: Controller, labels: Mapping[Node, str]) -> _Line:
    natures = (nature.value if nature else "OWNER" for nature in ruler.natures)
    steps = (f"{labels[node]} ({by})" for node, by in zip(ruler.over, natures, strict=True))
    days = [found.declared_on[node] for node in ruler.over if node in found.declared_on]
    return _Line(
        "CONTROLLER", ruler.party_id, None, Basis.CONTROL, " < ".join(steps), ruler.share,
        min(days, default=None),
    )  # fmt: skip


def _chain(nodes: Sequence[Node], labels: Mapping[Node, str]) -> str:
    return " < ".join(labels[node] for node in nodes) or "holds it"


def _labels(session: Session, found: Ownership) -> Mapping[Node, str]:
    """Name whatever stands between: a company by its name, a token by its symbol."""
    nodes = {node for owner in found.owners for path in owner.paths for node in path.nodes[:-1]}
    nodes |= {node for ruler in found.controllers for node in ruler.over}
    nodes |= {gap.node for gap in found.unknown}
    ids = [node.id for node in nodes]
    parties = select(Party.id, Party.kind, Party.name).where(among(col(Party.id), ids))
    tokens = select(Tokenization.id, Tokenization.symbol).where(among(col(Tokenization.id), ids))
    # The name of a group tells whose heirs it is.
    names = {
        party_id: str(name) if kind in NAMED_OPENLY else f"{kind} {party_id}"
        for party_id, kind, name in session.exec(parties)
    } | dict(session.exec(tokens).all())
    return {
        node: f"{names[node.id]} (company)" if node.kind is NodeKind.VEHICLE else names[node.id]
        for node in nodes
    }


BENEFICIAL_OWNERS = Report(
    code="R-06",
    title="Beneficial owners",
    title_ur="حقیقی مستفید مالکان",
    parameters=Parameters,
    columns=COLUMNS,
    rows=_rows,
    counts_holders=True,
    of_one_moment=True,
)
