"""Compiled kernels on packed spikes: numba functions around a few vector intrinsics."""
