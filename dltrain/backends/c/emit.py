"""From instructions to calls of C functions, compiled and bound to their arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby

from dltrain.autodiff.spec import Array
from dltrain.backends.c.cache import load
from dltrain.backends.c.call import CCall, c_text
from dltrain.backends.c.compiler import Compiler
from dltrain.backends.c.function import CFunction
from dltrain.backends.c.runtime import Runner, runtime_source
from dltrain.backends.c.segments import c_calls
from dltrain.backends.calls import NodesCall
from dltrain.backends.numpy.emit import Scratch, numpy_calls
from dltrain.backends.threads import threads
from dltrain.compiler.instructions import Instruction
from dltrain.compiler.ir import Node

Bound = tuple[list[NodesCall], list[NodesCall]]
"""A phase's calls, and the same with native ones in a row joined into one."""


def native_code(
    phases: Sequence[Sequence[Instruction]],
    arrays: Mapping[Node, Array],
    scratch: Scratch,
    compiler: Compiler,
) -> tuple[list[Bound], str]:
    """The calls of all instructions; what C cannot compute is a call of NumPy's kernel.

    Returns:
        the calls of each phase, and the C functions that are the plan's own.

    Raises:
        CompilerError: the compiler refused.
        StorageError: the kernel cache cannot be used.
    """
    number = threads()
    lowered = [c_calls(phase, arrays, number) for phase in phases]
    in_c = [call for phase in lowered for call in phase if isinstance(call, CCall)]
    own = [call for call in in_c if isinstance(call, CFunction)]
    names: dict[str, str] = {}  # by the function's text: layers of one kind share it
    for function in own:
        function.name = names.setdefault(function.text, f"segment{len(names)}")
    functions = "\n".join(f"int64_t {name}{text}" for text, name in names.items())
    source = c_text("prelude.h") + functions if names else ""
    for function in own:
        function.source = source
    sources = list(dict.fromkeys([*(call.source for call in in_c), runtime_source()]))
    libraries = dict(zip(sources, load(sources, compiler), strict=True))
    runner = Runner(libraries[runtime_source()], number)
    for call in in_c:
        call.bind(libraries[call.source])
    return [_bound(phase, runner, arrays, scratch) for phase in lowered], source


def _bound(
    phase: Sequence[CCall | Instruction], runner: Runner, arrays: Mapping[Node, Array], scratch: Scratch
) -> Bound:
    calls: list[NodesCall] = []
    joined: list[NodesCall] = []
    for _, neighbours in groupby(phase, key=lambda part: isinstance(part, CCall)):
        parts = list(neighbours)
        if native := [part for part in parts if isinstance(part, CCall)]:
            calls += (_nodes_call([call], runner)._replace(function=call.name, kept=call) for call in native)
            joined.append(_nodes_call(native, runner))
        else:
            by_numpy = numpy_calls([part for part in parts if not isinstance(part, CCall)], arrays, scratch)
            calls += by_numpy
            joined += by_numpy
    return calls, joined


def _nodes_call(calls: Sequence[CCall], runner: Runner) -> NodesCall:
    nodes = tuple(node for call in calls for node in call.nodes)
    written = tuple(array for call in calls for array in call.written)
    return NodesCall(nodes, runner.call(calls), nodes, written)
