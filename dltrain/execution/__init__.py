"""Running graphs: sessions, compiled functions, and checks that need them."""

from dltrain.execution.checking import check_gradients
from dltrain.execution.session import Session

__all__ = ["Session", "check_gradients"]
