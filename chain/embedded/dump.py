"""What anvil's dump of a chain holds that is none of the chain's.

A node that starts from a dump makes a genesis of its own first, of that moment. The loaded one
takes its place, but both go into the node's next dump, in no order; and of two, a start takes
whichever comes last. From the second start on, block 1 would follow no block, and whoever
checks that blocks follow each other would never believe the chain again.
"""

from __future__ import annotations

import msgspec


class _Header(msgspec.Struct, frozen=True):
    number: str
    timestamp: str

    @property
    def is_genesis(self) -> bool:
        return int(self.number, 16) == 0


class _Block(msgspec.Struct, frozen=True):
    header: _Header


def with_one_genesis(dump: bytes) -> bytes:
    """Leave out of a dump every genesis but the oldest, which is the one that block 1 follows.

    Parameters
    ----------
    dump
        JSON of ``anvil_dumpState``, unpacked.

    Raises
    ------
    msgspec.MsgspecError
        It is no such JSON.
    """
    parts = msgspec.json.decode(dump, type=dict[str, msgspec.Raw])
    if "blocks" not in parts:
        return dump  # anvil says what it thinks of that
    blocks = msgspec.json.decode(parts["blocks"], type=list[msgspec.Raw])
    headers = [msgspec.json.decode(block, type=_Block).header for block in blocks]
    oldest = min((_age(header) for header in headers if header.is_genesis), default=0)
    kept = [
        block
        for block, header in zip(blocks, headers, strict=True)
        if not header.is_genesis or _age(header) == oldest
    ]
    return msgspec.json.encode(parts | {"blocks": kept})


def _age(header: _Header) -> int:
    return int(header.timestamp, 16)
