"""Running graphs: sessions, compiled functions, and checks that need them."""

from dltrain.execution.checking import check_gradients
from dltrain.execution.function import Function
from dltrain.execution.session import Session
from dltrain.execution.tracing import trace

__all__ = ["Function", "Session", "check_gradients", "trace"]
