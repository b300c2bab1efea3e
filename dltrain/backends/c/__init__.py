"""Native kernels: a plan as C that is compiled on the user's machine and runs on threads of its own.

Elementwise groups are written from the ops' own scalar expressions. Results differ from NumPy's by rounding:
sums are taken in another order, products and sums are fused, and exp, log and the like come from the C
library's vector functions (up to 4 units in the last place).
"""

from dltrain.backends.c import (  # noqa: F401  they add to the table
    argmax,
    argsort,
    cumsum,
    elementwise,
    gather,
    product,
    random,
    reductions,
    scan,
    softmax,
    squares,
    unslice,
)
from dltrain.backends.c.backend import C as C
from dltrain.backends.c.call import CCall as CCall
