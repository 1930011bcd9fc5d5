// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IModule} from "../interfaces/IModule.sol";
import {
    AccessControlDefaultAdminRules
} from "@openzeppelin/contracts/access/extensions/AccessControlDefaultAdminRules.sol";
import {ComplianceModule} from "./ComplianceModule.sol";

/**
 * @title Status of the title behind a token
 * @notice Carries the state of the title from the land registry to the chain:
 *
 * - `CLEAR`: no restriction;
 * - `NOTICE`: something is noted against the title, and nothing is stopped;
 * - `NO_MINT`: no new units;
 * - `HALT`: nothing moves: no transfer, forced or free, no mint, no burn, no recovery.
 *
 * Beside the status stands the Merkle root of the encumbrances that it follows from.
 *
 * Halting is urgent and lifting is not: one status key halts, in one transaction, one token or many;
 * a halt ends only when a second key confirms what a first one proposed, for the same root and nonce.
 *
 * @dev A forced transfer is never checked by the suite, so that the actions, called by every path
 * after the units moved, refuse too and thereby undo the move. Status outlives unbinding, and while
 * it is `HALT` the module cannot be removed.
 */
contract TitleStatusModule is ComplianceModule, AccessControlDefaultAdminRules {
    /// @notice What the state of the title lets units do, from least to most restricted.
    enum TitleStatus {
        CLEAR,
        NOTICE,
        NO_MINT,
        HALT
    }

    /**
     * @notice The status of one token's title.
     * @param bound Whether the compliance is bound to this module.
     * @param status What units may do.
     * @param nonce How often status or root have changed.
     * @param changedAt Block time of the last change, in seconds since the epoch.
     * @param root Merkle root of the encumbrances.
     */
    struct Title {
        bool bound;
        TitleStatus status;
        uint64 nonce;
        uint64 changedAt;
        bytes32 root;
    }

    /**
     * @notice A proposal to end a halt.
     * @param proposer The key that proposed, which cannot confirm; zero if there is no proposal.
     * @param nonce The title's nonce; any change of the title deletes the proposal.
     * @param status The status to go to.
     * @param root The root to go to.
     */
    struct Lift {
        address proposer;
        uint64 nonce;
        TitleStatus status;
        bytes32 root;
    }

    /// @notice Holders set the status, and propose and confirm the end of a halt.
    bytes32 public constant STATUS_ROLE = keccak256("STATUS_ROLE");

    mapping(address compliance => Title) private _titles;
    mapping(address compliance => Lift) private _lifts;

    /// @notice Status or root of the title behind `compliance` changed, by the status key `key`.
    event TitleStatusChanged(
        address indexed compliance,
        TitleStatus indexed oldStatus,
        TitleStatus indexed newStatus,
        bytes32 oldRoot,
        bytes32 newRoot,
        uint64 nonce,
        address key
    );

    /// @notice `proposer` proposes to end the halt; another key has to confirm.
    event LiftProposed(
        address indexed compliance,
        uint64 indexed nonce,
        address indexed proposer,
        TitleStatus status,
        bytes32 currentRoot,
        bytes32 newRoot
    );

    /// @notice The proposal to end the halt was taken back by `key`.
    event LiftWithdrawn(address indexed compliance, uint64 indexed nonce, address indexed key);

    /// @notice The title's status stops this mint.
    error TitleNoMint(address compliance, bytes32 root);

    /// @notice The title is halted: nothing moves.
    error TitleHalted(address compliance, bytes32 root);

    /// @notice The title is not halted, so there is no halt to lift.
    error TitleNotHalted(address compliance, TitleStatus status);

    /// @notice A halt ends by {proposeLift} and {confirmLift} alone, and goes to a lower status.
    error TitleLiftNeedsTwoKeys(address compliance, bytes32 root, TitleStatus requested);

    /// @notice The root that the caller means is not the title's.
    error TitleRootMismatch(address compliance, bytes32 given, bytes32 current);

    /// @notice No proposal with these values stands.
    error TitleLiftNotProposed(address compliance, uint64 nonce, TitleStatus status, bytes32 newRoot);

    /// @notice The key that proposed cannot confirm.
    error TitleLiftSameKey(address compliance, address key);

    /// @notice The proposer is no longer a status key.
    error TitleLiftProposerRevoked(address compliance, address proposer);

    /// @notice Each token needs a root of its own.
    error TitleLengthMismatch(uint256 compliances, uint256 roots);

    /**
     * @param admin Grants and revokes status keys.
     * @param adminDelay Seconds between the start and the acceptance of a change of admin.
     * @param statusKeys The first status keys; lifting a halt needs two.
     */
    constructor(
        address admin,
        uint48 adminDelay,
        address[] memory statusKeys
    ) AccessControlDefaultAdminRules(adminDelay, admin) {
        for (uint256 i = 0; i < statusKeys.length; ++i) {
            _grantRole(STATUS_ROLE, statusKeys[i]);
        }
    }

    /**
     * @notice Sets status and root, in any direction except out of a halt.
     * @dev The same status and root once more change nothing and emit nothing, so that an
     * instruction may be repeated.
     */
    function setStatus(address compliance, TitleStatus status, bytes32 root) external onlyRole(STATUS_ROLE) {
        _requireBound(compliance);
        Title storage title = _titles[compliance];
        if (title.status == TitleStatus.HALT && status != TitleStatus.HALT) {
            revert TitleLiftNeedsTwoKeys(compliance, title.root, status);
        }
        _change(compliance, title, status, root);
    }

    /**
     * @notice Halts several tokens at once.
     * @param compliances Their compliances.
     * @param roots For each, the encumbrance root that the halt follows from.
     */
    function halt(address[] calldata compliances, bytes32[] calldata roots) external onlyRole(STATUS_ROLE) {
        if (compliances.length != roots.length) {
            revert TitleLengthMismatch(compliances.length, roots.length);
        }
        for (uint256 i = 0; i < compliances.length; ++i) {
            _requireBound(compliances[i]);
            _change(compliances[i], _titles[compliances[i]], TitleStatus.HALT, roots[i]);
        }
    }

    /**
     * @notice Proposes to end a halt; replaces a proposal that stands.
     * @param compliance Whose halt.
     * @param currentRoot The root that the halt stands on, as the proposer knows it.
     * @param status The status to go to.
     * @param newRoot The root to go to.
     * @return nonce The nonce to confirm.
     */
    function proposeLift(
        address compliance,
        bytes32 currentRoot,
        TitleStatus status,
        bytes32 newRoot
    ) external onlyRole(STATUS_ROLE) returns (uint64 nonce) {
        Title storage title = _requireHalted(compliance, currentRoot);
        if (status == TitleStatus.HALT) {
            revert TitleLiftNeedsTwoKeys(compliance, currentRoot, status);
        }
        nonce = title.nonce;
        _lifts[compliance] = Lift({proposer: msg.sender, nonce: nonce, status: status, root: newRoot});
        emit LiftProposed(compliance, nonce, msg.sender, status, currentRoot, newRoot);
    }

    /// @notice Confirms a proposal of another key, of which every value is repeated; the halt ends.
    function confirmLift(
        address compliance,
        bytes32 currentRoot,
        uint64 nonce,
        TitleStatus status,
        bytes32 newRoot
    ) external onlyRole(STATUS_ROLE) {
        Title storage title = _requireHalted(compliance, currentRoot);
        Lift memory lift = _lifts[compliance];
        if (
            // A change of the title deletes the proposal, so the nonce of one that stands is current.
            lift.proposer == address(0) ||
            lift.nonce != nonce ||
            lift.status != status ||
            lift.root != newRoot
        ) {
            revert TitleLiftNotProposed(compliance, nonce, status, newRoot);
        }
        if (lift.proposer == msg.sender) {
            revert TitleLiftSameKey(compliance, msg.sender);
        }
        if (!hasRole(STATUS_ROLE, lift.proposer)) {
            revert TitleLiftProposerRevoked(compliance, lift.proposer);
        }
        _change(compliance, title, status, newRoot);
    }

    /// @notice Takes a proposal back; any status key may.
    function withdrawLift(address compliance) external onlyRole(STATUS_ROLE) {
        Lift memory lift = _lifts[compliance];
        if (lift.proposer == address(0)) {
            revert TitleLiftNotProposed(compliance, lift.nonce, lift.status, lift.root);
        }
        delete _lifts[compliance];
        emit LiftWithdrawn(compliance, lift.nonce, msg.sender);
    }

    /// @inheritdoc ComplianceModule
    function moduleTransferAction(address, address, uint256) external view override onlyBoundCompliance {
        _requireNotHalted(msg.sender);
    }

    /// @inheritdoc ComplianceModule
    function moduleMintAction(address, uint256) external view override onlyBoundCompliance {
        _requireNotHalted(msg.sender);
        Title storage title = _titles[msg.sender];
        if (title.status == TitleStatus.NO_MINT) {
            revert TitleNoMint(msg.sender, title.root);
        }
    }

    /// @inheritdoc ComplianceModule
    function moduleBurnAction(address, uint256) external view override onlyBoundCompliance {
        _requireNotHalted(msg.sender);
    }

    /// @notice The title behind `compliance`.
    function titleOf(address compliance) external view returns (Title memory) {
        return _titles[compliance];
    }

    /// @notice The proposal to end the halt of `compliance`; zeros if none stands.
    function liftOf(address compliance) external view returns (Lift memory) {
        return _lifts[compliance];
    }

    /// @inheritdoc IModule
    function name() external pure returns (string memory) {
        return "TitleStatusModule";
    }

    /// @inheritdoc ComplianceModule
    function refusal(
        address from,
        address,
        uint256,
        address compliance
    ) public view override returns (bytes memory reason) {
        Title storage title = _titles[compliance];
        TitleStatus status = title.status;
        if (status == TitleStatus.HALT) {
            return abi.encodeWithSelector(TitleHalted.selector, compliance, title.root);
        }
        if (status == TitleStatus.NO_MINT && from == address(0)) {
            return abi.encodeWithSelector(TitleNoMint.selector, compliance, title.root);
        }
    }

    /// @inheritdoc ComplianceModule
    function isComplianceBound(address compliance) public view override returns (bool) {
        return _titles[compliance].bound;
    }

    function _bind(address compliance) internal override {
        _titles[compliance].bound = true;
    }

    /// @dev Removing the module would be a way around the second key.
    function _unbind(address compliance) internal override {
        _requireNotHalted(compliance);
        _titles[compliance].bound = false;
    }

    function _change(address compliance, Title storage title, TitleStatus status, bytes32 root) private {
        TitleStatus oldStatus = title.status;
        bytes32 oldRoot = title.root;
        if (oldStatus == status && oldRoot == root) {
            return;
        }
        uint64 nonce = title.nonce + 1;
        title.status = status;
        title.nonce = nonce;
        title.changedAt = uint64(block.timestamp);
        title.root = root;
        if (_lifts[compliance].proposer != address(0)) {
            delete _lifts[compliance];
        }
        emit TitleStatusChanged(compliance, oldStatus, status, oldRoot, root, nonce, msg.sender);
    }

    function _requireHalted(address compliance, bytes32 currentRoot) private view returns (Title storage title) {
        title = _titles[compliance];
        if (title.status != TitleStatus.HALT) {
            revert TitleNotHalted(compliance, title.status);
        }
        if (title.root != currentRoot) {
            revert TitleRootMismatch(compliance, currentRoot, title.root);
        }
    }

    function _requireNotHalted(address compliance) private view {
        Title storage title = _titles[compliance];
        if (title.status == TitleStatus.HALT) {
            revert TitleHalted(compliance, title.root);
        }
    }
}
