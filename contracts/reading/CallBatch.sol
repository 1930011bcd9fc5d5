// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/**
 * @title Many questions in one call
 * @notice Answers as the widely deployed Multicall3 does to `aggregate3`, for chains without one.
 * @dev Never deployed: its code is lent to the node for one `eth_call` (state override), so that it
 * answers about any block. It only asks, hence static calls.
 */
contract CallBatch {
    /// @notice One question; unless `allowFailure`, no answer to it is no answer at all.
    struct Call3 {
        address target;
        bool allowFailure;
        bytes callData;
    }

    /// @notice One answer, or why there is none.
    struct Result {
        bool success;
        bytes returnData;
    }

    /// @notice The question `number` was refused.
    error CallBatchRefused(uint256 number);

    /// @notice Asks all of `calls`, in their order.
    function aggregate3(Call3[] calldata calls) external view returns (Result[] memory results) {
        uint256 length = calls.length;
        results = new Result[](length);
        for (uint256 number = 0; number < length; ++number) {
            (bool success, bytes memory answer) =
                calls[number].target.staticcall(calls[number].callData);
            if (!success && !calls[number].allowFailure) revert CallBatchRefused(number);
            results[number] = Result(success, answer);
        }
    }
}
