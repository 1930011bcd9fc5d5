// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {Ownable2Step} from "@openzeppelin/contracts/access/Ownable2Step.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";

import {ClaimStore} from "./identity/ClaimStore.sol";

/**
 * @title Claim issuer with expiry and lasting revocation
 * @notice Answers the one question that an ERC-3643 identity registry and an ONCHAINID identity ask
 * of a trusted issuer: is this claim about this identity valid now?
 *
 * The published ONCHAINID issuer revokes the bytes of a signature. A holder revives such a claim by
 * rewriting the same signature (`v - 27`, or `s -> n - s`), its claims never expire, and they hold on
 * every chain where the identity has the same address. Here a claim
 *
 * - carries the time it was issued and the time it expires;
 * - is signed as EIP-712 typed data, and so for one chain and one issuer contract;
 * - is revoked by identity and topic, whatever it comes with: only a claim issued strictly later
 *   than the revocation is valid again;
 * - falls with its key: removing a signing key voids every claim that it signed.
 *
 * A claim comes in two forms. An *issued* claim ({issue}) is checked once, when this contract writes
 * it into the {ClaimStore}, where the identities that our factory makes have their claims; it is
 * presented without signature, and read without recovering one. A *signed* claim is held by any
 * ONCHAINID identity together with its signature, which is recovered each time.
 *
 * @dev Data of a signed claim is `abi.encode(uint64 issuedAt, uint64 expiresAt, bytes32 evidenceHash)`,
 * of an issued one the same with the first 16 bytes of the hash only, times in seconds since the
 * epoch. Signers must not post-date the `issuedAt` of a signed claim: it would outlive a revocation
 * made before that date, and would have to be revoked again once the date has come. An issued claim
 * cannot be post-dated.
 *
 * A stolen signing key can issue claims about anybody until the owner removes it; then all of them
 * are void at once, and the good ones have to be issued again by another key. It cannot register or
 * move anything.
 *
 * Sources: ERC-3643, ERC-735, EIP-712, EIP-2 (low `s`).
 */
contract ClaimIssuer is Ownable2Step, EIP712 {
    /// @notice A claim to write into the store; see {ClaimStore-Claim}.
    struct IssuedClaim {
        address identity;
        uint256 topic;
        uint40 issuedAt;
        uint40 expiresAt;
        bytes32 evidenceHash;
    }

    /// @notice The EIP-712 type of a signed claim.
    bytes32 public constant CLAIM_TYPEHASH = keccak256("Claim(address identity,uint256 topic,bytes data)");

    /// @notice The EIP-712 type of one claim of a batch.
    bytes32 public constant ISSUED_CLAIM_TYPEHASH =
        keccak256("IssuedClaim(address identity,uint256 topic,uint40 issuedAt,uint40 expiresAt,bytes32 evidenceHash)");

    /// @notice The EIP-712 type that is signed to issue claims.
    bytes32 public constant BATCH_TYPEHASH =
        keccak256(
            "ClaimBatch(IssuedClaim[] claims)"
            "IssuedClaim(address identity,uint256 topic,uint40 issuedAt,uint40 expiresAt,bytes32 evidenceHash)"
        );

    /// @notice Length in bytes of well-formed claim data.
    uint256 public constant CLAIM_DATA_LENGTH = 96;

    /// @notice Most signing keys that this contract can ever have; a removed key keeps its index.
    uint256 public constant MAX_SIGNING_KEYS = 255;

    /// @notice Where issued claims and revocations stand.
    ClaimStore public immutable STORE;

    /// @notice By this index the store names the key; zero: never a key.
    mapping(address signingKey => uint8 index) public keyIndexOf;

    /// @notice How many addresses have been signing keys so far.
    uint8 public keyCount;

    /// @dev Bit i: the key of index i is active. One word, so that a batch of checks reads it once.
    uint256 private _activeKeys;

    /// @notice Claims signed by `signingKey` are accepted from now on.
    event SigningKeyAdded(address indexed signingKey, uint8 index);

    /// @notice Every claim signed by `signingKey`, old or new, is refused from now on.
    event SigningKeyRemoved(address indexed signingKey, uint8 index);

    /// @notice The address cannot sign claims.
    error ClaimIssuerInvalidSigningKey(address signingKey);

    /// @notice The key to add is active already.
    error ClaimIssuerSigningKeyAlreadyActive(address signingKey);

    /// @notice The key to remove is not active.
    error ClaimIssuerSigningKeyNotActive(address signingKey);

    /// @notice There have been `limit` keys already; a new issuer contract is needed.
    error ClaimIssuerTooManySigningKeys(uint256 limit);

    /// @notice The caller is neither the owner nor an active signing key.
    error ClaimIssuerUnauthorizedRevoker(address account);

    /// @notice The signature over the claims is not that of an active signing key; zero: of nobody.
    error ClaimIssuerUnauthorizedSigner(address signer);

    /// @notice There is nothing to issue.
    error ClaimIssuerNoClaims();

    /// @notice Without an owner no key could ever be rotated, so `owner` stays.
    error ClaimIssuerOwnershipNotRenounceable(address owner);

    /**
     * @param initialOwner Adds and removes signing keys, and may revoke claims.
     * @param signingKeys Addresses whose signatures are accepted from the start; may be empty.
     * @param store Where issued claims and revocations stand.
     */
    constructor(
        address initialOwner,
        address[] memory signingKeys,
        ClaimStore store
    ) Ownable(initialOwner) EIP712("Milkiyat ClaimIssuer", "1") {
        STORE = store;
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
        uint8 index = keyIndexOf[signingKey];
        if (!_isActive(index)) {
            revert ClaimIssuerSigningKeyNotActive(signingKey);
        }
        _activeKeys &= ~(uint256(1) << index);
        emit SigningKeyRemoved(signingKey, index);
    }

    /**
     * @notice Writes claims into the store. Anybody may send them: the signature is the authority.
     * @dev The store takes a claim only if it is newer than what stands and than the revocation, so
     * sending a signed batch again never brings anything back. All or nothing.
     * @param signature Of an active signing key over {batchDigest}.
     */
    function issue(IssuedClaim[] calldata claims, bytes calldata signature) external {
        if (claims.length == 0) {
            revert ClaimIssuerNoClaims();
        }
        (address signer, , ) = ECDSA.tryRecoverCalldata(batchDigest(claims), signature);
        uint8 index = keyIndexOf[signer];
        if (!_isActive(index)) {
            revert ClaimIssuerUnauthorizedSigner(signer);
        }
        for (uint256 i = 0; i < claims.length; ++i) {
            IssuedClaim calldata claim = claims[i];
            STORE.write(claim.identity, claim.topic, claim.issuedAt, claim.expiresAt, index, claim.evidenceHash);
        }
    }

    /**
     * @notice Voids every claim on `topic` about `identity` that was issued up to now, issued or
     * signed. The store announces it: {ClaimStore-ClaimRevoked}.
     * @dev May be repeated: each revocation also voids the claims re-issued since the one before.
     */
    function revoke(address identity, uint256 topic) external {
        if (msg.sender != owner() && !isSigningKey(msg.sender)) {
            revert ClaimIssuerUnauthorizedRevoker(msg.sender);
        }
        STORE.revoke(identity, topic);
    }

    /**
     * @notice Tells whether the claim is valid at the time of this block.
     * @dev Same selector as `IClaimIssuer.isClaimValid(IIdentity,uint256,bytes,bytes)`. Answers false
     * to malformed data or signatures and never reverts, since a revert here would revert the token
     * transfer that asked, instead of letting the registry try the next trusted issuer.
     * @param identity The ONCHAINID contract that the claim is about.
     * @param topic The claim topic; topic 0 is never valid, as identities use it for "no claim".
     * @param signature Empty for an issued claim; else 65 bytes `r || s || v` with `s` in the lower
     * half order and `v` 27 or 28.
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
        (uint256 issuedAt, uint256 expiresAt, bytes32 evidence) = abi.decode(data, (uint256, uint256, bytes32));
        if (signature.length == 0) {
            return _isActive(STORE.standingKey(identity, topic, issuedAt, expiresAt, evidence));
        }
        if (issuedAt > type(uint64).max || expiresAt > type(uint64).max) {
            return false;
        }
        if (block.timestamp < issuedAt || block.timestamp >= expiresAt) {
            return false;
        }
        uint256 revoked = revokedAt(identity, topic);
        if (revoked != 0 && issuedAt <= revoked) {
            return false;
        }
        // ECDSA refuses every length but 65, an s in the upper half order, and a v but 27 and 28.
        (address signer, ECDSA.RecoverError problem, ) = ECDSA.tryRecoverCalldata(
            claimDigest(identity, topic, data),
            signature
        );
        return problem == ECDSA.RecoverError.NoError && isSigningKey(signer);
    }

    /// @notice Block time of the last revocation, in seconds since the epoch; zero if never revoked.
    function revokedAt(address identity, uint256 topic) public view returns (uint40 timestamp) {
        return STORE.claimOf(address(this), identity, topic).revokedAt;
    }

    /**
     * @notice The EIP-712 digest that a signing key signs for a claim with a signature of its own.
     * @dev Of any data: it does not tell whether the data is well formed.
     */
    function claimDigest(address identity, uint256 topic, bytes calldata data) public view returns (bytes32 digest) {
        return _hashTypedDataV4(keccak256(abi.encode(CLAIM_TYPEHASH, identity, topic, keccak256(data))));
    }

    /// @notice The EIP-712 digest that a signing key signs to issue these claims.
    function batchDigest(IssuedClaim[] calldata claims) public view returns (bytes32 digest) {
        bytes32[] memory hashes = new bytes32[](claims.length);
        for (uint256 i = 0; i < claims.length; ++i) {
            hashes[i] = keccak256(abi.encode(ISSUED_CLAIM_TYPEHASH, claims[i]));
        }
        return _hashTypedDataV4(keccak256(abi.encode(BATCH_TYPEHASH, keccak256(abi.encodePacked(hashes)))));
    }

    /// @notice Tells whether claims signed by this address are accepted.
    function isSigningKey(address signingKey) public view returns (bool active) {
        return _isActive(keyIndexOf[signingKey]);
    }

    /// @notice Always refused: see {ClaimIssuerOwnershipNotRenounceable}.
    function renounceOwnership() public view override onlyOwner {
        revert ClaimIssuerOwnershipNotRenounceable(owner());
    }

    function _addSigningKey(address signingKey) private {
        if (signingKey == address(0)) {
            revert ClaimIssuerInvalidSigningKey(signingKey);
        }
        uint8 index = keyIndexOf[signingKey];
        if (_isActive(index)) {
            revert ClaimIssuerSigningKeyAlreadyActive(signingKey);
        }
        if (index == 0) {
            if (keyCount == MAX_SIGNING_KEYS) {
                revert ClaimIssuerTooManySigningKeys(MAX_SIGNING_KEYS);
            }
            index = ++keyCount;
            keyIndexOf[signingKey] = index;
        }
        _activeKeys |= uint256(1) << index;
        emit SigningKeyAdded(signingKey, index);
    }

    /// @dev Bit 0 is never set, so index 0, "never a key", is never active.
    function _isActive(uint8 index) private view returns (bool) {
        return (_activeKeys >> index) & 1 == 1;
    }
}
