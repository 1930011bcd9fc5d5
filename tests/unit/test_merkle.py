from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.journal.merkle import (
    EMPTY_ROOT,
    Frontier,
    consistency_path,
    inclusion_path,
    is_consistent,
    leaf_hash,
    node_hash,
    root_of_inclusion,
    split,
)

pytestmark = pytest.mark.unit

# The tree of eight entries with which implementations of RFC 6962 are commonly compared.
ENTRIES = [
    bytes.fromhex(text)
    for text in (
        "", "00", "10", "2021", "3031", "40414243",
        "5051525354555657", "606162636465666768696a6b6c6d6e6f",
    )
]  # fmt: skip
ROOT_OF_EIGHT = "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"


def tree_hash(leaves: list[bytes]) -> bytes:
    """MTH of RFC 6962, word for word."""
    if len(leaves) < 2:
        return leaves[0] if leaves else EMPTY_ROOT
    middle = split(len(leaves))
    return node_hash(tree_hash(leaves[:middle]), tree_hash(leaves[middle:]))


def leaves_of(number: int) -> list[bytes]:
    return [leaf_hash(str(index).encode()) for index in range(number)]


def test_frontier__known_entries__have_the_known_root() -> None:
    tree = Frontier()
    for entry in ENTRIES:
        tree.append(leaf_hash(entry))

    assert tree.root.hex() == ROOT_OF_EIGHT


@given(st.integers(0, 300))
def test_frontier__any_size__is_the_tree_hash(size: int) -> None:
    leaves, tree = leaves_of(size), Frontier()
    for leaf in leaves:
        tree.append(leaf)

    assert tree.root == tree_hash(leaves)
    again = Frontier.of(tree.size, b"".join(tree.edge))
    assert (again.root, again.is_sound) == (tree.root, True)


@given(st.integers(1, 200), st.data())
def test_inclusion__any_leaf__leads_to_the_root_and_no_other_leaf_does(
    size: int, data: st.DataObject
) -> None:
    leaves = leaves_of(size)
    index = data.draw(st.integers(0, size - 1))
    path = inclusion_path(index, size, lambda low, high: tree_hash(leaves[low:high]))

    assert root_of_inclusion(leaves[index], index, size, path) == tree_hash(leaves)
    assert root_of_inclusion(leaf_hash(b"forged"), index, size, path) != tree_hash(leaves)
    assert root_of_inclusion(leaves[index], index, size, [*path, EMPTY_ROOT]) is None


@given(st.integers(1, 200), st.data())
def test_consistency__any_beginning__is_proven_and_another_is_not(
    second: int, data: st.DataObject
) -> None:
    first = data.draw(st.integers(1, second))
    leaves = leaves_of(second)
    path = consistency_path(first, second, lambda low, high: tree_hash(leaves[low:high]))
    old, new = tree_hash(leaves[:first]), tree_hash(leaves)

    assert is_consistent(first, second, (old, new), path)
    assert not is_consistent(first, second, (leaf_hash(b"forged"), new), path)
    assert not is_consistent(first, second, (old, leaf_hash(b"forged")), path)
