// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {ClaimStore} from "./ClaimStore.sol";

/// @notice What an identity asks the factory that made it.
interface IKeyLinks {
    /// @notice The identity that the wallet behind `key` belongs to now; zero if none.
    function identityOfKey(bytes32 key) external view returns (address identity);
}

/**
 * @title The identity of one person, as cheap as an address
 * @notice Answers what ERC-3643 asks an ONCHAINID, and stores nothing: claims stand in the
 * {ClaimStore}, wallets in the factory. Every identity is an ERC-1167 clone of one implementation.
 *
 * Nobody can add a claim or a key at the identity itself, its holder included. So a revoked claim
 * cannot be added again, and an identity made by the factory never names an issuer but the one
 * that wrote the claim.
 *
 * @dev The implementation cannot be exchanged. Keys are read by their hash, `keccak256(abi.encode(
 * wallet))`: each wallet of the person is a MANAGEMENT key, which is what the recovery of a token
 * asks of the new wallet. Sources: ERC-734, ERC-735, ERC-1167, ERC-3643.
 */
contract HolderIdentity {
    /// @notice ERC-734: the key may manage the identity, here: it is a wallet of the person.
    uint256 public constant MANAGEMENT = 1;

    /// @notice ERC-734: the key may act in the person's name.
    uint256 public constant ACTION = 2;

    /// @notice ERC-734: the key belongs to an account.
    uint256 public constant KEY_TYPE_ECDSA = 1;

    /// @notice The factory, which knows whose wallet is whose.
    IKeyLinks public immutable LINKS;

    /// @notice Where the claims stand.
    ClaimStore public immutable STORE;

    /// @notice The identity does not do this; `selector` tells what was asked.
    error HolderIdentityUnsupported(bytes4 selector);

    /// @dev Run once, for the implementation: clones share its immutable values.
    constructor(IKeyLinks links, ClaimStore store) {
        LINKS = links;
        STORE = store;
    }

    /**
     * @notice Refuses every other call, among them `addClaim`, `removeClaim`, `addKey`, `removeKey`,
     * `execute` and `approve` of ERC-734 and ERC-735, and ether.
     */
    fallback() external {
        revert HolderIdentityUnsupported(msg.sig);
    }

    /**
     * @notice The claim of this id, as its issuer wrote it: topic, scheme, issuer, signature (empty),
     * data and URI (empty). All empty if there is none.
     */
    function getClaim(
        bytes32 claimId
    )
        external
        view
        returns (uint256, uint256, address, bytes memory, bytes memory, string memory)
    {
        address store = address(STORE);
        bytes memory asked = abi.encodeCall(ClaimStore.getClaim, (address(this), claimId));
        // Handed on as it is: decoding it to encode it again costs more than the store's own work,
        // in each transfer.
        assembly ("memory-safe") {
            let done := staticcall(gas(), store, add(asked, 32), mload(asked), 0, 0)
            let answer := mload(0x40)
            returndatacopy(answer, 0, returndatasize())
            if iszero(done) {
                revert(answer, returndatasize())
            }
            return(answer, returndatasize())
        }
    }

    /// @notice Ids of the claims on `topic`.
    function getClaimIdsByTopic(uint256 topic) external view returns (bytes32[] memory claimIds) {
        return STORE.claimIdsByTopic(address(this), topic);
    }

    /// @notice Tells whether the key is a wallet of this person, which may manage and act.
    function keyHasPurpose(bytes32 key, uint256 purpose) external view returns (bool exists) {
        return (purpose == MANAGEMENT || purpose == ACTION) && _isWallet(key);
    }

    /// @notice What the key is for; all empty if it is no wallet of this person.
    function getKey(
        bytes32 key
    ) external view returns (uint256[] memory purposes, uint256 keyType, bytes32 knownKey) {
        if (!_isWallet(key)) {
            return (new uint256[](0), 0, 0);
        }
        return (_purposes(), KEY_TYPE_ECDSA, key);
    }

    /// @notice The purposes of the key; empty if it is no wallet of this person.
    function getKeyPurposes(bytes32 key) external view returns (uint256[] memory purposes) {
        return _isWallet(key) ? _purposes() : new uint256[](0);
    }

    /// @notice Always false: a person issues no claims, about themselves least of all.
    function isClaimValid(address, uint256, bytes calldata, bytes calldata) external pure returns (bool valid) {
        return false;
    }

    function _isWallet(bytes32 key) private view returns (bool) {
        return LINKS.identityOfKey(key) == address(this);
    }

    function _purposes() private pure returns (uint256[] memory purposes) {
        purposes = new uint256[](1);
        purposes[0] = MANAGEMENT;
    }
}
