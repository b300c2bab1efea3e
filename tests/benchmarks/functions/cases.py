"""The functions that are measured, and their sizes. No NumPy here: the benchmark's process stays small."""

from __future__ import annotations

from dataclasses import dataclass, replace

SMALL = 4


@dataclass(frozen=True)
class Case:
    """A function, described where its arguments are made (problems.py), for one set of sizes."""

    function: str
    sizes: dict[str, int]
    dtype: str = "float64"

    def __getitem__(self, size: str) -> int:
        return self.sizes[size]

    @property
    def tiny(self) -> Case:
        """The same with no size above 4: enough to see whether all sides compute the same."""
        return replace(self, sizes={name: min(size, SMALL) for name, size in self.sizes.items()})

    @property
    def kept_bytes(self) -> int | None:
        """Of an LSTM what its gradient needs of each step: two states and four gates; else None."""
        if self.function != "lstm":
            return None
        return 6 * 4 * self["steps"] * self["batch"] * self["hidden"]


def _gmm(dimensions: int, components: int) -> Case:
    return Case("gmm", {"points": 1000, "dimensions": dimensions, "components": components})


def _kmeans(points: int, dimensions: int, centres: int) -> Case:
    return Case("kmeans", {"points": points, "dimensions": dimensions, "centres": centres})


def _lstm(steps: int) -> Case:
    return Case("lstm", {"steps": steps, "batch": 64, "inputs": 128, "hidden": 128}, "float32")


CASES = {
    "gmm-2x5": _gmm(2, 5),
    "gmm-10x25": _gmm(10, 25),
    "gmm-32x50": _gmm(32, 50),
    "gmm-64x100": _gmm(64, 100),
    "rk-1000": Case("rk", {"unknowns": 1000, "steps": 100}),
    "rk-10000": Case("rk", {"unknowns": 10_000, "steps": 100}),
    "saddle": Case("saddle", {}),
    "kmeans-1000": _kmeans(1000, 8, 10),
    "kmeans-10000": _kmeans(10_000, 16, 20),
    "products": Case("products", {"count": 1000, "rows": 8, "inner": 16, "columns": 8}, "float32"),
    "product": Case("product", {"rows": 2048, "inner": 2048, "columns": 512}, "float32"),
    "mlp": Case("mlp", {"batch": 512, "inputs": 784, "hidden": 2048, "classes": 10}, "float32"),
    "lstm-10": _lstm(10),
    "lstm-28": _lstm(28),
    "lstm-100": _lstm(100),
    "lstm-200": _lstm(200),
    "lstm-1000": _lstm(1000),
}


def chosen(names: list[str]) -> list[str]:
    """The cases called so, or whose function is; all of them for no names."""
    return [case for case in CASES if not names or case in names or CASES[case].function in names]


FUNCTIONS = sorted({case.function for case in CASES.values()})
