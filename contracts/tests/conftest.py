import gc
import time

import pytest
from brisk import hurry
from claims import DAY, KYC_TOPIC, claim_data, signed_claim
from suite import Platform
from web3.middleware import Web3Middleware

RECEIPT_PATIENCE_S = 2


class PatientReceipts(Web3Middleware):
    """Asks for a receipt until it is there.

    anvil counts a transaction some microseconds before it has its receipt. Asked in between,
    brownie takes the transaction for one that was replaced and fails the test.
    """

    def wrap_make_request(self, make_request):
        def request(method, params):
            response = make_request(method, params)
            if method == "eth_getTransactionReceipt":
                deadline = time.monotonic() + RECEIPT_PATIENCE_S
                while response.get("result") is None and time.monotonic() < deadline:
                    time.sleep(0.002)
                    response = make_request(method, params)
            return response

        return request


@pytest.fixture(scope="session", autouse=True)
def patient_receipts(web3):
    web3.middleware_onion.add(PatientReceipts, "patient receipts")


@pytest.fixture(scope="session", autouse=True)
def brisk_brownie(patient_receipts):
    hurry()


@pytest.fixture(scope="session", autouse=True)
def cheap_collections():
    """Spare the collector what is loaded: brownie collects garbage at each revert of the chain."""
    gc.freeze()


@pytest.fixture(scope="module", autouse=True)
def module_isolation_for_all(module_isolation):
    """Undo what a module deployed."""


@pytest.fixture(autouse=True)
def isolation(fn_isolation):
    """Undo what a test did."""


@pytest.fixture(scope="session")
def owner(accounts):
    return accounts[0]


@pytest.fixture(scope="session")
def stranger(accounts):
    return accounts[9]


@pytest.fixture(scope="session")
def key(accounts):
    """The signing key that the issuer starts with."""
    return accounts.add("0x" + "11" * 32)


@pytest.fixture(scope="session")
def new_key(accounts):
    """A key that the issuer does not know yet."""
    return accounts.add("0x" + "22" * 32)


@pytest.fixture(scope="session")
def identity(accounts):
    """The identity that claims are about; the issuer does not care what is there."""
    return accounts[5].address


@pytest.fixture(scope="module")
def store(ClaimStore, owner):
    return ClaimStore.deploy(owner, {"from": owner})


@pytest.fixture(scope="module")
def issuer(ClaimIssuer, owner, key, store):
    """An issuer whose KYC claims count."""
    deployed = ClaimIssuer.deploy(owner, [key], store, {"from": owner})
    store.admit(deployed, KYC_TOPIC, {"from": owner})
    return deployed


@pytest.fixture(scope="session")
def now(chain):
    """Return a function that gives the time of the latest block, which is what a call sees."""
    return lambda: chain[-1].timestamp


@pytest.fixture(scope="session")
def mine_at(web3):
    """Return a function that mines a block at a given time."""

    def mine(timestamp):
        for method, params in (("evm_setNextBlockTimestamp", [timestamp]), ("evm_mine", [])):
            assert "error" not in web3.provider.make_request(method, params)

    return mine


@pytest.fixture(scope="session")
def next_block_at(web3):
    """Return a function that sets the time of the block that the next transaction is in."""

    def set_time(timestamp):
        answer = web3.provider.make_request("evm_setNextBlockTimestamp", [timestamp])
        assert "error" not in answer

    return set_time


@pytest.fixture(scope="module")
def claim(issuer, key, identity, now):
    """A claim that is valid for a day."""
    return signed_claim(issuer, key, identity, claim_data(now(), now() + DAY))


@pytest.fixture(scope="session")
def operator(accounts):
    """The key of daily work; not the owner, who is cold."""
    return accounts[8]


@pytest.fixture(scope="module")
def factory(IdentityFactory, owner, operator, store):
    return IdentityFactory.deploy(owner, [operator], store, {"from": owner})


@pytest.fixture(scope="module")
def desk(RegistrationDesk, owner, operator, factory, issuer):
    deployed = RegistrationDesk.deploy(owner, [operator], factory, issuer, {"from": owner})
    factory.addOperator(deployed, {"from": owner})
    return deployed


@pytest.fixture(scope="module")
def platform(owner, issuer, key):
    """The published suite's factories, with our claim issuer."""
    return Platform.deploy(owner, issuer, key)


@pytest.fixture(scope="module")
def agent(CaseAgent, owner):
    """The only agent of the tokens; the owner has all of its roles."""
    return CaseAgent.deploy(owner, 0, [owner], [owner], [owner], {"from": owner})


@pytest.fixture(scope="session")
def status_key(accounts):
    return accounts[1]


@pytest.fixture(scope="session")
def second_status_key(accounts):
    return accounts[2]


@pytest.fixture(scope="module")
def title(TitleStatusModule, owner, status_key, second_status_key):
    return TitleStatusModule.deploy(owner, 0, [status_key, second_status_key], {"from": owner})


@pytest.fixture(scope="module")
def supply(SupplyCapModule, owner):
    return SupplyCapModule.deploy({"from": owner})


@pytest.fixture(scope="module")
def countries(CountryAllowModule, owner):
    return CountryAllowModule.deploy({"from": owner})


@pytest.fixture(scope="module")
def max_balance(MaxBalanceModule, owner, factory):
    return MaxBalanceModule.deploy(factory, {"from": owner})


@pytest.fixture(scope="module")
def holder_cap(HolderCapModule, owner):
    return HolderCapModule.deploy({"from": owner})


@pytest.fixture(scope="module")
def lockup(LockupModule, owner):
    return LockupModule.deploy({"from": owner})


@pytest.fixture(scope="module")
def window(TransferWindowModule, owner):
    return TransferWindowModule.deploy({"from": owner})


@pytest.fixture(scope="module")
def modules(title, supply, countries, max_balance, holder_cap, lockup, window):
    return [title, supply, countries, max_balance, holder_cap, lockup, window]
