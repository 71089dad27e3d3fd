"""Counting kernels: from the inflated rows of a mask to its raw value counts.

Two engines give the same answers: `numpy_engine`, ready at once, and `compiled_engine`, several
times faster once Numba has loaded (or, the first time on a machine, compiled) its kernels.
`engine.current_engine` hands out the one to use; the modules behind it are imported only then.
"""
