"""Every table of the registry, imported once so that the metadata is whole."""

from __future__ import annotations

from sqlmodel import SQLModel

import registry.alert.models
import registry.anchor.models
import registry.api_key.models
import registry.asset.models
import registry.bill_of_lading.models
import registry.bulk.models
import registry.captable.contract_models
import registry.captable.former_tokens
import registry.captable.models
import registry.captable.nodes
import registry.captable.orphans
import registry.captable.readings
import registry.case.models
import registry.certificate.models
import registry.complaint.models
import registry.court_order.models
import registry.document.models
import registry.encumbrance.models
import registry.export.models
import registry.filing.models
import registry.handover.models
import registry.history.models
import registry.idempotency.models
import registry.incident.models
import registry.interest.models
import registry.investor.models
import registry.journal.models
import registry.kyc.models
import registry.ledger.models
import registry.mutation.models
import registry.notice.models
import registry.offering.models
import registry.onboarding.models
import registry.operation.models
import registry.parcel.models
import registry.party.models
import registry.passkey.models
import registry.payment.models
import registry.policy.models
import registry.production.models
import registry.rate_limit.models
import registry.receipt.models
import registry.reconciliation.models
import registry.redemption.models
import registry.rulebook.models
import registry.sanctions.models
import registry.title.models
import registry.tokenization.models
import registry.valuation.models
import registry.valuation.panel
import registry.webhook.models
import registry.wrapper.models  # noqa: F401

metadata = SQLModel.metadata
