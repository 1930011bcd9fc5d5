// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {Ownable2Step} from "@openzeppelin/contracts/access/Ownable2Step.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";

/**
 * @title Claim issuer with expiry and lasting revocation
 * @notice Answers the one question that an ERC-3643 identity registry and an ONCHAINID identity ask
 * of a trusted issuer: is this claim about this identity valid now?
 *
 * The published ONCHAINID issuer revokes the bytes of a signature. A holder revives such a claim by
 * rewriting the same signature (`v - 27`, or `s -> n - s`), its claims never expire, and they hold on
 * every chain where the identity has the same address. Here a claim
 *
 * - carries the time it was issued and the time it expires in its signed data;
 * - is signed as EIP-712 typed data, and so for one chain and one issuer contract;
 * - is revoked by identity and topic, whatever signature it comes with: only a claim issued strictly
 *   later than the revocation is valid again.
 *
 * @dev Claim data is `abi.encode(uint64 issuedAt, uint64 expiresAt, bytes32 evidenceHash)`, times in
 * seconds since the epoch. Signers must not post-date `issuedAt`: a post-dated claim outlives a
 * revocation made before that date, and has to be revoked again once the date has come.
 *
 * Sources: ERC-3643, ERC-735, EIP-712, EIP-2 (low `s`).
 */
contract ClaimIssuer is Ownable2Step, EIP712 {
    /// @notice The EIP-712 type that is signed.
    bytes32 public constant CLAIM_TYPEHASH = keccak256("Claim(address identity,uint256 topic,bytes data)");

    /// @notice Length in bytes of well-formed claim data.
    uint256 public constant CLAIM_DATA_LENGTH = 96;

    /// @notice Tells whether claims signed by this address are accepted.
    mapping(address signingKey => bool active) public isSigningKey;

    /// @notice Block time of the last revocation, in seconds since the epoch; zero if never revoked.
    mapping(address identity => mapping(uint256 topic => uint64 timestamp)) public revokedAt;

    /// @notice Claims signed by `signingKey` are accepted from now on.
    event SigningKeyAdded(address indexed signingKey);

    /// @notice Every claim signed by `signingKey`, old or new, is refused from now on.
    event SigningKeyRemoved(address indexed signingKey);

    /// @notice Every claim on `topic` about `identity` issued up to and including `revokedAt` is void.
    event ClaimRevoked(address indexed identity, uint256 indexed topic, uint64 revokedAt);

    /// @notice The address cannot sign claims.
    error ClaimIssuerInvalidSigningKey(address signingKey);

    /// @notice The key to add is active already.
    error ClaimIssuerSigningKeyAlreadyActive(address signingKey);

    /// @notice The key to remove is not active.
    error ClaimIssuerSigningKeyNotActive(address signingKey);

    /// @notice The caller is neither the owner nor an active signing key.
    error ClaimIssuerUnauthorizedRevoker(address account);

    /// @notice No claim can be about this identity.
    error ClaimIssuerInvalidIdentity(address identity);

    /// @notice No claim can be on this topic.
    error ClaimIssuerInvalidTopic(uint256 topic);

    /// @notice Without an owner no key could ever be rotated, so `owner` stays.
    error ClaimIssuerOwnershipNotRenounceable(address owner);

    /**
     * @param initialOwner Adds and removes signing keys, and may revoke claims.
     * @param signingKeys Addresses whose signatures are accepted from the start; may be empty.
     */
    constructor(
        address initialOwner,
        address[] memory signingKeys
    ) Ownable(initialOwner) EIP712("Milkiyat ClaimIssuer", "1") {
        for (uint256 i = 0; i < signingKeys.length; ++i) {
            _addSigningKey(signingKeys[i]);
        }
    }

    /**
     * @notice Accepts claims signed by `signingKey` from now on.
     * @dev A key that was removed may be added again; its unexpired claims are then valid again.
     */
    function addSigningKey(address signingKey) external onlyOwner {
        _addSigningKey(signingKey);
    }

    /**
     * @notice Refuses every claim signed by `signingKey` from now on, also those already held.
     * @dev The last key may be removed: that is how to stop all claims of this issuer at once.
     */
    function removeSigningKey(address signingKey) external onlyOwner {
        if (!isSigningKey[signingKey]) {
            revert ClaimIssuerSigningKeyNotActive(signingKey);
        }
        isSigningKey[signingKey] = false;
        emit SigningKeyRemoved(signingKey);
    }

    /**
     * @notice Voids every claim on `topic` about `identity` that was issued up to now.
     * @dev May be repeated: each revocation also voids the claims re-issued since the one before.
     */
    function revoke(address identity, uint256 topic) external {
        if (msg.sender != owner() && !isSigningKey[msg.sender]) {
            revert ClaimIssuerUnauthorizedRevoker(msg.sender);
        }
        if (identity == address(0)) {
            revert ClaimIssuerInvalidIdentity(identity);
        }
        if (topic == 0) {
            revert ClaimIssuerInvalidTopic(topic);
        }
        uint64 timestamp = uint64(block.timestamp);
        revokedAt[identity][topic] = timestamp;
        emit ClaimRevoked(identity, topic, timestamp);
    }

    /**
     * @notice Tells whether the claim is valid at the time of this block.
     * @dev Same selector as `IClaimIssuer.isClaimValid(IIdentity,uint256,bytes,bytes)`. Answers false
     * to malformed data or signatures and never reverts, since a revert here would revert the token
     * transfer that asked, instead of letting the registry try the next trusted issuer.
     * @param identity The ONCHAINID contract that the claim is about.
     * @param topic The claim topic; topic 0 is never valid, as identities use it for "no claim".
     * @param signature 65 bytes `r || s || v` with `s` in the lower half order and `v` 27 or 28.
     * @param data The 96 bytes of claim data.
     * @return valid True if every condition holds.
     */
    function isClaimValid(
        address identity,
        uint256 topic,
        bytes calldata signature,
        bytes calldata data
    ) external view returns (bool valid) {
        if (topic == 0 || data.length != CLAIM_DATA_LENGTH) {
            return false;
        }
        // Decoded as full words, because decoding to uint64 reverts when a higher bit is set.
        (uint256 issuedAt, uint256 expiresAt, ) = abi.decode(data, (uint256, uint256, bytes32));
        if (issuedAt > type(uint64).max || expiresAt > type(uint64).max) {
            return false;
        }
        if (block.timestamp < issuedAt || block.timestamp >= expiresAt) {
            return false;
        }
        uint256 revoked = revokedAt[identity][topic];
        if (revoked != 0 && issuedAt <= revoked) {
            return false;
        }
        // ECDSA refuses every length but 65, an s in the upper half order, and a v but 27 and 28.
        (address signer, ECDSA.RecoverError problem, ) = ECDSA.tryRecoverCalldata(
            claimDigest(identity, topic, data),
            signature
        );
        return problem == ECDSA.RecoverError.NoError && isSigningKey[signer];
    }

    /**
     * @notice The EIP-712 digest that a signing key signs to issue the claim.
     * @dev Of any data: it does not tell whether the data is well formed.
     */
    function claimDigest(address identity, uint256 topic, bytes calldata data) public view returns (bytes32 digest) {
        return _hashTypedDataV4(keccak256(abi.encode(CLAIM_TYPEHASH, identity, topic, keccak256(data))));
    }

    /// @notice Always refused: see {ClaimIssuerOwnershipNotRenounceable}.
    function renounceOwnership() public view override onlyOwner {
        revert ClaimIssuerOwnershipNotRenounceable(owner());
    }

    function _addSigningKey(address signingKey) private {
        if (signingKey == address(0)) {
            revert ClaimIssuerInvalidSigningKey(signingKey);
        }
        if (isSigningKey[signingKey]) {
            revert ClaimIssuerSigningKeyAlreadyActive(signingKey);
        }
        isSigningKey[signingKey] = true;
        emit SigningKeyAdded(signingKey);
    }
}
