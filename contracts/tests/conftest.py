import gc
import time

import pytest
from claims import DAY, KYC_TOPIC, claim_data, signed_claim
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
