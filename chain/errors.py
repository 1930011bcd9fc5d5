"""What the chain, its node or a signer refuses."""

from __future__ import annotations

import re
from typing import Any

REVERTED = 3
"""The JSON-RPC error code that most nodes give to a call that a contract refused."""
EXECUTION_ERROR = -32_015
"""What OpenEthereum and its kin give instead, and to other failures of a call as well."""
REVERT_DATA = re.compile(r"0x(?:[0-9a-fA-F]{2})*")

METHOD_NOT_FOUND = -32_601
OUT_OF_GAS = (
    "gas required exceeds",
    "out of gas",
    "outofgas",
    "exceeds block gas limit",
    "exceeded transaction and block gas limit",
    "block gas limit reached",
    "gas limit too high",
)
"""Words in which nodes say that a call takes more gas than a block, or they, let one take."""


class ChainError(Exception):
    """Something between us and the chain."""


class RpcUnavailable(ChainError):
    """The node does not answer, or not in JSON-RPC; the same call may succeed later."""


class RateLimited(RpcUnavailable):
    """The node is asked too often, and answers again later.

    Parameters
    ----------
    retry_after
        Seconds until then.
    """

    def __init__(self, message: str, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class NoQuorum(RpcUnavailable):
    """Not enough nodes say the same, so nothing is believed and nothing becomes final.

    Parameters
    ----------
    code
        ``nodes_disagree``, ``nodes_behind`` or ``too_few_nodes``: the code of the problem that
        operations show meanwhile.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class RpcRefused(ChainError):
    """The node answered with an error.

    Parameters
    ----------
    code
        JSON-RPC error code.
    data
        Revert data, where the node gives it. Some write a word before it; kept is the 0x-hex.
    """

    def __init__(self, method: str, code: int, message: str, data: str | None) -> None:
        super().__init__(f"{method}: {message} ({code})")
        self.method = method
        self.code = code
        self.message = message
        words = str(data or "").split()
        self.data = words[-1] if words and REVERT_DATA.fullmatch(words[-1]) else None
        said = f"{message} {data}".lower()
        # An instruction that does not exist stops a contract as well.
        self._says_revert = "revert" in said or "opcode" in said

    @property
    def is_unknown_method(self) -> bool:
        """Whether the node does not have the method at all."""
        return self.code == METHOD_NOT_FOUND or "not supported" in self.message.lower()

    @property
    def is_revert(self) -> bool:
        """Whether a contract refused, and not the node itself; nodes word it differently."""
        is_execution = self.code == EXECUTION_ERROR and self.data is not None
        return self.code == REVERTED or self._says_revert or is_execution

    @property
    def is_out_of_gas(self) -> bool:
        """Whether the call takes too much gas: no contract refused, and asking again is in vain."""
        message = self.message.lower()
        return not self.data and any(words in message for words in OUT_OF_GAS)


class RpcInconsistent(ChainError):
    """The node contradicts itself; nothing of this answer may be believed."""


class NotKept(RpcInconsistent):
    """The node does not know what it told of before: an old transaction, the receipts of a block.

    Of one node that is a contradiction. Of several it is one that keeps no old index, which counts
    as no answer.
    """


class WrongChain(ChainError):
    """The node serves another chain than CHAIN_ID says."""

    def __init__(self, wanted: int, served: int) -> None:
        super().__init__(
            f"RPC_URL serves chain {served}, but CHAIN_ID is {wanted}. Nothing was sent."
        )
        self.wanted = wanted
        self.served = served


class NonceAhead(ChainError):
    """The chain has seen transactions of our key that the database does not know.

    Either the database was restored from an old backup, or the key is used elsewhere. Sending
    now could carry out an instruction twice, so nothing is sent.
    """

    def __init__(self, signer: str, chain_nonce: int, next_nonce: int) -> None:
        super().__init__(
            f"{signer} has sent {chain_nonce} transactions on chain, the database knows of "
            f"{next_nonce}. Nothing is sent until that is explained."
        )
        self.chain_nonce = chain_nonce
        self.next_nonce = next_nonce


class Reverted(ChainError):
    """A call would revert, or did.

    Parameters
    ----------
    selector
        First four bytes of the revert data as 0x-hex; empty when the contract gave none.
    name
        Name of the error, or the sentence of a `require`.
    """

    def __init__(self, selector: str, name: str, args: dict[str, Any]) -> None:
        super().__init__(name)
        self.selector = selector
        self.name = name
        self.arguments = args


class OutOfGas(Reverted):
    """A call would take more gas than any transaction may."""

    def __init__(self, message: str) -> None:
        super().__init__("", message, {})


class SignerRefused(ChainError):
    """The key is locked, missing or not the one that was expected."""


class SignerUnavailable(ChainError):
    """The key's hardware does not answer, or has too much to do; the same may succeed later."""


class MustWait(ChainError):
    """Nothing is wrong with the operation, but it cannot be sent now.

    Parameters
    ----------
    problem
        Why, in the form of an operation's problem.
    of_key
        Whether another key of the same pool could send it.
    """

    def __init__(self, problem: dict[str, Any], *, of_key: bool = False) -> None:
        super().__init__(problem["detail"])
        self.problem = problem
        self.of_key = of_key


class PolicyRefused(ChainError):
    """The policy of the key forbids to sign this.

    Parameters
    ----------
    problem
        What it forbids, as an operation's problem.
    """

    def __init__(self, problem: dict[str, Any]) -> None:
        super().__init__(problem["detail"])
        self.problem = problem
