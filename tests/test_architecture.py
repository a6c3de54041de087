"""Who may import whom, what every public name must have, and how large a room may be."""

import ast
import importlib
import inspect
import re
import sys
from pathlib import Path

import jax
import pytest

import jaxnn

PACKAGE = Path(jaxnn.__file__).parent
ROOT = PACKAGE.parent
FILES = sorted(PACKAGE.rglob("*.py"))
HEAVY = ["PIL", "array_record", "flax", "grain", "matplotlib", "orbax", "rich", "sklearn", "tensorboard"]
HEAVY += ["tensorflow", "tensorflow_datasets"]


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def imports(path: Path, *, inside_functions: bool = True) -> set[str]:
    """The full names of what a file imports at run time: for `from a import b`, `a` and `a.b`."""
    found: set[str] = set()

    def walk(node: ast.AST) -> None:
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found.update({node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)})
        if not inside_functions and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            return
        for child in node.orelse if isinstance(node, ast.If) and is_type_checking(node) else ast.iter_child_nodes(node):
            walk(child)

    walk(ast.parse(path.read_text(encoding="utf-8")))
    return found


def tops(names: set[str]) -> set[str]:
    return {name.split(".")[0] for name in names}


def of_jaxnn(names: set[str]) -> set[str]:
    """The rooms of jaxnn among the names: `jaxnn.metrics` for `jaxnn.metrics.accuracy`."""
    return {".".join(name.split(".")[:2]) for name in names if name.startswith("jaxnn.")}


def in_plots(path: Path) -> bool:
    return (module_name(path) + ".").startswith("jaxnn.plots.")


def in_sklearn(path: Path) -> bool:
    return (module_name(path) + ".").startswith("jaxnn.interop.sklearn.")


each_file = pytest.mark.parametrize("path", FILES, ids=lambda path: module_name(path))


# ---------------------------------------------------------------- imports


@pytest.mark.parametrize("room", ["_random", "layers", "losses", "initializers", "metrics"])
def test_the_lowest_rooms_import_jax_and_numpy_alone(room):
    found = imports(PACKAGE / f"{room}.py")
    assert of_jaxnn(found) <= {"jaxnn._random"}
    assert tops(found) <= {"jax", "numpy", "jaxnn"} | sys.stdlib_module_names


def test_models_import_only_what_they_are_made_of():
    found = imports(PACKAGE / "models.py")
    assert of_jaxnn(found) <= {"jaxnn.layers", "jaxnn.losses", "jaxnn.initializers", "jaxnn.metrics"}
    assert tops(found) <= {"jax", "numpy", "jaxnn"} | sys.stdlib_module_names


def test_training_is_handed_its_functions():
    for path in (PACKAGE / "training").rglob("*.py"):
        assert of_jaxnn(imports(path)) <= {
            "jaxnn.metrics",
            "jaxnn.training",
            "jaxnn._random",
            "jaxnn.sharding",
            "jaxnn.distributed",
            *({"jaxnn._files"} if path.name == "_compile.py" else ()),  # where compiled programs are kept
            *({"jaxnn.models"} if path.name == "_task.py" else ()),  # the types of models
        }, path


@each_file
def test_nobody_imports_what_is_above(path):
    found = imports(path)
    assert not {"experiments", "tests", "tensorflow"} & tops(found)
    if not in_plots(path):
        assert "jaxnn.plots" not in found
        assert "matplotlib" not in tops(found)


@each_file
def test_heavy_libraries_are_imported_in_their_rooms_and_only_when_needed(path):
    in_data = PACKAGE / "data" in path.parents
    allowed = set(HEAVY) - {"matplotlib", "tensorflow"} if in_data else set()
    allowed |= {"matplotlib"} if in_plots(path) else set()
    allowed |= {"orbax"} if module_name(path) == "jaxnn.checkpoint._store" else set()
    allowed |= {"sklearn"} if in_sklearn(path) else set()
    allowed |= {"flax"} if module_name(path) == "jaxnn.interop.flax" else set()
    assert tops(imports(path)) & set(HEAVY) <= allowed
    at_the_top = tops(imports(path, inside_functions=False)) & set(HEAVY) - {"matplotlib"}
    if at_the_top:  # then the module itself must be imported inside functions
        others = [other for other in FILES if not (in_sklearn(path) and in_sklearn(other))]  # the door and its rooms
        loaded_by = [other for other in others if module_name(path) in imports(other, inside_functions=False)]
        assert not loaded_by, f"{module_name(path)} loads {at_the_top} and is loaded by {loaded_by}"


def test_import_is_light_makes_no_array_and_starts_no_device(run_python):
    code = """
import sys
import jaxnn.data, jaxnn.interop
print("jax" in sys.modules)
from jaxnn import layers, losses, initializers, metrics, models, training
from jax._src import xla_bridge
print(xla_bridge.backends_are_initialized(), *sys.modules)
"""
    jax_loaded, device_started, *loaded = run_python(code).split()
    assert (jax_loaded, device_started) == ("False", "False")
    assert {"jaxnn.data", "jaxnn.interop", "jaxnn.training"} <= set(loaded)
    assert not set(loaded) & set(HEAVY)


# ---------------------------------------------------------------- documentation


def is_public(name: str) -> bool:
    """Whether a module is part of the public face: no part of its name begins with an underscore."""
    return not any(part.startswith("_") for part in name.split("."))


def public_names() -> list:
    """Every function and class of a literal `__all__`, once, under the shortest name it has there."""
    found = {}
    for path in sorted(FILES, key=lambda path: len(path.parts)):
        name = module_name(path)
        if is_public(name):
            module = importlib.import_module(name)
            for public in module.__all__:
                value = getattr(module, public)
                if callable(value) and getattr(value, "__module__", "").startswith("jaxnn"):
                    found.setdefault(id(value), pytest.param(value, id=f"{name.removeprefix('jaxnn.')}.{public}"))
    return list(found.values())


def parameters_of(function):
    return [name for name in inspect.signature(function).parameters if not name.startswith("_")]


@pytest.mark.parametrize("value", public_names())
def test_every_public_name_is_documented_in_parts(value):
    doc = inspect.getdoc(value) or ""
    assert doc, "no docstring"
    assert not doc.startswith(f"{getattr(value, '__name__', '')}("), "a docstring made by NamedTuple"
    if inspect.isfunction(value):
        given = parameters_of(value)
        assert not given or "\nArgs:\n" in doc or re.search("^Args.*: as `", doc, re.MULTILINE)
        for name in given if "\nArgs:\n" in doc else ():
            assert re.search(rf"^    (.*, )?\*{{0,2}}{name}(, .*)?: ", doc, re.MULTILINE), f"{name} is not described"
        if inspect.signature(value).return_annotation not in (None, "None"):
            assert re.search("^(Returns|Yields):", doc, re.MULTILINE)


@each_file
def test_every_public_module_says_literally_what_is_public(path):
    if not is_public(module_name(path)):
        return
    tree = ast.parse(path.read_text(encoding="utf-8"))
    lists = [n.value for n in tree.body if isinstance(n, ast.Assign) and ast.unparse(n.targets[0]) == "__all__"]
    assert len(lists) == 1, "no literal __all__"
    names = ast.literal_eval(lists[0])
    assert len(set(names)) == len(names)
    module = importlib.import_module(module_name(path))
    assert all(hasattr(module, name) for name in names)


def test_the_public_face_is_small():
    public = {
        module_name(path): importlib.import_module(module_name(path)).__all__
        for path in FILES
        if is_public(module_name(path))
    }
    galleries = {name: public.pop(name) for name in ("jaxnn.inspect", "jaxnn.plots")}
    assert all(len(names) <= 16 for names in galleries.values())
    assert sum(len(names) for names in public.values()) - len(["__version__"]) <= 75


@each_file
def test_every_module_is_documented(path):
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))


# ---------------------------------------------------------------- size and names


@each_file
def test_no_room_is_too_large(path):
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines < 350, f"{path.name} has {lines} lines: split it"


def test_no_room_for_odds_and_ends():
    folders = [PACKAGE, ROOT / "experiments", ROOT / "tests"]
    names = {path.stem for folder in folders for path in folder.rglob("*") if path.suffix in ("", ".py")}
    assert not names & {"utils", "util", "helpers", "misc", "common"}


def test_names_are_the_terms_of_the_field():
    """No word that once stood here for something that had a name: a report, early stopping, a running job."""
    invented = r"\b(told|goes_on|with_room|compile_in_haste|meet|watched|settle|answering|Begun)\b"
    files = [*FILES, *(ROOT / "experiments").rglob("*.py")]
    assert {path.name for path in files if re.search(invented, path.read_text(encoding="utf-8"))} == set()


def test_these_tests_see_eight_strict_devices():
    assert len(jax.devices()) >= 8 or jax.default_backend() != "cpu"
    with pytest.raises(jax.dtypes.TypePromotionError, match="strict"):
        jax.numpy.add(jax.numpy.ones(2), jax.numpy.ones(2, int))
    with pytest.raises(ValueError, match="rank"):
        jax.numpy.add(jax.numpy.ones(2), jax.numpy.ones((2, 2)))


# ---------------------------------------------------------------- the house


def import_graph() -> dict[str, set[str]]:
    """The modules of jaxnn and experiments that each module imports, in functions and for type checkers included."""
    paths = [path for room in (PACKAGE, ROOT / "experiments") for path in room.rglob("*.py")]
    names = {module_name(path): path for path in paths}
    graph = {}
    for name, path in names.items():
        graph[name] = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                graph[name] |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                full = {f"{node.module}.{alias.name}" for alias in node.names}
                graph[name] |= {module if module in names else str(node.module) for module in full}
        graph[name] = {module for module in graph[name] if module in names and module != name}
    return graph


def cycle_in(graph: dict[str, set[str]]) -> list[str] | None:
    """A cycle of a directed graph, or None."""
    finished: set[str] = set()

    def visit(node: str, path: list[str]) -> list[str] | None:
        if node in path:
            return [*path[path.index(node) :], node]
        if node in finished:
            return None
        found = next((cycle for other in graph.get(node, ()) if (cycle := visit(other, [*path, node]))), None)
        finished.add(node)
        return found

    return next((cycle for node in graph if (cycle := visit(node, []))), None)


def test_no_two_files_and_no_two_folders_import_each_other():
    graph = import_graph()
    assert cycle_in(graph) is None
    folders = {}
    for name, others in graph.items():
        here = folder_of(name)
        apart = {there for other in others if not nested(here, there := folder_of(other))}
        folders.setdefault(here, set()).update(apart)
    assert cycle_in(folders) is None
    assert cycle_in({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]


def folder_of(name: str) -> str:
    return name if (ROOT / name.replace(".", "/")).is_dir() else name.rpartition(".")[0]


def nested(one: str, other: str) -> bool:
    """Whether two folders are the same, or one contains the other."""
    return f"{one}.".startswith(f"{other}.") or f"{other}.".startswith(f"{one}.")


@each_file
def test_the_library_has_no_process_wide_state(path):
    text = path.read_text(encoding="utf-8")
    hidden = r"ContextVar|sys\.(excepthook|unraisablehook)|os\.environ\[[^\]]*\] = |os\.putenv|jax\.config\.update"
    asked_for = {"_compile.py": ["jax.config.update"] * 2}  # by those who call `enable_compilation_cache`
    assert [found[0] for found in re.finditer(hidden, text)] == asked_for.get(path.name, [])


def test_a_file_in_experiments_is_a_command():
    commands = {path.stem for path in (ROOT / "experiments").glob("*.py")} - {"__init__", "__main__"}
    assert len(commands) <= 7
    for name in commands:
        source = (ROOT / "experiments" / f"{name}.py").read_text(encoding="utf-8")
        assert f"python -m experiments.{name}" in source
        assert 'if __name__ == "__main__":' in source
