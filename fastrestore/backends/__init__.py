"""Backends: NumPy, Numba and CuPy, the contract they meet and the choice among them."""
