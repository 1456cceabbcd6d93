"""All golden calls: name -> function without arguments. A result is an array, or several."""

import calls_bm3d
import calls_inverse
import calls_nets
import calls_noise
import calls_volume

MODULES = (calls_bm3d, calls_volume, calls_inverse, calls_noise, calls_nets)
NETS = frozenset(calls_nets.CALLS)  # these need PyTorch
CALLS = {name: function for module in MODULES for name, function in module.CALLS.items()}

if len(CALLS) != sum(len(module.CALLS) for module in MODULES):
    raise ValueError("two golden calls have the same name")
