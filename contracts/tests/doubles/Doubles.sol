// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// @dev Names itself as the issuer of every claim, and finds every claim valid.
contract ForgedIdentity {
    uint256 private immutable _TOPIC;

    constructor(uint256 topic) {
        _TOPIC = topic;
    }

    function getClaim(
        bytes32
    ) external view returns (uint256, uint256, address, bytes memory, bytes memory, string memory) {
        return (_TOPIC, 1, address(this), "", "", "");
    }

    function isClaimValid(address, uint256, bytes calldata, bytes calldata) external pure returns (bool) {
        return true;
    }

    function keyHasPurpose(bytes32, uint256) external pure returns (bool) {
        return true;
    }
}

/// @dev Presents a claim of a trusted issuer that was never issued to it.
contract BorrowedIdentity {
    address private immutable _LENDER;

    constructor(address lender) {
        _LENDER = lender;
    }

    function getClaim(
        bytes32 claimId
    ) external view returns (uint256, uint256, address, bytes memory, bytes memory, string memory) {
        return ForgedIdentity(_LENDER).getClaim(claimId);
    }
}

/// @dev A wallet whose owner's signatures count by ERC-1271.
contract ContractWallet {
    address public immutable OWNER;
    bool public refuses;

    constructor(address owner) {
        OWNER = owner;
    }

    function setRefuses(bool value) external {
        refuses = value;
    }

    function call(address target, bytes calldata data) external {
        require(msg.sender == OWNER, "not the owner");
        (bool done, ) = target.call(data);
        require(done, "call failed");
    }

    function isValidSignature(bytes32 digest, bytes calldata signature) external view returns (bytes4) {
        if (refuses || signature.length != 65) {
            return 0xffffffff;
        }
        (bytes32 r, bytes32 s) = abi.decode(signature[:64], (bytes32, bytes32));
        return ecrecover(digest, uint8(signature[64]), r, s) == OWNER ? bytes4(0x1626ba7e) : bytes4(0xffffffff);
    }
}

/// @dev A money that misbehaves in a chosen way.
contract BadMoney {
    enum Way {
        WELL,
        TAKES_FEE,
        GIVES_TOO_MUCH,
        MOVES_NOTHING,
        SAYS_FALSE,
        SETTLES_AGAIN,
        KEEPS_SENDERS
    }

    mapping(address holder => uint256) public balanceOf;
    mapping(address holder => mapping(address spender => uint256)) public allowance;
    Way public way;
    address public target;
    bytes public again;

    function mint(address to, uint256 amount) external {
        balanceOf[to] += amount;
    }

    function behave(Way chosen) external {
        way = chosen;
    }

    function replay(address settlement, bytes calldata data) external {
        (target, again) = (settlement, data);
    }

    function approve(address spender, uint256 amount) external returns (bool) {
        allowance[msg.sender][spender] = amount;
        return true;
    }

    function transferFrom(address from, address to, uint256 amount) external returns (bool) {
        if (way == Way.SAYS_FALSE) {
            return false;
        }
        if (way == Way.MOVES_NOTHING) {
            return true;
        }
        if (way == Way.SETTLES_AGAIN) {
            (bool done, bytes memory reason) = target.call(again);
            if (!done) {
                assembly {
                    revert(add(reason, 32), mload(reason))
                }
            }
        }
        allowance[from][msg.sender] -= amount;
        if (way != Way.KEEPS_SENDERS) {
            balanceOf[from] -= amount;
        }
        if (way == Way.TAKES_FEE) {
            amount -= 1;
        }
        if (way == Way.GIVES_TOO_MUCH) {
            amount += 1;
        }
        balanceOf[to] += amount;
        return true;
    }
}
