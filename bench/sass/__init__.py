"""Machine code of NVIDIA GPUs of capability 9.0: read it, execute it, and count what it takes."""
