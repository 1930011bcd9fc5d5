// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuard} from "@openzeppelin/contracts/utils/ReentrancyGuard.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";

/**
 * @title Delivery versus payment
 * @notice Exchanges fractions against rupees in one transaction: both move, or neither. Seller and
 * buyer sign the same terms off chain; whoever has both signatures may send them. Nothing is held
 * here: units and rupees go from party to party, out of allowances that each party gave.
 *
 * - Exact: each of the four balances must change by what was signed, to the unit. A token that takes
 *   a fee on the way is refused.
 * - Once: each signature uses up a number of its party. A number used or cancelled is used for good.
 * - Cancelled by either party alone, at any time before, by its own number.
 * - Up to and including the deadline.
 * - For this chain and this contract only (EIP-712). Contract wallets sign by ERC-1271.
 *
 * The token's own rules hold too: it asks its compliance before it moves, and a refusal there
 * reverts everything.
 *
 * @dev There is no owner, no fee, and nothing to upgrade.
 */
contract Settlement is EIP712, ReentrancyGuard {
    using SafeERC20 for IERC20;

    /**
     * @notice The terms.
     * @param token What is delivered, an ERC-3643 token.
     * @param units How much of it.
     * @param rupee What is paid, an ERC-20.
     * @param pricePaisa How much of it, in its smallest unit.
     * @param sellerNonce Any number that the seller has not used.
     * @param buyerNonce Any number that the buyer has not used.
     * @param deadline Last second, since the epoch, at which it may be settled.
     */
    struct Trade {
        address token;
        address seller;
        uint256 units;
        address rupee;
        address buyer;
        uint256 pricePaisa;
        uint256 sellerNonce;
        uint256 buyerNonce;
        uint256 deadline;
    }

    /// @notice An ERC-2612 permit of the buyer for this contract, over the price.
    struct Permit {
        uint256 deadline;
        uint8 v;
        bytes32 r;
        bytes32 s;
    }

    /// @notice The EIP-712 type that both parties sign.
    bytes32 public constant TRADE_TYPEHASH =
        keccak256(
            "Trade(address token,address seller,uint256 units,address rupee,address buyer,uint256 pricePaisa,"
            "uint256 sellerNonce,uint256 buyerNonce,uint256 deadline)"
        );

    /// @notice Tells whether the party's number is used up or cancelled.
    mapping(address party => mapping(uint256 nonce => bool used)) public isNonceUsed;

    /// @notice The trade was carried out; `digest` is what both parties signed.
    event Settled(
        bytes32 indexed digest,
        address indexed seller,
        address indexed buyer,
        address token,
        uint256 units,
        address rupee,
        uint256 pricePaisa
    );

    /// @notice The party will not settle any trade with this number.
    event NonceCancelled(address indexed party, uint256 indexed nonce);

    /// @notice The deadline has passed.
    error SettlementTooLate(uint256 deadline, uint256 time);

    /// @notice Nothing would be delivered, or nothing paid.
    error SettlementNothing(uint256 units, uint256 pricePaisa);

    /// @notice Nobody trades with themselves.
    error SettlementSameParty(address party);

    /// @notice What is delivered and what is paid is the same.
    error SettlementSameAsset(address asset);

    /// @notice The number is used up or cancelled.
    error SettlementNonceUsed(address party, uint256 nonce);

    /// @notice The signature is not the party's over these terms.
    error SettlementInvalidSignature(address party);

    /// @notice The balance did not change by what was signed.
    error SettlementInexact(address asset, address party, uint256 expected, uint256 found);

    constructor() EIP712("Milkiyat Settlement", "1") {}

    /// @notice Carries the trade out.
    function settle(
        Trade calldata trade,
        bytes calldata sellerSignature,
        bytes calldata buyerSignature
    ) external nonReentrant {
        _settle(trade, sellerSignature, buyerSignature);
    }

    /**
     * @notice Carries the trade out for a buyer who gave the allowance by signature as well.
     * @dev A permit that somebody else has sent first is spent, but its allowance stands: so a permit
     * that fails is no error, and the payment tells whether there is an allowance.
     */
    function settleWithPermit(
        Trade calldata trade,
        bytes calldata sellerSignature,
        bytes calldata buyerSignature,
        Permit calldata permit
    ) external nonReentrant {
        try
            IERC20Permit(trade.rupee).permit(
                trade.buyer,
                address(this),
                trade.pricePaisa,
                permit.deadline,
                permit.v,
                permit.r,
                permit.s
            )
        {} catch {}
        _settle(trade, sellerSignature, buyerSignature);
    }

    /// @notice Takes back every signature of the caller with this number.
    function cancel(uint256 nonce) external {
        _useNonce(msg.sender, nonce);
        emit NonceCancelled(msg.sender, nonce);
    }

    /// @notice What both parties sign.
    function digestOf(Trade calldata trade) public view returns (bytes32 digest) {
        return _hashTypedDataV4(keccak256(abi.encode(TRADE_TYPEHASH, trade)));
    }

    function _settle(
        Trade calldata trade,
        bytes calldata sellerSignature,
        bytes calldata buyerSignature
    ) private {
        _requireSound(trade);
        bytes32 digest = digestOf(trade);
        _requireSigned(trade.seller, digest, sellerSignature);
        _requireSigned(trade.buyer, digest, buyerSignature);
        _useNonce(trade.seller, trade.sellerNonce);
        _useNonce(trade.buyer, trade.buyerNonce);
        _move(trade.token, trade.seller, trade.buyer, trade.units);
        _move(trade.rupee, trade.buyer, trade.seller, trade.pricePaisa);
        emit Settled(digest, trade.seller, trade.buyer, trade.token, trade.units, trade.rupee, trade.pricePaisa);
    }

    function _useNonce(address party, uint256 nonce) private {
        if (isNonceUsed[party][nonce]) {
            revert SettlementNonceUsed(party, nonce);
        }
        isNonceUsed[party][nonce] = true;
    }

    function _move(address asset, address from, address to, uint256 amount) private {
        uint256 ofSource = IERC20(asset).balanceOf(from);
        uint256 ofTarget = IERC20(asset).balanceOf(to);
        IERC20(asset).safeTransferFrom(from, to, amount);
        _requireBalance(asset, from, ofSource - amount);
        _requireBalance(asset, to, ofTarget + amount);
    }

    function _requireBalance(address asset, address party, uint256 expected) private view {
        uint256 found = IERC20(asset).balanceOf(party);
        if (found != expected) {
            revert SettlementInexact(asset, party, expected, found);
        }
    }

    function _requireSigned(address party, bytes32 digest, bytes calldata signature) private view {
        if (!SignatureChecker.isValidSignatureNowCalldata(party, digest, signature)) {
            revert SettlementInvalidSignature(party);
        }
    }

    function _requireSound(Trade calldata trade) private view {
        if (block.timestamp > trade.deadline) {
            revert SettlementTooLate(trade.deadline, block.timestamp);
        }
        if (trade.units == 0 || trade.pricePaisa == 0) {
            revert SettlementNothing(trade.units, trade.pricePaisa);
        }
        if (trade.seller == trade.buyer) {
            revert SettlementSameParty(trade.seller);
        }
        if (trade.token == trade.rupee) {
            revert SettlementSameAsset(trade.token);
        }
    }
}
