"""Who may import whom: each part only what stands before it in `PARTS`, and a part of the recipe no other."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "dltrain"
BASE = {"places", "errors"}
CORE = BASE | {"files", "autodiff", "config"}
TASK = CORE | {"task"}
RECIPE = {"layers", "metrics", "costs", "optimizers", "datasets"}
RUNNING = {"compiler", "backends", "execution"}
MAY_IMPORT = {
    "places": set(),
    "errors": {"places"},
    "files": BASE,
    "autodiff": BASE,
    "compiler": BASE | {"autodiff"},
    "backends": BASE | {"files", "autodiff", "compiler"},
    "execution": BASE | {"autodiff", "compiler", "backends"},
    "aliases": set(),
    "config": BASE | {"aliases", "files"},
    "summary": CORE - {"config"},
    "task": CORE,
    **dict.fromkeys(sorted(RECIPE), TASK),
    "models": TASK | RECIPE,
    "training": TASK | RECIPE | RUNNING | {"models"},
    "runs": TASK | RECIPE | RUNNING | {"models", "training", "summary"},
    "inspection": TASK | RECIPE | RUNNING | {"models", "training", "runs"},
    "cli": TASK | RECIPE | RUNNING | {"models", "training", "runs", "inspection"},
}
COMMAND_LINE_ONLY = {"click", "tqdm"}


def imports(path: Path) -> set[str]:
    """The dotted names that the file imports, wherever the import stands."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


def violations(path: Path, part: str) -> list[str]:
    found = []
    for name in imports(path):
        top, _, rest = name.partition(".")
        target = rest.partition(".")[0]
        if top == "dltrain" and target in MAY_IMPORT and target != part and target not in MAY_IMPORT[part]:
            found.append(name)
        if top in COMMAND_LINE_ONLY and part != "cli":
            found.append(name)
    return found


@pytest.mark.parametrize("part", MAY_IMPORT)
def test_parts_import_only_what_is_below_them(part):
    files = list((PACKAGE / part).rglob("*.py")) or [PACKAGE / f"{part}.py"]
    assert {str(path): found for path in files if (found := violations(path, part))} == {}


def test_the_compiler_knows_no_op():
    """Passes ask ops for what they need to know."""
    files = (PACKAGE / "compiler").glob("*.py")
    known = [(path.name, name) for path in files for name in imports(path) if ".ops" in name]
    assert known == []


def test_every_part_of_the_package_has_a_rule():
    parts = {path.stem for path in PACKAGE.iterdir() if path.is_dir() or path.suffix == ".py"}
    assert parts - {"__init__", "__main__", "__pycache__", "py"} - {"py.typed"} <= MAY_IMPORT.keys()


def test_a_violation_is_found(tmp_path):
    file = tmp_path / "layer.py"
    file.write_text("def f():\n    from dltrain.models import mlp\n    import tqdm\n")
    assert set(violations(file, "layers")) == {"dltrain.models.mlp", "tqdm"}


def test_only_backends_know_addresses():
    words = ("ctypes", "__array_interface__", "may_share_memory", "shares_memory")
    files = [path for path in PACKAGE.rglob("*.py") if "backends" not in path.parts]
    assert not [path for path in files for word in words if word in path.read_text(encoding="utf-8")]


def test_only_the_command_line_prints():
    calls = [
        f"{path}:{node.lineno}"
        for path in PACKAGE.rglob("*.py")
        if "cli" not in path.parts
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]
    assert calls == []


def test_the_files_of_the_core_import_each_other_in_one_direction():
    """No circle among them, and no import within a function, by which one could hide."""
    modules = {}
    for path in (PACKAGE / "autodiff").rglob("*.py"):
        name = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")
        modules[name] = path
    for path in modules.values():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        within = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
        assert all(node in tree.body for node in within), path
    needs = {
        name: {imported if imported in modules else imported.rpartition(".")[0] for imported in imports(path)}
        for name, path in modules.items()
    }
    assert set(modules) <= set(TopologicalSorter(needs).static_order())  # raises CycleError
