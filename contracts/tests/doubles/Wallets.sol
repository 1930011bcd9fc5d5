// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// @dev A wallet whose owner's signatures count by ERC-1271.
contract KeyWallet {
    address public immutable OWNER;

    constructor(address owner) {
        OWNER = owner;
    }

    function isValidSignature(bytes32 digest, bytes calldata signature) external view returns (bytes4) {
        (bytes32 r, bytes32 s) = abi.decode(signature[:64], (bytes32, bytes32));
        return ecrecover(digest, uint8(signature[64]), r, s) == OWNER ? bytes4(0x1626ba7e) : bytes4(0xffffffff);
    }
}

/// @dev Deploys wallets where everybody knows beforehand.
contract WalletFactory {
    function deploy(address owner) external returns (address wallet) {
        return address(new KeyWallet{salt: 0}(owner));
    }

    function placeOf(address owner) external view returns (address wallet) {
        bytes32 code = keccak256(abi.encodePacked(type(KeyWallet).creationCode, abi.encode(owner)));
        return address(uint160(uint256(keccak256(abi.encodePacked(hex"ff", address(this), bytes32(0), code)))));
    }
}

/// @dev Answers in a chosen bad way.
contract BadWallet {
    enum Way {
        REVERTS,
        BURNS_GAS,
        ANSWERS_NOTHING,
        ANSWERS_SELECTOR_ONLY,
        ANSWERS_ONE,
        ANSWERS_MORE_BITS,
        ANSWERS_OTHER
    }

    Way private immutable _WAY;

    constructor(Way way) {
        _WAY = way;
    }

    fallback() external {
        Way way = _WAY;
        if (way == Way.REVERTS) {
            revert("not today");
        }
        if (way == Way.BURNS_GAS) {
            while (true) {}
        }
        bytes memory answer = "";
        if (way == Way.ANSWERS_SELECTOR_ONLY) {
            answer = hex"1626ba7e";
        } else if (way == Way.ANSWERS_ONE) {
            answer = abi.encode(true);
        } else if (way == Way.ANSWERS_MORE_BITS) {
            answer = abi.encode(bytes32(hex"1626ba7e") | bytes32(uint256(1)));
        } else if (way == Way.ANSWERS_OTHER) {
            answer = abi.encode(bytes4(0xffffffff));
        }
        assembly {
            return(add(answer, 32), mload(answer))
        }
    }
}
