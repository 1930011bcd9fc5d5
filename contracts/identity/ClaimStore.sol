// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {Ownable2Step} from "@openzeppelin/contracts/access/Ownable2Step.sol";

/**
 * @title The claims of all identities, one storage slot each
 * @notice An issuer writes its claims here itself, and only under its own address: neither the holder
 * nor another issuer can write, change or bring back a claim. A claim fills one slot, where a
 * published identity fills about twelve, and needs no signature when it is read.
 *
 * Rules that hold for every issuer:
 *
 * - a claim is not post-dated, so that a revocation can never be outlived;
 * - a claim replaces only an older one, and never one issued up to its last revocation, so that
 *   nothing signed before is brought back by sending it again;
 * - writing a claim that stands already changes nothing and is no error: a batch that somebody else
 *   sent first, or that was sent twice, still goes through.
 *
 * The owner admits kinds of claim, which are pairs of issuer and topic. Dismissing a kind hides all
 * its claims at once; that is how a broken issuer contract is stopped for all tokens.
 *
 * @dev Whoever indexes reads the events of this one address: {ClaimIssued}, {ClaimRevoked},
 * {KindAdmitted}, {KindDismissed}. Sources: ERC-735, ERC-3643.
 */
contract ClaimStore is Ownable2Step {
    /**
     * @notice What an issuer says of an identity; exactly one slot.
     * @param issuedAt Seconds since the epoch; zero if never issued.
     * @param expiresAt Seconds since the epoch; the claim is void from this second on.
     * @param revokedAt Time of the last revocation; claims issued up to it are void.
     * @param keyIndex Which of its keys the issuer used, in its own numbering.
     * @param evidence The first 16 bytes of the hash of the evidence; all 32 are in {ClaimIssued}.
     */
    struct Claim {
        uint40 issuedAt;
        uint40 expiresAt;
        uint40 revokedAt;
        uint8 keyIndex;
        bytes16 evidence;
    }

    /// @notice Who claims what, in one slot; a claim's id is the hash of both.
    struct Kind {
        address issuer;
        uint96 topic;
    }

    /// @notice ERC-735 scheme of every claim here: ask the issuer contract, there is no signature.
    uint256 public constant SCHEME_CONTRACT = 3;

    /// @notice Most issuers of one topic; a trusted issuers registry takes no more.
    uint256 public constant MAX_ISSUERS_OF_TOPIC = 50;

    mapping(address identity => mapping(bytes32 claimId => Claim)) private _claims;
    mapping(bytes32 claimId => Kind) private _kinds;
    mapping(uint256 topic => bytes32[] claimIds) private _admitted;

    /// @notice `issuer` claims `topic` about `identity`.
    event ClaimIssued(
        address indexed identity,
        uint256 indexed topic,
        address indexed issuer,
        uint40 issuedAt,
        uint40 expiresAt,
        uint8 keyIndex,
        bytes32 evidenceHash
    );

    /// @notice Every claim of `issuer` on `topic` about `identity` issued up to `revokedAt` is void.
    event ClaimRevoked(
        address indexed identity,
        uint256 indexed topic,
        address indexed issuer,
        uint40 revokedAt
    );

    /// @notice Claims of `issuer` on `topic` count from now on.
    event KindAdmitted(address indexed issuer, uint256 indexed topic, bytes32 claimId);

    /// @notice Claims of `issuer` on `topic` no longer count; they stand again if admitted again.
    event KindDismissed(address indexed issuer, uint256 indexed topic, bytes32 claimId);

    /// @notice No issuer can be at this address.
    error ClaimStoreInvalidIssuer(address issuer);

    /// @notice No claim can be about this identity.
    error ClaimStoreInvalidIdentity(address identity);

    /// @notice No claim can be on this topic: 0 stands for "no claim", and a kind has 96 bits for it.
    error ClaimStoreInvalidTopic(uint256 topic);

    /// @notice The kind counts already.
    error ClaimStoreKindAlreadyAdmitted(address issuer, uint256 topic);

    /// @notice The owner has not admitted this kind.
    error ClaimStoreKindNotAdmitted(address issuer, uint256 topic);

    /// @notice The topic has `limit` issuers already.
    error ClaimStoreTooManyIssuers(uint256 topic, uint256 limit);

    /// @notice The claim would be issued in the future.
    error ClaimStorePostDated(address identity, uint256 topic, uint40 issuedAt, uint256 time);

    /// @notice The claim would be void from the start.
    error ClaimStoreExpired(address identity, uint256 topic, uint40 expiresAt, uint256 time);

    /// @notice The claim was issued before or at its revocation.
    error ClaimStoreClaimRevoked(address identity, uint256 topic, uint40 issuedAt, uint40 revokedAt);

    /// @notice Another claim, issued at the same time or later, stands.
    error ClaimStoreNotNewer(address identity, uint256 topic, uint40 issuedAt, uint40 standing);

    /// @param initialOwner Admits and dismisses kinds of claim.
    constructor(address initialOwner) Ownable(initialOwner) {}

    /// @notice Lets the claims of `issuer` on `topic` count.
    function admit(address issuer, uint256 topic) external onlyOwner {
        if (issuer == address(0)) {
            revert ClaimStoreInvalidIssuer(issuer);
        }
        if (topic == 0 || topic > type(uint96).max) {
            revert ClaimStoreInvalidTopic(topic);
        }
        bytes32 claimId = claimIdOf(issuer, topic);
        if (_kinds[claimId].issuer != address(0)) {
            revert ClaimStoreKindAlreadyAdmitted(issuer, topic);
        }
        if (_admitted[topic].length == MAX_ISSUERS_OF_TOPIC) {
            revert ClaimStoreTooManyIssuers(topic, MAX_ISSUERS_OF_TOPIC);
        }
        _kinds[claimId] = Kind({issuer: issuer, topic: uint96(topic)});
        _admitted[topic].push(claimId);
        emit KindAdmitted(issuer, topic, claimId);
    }

    /// @notice Hides every claim of `issuer` on `topic`.
    function dismiss(address issuer, uint256 topic) external onlyOwner {
        bytes32 claimId = claimIdOf(issuer, topic);
        if (_kinds[claimId].issuer == address(0)) {
            revert ClaimStoreKindNotAdmitted(issuer, topic);
        }
        delete _kinds[claimId];
        bytes32[] storage admitted = _admitted[topic];
        uint256 last = admitted.length - 1;
        for (uint256 i = 0; i < last; ++i) {
            if (admitted[i] == claimId) {
                admitted[i] = admitted[last];
                break;
            }
        }
        admitted.pop();
        emit KindDismissed(issuer, topic, claimId);
    }

    /**
     * @notice Writes a claim of the calling issuer, unless exactly this claim stands already.
     * @param keyIndex The issuer's own number for the key that it used.
     */
    function write(
        address identity,
        uint256 topic,
        uint40 issuedAt,
        uint40 expiresAt,
        uint8 keyIndex,
        bytes32 evidenceHash
    ) external {
        bytes32 claimId = claimIdOf(msg.sender, topic);
        if (_kinds[claimId].issuer == address(0)) {
            revert ClaimStoreKindNotAdmitted(msg.sender, topic);
        }
        if (identity == address(0)) {
            revert ClaimStoreInvalidIdentity(identity);
        }
        if (issuedAt > block.timestamp) {
            revert ClaimStorePostDated(identity, topic, issuedAt, block.timestamp);
        }
        if (expiresAt <= block.timestamp) {
            revert ClaimStoreExpired(identity, topic, expiresAt, block.timestamp);
        }
        Claim memory standing = _claims[identity][claimId];
        if (standing.revokedAt != 0 && issuedAt <= standing.revokedAt) {
            revert ClaimStoreClaimRevoked(identity, topic, issuedAt, standing.revokedAt);
        }
        Claim memory claim = Claim({
            issuedAt: issuedAt,
            expiresAt: expiresAt,
            revokedAt: standing.revokedAt,
            keyIndex: keyIndex,
            evidence: bytes16(evidenceHash)
        });
        if (issuedAt <= standing.issuedAt) {
            if (_isSame(claim, standing)) {
                return;
            }
            revert ClaimStoreNotNewer(identity, topic, issuedAt, standing.issuedAt);
        }
        _claims[identity][claimId] = claim;
        emit ClaimIssued(identity, topic, msg.sender, issuedAt, expiresAt, keyIndex, evidenceHash);
    }

    /**
     * @notice Voids every claim of the calling issuer on `topic` about `identity` issued up to now,
     * those it signed for other identity contracts included.
     * @dev Takes no admission: an issuer that was dismissed can still revoke. May be repeated.
     */
    function revoke(address identity, uint256 topic) external {
        if (identity == address(0)) {
            revert ClaimStoreInvalidIdentity(identity);
        }
        if (topic == 0) {
            revert ClaimStoreInvalidTopic(topic);
        }
        uint40 time = uint40(block.timestamp);
        _claims[identity][claimIdOf(msg.sender, topic)].revokedAt = time;
        emit ClaimRevoked(identity, topic, msg.sender, time);
    }

    /// @notice The claim of `issuer` on `topic` about `identity`; all zero if there was none.
    function claimOf(address issuer, address identity, uint256 topic) external view returns (Claim memory claim) {
        return _claims[identity][claimIdOf(issuer, topic)];
    }

    /**
     * @notice Tells whether the calling issuer's claim on `topic` about `identity` is exactly this one,
     * and in force at the time of this block.
     * @dev Asked in each transfer: one slot is read, and one word returned.
     * @return keyIndex The key that issued it; zero if it is another claim, or void.
     */
    function standingKey(
        address identity,
        uint256 topic,
        uint256 issuedAt,
        uint256 expiresAt,
        bytes32 evidence
    ) external view returns (uint8 keyIndex) {
        Claim memory claim = _claims[identity][claimIdOf(msg.sender, topic)];
        if (
            issuedAt == claim.issuedAt &&
            expiresAt == claim.expiresAt &&
            evidence == claim.evidence &&
            issuedAt > claim.revokedAt &&
            block.timestamp < expiresAt
        ) {
            keyIndex = claim.keyIndex;
        }
    }

    /**
     * @notice The claim as an ONCHAINID identity gives it; all empty if there is none or if its kind
     * is not admitted. An expired or revoked claim is given too: the issuer says that it is void.
     */
    function getClaim(
        address identity,
        bytes32 claimId
    )
        external
        view
        returns (
            uint256 topic,
            uint256 scheme,
            address issuer,
            bytes memory signature,
            bytes memory data,
            string memory uri
        )
    {
        Claim storage claim = _claims[identity][claimId];
        Kind storage kind = _kinds[claimId];
        (uint40 issuedAt, uint40 expiresAt, bytes16 evidence) = (claim.issuedAt, claim.expiresAt, claim.evidence);
        (signature, uri) = ("", "");
        if (issuedAt != 0) {
            (issuer, topic) = (kind.issuer, kind.topic);
        }
        if (issuer != address(0)) {
            scheme = SCHEME_CONTRACT;
            data = abi.encode(issuedAt, expiresAt, evidence);
        }
    }

    /// @notice Ids of the claims on `topic` about `identity` whose kind is admitted.
    function claimIdsByTopic(address identity, uint256 topic) external view returns (bytes32[] memory claimIds) {
        bytes32[] memory admitted = _admitted[topic];
        uint256 count = 0;
        for (uint256 i = 0; i < admitted.length; ++i) {
            if (_claims[identity][admitted[i]].issuedAt != 0) {
                admitted[count++] = admitted[i];
            }
        }
        claimIds = new bytes32[](count);
        for (uint256 i = 0; i < count; ++i) {
            claimIds[i] = admitted[i];
        }
    }

    /// @notice Tells whether claims of `issuer` on `topic` count.
    function isAdmitted(address issuer, uint256 topic) external view returns (bool admitted) {
        return _kinds[claimIdOf(issuer, topic)].issuer != address(0);
    }

    /// @notice The id that ERC-735 gives to the claim of `issuer` on `topic`.
    function claimIdOf(address issuer, uint256 topic) public pure returns (bytes32 claimId) {
        return keccak256(abi.encode(issuer, topic));
    }

    function _isSame(Claim memory left, Claim memory right) private pure returns (bool) {
        return
            left.issuedAt == right.issuedAt &&
            left.expiresAt == right.expiresAt &&
            left.keyIndex == right.keyIndex &&
            left.evidence == right.evidence;
    }
}
