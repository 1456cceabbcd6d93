"""One random call and its checks, as a case of the fuzzer."""

import traceback

import fuzz_calls
import fuzz_oracles
import numpy as np


def case(rng, verbose=False):
    """Draw a call; return its name and the function that checks it."""
    call = fuzz_calls.random_call(rng)
    if verbose:
        _print(call)
    name = call.name + (f"({call.spoiled}=..)" if call.spoiled else "")
    return name, lambda: fuzz_oracles.check(rng, call)


def _print(call):
    """Print the arguments, and the traceback of the call."""
    print(call)
    np.set_printoptions(threshold=20)
    try:
        print(call.run())
    except Exception:
        traceback.print_exc()
