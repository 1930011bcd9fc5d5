"""Every kind of operation and what carries it out."""

from __future__ import annotations

from collections.abc import Mapping

from chain.operations.add_claim import AddClaim
from chain.operations.anchor_journal import AnchorJournal
from chain.operations.batch import Batch
from chain.operations.case_act import CaseAct
from chain.operations.create_identity import CreateIdentity
from chain.operations.deploy_suite import DeploySuite
from chain.operations.effect import Effect
from chain.operations.platform_step import PlatformStep
from chain.operations.redeem import Redeem
from chain.operations.retire_wallet import RetireWallet
from chain.operations.revoke_claim import RevokeClaim
from chain.operations.settle import Settle
from chain.operations.title_status import ConfirmLift, ProposeLift, SetTitleStatus
from chain.operations.token_calls import CloseSuite, Mint, Pause, RegisterIdentity, Unpause
from registry.operation.models import OperationKind

_SINGLE: Mapping[str, Effect] = {
    OperationKind.PLATFORM_STEP: PlatformStep(),
    OperationKind.CREATE_IDENTITY: CreateIdentity(),
    OperationKind.ADD_CLAIM: AddClaim(),
    OperationKind.REVOKE_CLAIM: RevokeClaim(),
    OperationKind.DEPLOY_SUITE: DeploySuite(),
    OperationKind.REGISTER_IDENTITY: RegisterIdentity(),
    OperationKind.MINT: Mint(),
    OperationKind.PAUSE: Pause(),
    OperationKind.UNPAUSE: Unpause(),
    OperationKind.CLOSE_SUITE: CloseSuite(),
    OperationKind.SET_TITLE_STATUS: SetTitleStatus(),
    OperationKind.PROPOSE_LIFT: ProposeLift(),
    OperationKind.CONFIRM_LIFT: ConfirmLift(),
    OperationKind.CASE_ACT: CaseAct(),
    OperationKind.REDEEM: Redeem(),
    OperationKind.RETIRE_WALLET: RetireWallet(),
    OperationKind.SETTLE: Settle(),
    OperationKind.ANCHOR_JOURNAL: AnchorJournal(),
}
EFFECTS: Mapping[str, Effect] = {**_SINGLE, OperationKind.BATCH: Batch(_SINGLE)}
