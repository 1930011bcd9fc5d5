"""Where logs stand: each after the one before, and in a block that all of them name alike."""

from __future__ import annotations

import numpy as np

from chain.errors import RpcInconsistent
from chain.node.log_table import LogTable

_MOST = np.iinfo(np.int32).max
"""No block has more logs, nor could the database keep the number."""


def block_hashes(logs: LogTable, first: int, last: int) -> dict[int, bytes]:
    """Make sure that logs rise strictly; give the hash of each block that has any.

    Parameters
    ----------
    first, last
        The blocks that were asked for.

    Raises
    ------
    RpcInconsistent
        Logs repeat, are out of order, stand in other blocks, or one is of another branch.
    """
    if not len(logs):
        return {}
    rises = np.diff(logs.block)
    if (rises < 0).any() or ((rises == 0) & (np.diff(logs.index) <= 0)).any():
        raise RpcInconsistent("the node's logs repeat or are out of order")
    if not first <= logs.block[0] <= logs.block[-1] <= last:
        raise RpcInconsistent("the node returned logs of blocks that were not asked for")
    if not 0 <= logs.index.min() <= logs.index.max() <= _MOST:
        raise RpcInconsistent("a log stands where no block has any")
    is_other = (logs.block_hash[1:] != logs.block_hash[:-1]).any(axis=1)
    torn = np.flatnonzero((rises == 0) & is_other)
    if torn.size:
        raise RpcInconsistent(f"a log of block {logs.block[torn[0]]} is of another branch")
    starts = np.flatnonzero(np.append(True, rises > 0))
    hashes = map(bytes, logs.block_hash[starts])
    return dict(zip(logs.block[starts].tolist(), hashes, strict=True))
