"""Backends NumPy, Numba and CuPy, their protocol and their selection."""
