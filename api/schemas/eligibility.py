"""Eligibility, dry run and what-if over HTTP."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import ConfigDict, Field, model_validator

from api.schemas.common import (
    Address,
    AsOfBlockRead,
    BigInteger,
    Body,
    Country,
    OfPerson,
    Read,
    WithAddresses,
    address_of,
    bytes_of_hex,
)
from api.schemas.compliance import ComplianceBody, FindingRead, PositiveUnits
from chain.dry_run import DeploymentRun
from chain.eligibility import Explanation
from chain.errors import Reverted
from registry.compliance.dry_run import Outcome
from registry.compliance.rules import Answer, RuleText
from registry.compliance.what_if import Affected, Effect
from registry.eligibility.rehearsal import Proposed, Rehearsal
from registry.eligibility.service import Consequences, Question

OF_RECEIVER = frozenset(
    {
        "kyc",
        "identity_registered",
        "claim_in_force",
        "receiver_not_frozen",
        "country_allowed",
        "max_balance",
    }
)
"""Rules whose details tell of the receiver."""


class EligibilityQuestion(Body):
    """May this wallet, or this investor, receive so many units; without `from` by a mint."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    token_id: UUID
    wallet: Address | None = None
    investor_id: UUID | None = None
    units: PositiveUnits
    source: Annotated[Address | None, Field(alias="from")] = None

    @model_validator(mode="after")
    def _names_one_receiver(self) -> Self:
        if (self.wallet is None) == (self.investor_id is None):
            raise ValueError("send either wallet or investor_id")
        return self

    @property
    def raw_wallet(self) -> bytes | None:
        return bytes_of_hex(self.wallet) if self.wallet else None

    @property
    def raw_source(self) -> bytes | None:
        return bytes_of_hex(self.source) if self.source else None


class RuleAnswerRead(Read):
    """What one rule says; `kept_by` is who refuses where it fails."""

    id: str
    name: str
    kept_by: Literal["registry", "identity", "compliance", "token"]
    passed: bool
    message: str
    message_ur: str
    remedy: str | None
    detail: str | None

    @classmethod
    def of(cls, answer: Answer, *, tells_all: bool = True) -> Self:
        rule, passed = answer.rule, answer.passed
        hidden = not tells_all and rule.name in OF_RECEIVER
        return cls(
            id=rule.id,
            name=rule.name,
            kept_by=rule.kept_by.value,
            passed=passed,
            message=rule.passed if passed else rule.failed,
            message_ur=rule.passed_ur if passed else rule.failed_ur,
            remedy=None if passed else rule.remedy,
            detail=None if hidden else answer.detail,
        )


class ChainAnswerRead(Read):
    """What the chain itself says at the same block; `reason` is the contract's own error."""

    is_verified: bool
    can_transfer: bool
    would_pass: bool
    reason: str | None
    arguments: WithAddresses | None


class EligibilityRead(OfPerson):
    """Every rule, and the chain's own answer at the same block.

    `agrees` is false where the chain says other than we do; that is an alarm on our side.
    """

    eligible: bool
    movement: Literal["mint", "transfer"]
    wallet: str
    units: BigInteger
    rules: list[RuleAnswerRead]
    chain: ChainAnswerRead
    agrees: bool
    differences: list[str]
    as_of_block: AsOfBlockRead

    @classmethod
    def of(cls, question: Question, found: Explanation, confirmations: int) -> Self:
        refusal = found.chain.refusal
        return cls(
            eligible=found.eligible,
            movement="transfer" if question.sender else "mint",
            wallet=address_of(question.receiver),
            units=question.units,
            rules=[RuleAnswerRead.of(item, tells_all=question.own) for item in found.answers],
            chain=ChainAnswerRead(
                is_verified=found.chain.is_verified,
                can_transfer=found.chain.can_transfer,
                would_pass=refusal is None,
                reason=refusal.name if refusal else None,
                arguments=arguments_of(refusal) if refusal and question.own else None,
            ),
            agrees=not found.differences,
            differences=list(found.differences),
            as_of_block=AsOfBlockRead.of(found.block, confirmations),
        )


def arguments_of(refusal: Reverted) -> dict[str, Any] | None:
    """Write the offending values of an error of ours; integers may pass 2^53."""
    return {
        name: str(value) if isinstance(value, int) and not isinstance(value, bool) else value
        for name, value in refusal.arguments.items()
    } or None


class AllotmentBody(Body):
    """Units for a wallet, or for somebody of a country whose KYC is taken to be passed."""

    units: PositiveUnits
    wallet: Address | None = None
    country: Country | None = None

    @model_validator(mode="after")
    def _names_one_receiver(self) -> Self:
        if (self.wallet is None) == (self.country is None):
            raise ValueError("send either wallet or country")
        return self

    def proposed(self) -> Proposed:
        wallet = bytes_of_hex(self.wallet) if self.wallet else None
        return Proposed(units=int(self.units), wallet=wallet, country=self.country)


class DryRunBody(Body):
    """Allotments in the order in which they would be minted."""

    allotments: Annotated[list[AllotmentBody], Field(max_length=1000)]


class MintRehearsed(Read):
    """What would become of one mint; `refused_by` is empty where it passes."""

    wallet: str | None
    country: str | None
    units: BigInteger
    refused_by: list[RuleAnswerRead]

    @classmethod
    def of(cls, outcome: Outcome, country: str | None, *, tells_all: bool) -> Self:
        receiver = outcome.allotment.receiver
        return cls(
            wallet=None if country else address_of(receiver.address),
            country=country,
            units=outcome.allotment.units,
            refused_by=[
                RuleAnswerRead.of(answer, tells_all=tells_all or country is not None)
                for answer in outcome.refusals
            ],
        )


class DeploymentRehearsed(Read):
    """What the node says of the deployment itself, run to its end and not sent."""

    would_pass: bool
    gas: BigInteger | None
    reason: str | None
    arguments: WithAddresses | None

    @classmethod
    def of(cls, run: DeploymentRun) -> Self:
        return cls(
            would_pass=run.refusal is None,
            gas=run.gas,
            reason=run.refusal.name if run.refusal else None,
            arguments=arguments_of(run.refusal) if run.refusal else None,
        )


class DryRunRead(OfPerson):
    """What would be refused, and why.

    `rest` is what the wrapper would be minted; null where nothing is left, or where the wrapper
    has no wallet with an identity yet. `deployment` is null unless the terms are approved.
    """

    refused: int
    allotments: list[MintRehearsed]
    rest_units: BigInteger
    rest: MintRehearsed | None
    findings: list[FindingRead]
    deployment: DeploymentRehearsed | None

    @classmethod
    def of(
        cls,
        found: Rehearsal,
        proposed: Sequence[Proposed],
        deployment: DeploymentRun | None,
        *,
        tells_all: bool,
    ) -> Self:
        allotments = [
            MintRehearsed.of(outcome, item.country, tells_all=tells_all)
            for outcome, item in zip(found.outcomes, proposed, strict=True)
        ]
        return cls(
            refused=sum(1 for item in allotments if item.refused_by),
            allotments=allotments,
            rest_units=found.rest_units,
            rest=MintRehearsed.of(found.rest, None, tells_all=tells_all) if found.rest else None,
            findings=[FindingRead.of(finding) for finding in found.findings],
            deployment=DeploymentRehearsed.of(deployment) if deployment else None,
        )


class WhatIfBody(Body):
    """Rules that somebody thinks of; nothing is recorded."""

    compliance: ComplianceBody


class AffectedHolder(Read):
    """A holder whom a rule touches; `over_units` are kept, but nothing can be added."""

    wallets: list[str]
    units: BigInteger
    over_units: BigInteger

    @classmethod
    def of(cls, holder: Affected) -> Self:
        return cls(
            wallets=[address_of(wallet) for wallet in holder.wallets],
            units=holder.units,
            over_units=holder.over_units,
        )


class RuleEffectRead(Read):
    """What one proposed rule would do to the holders that there are."""

    id: str
    name: str
    message: str
    message_ur: str
    over_units: BigInteger
    over: list[AffectedHolder]
    cannot_receive: list[AffectedHolder]

    @classmethod
    def of(cls, effect: Effect) -> Self:
        rule: RuleText = effect.rule
        return cls(
            id=rule.id,
            name=rule.name,
            message=rule.failed,
            message_ur=rule.failed_ur,
            over_units=effect.over_units,
            over=[AffectedHolder.of(holder) for holder in effect.over],
            cannot_receive=[AffectedHolder.of(holder) for holder in effect.cannot_receive],
        )


class WhatIfRead(Read):
    """The holders of a block against proposed rules.

    `holders_over` is how many holders are beyond the cap on their number: nobody has to leave,
    and nobody new comes in. `needs_adoption`: a module that counts holders would be new, and
    lets nothing move until it was shown every wallet that holds.
    """

    holders: int
    supply_units: BigInteger
    rules: list[RuleEffectRead]
    holders_over: int
    cannot_receive: list[str]
    transfers_open_now: bool
    needs_adoption: bool
    findings: list[FindingRead]
    as_of_block: AsOfBlockRead

    @classmethod
    def of(cls, said: Consequences, confirmations: int) -> Self:
        found = said.found
        return cls(
            holders=found.holders,
            supply_units=found.supply_units,
            rules=[RuleEffectRead.of(effect) for effect in found.effects],
            holders_over=found.holders_over,
            cannot_receive=[address_of(address) for address in found.cannot_receive],
            transfers_open_now=found.is_open_now,
            needs_adoption=found.needs_adoption,
            findings=[FindingRead.of(finding) for finding in said.findings],
            as_of_block=AsOfBlockRead.of(said.block, confirmations),
        )
