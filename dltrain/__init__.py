"""dltrain: train neural networks from a short YAML file, on an autodiff core of its own.

    import dltrain as dl

gives the core (`dl.placeholder`, `dl.Variable`, `dl.gradients`, `dl.Session`, ...), every op as a function
(`dl.add`, `dl.matmul`, ...) and the recipe as modules (`dl.optimizers`, `dl.models`, ...). Everything is
imported when it is first used.
"""

__version__ = "0.1.0"

_MODULES = (
    "autodiff",
    "costs",
    "datasets",
    "execution",
    "layers",
    "metrics",
    "models",
    "optimizers",
    "training",
)


def __getattr__(name: str) -> object:
    from importlib import import_module  # here, so that `dltrain --help` stays quick

    if name in _MODULES:
        return import_module(f"dltrain.{name}")
    if not name.startswith("_"):
        for home in ("dltrain.autodiff", "dltrain.execution", "dltrain.autodiff.ops"):
            module = import_module(home)
            if name in module.__all__:
                return getattr(module, name)
    raise AttributeError(f"module 'dltrain' has no attribute {name!r}")


def __dir__() -> list[str]:
    from dltrain import autodiff, execution
    from dltrain.autodiff import ops

    return sorted({"__version__", *_MODULES, *autodiff.__all__, *execution.__all__, *ops.__all__})
