"""From instructions to calls of C functions, compiled and bound to their arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from dltrain.autodiff.spec import Array
from dltrain.backends.c.cache import load
from dltrain.backends.c.compiler import Compiler
from dltrain.backends.c.native_call import Check, NativeCall
from dltrain.backends.c.runtime import Runner, runtime_source
from dltrain.backends.c.segments import Segment, SharedPart, parts
from dltrain.backends.c.shared import c_text
from dltrain.backends.calls import NodesCall
from dltrain.backends.numpy.emit import numpy_calls
from dltrain.backends.numpy.tiles import Scratch
from dltrain.backends.threads import threads
from dltrain.compiler.instructions import Instruction
from dltrain.compiler.ir import Node


class NativeCode(NamedTuple):
    """
    Attributes:
        calls: of each phase in order.
        joined: the same, native ones in a row joined.
        source: the C functions that are the plan's own.
    """

    calls: list[list[NodesCall]]
    joined: list[list[NodesCall]]
    source: str


def native_code(
    phases: Sequence[Sequence[Instruction]],
    arrays: Mapping[Node, Array],
    scratch: Scratch,
    compiler: Compiler,
) -> NativeCode:
    """The calls of all instructions; what C cannot compute is a call of NumPy's kernel.

    Raises:
        CompilerError: the compiler refused.
        StorageError: the kernel cache cannot be used.
    """
    number = threads()
    in_phases = [parts(phase, arrays, number) for phase in phases]
    all_parts = [part for phase in in_phases for part in phase]
    names: dict[str, str] = {}  # by the function's text: layers of one kind share it
    for part in all_parts:
        if isinstance(part, Segment):
            names.setdefault(part.function.text, f"segment{len(names)}")
    functions = "\n".join(f"int64_t {name}{text}" for text, name in names.items())
    segments = c_text("prelude.h") + functions if names else ""
    sources = {"segments": segments} if segments else {}
    for part in all_parts:
        if isinstance(part, SharedPart):
            sources[part.call.function] = part.call.source
    sources["runtime"] = runtime_source()
    libraries = dict(zip(sources, load(list(sources.values()), compiler), strict=True))
    runner = Runner(libraries["runtime"], number)
    calls: list[list[NodesCall]] = []
    for phase in in_phases:
        calls.append([])
        for part in phase:
            match part:
                case Segment(nodes=nodes, function=function):
                    name = names[function.text]
                    checks = [
                        Check(node, tuple(arrays[source] for source in node.inputs), arrays[node])
                        for node in function.checked
                    ]
                    entry = getattr(libraries["segments"], name)
                    native = NativeCall(entry, function.arrays, function.sizes, function.tasks, checks)
                    calls[-1].append(_call(runner, tuple(nodes), native, function.written, name))
                case SharedPart(node=node, call=call):
                    entry = getattr(libraries[call.function], call.function)
                    native = NativeCall(entry, call.arrays, call.numbers, call.tasks)
                    calls[-1].append(_call(runner, (node,), native, call.arrays[-1:], call.name))
                case Instruction():
                    calls[-1] += numpy_calls([part], arrays, scratch)
    return NativeCode(calls, [runner.joined(phase) for phase in calls], segments)


def _call(
    runner: Runner, nodes: tuple[Node, ...], native: NativeCall, written: Sequence[Array], name: str
) -> NodesCall:
    return NodesCall(nodes, runner.call([native]), nodes, tuple(written), name, native)
