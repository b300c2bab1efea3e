"""Loops: a body that is a program of its own, run once a turn; they are nodes, and have derivatives."""

from dltrain.autodiff.loops.functions import scan, while_loop

__all__ = ["scan", "while_loop"]
