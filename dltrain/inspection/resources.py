"""What a run takes: memory, floating-point operations, disk; told before it is trained."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

from dltrain.inspection.plan import batch_function, operations_of
from dltrain.runs.checkpoint_format import array_parts
from dltrain.runs.run import Run
from dltrain.training.run_config import RunConfig

SAVED_COPIES = 3  # of all variables, when a checkpoint is saved: a snapshot, the file read back, its arrays
LOADED_COPIES = 2  # when the best one is loaded: the file, its arrays
ORDER_BYTES = 8  # an example in the order of an epoch; as many again while it is made
STATUS = Path("/proc/self/status")


@dataclass(frozen=True)
class PlanResources:
    """The plan for batches of one size of a split.

    Attributes:
        batches: how many of them the split has.
        bytes: of inputs, buffers and scratch, and of the memory that batches are read into, if they are.
        operations: floating-point operations of the matrix products, a batch.
    """

    batch: int
    batches: int
    bytes: int
    operations: int


@dataclass(frozen=True)
class PeakMemory:
    """The predicted peak of the memory of `fit`, in bytes, and what it consists of.

    Attributes:
        program: Python and the libraries that are there before the data set is loaded; measured.
        graph: by how much building the graph and compiling its plans make the process grow beside what is
            counted below: initial values and constants for the most part; measured.
        data: of the data set as it is stored; where it is mapped from a file, all of it.
        variables: their values.
        plans: of training and validation.
        moment: what comes on top for a moment: copies of all variables while a checkpoint is saved, or the
            order of an epoch while it is made.
        loading: the peak while the data set is loaded; measured.
        test: in place of `plans` and `moment` in the end, when the best checkpoint has been loaded and is
            evaluated on the test split: its plans, and copies of all variables.

    Not counted: the libraries that `fit` imports to write its files, and BLAS' work space where NumPy
    multiplies matrices (some 10 MiB together); the C compiler, which is another process; pictures for
    TensorBoard; what resuming reads.
    """

    program: int
    graph: int
    data: int
    variables: int
    plans: int
    moment: int
    loading: int
    test: int

    @property
    def training(self) -> int:
        """The peak while it trains."""
        return self.program + self.graph + self.data + self.variables + self.plans + self.moment

    @property
    def testing(self) -> int:
        """The peak in the test."""
        return self.training - self.plans - self.moment + self.test


@dataclass(frozen=True)
class Resources:
    """What training takes.

    Attributes:
        variables: bytes of the model's parameters, averages of its layers, and the optimizer's slots.
        data: bytes of the data set as it is stored.
        plans: of each split, for full batches and for a smaller last one.
        checkpoint: bytes of the file with a checkpoint's arrays.
        peak: None where the system does not tell a process' memory.
    """

    variables: int
    data: int
    plans: dict[str, tuple[PlanResources, ...]]
    checkpoint: int
    peak: PeakMemory | None

    def operations(self, split: str) -> int:
        """Floating-point operations of the matrix products, to go over the split once; 0 if it is absent."""
        return sum(plan.batches * plan.operations for plan in self.plans.get(split, ()))

    def plan_bytes(self, *splits: str) -> int:
        return sum(plan.bytes for split in splits for plan in self.plans.get(split, ()))


def measure_resources(config: RunConfig) -> tuple[Run, Resources]:
    """Loads the data set, builds the graph and compiles its plans, but runs none of them; see `PeakMemory`.

    Raises ConfigError, GraphError, DataError as `Run`.
    """
    before = process_memory()
    data = config.dataset.load()
    loaded = process_memory()
    run = Run(config, data=data)
    plans = {split: _plans(run, split) for split in data.splits}
    compiled = process_memory()
    state = run.session.state()
    stored = [held for split in data.splits.values() for held in (split.source, split.targets, split.rows)]
    resources = Resources(
        variables=sum(value.nbytes for value in state.values()),
        data=sum({id(held): held.nbytes for held in stored if held is not None}.values()),  # they share some
        plans=plans,
        checkpoint=sum(len(part) for part in array_parts(state)),
        peak=None,
    )
    if before is None or loaded is None or compiled is None:
        return run, resources
    order = ORDER_BYTES * len(data.splits["train"])
    within_epoch = "step" in config.train.checkpoint_every  # a checkpoint is saved while there is an order
    peak = PeakMemory(
        program=before[0],
        graph=max(0, compiled[0] - loaded[0] - resources.variables),
        data=resources.data,
        variables=resources.variables,
        plans=resources.plan_bytes("train", "validation"),
        moment=max(SAVED_COPIES * resources.variables + within_epoch * order, 2 * order),
        loading=loaded[1],
        test=resources.plan_bytes("test") + LOADED_COPIES * resources.variables,
    )
    return run, replace(resources, peak=peak)


def process_memory() -> tuple[int, int] | None:
    """Bytes of this process: what it has now, and the most so far; None where the system does not tell."""
    try:
        fields = dict(re.findall(r"^(VmRSS|VmHWM):\s+(\d+) kB$", STATUS.read_text(), re.MULTILINE))
        return int(fields["VmRSS"]) * 1024, int(fields["VmHWM"]) * 1024
    except (OSError, KeyError):  # no Linux
        return None


def _plans(run: Run, split: str) -> tuple[PlanResources, ...]:
    """The plans of training on a split, or of evaluating it."""
    function, size = batch_function(run, "training" if split == "train" else "evaluation")
    examples = run.data.splits[split]
    read_into = function.memory(examples).nbytes
    batches, last = divmod(len(examples), size)
    plans = []
    for batch, count in ((size, batches), (last, 1)):
        if batch and count:
            plan = function.bound(examples, batch).plan
            nodes = dict.fromkeys(node for call in (*plan.compute, *plan.commit) for node in call.nodes)
            fed = sum(array.nbytes for array in plan.inputs)
            plans.append(PlanResources(batch, count, plan.bytes + fed + read_into, operations_of(nodes)))
            read_into = 0  # all sizes share it
    return tuple(plans)
