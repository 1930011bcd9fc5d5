// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {
    AccessControlDefaultAdminRules
} from "@openzeppelin/contracts/access/extensions/AccessControlDefaultAdminRules.sol";
import {IIdentityKeys, ISuiteAgentToken, ISuiteIdentityRegistry} from "../interfaces/ISuite.sol";

/**
 * @title Agent of tokens, for whom a forced act needs a case
 * @notice The only agent of a token. Three powers that the published suite gives to every agent
 * together are apart here: issuing, pausing, and acting on somebody's units without them.
 *
 * The last, a *forced act*, names the case it belongs to (an order of a court, a recovery, a
 * redemption) and a number within that case. A number is executed once: a repeated instruction is
 * refused, and a second act of the same kind says so by its own number. Each act is logged with its
 * case before the token's own events, so that the log tells forced from voluntary.
 *
 * Minting to a frozen wallet, and minting in a pause of a token that was opened before, are refused;
 * the published token does both. (A new token is paused while it is first issued.)
 *
 * @dev Does not check the rules of the token's compliance: the suite does, and a title that is halted
 * stops forced acts as well. The token's owner can still name another agent; that is for them to
 * guard.
 */
contract CaseAgent is AccessControlDefaultAdminRules {
    /// @notice The kinds of forced act.
    enum Act {
        FORCED_TRANSFER,
        BURN,
        FREEZE_WALLET,
        UNFREEZE_WALLET,
        FREEZE_UNITS,
        UNFREEZE_UNITS,
        RECOVERY
    }

    /// @notice One freeze of a whole wallet, or its end, in a batch.
    struct WalletFreeze {
        bytes32 caseId;
        uint64 number;
        address wallet;
        bool frozen;
    }

    /// @notice One freeze of units, or its end, in a batch.
    struct UnitsFreeze {
        bytes32 caseId;
        uint64 number;
        address wallet;
        uint256 units;
    }

    /// @notice Holders carry out forced acts.
    bytes32 public constant CASE_ROLE = keccak256("CASE_ROLE");

    /// @notice Holders mint, and open or reopen tokens.
    bytes32 public constant ISSUER_ROLE = keccak256("ISSUER_ROLE");

    /// @notice Holders pause tokens.
    bytes32 public constant PAUSER_ROLE = keccak256("PAUSER_ROLE");

    uint256 private constant _MANAGEMENT = 1;

    /// @notice Tells whether the token was ever opened here.
    mapping(address token => bool) public opened;

    mapping(bytes32 caseId => mapping(uint64 number => bool)) private _executed;
    mapping(address identityStorage => mapping(address lostWallet => address newWallet)) private _successors;

    /**
     * @notice A forced act was carried out.
     * @param caseId The case it belongs to.
     * @param token On which token.
     * @param act Its kind.
     * @param number Its number within the case.
     * @param wallet Whose units or wallet.
     * @param counterparty The receiving or new wallet; zero for acts without one.
     * @param units How many; zero for acts on the whole wallet.
     * @param operator The key that ordered it.
     */
    event CaseActExecuted(
        bytes32 indexed caseId,
        address indexed token,
        Act indexed act,
        uint64 number,
        address wallet,
        address counterparty,
        uint256 units,
        address operator
    );

    /// @notice The token was opened, or reopened after a pause.
    event TokenOpened(address indexed token, address indexed operator);

    /// @notice The token was paused.
    event TokenPaused(address indexed token, address indexed operator);

    /// @notice A forced act needs a case.
    error CaseIdMissing(address operator);

    /// @notice This number of the case was carried out already.
    error CaseActAlreadyExecuted(bytes32 caseId, uint64 number);

    /// @notice Each receiver needs an amount of its own.
    error CaseLengthMismatch(uint256 receivers, uint256 amounts);

    /// @notice The token refused by its answer.
    error CaseActRefused(address token, Act act);

    /// @notice The lost wallet is not one of `identity`, but of `registered` (zero: of nobody).
    error CaseWalletOfOther(address token, address wallet, address registered, address identity);

    /// @notice The new wallet is not a management key of the identity.
    error CaseWalletNotKey(address wallet, address identity);

    /// @notice There is nothing to recover.
    error CaseNothingToRecover(address token, address wallet);

    /// @notice Nothing is minted to a frozen wallet.
    error MintToFrozenWallet(address token, address wallet);

    /// @notice Nothing is minted while a token that was open is paused.
    error MintWhilePaused(address token);

    /**
     * @param admin Grants and revokes roles.
     * @param adminDelay Seconds between the start and the acceptance of a change of admin.
     * @param issuers First holders of the issuer role.
     * @param pausers First holders of the pauser role.
     * @param caseOperators First holders of the case role.
     */
    constructor(
        address admin,
        uint48 adminDelay,
        address[] memory issuers,
        address[] memory pausers,
        address[] memory caseOperators
    ) AccessControlDefaultAdminRules(adminDelay, admin) {
        _grantAll(ISSUER_ROLE, issuers);
        _grantAll(PAUSER_ROLE, pausers);
        _grantAll(CASE_ROLE, caseOperators);
    }

    /// @notice Mints `amount` units to `to`.
    function mint(ISuiteAgentToken token, address to, uint256 amount) external onlyRole(ISSUER_ROLE) {
        _requireMintable(token);
        _requireNotFrozen(token, to);
        token.mint(to, amount);
    }

    /// @notice Mints to several wallets, all or none.
    function batchMint(
        ISuiteAgentToken token,
        address[] calldata receivers,
        uint256[] calldata amounts
    ) external onlyRole(ISSUER_ROLE) {
        _requireSameLength(receivers.length, amounts.length);
        _requireMintable(token);
        for (uint256 i = 0; i < receivers.length; ++i) {
            _requireNotFrozen(token, receivers[i]);
        }
        token.batchMint(receivers, amounts);
    }

    /// @notice Pauses the token: holders transfer no more, and nothing is minted.
    function pause(ISuiteAgentToken token) external onlyRole(PAUSER_ROLE) {
        emit TokenPaused(address(token), msg.sender);
        token.pause();
    }

    /// @notice Opens the token, or reopens it after a pause.
    function unpause(ISuiteAgentToken token) external onlyRole(ISSUER_ROLE) {
        opened[address(token)] = true;
        emit TokenOpened(address(token), msg.sender);
        token.unpause();
    }

    /// @notice Moves units without their holder; the receiver must be verified.
    function forcedTransfer(
        bytes32 caseId,
        uint64 number,
        ISuiteAgentToken token,
        address from,
        address to,
        uint256 amount
    ) external onlyRole(CASE_ROLE) {
        _execute(caseId, number, token, Act.FORCED_TRANSFER, from, to, amount);
        _force(token, Act.FORCED_TRANSFER, from, to, amount);
    }

    /**
     * @notice Divides units of one wallet among several, all or none, as in a succession.
     * @dev The acts are numbered upwards from `firstNumber`.
     */
    function batchForcedTransfer(
        bytes32 caseId,
        uint64 firstNumber,
        ISuiteAgentToken token,
        address from,
        address[] calldata receivers,
        uint256[] calldata amounts
    ) external onlyRole(CASE_ROLE) {
        _requireSameLength(receivers.length, amounts.length);
        for (uint64 i = 0; i < receivers.length; ++i) {
            _execute(caseId, firstNumber + i, token, Act.FORCED_TRANSFER, from, receivers[i], amounts[i]);
        }
        for (uint256 i = 0; i < receivers.length; ++i) {
            _force(token, Act.FORCED_TRANSFER, from, receivers[i], amounts[i]);
        }
    }

    /// @notice Destroys units of `wallet`.
    function burn(
        bytes32 caseId,
        uint64 number,
        ISuiteAgentToken token,
        address wallet,
        uint256 amount
    ) external onlyRole(CASE_ROLE) {
        _execute(caseId, number, token, Act.BURN, wallet, address(0), amount);
        token.burn(wallet, amount);
    }

    /// @notice Freezes the whole wallet, or ends that.
    function setWalletFrozen(
        bytes32 caseId,
        uint64 number,
        ISuiteAgentToken token,
        address wallet,
        bool frozen
    ) external onlyRole(CASE_ROLE) {
        _execute(caseId, number, token, frozen ? Act.FREEZE_WALLET : Act.UNFREEZE_WALLET, wallet, address(0), 0);
        token.setAddressFrozen(wallet, frozen);
    }

    /// @notice Freezes `amount` more units of `wallet`.
    function freezeUnits(
        bytes32 caseId,
        uint64 number,
        ISuiteAgentToken token,
        address wallet,
        uint256 amount
    ) external onlyRole(CASE_ROLE) {
        _execute(caseId, number, token, Act.FREEZE_UNITS, wallet, address(0), amount);
        token.freezePartialTokens(wallet, amount);
    }

    /// @notice Frees `amount` frozen units of `wallet`.
    function unfreezeUnits(
        bytes32 caseId,
        uint64 number,
        ISuiteAgentToken token,
        address wallet,
        uint256 amount
    ) external onlyRole(CASE_ROLE) {
        _execute(caseId, number, token, Act.UNFREEZE_UNITS, wallet, address(0), amount);
        token.unfreezePartialTokens(wallet, amount);
    }

    /**
     * @notice Freezes several wallets, or ends that, all or none.
     * @dev Each act belongs to its own case, and has its own number there.
     */
    function batchSetWalletFrozen(
        ISuiteAgentToken token,
        WalletFreeze[] calldata acts
    ) external onlyRole(CASE_ROLE) {
        address[] memory wallets = new address[](acts.length);
        bool[] memory freezes = new bool[](acts.length);
        for (uint256 i = 0; i < acts.length; ++i) {
            WalletFreeze calldata said = acts[i];
            Act act = said.frozen ? Act.FREEZE_WALLET : Act.UNFREEZE_WALLET;
            _execute(said.caseId, said.number, token, act, said.wallet, address(0), 0);
            (wallets[i], freezes[i]) = (said.wallet, said.frozen);
        }
        token.batchSetAddressFrozen(wallets, freezes);
    }

    /// @notice Freezes more units of several wallets, all or none; each act is of its own case.
    function batchFreezeUnits(
        ISuiteAgentToken token,
        UnitsFreeze[] calldata acts
    ) external onlyRole(CASE_ROLE) {
        (address[] memory wallets, uint256[] memory amounts) = _executeAll(token, Act.FREEZE_UNITS, acts);
        token.batchFreezePartialTokens(wallets, amounts);
    }

    /// @notice Frees frozen units of several wallets, all or none; each act is of its own case.
    function batchUnfreezeUnits(
        ISuiteAgentToken token,
        UnitsFreeze[] calldata acts
    ) external onlyRole(CASE_ROLE) {
        (address[] memory wallets, uint256[] memory amounts) = _executeAll(token, Act.UNFREEZE_UNITS, acts);
        token.batchUnfreezePartialTokens(wallets, amounts);
    }

    /**
     * @notice Moves everything of a lost wallet to a new wallet of the same identity, with its
     * freezes.
     * @dev The published token does not ask whose the lost wallet is; this does. Where tokens share
     * an identity storage, the published recovery works for the first of them only: by then the
     * new wallet is registered and the lost one deleted. For the others the units are moved here.
     * @param caseId The case.
     * @param number The number within the case.
     * @param token The token.
     * @param lostWallet The wallet whose key is lost.
     * @param newWallet A management key of the identity.
     * @param identity The ONCHAINID of the holder.
     */
    function recover(
        bytes32 caseId,
        uint64 number,
        ISuiteAgentToken token,
        address lostWallet,
        address newWallet,
        address identity
    ) external onlyRole(CASE_ROLE) {
        uint256 units = token.balanceOf(lostWallet);
        if (units == 0) {
            revert CaseNothingToRecover(address(token), lostWallet);
        }
        if (!IIdentityKeys(identity).keyHasPurpose(keccak256(abi.encode(newWallet)), _MANAGEMENT)) {
            revert CaseWalletNotKey(newWallet, identity);
        }
        _execute(caseId, number, token, Act.RECOVERY, lostWallet, newWallet, units);
        ISuiteIdentityRegistry registry = token.identityRegistry();
        address lostOwner = registry.identity(lostWallet);
        address newOwner = registry.identity(newWallet);
        address identityStorage = registry.identityStorage();
        bool recoveredBefore = lostOwner == address(0) && _successors[identityStorage][lostWallet] == newWallet;
        if (lostOwner != identity && !recoveredBefore) {
            revert CaseWalletOfOther(address(token), lostWallet, lostOwner, identity);
        }
        if (newOwner == address(0) && !recoveredBefore) {
            _successors[identityStorage][lostWallet] = newWallet;
            if (!token.recoveryAddress(lostWallet, newWallet, identity)) {
                revert CaseActRefused(address(token), Act.RECOVERY);
            }
        } else if (newOwner == identity) {
            _moveAll(token, lostWallet, newWallet, units);
        } else {
            revert CaseWalletOfOther(address(token), newWallet, newOwner, identity);
        }
    }

    /// @notice Tells whether this number of the case was carried out.
    function isExecuted(bytes32 caseId, uint64 number) external view returns (bool) {
        return _executed[caseId][number];
    }

    /// @notice The wallet to which `lostWallet` was recovered; zero if it was not.
    function successorOf(address identityStorage, address lostWallet) external view returns (address) {
        return _successors[identityStorage][lostWallet];
    }

    function _execute(
        bytes32 caseId,
        uint64 number,
        ISuiteAgentToken token,
        Act act,
        address wallet,
        address counterparty,
        uint256 units
    ) private {
        if (caseId == bytes32(0)) {
            revert CaseIdMissing(msg.sender);
        }
        if (_executed[caseId][number]) {
            revert CaseActAlreadyExecuted(caseId, number);
        }
        _executed[caseId][number] = true;
        emit CaseActExecuted(caseId, address(token), act, number, wallet, counterparty, units, msg.sender);
    }

    function _executeAll(
        ISuiteAgentToken token,
        Act act,
        UnitsFreeze[] calldata acts
    ) private returns (address[] memory wallets, uint256[] memory amounts) {
        wallets = new address[](acts.length);
        amounts = new uint256[](acts.length);
        for (uint256 i = 0; i < acts.length; ++i) {
            UnitsFreeze calldata said = acts[i];
            _execute(said.caseId, said.number, token, act, said.wallet, address(0), said.units);
            (wallets[i], amounts[i]) = (said.wallet, said.units);
        }
    }

    /// @dev As the token's own recovery, but for the registration, which is done.
    function _moveAll(ISuiteAgentToken token, address lostWallet, address newWallet, uint256 units) private {
        uint256 frozenUnits = token.getFrozenTokens(lostWallet);
        _force(token, Act.RECOVERY, lostWallet, newWallet, units);
        if (frozenUnits != 0) {
            token.freezePartialTokens(newWallet, frozenUnits);
        }
        if (token.isFrozen(lostWallet) && !token.isFrozen(newWallet)) {
            token.setAddressFrozen(newWallet, true);
        }
    }

    function _force(ISuiteAgentToken token, Act act, address from, address to, uint256 amount) private {
        if (!token.forcedTransfer(from, to, amount)) {
            revert CaseActRefused(address(token), act);
        }
    }

    function _grantAll(bytes32 role, address[] memory accounts) private {
        for (uint256 i = 0; i < accounts.length; ++i) {
            _grantRole(role, accounts[i]);
        }
    }

    function _requireMintable(ISuiteAgentToken token) private view {
        if (opened[address(token)] && token.paused()) {
            revert MintWhilePaused(address(token));
        }
    }

    function _requireNotFrozen(ISuiteAgentToken token, address to) private view {
        if (token.isFrozen(to)) {
            revert MintToFrozenWallet(address(token), to);
        }
    }

    function _requireSameLength(uint256 receivers, uint256 amounts) private pure {
        if (receivers != amounts) {
            revert CaseLengthMismatch(receivers, amounts);
        }
    }
}
