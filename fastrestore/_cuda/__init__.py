"""CUDA kernels of the folder `kernels`: their source, compilation and launches."""
