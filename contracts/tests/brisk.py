"""Spares the tests what brownie does for a person at its console.

None of it is asked for by a test, and together it was most of the time of a run:

- It takes a snapshot of the chain after each transaction, to be able to undo that one.
- It reads the sources of the whole call stack at each snapshot and revert, to warn whoever calls
  them past the `chain` object.
- It replays each refused transaction opcode by opcode, to show the line that refused it. That is
  kept where a test did not expect the refusal.
- It sends each request through a library that sets up anew what never changes, and each call of a
  contract through formatters for whatever a node might say.
- It asks how many transactions a sender has, and looks through all that there were, to find out
  whether one was replaced. This node mines each at once.
"""

import http.client
import threading
from urllib.parse import urlsplit

import brownie.network.account
from brownie import web3
from brownie.exceptions import decode_typed_error
from brownie.network.rpc import Rpc
from brownie.network.transaction import TransactionReceipt
from brownie.test.managers.runner import RevertContextManager
from hexbytes import HexBytes

PATIENCE_S = 30
JSON = {"Content-Type": "application/json"}
ONLY_THE_CALL_ITSELF = {"tracer": "callTracer", "tracerConfig": {"onlyTopCall": True}}


class NothingToUndo:
    """The node, as those see it who would keep a snapshot for each transaction."""

    def is_active(self):
        return False

    def unlock_account(self, address):
        Rpc().unlock_account(address)


class OneConnection:
    """Sends requests over one connection, which is kept; it stands in for web3's sessions."""

    def __init__(self, url):
        self._lock = threading.Lock()  # brownie waits for receipts in threads
        self._connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=PATIENCE_S)

    def make_post_request(self, _url, data, **_settings):
        with self._lock:
            self._connection.request("POST", "/", data, JSON)
            return self._connection.getresponse().read()


class Refusals:
    """How many refusals are waited for, and how brownie's own ways go on."""

    waited_for = 0
    enter, leave = RevertContextManager.__enter__, RevertContextManager.__exit__
    read_trace = TransactionReceipt._get_trace
    raise_reverted = TransactionReceipt._raise_if_reverted


def _enter(context):
    Refusals.waited_for += 1
    return Refusals.enter(context)


def _leave(context, *raised):
    Refusals.waited_for -= 1
    return Refusals.leave(context, *raised)


def _read_trace(receipt):
    """Read why a transaction was refused from the call's own answer."""
    if receipt.status == 0 and Refusals.waited_for and receipt._raw_trace is None:
        asked = [receipt.txid, ONLY_THE_CALL_ITSELF]
        said = web3.provider.make_request("debug_traceTransaction", asked)["result"].get("output")
        if said not in {None, "0x"}:
            receipt._revert_msg, receipt._dev_revert_msg = decode_typed_error(said), ""
            return
    Refusals.read_trace(receipt)


def _raise_if_reverted(receipt, error):
    if receipt.status == 0 and receipt._dev_revert_msg == "" and Refusals.waited_for:
        raise error._with_attr(source="", revert_msg=receipt._revert_msg, dev_revert_msg="")
    Refusals.raise_reverted(receipt, error)


def _await_confirmation(receipt, _block_number=None, _confirmations=1):
    try:
        receipt._set_from_receipt(web3.eth.get_transaction_receipt(receipt.txid))
    finally:
        receipt._confirmed.set()


def _quick(call):
    """Give what calls a contract in one step, and leaves refusals to web3's own `call`."""

    def quick_call(transaction, block=None, overrides=None):
        if block is None and overrides is None:
            fields = {
                name: hex(value) if isinstance(value, int) else value
                for name, value in transaction.items()
            }
            said = web3.provider.make_request("eth_call", [fields, "latest"])
            if "result" in said:
                return HexBytes(said["result"])
        return call(transaction, block, overrides)

    return quick_call


def _without_warning(method):
    """Return what brownie wraps with a look at the call stack."""
    (inner,) = (cell.cell_contents for cell in method.__closure__)
    return inner


def hurry():
    """Do so for the rest of the run; the node must be connected."""
    for name in ("sleep", "mine", "snapshot", "revert"):
        setattr(Rpc, name, _without_warning(getattr(Rpc, name)))
    brownie.network.account.rpc = NothingToUndo()
    RevertContextManager.__enter__, RevertContextManager.__exit__ = _enter, _leave
    TransactionReceipt._get_trace = _read_trace
    TransactionReceipt._raise_if_reverted = _raise_if_reverted
    TransactionReceipt._await_confirmation = _await_confirmation
    web3.eth.call = _quick(web3.eth.call)
    web3.provider._request_session_manager = OneConnection(web3.provider.endpoint_uri)
