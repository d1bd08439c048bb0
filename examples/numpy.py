"""Numerical work in a sandbox: run with `npx offshoot run examples/numpy.py`."""
import os
import platform

import numpy as np

rng = np.random.default_rng()
matrix = rng.random((200, 200))
left, values, right = np.linalg.svd(matrix)
error = np.abs(left @ np.diag(values) @ right - matrix).max()

print("Python", platform.python_version(), "numpy", np.__version__, "pid", os.getpid())
print("largest singular value of a random 200x200 matrix: %.3f" % values[0])
print("reconstruction exact:", error < 1e-10)
print("random numbers of this sandbox alone:", np.round(np.random.rand(3), 4))
