"""The machine: numba kernels over the tables of `fixsim.layout`. Integers only; nothing here raises."""
