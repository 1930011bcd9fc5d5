"""/v1/compliance and /v1/eligibility: what the rules of a token do, before anybody feels it.

Nothing here changes anything, so none of it takes an Idempotency-Key. The node is asked after
the database was let go. Whose wallets an answer tells of is noted, as of every reading of a person.
"""

from __future__ import annotations

from uuid import UUID

from api.deps import ActorDep, FinalityDep, ReadSessionDep, ServicesDep, TurnDep
from api.reading import ReadingDep
from api.routes.router import resource_router
from api.schemas.compliance import ComplianceLint, LintRead
from api.schemas.eligibility import (
    DryRunBody,
    DryRunRead,
    EligibilityQuestion,
    EligibilityRead,
    WhatIfBody,
    WhatIfRead,
)
from chain.dry_run import run_deployment
from chain.eligibility import explain
from registry.compliance.lint import lint
from registry.compliance.terms import check_compliance_terms
from registry.eligibility import service as eligibility
from registry.eligibility.rehearsal import dry_run
from registry.party.rules import check_country

router = resource_router("compliance")


@router.post("/compliance/lint")
def lint_compliance(body: ComplianceLint) -> LintRead:
    """Tell what is wrong with compliance terms that somebody thinks of."""
    terms = body.compliance.terms()
    check_compliance_terms(terms)
    if body.wrapper_country is not None:
        check_country(body.wrapper_country, field="/wrapper_country")
    return LintRead.of(lint(terms, body.facts()))


@router.get("/tokenizations/{tokenization_id}/lint")
def lint_tokenization(tokenization_id: UUID, session: ReadSessionDep) -> LintRead:
    """Tell what is wrong with the compliance terms of a tokenization, and with its sale."""
    return LintRead.of(eligibility.lint_tokenization(session, tokenization_id))


@router.post("/tokenizations/{tokenization_id}/dry_run")
def dry_run_tokenization(
    tokenization_id: UUID,
    body: DryRunBody,
    services: ServicesDep,
    reading: ReadingDep,
    actor: ActorDep,
    _turn: TurnDep,
) -> DryRunRead:
    """Mint proposed allotments on paper, and let the node run the deployment without sending it."""
    proposed = [item.proposed() for item in body.allotments]
    with services.database.reading() as session:
        found = dry_run(session, actor, tokenization_id, proposed)
    deployment = run_deployment(services.database, services.node, tokenization_id)
    tells_all = eligibility.sees_everybody(actor)
    answer = DryRunRead.of(found, proposed, deployment, tells_all=tells_all)
    return reading.of_investors(answer, found.concerns)


@router.post("/tokens/{token_id}/what_if")
def ask_what_if(
    token_id: UUID,
    body: WhatIfBody,
    needed: FinalityDep,
    session: ReadSessionDep,
    services: ServicesDep,
) -> WhatIfRead:
    """Hold the present holders against rules that somebody thinks of."""
    settings = services.settings
    said = eligibility.what_if_of(session, settings.chain_id, token_id, body.compliance.terms())
    return WhatIfRead.of(said, needed)


@router.post("/eligibility")
def check_eligibility(
    body: EligibilityQuestion,
    needed: FinalityDep,
    services: ServicesDep,
    reading: ReadingDep,
    actor: ActorDep,
    _turn: TurnDep,
) -> EligibilityRead:
    """Tell whether units may be received: every rule, its remedy, and the chain's own answer."""
    with services.database.reading() as session:
        question = eligibility.pose(
            session,
            actor,
            body.token_id,
            wallet=body.raw_wallet,
            investor_id=body.investor_id,
            sender=body.raw_source,
            units=int(body.units),
        )
    found = explain(services.database, services.node, question)
    answer = EligibilityRead.of(question, found, needed)
    return reading.of_investors(answer, question.concerns)
