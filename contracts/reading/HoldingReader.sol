// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// @notice What is asked of a token about one holder.
interface IHeldToken {
    function balanceOf(address holder) external view returns (uint256);

    function getFrozenTokens(address holder) external view returns (uint256);
}

/**
 * @title Reads what many holders of a token have, in one call
 * @notice It is never deployed: `eth_call` is given its code for an address where none is, so that
 * it runs at any block of any chain, also before it was written.
 */
contract HoldingReader {
    /**
     * @notice Reads balances and frozen parts.
     * @param token The token.
     * @param holders Whose.
     * @return amounts Balance and frozen part of the first holder, of the second, and so on.
     */
    function read(
        IHeldToken token,
        address[] calldata holders
    ) external view returns (uint256[] memory amounts) {
        amounts = new uint256[](2 * holders.length);
        for (uint256 i = 0; i < holders.length; ++i) {
            amounts[2 * i] = token.balanceOf(holders[i]);
            amounts[2 * i + 1] = token.getFrozenTokens(holders[i]);
        }
    }
}
