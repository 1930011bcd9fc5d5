// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {Ownable2Step} from "@openzeppelin/contracts/access/Ownable2Step.sol";

/**
 * @title Anchor of the registry's journal
 * @notice Keeps the Merkle roots of append-only logs, so that anybody can hold the registry to what
 * it once recorded. A log's tree only grows, and a root that is here stays for ever.
 * @dev Trees as in RFC 9162, by which the root of a smaller tree is provably part of a larger one.
 */
contract RegistryAnchor is Ownable2Step {
    /// @notice The size, in leaves, and block time, in seconds since the epoch, of the last root.
    struct Head {
        uint64 size;
        uint64 anchoredAt;
    }

    /// @notice The only account that appends.
    address public writer;

    mapping(bytes32 log => Head) private _heads;
    mapping(bytes32 log => mapping(uint64 size => bytes32)) private _roots;

    /// @notice `newWriter` appends from now on, in place of `oldWriter`.
    event WriterChanged(address indexed oldWriter, address indexed newWriter);

    /// @notice The tree of `log` had `root` at `size` leaves; the root before was at `oldSize`.
    event RootAnchored(bytes32 indexed log, uint64 indexed size, bytes32 root, uint64 oldSize);

    /// @notice Only the writer appends.
    error AnchorUnauthorizedWriter(address account);

    /// @notice No tree has the zero hash for a root.
    error AnchorInvalidRoot(bytes32 log, uint64 size);

    /// @notice The tree of `log` has `currentSize` leaves, and can only grow.
    error AnchorNotGrowing(bytes32 log, uint64 size, uint64 currentSize);

    /// @notice Without an owner the writer could never be changed, so `owner` stays.
    error AnchorOwnershipNotRenounceable(address owner);

    /**
     * @param initialOwner Names the writer.
     * @param initialWriter Appends; zero for nobody.
     */
    constructor(address initialOwner, address initialWriter) Ownable(initialOwner) {
        _setWriter(initialWriter);
    }

    /// @notice Names the writer; zero stops all appending.
    function setWriter(address newWriter) external onlyOwner {
        _setWriter(newWriter);
    }

    /**
     * @notice Appends a root.
     * @param log Which log, e.g. the hash of its name.
     * @param size Leaves of the tree, more than in the root before.
     * @param root The root at that size.
     */
    function anchor(bytes32 log, uint64 size, bytes32 root) external {
        if (msg.sender != writer) {
            revert AnchorUnauthorizedWriter(msg.sender);
        }
        if (root == bytes32(0)) {
            revert AnchorInvalidRoot(log, size);
        }
        uint64 oldSize = _heads[log].size;
        if (size <= oldSize) {
            revert AnchorNotGrowing(log, size, oldSize);
        }
        _heads[log] = Head({size: size, anchoredAt: uint64(block.timestamp)});
        _roots[log][size] = root;
        emit RootAnchored(log, size, root, oldSize);
    }

    /// @notice The last root of `log`: its size, its time and itself; zeros if there is none.
    function head(bytes32 log) external view returns (uint64 size, uint64 anchoredAt, bytes32 root) {
        Head memory last = _heads[log];
        return (last.size, last.anchoredAt, _roots[log][last.size]);
    }

    /// @notice The root of `log` at `size` leaves; zero if none was anchored at that size.
    function rootAt(bytes32 log, uint64 size) external view returns (bytes32 root) {
        return _roots[log][size];
    }

    /// @notice Always refused: see {AnchorOwnershipNotRenounceable}.
    function renounceOwnership() public view override onlyOwner {
        revert AnchorOwnershipNotRenounceable(owner());
    }

    function _setWriter(address newWriter) private {
        emit WriterChanged(writer, newWriter);
        writer = newWriter;
    }
}
