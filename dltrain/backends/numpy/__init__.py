"""NumPy kernels: a call a node, elementwise groups tile by tile."""
