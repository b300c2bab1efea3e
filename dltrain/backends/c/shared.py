"""C functions that all plans share: they lie beside this file, and are compiled once a type of number."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dltrain.autodiff.spec import Array
from dltrain.backends.c.function import C_TYPES


def c_text(name: str) -> str:
    """The C in a file beside this one."""
    return Path(__file__).with_name(name).read_text(encoding="ascii")


@dataclass(frozen=True)
class SharedCall:
    """A call of a shared function.

    Attributes:
        name: of the function, and of its file.
        arrays: that it is called with, what it writes last.
        numbers: likewise.
        tasks: how many there are.
    """

    name: str
    arrays: tuple[Array, ...]
    numbers: tuple[int, ...]
    tasks: int

    @property
    def c_type(self) -> str:
        return C_TYPES[self.arrays[-1].dtype]

    @property
    def function(self) -> str:
        """The function's name for this type of numbers."""
        return f"{self.name}_{self.c_type}"

    @property
    def source(self) -> str:
        """C of the function for this type of numbers."""
        head = f"#define REAL {self.c_type}\n#define NAME(name) name##_{self.c_type}\n"
        return head + c_text(f"{self.name}.c")
