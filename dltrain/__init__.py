"""dltrain: train neural networks from a short YAML file, on an autodiff core of its own.

    import dltrain as dl

gives the core (`dl.placeholder`, `dl.Variable`, `dl.gradients`, `dl.Session`, ...), every op as a function
(`dl.add`, `dl.matmul`, ...), the recipe as modules (`dl.optimizers`, `dl.models`, ...), whole runs (`dl.fit`,
`dl.load_run`) and TensorBoard's files (`dl.summary`). `dir(dl)` lists all. Everything is imported when it is
first used.
"""

TYPE_CHECKING = False  # True for type checkers; importing typing would cost `--help` half of its time again

if TYPE_CHECKING:  # says to type checkers what `__getattr__` finds at run time
    from dltrain import autodiff as autodiff
    from dltrain import config as config
    from dltrain import costs as costs
    from dltrain import datasets as datasets
    from dltrain import errors as errors
    from dltrain import execution as execution
    from dltrain import layers as layers
    from dltrain import metrics as metrics
    from dltrain import models as models
    from dltrain import optimizers as optimizers
    from dltrain import runs as runs
    from dltrain import summary as summary
    from dltrain import task as task
    from dltrain import training as training
    from dltrain.autodiff import *
    from dltrain.autodiff.ops import *
    from dltrain.execution import *
    from dltrain.runs import *

__version__ = "0.1.0"

_MODULES = (
    "autodiff",
    "config",
    "costs",
    "datasets",
    "errors",
    "execution",
    "layers",
    "metrics",
    "models",
    "optimizers",
    "runs",
    "summary",
    "task",
    "training",
)
_HOMES = ("dltrain.autodiff", "dltrain.execution", "dltrain.autodiff.ops", "dltrain.runs")


def _find(name: str) -> object:
    """The module, or the name of one of the `_HOMES`; imported here, so that `dltrain --help` stays quick."""
    from importlib import import_module

    if name in _MODULES:
        return import_module(f"dltrain.{name}")
    hint = None
    if not name.startswith("_"):
        for home in map(import_module, _HOMES):
            if name in home.__all__:
                globals()[name] = found = getattr(home, name)  # the next time it is there at once
                return found
        hint = _hint(name)
    what = f"module 'dltrain' has no attribute {name!r}"
    raise AttributeError(f"{what}; {hint}" if hint else what, name=name)


def _hint(name: str) -> str | None:
    """What was probably meant by a name that is not here."""
    from importlib import import_module

    from dltrain.aliases import ATTRIBUTES, name_here, ours, plain
    from dltrain.config.text import nearest

    if found := ours(name, ATTRIBUTES):
        return f"write {found}"
    near = nearest(name, __dir__())
    if not near or plain(near) != plain(name):
        for kind in ("optimizers", "costs", "layers", "models", "metrics", "datasets"):
            classes = vars(import_module(f"dltrain.{kind}"))
            names = {getattr(found, "component_name", ""): word for word, found in classes.items()}
            if component := name_here(name, names):
                return f"write dl.{kind}.{names[component]}"
    return f"did you mean dl.{near}?" if near else None


if not TYPE_CHECKING:  # for type checkers a wrong name is to be an error
    __getattr__ = _find


def __dir__() -> list[str]:
    from importlib import import_module

    names = (name for home in map(import_module, _HOMES) for name in home.__all__)
    return sorted({"__version__", *_MODULES, *names})
