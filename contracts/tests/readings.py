"""Many calls of contracts in one request to the node."""

from brownie import web3


def read_together(readings):
    """Return what each call gives at the newest block; a call is a method and its arguments."""
    asked = [
        ("eth_call", [{"to": method._address, "data": method.encode_input(*values)}, "latest"])
        for method, *values in readings
    ]
    answers = web3.provider.make_batch_request(asked)
    assert [answer for answer in answers if "error" in answer] == []
    return [
        method.decode_output(answer["result"])
        for (method, *_), answer in zip(readings, answers, strict=True)
    ]
