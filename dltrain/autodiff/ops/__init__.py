"""The ops, as functions that add nodes to the graph; one file a family, which lists its own."""

from dltrain.autodiff.ops.activations import *
from dltrain.autodiff.ops.arithmetic import *
from dltrain.autodiff.ops.cumulative import *
from dltrain.autodiff.ops.einsum import *
from dltrain.autodiff.ops.exponential import *
from dltrain.autodiff.ops.gather import *
from dltrain.autodiff.ops.joins import *
from dltrain.autodiff.ops.linalg import *
from dltrain.autodiff.ops.logic import *
from dltrain.autodiff.ops.matmul import *
from dltrain.autodiff.ops.random import *
from dltrain.autodiff.ops.reduce import *
from dltrain.autodiff.ops.shape import *
from dltrain.autodiff.ops.slices import *
from dltrain.autodiff.ops.softmax import *
from dltrain.autodiff.ops.sorting import *
from dltrain.autodiff.ops.triangles import *

# Type checkers, which see no call, read the families' own lists.
globals()["__all__"] = [name for name, value in globals().items() if callable(value)]
