"""The architecture's rules, read off the sources: who may use whom, how long a file may be, what an import costs."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
CSRC = ROOT / "csrc"
PACKAGE = ROOT / "python" / "cnnfast"

LONGEST_FILE = 500
LONGEST_IMPORT = 0.100  # seconds beyond numpy's own

# Floor -> the floors whose headers it may include. bindings -> ops -> dispatch -> kernels -> simd, and ops -> runtime.
CPP_FLOORS = {
    "simd": {"simd"},
    "kernels": {"kernels", "simd"},
    "dispatch": {"dispatch", "kernels"},
    "runtime": {"runtime"},
    "ops": {"ops", "runtime", "dispatch", "kernels"},
    "bindings": {"bindings", "ops", "runtime", "dispatch"},
}
# What code that is compiled once per instruction set may include besides: nothing whose inline functions the linker
# could take for everyone's.
KERNEL_SYSTEM_HEADERS = {"cstdint", "cstring", "emmintrin.h", "immintrin.h", "arm_neon.h"}

# The Python package's modules from the ground up. A module imports what is on lower floors, not on its own or above.
PYTHON_FLOORS = [
    {"_core", "structure"},
    {"tensor", "config", "downloads", "extras", "memory", "registration", "seeds", "symbolic"},
    {"recorded"},
    {"autograd"},
    {"ops", "gradcheck"},
    {"arguments", "configured", "naming", "random"},
    {"activations", "backend", "constraints", "initializers", "regularizers"},
    {"layers", "losses", "optimizers", "callbacks", "py_dataset"},
    {"detection", "metrics", "utils"},
    {"models"},
    {"interop"},
    {"applications"},
    {"datasets", "saving"},
    {"cli"},
    {"__init__", "__main__"},
]
CORE_USERS = {"ops", "autograd", "config", "memory", "__init__"}


def cpp_files(folder=CSRC):
    return sorted(p for p in folder.rglob("*") if p.suffix in {".h", ".cpp", ".inc"})


def cpp_floor(path):
    """The floor of a file below csrc/ or of an include's path: its folder, or its stem for those on top."""
    parts = Path(path).parts
    return parts[0] if len(parts) > 1 else Path(path).stem.split("_")[0]


def includes(path):
    """The includes of a C++ file: (own headers by path, system headers by name)."""
    found = re.findall(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', path.read_text(), re.MULTILINE)
    return [name for quote, name in found if quote == '"'], [name for quote, name in found if quote == "<"]


def test_cpp_includes_follow_the_layers():
    wrong = []
    for path in cpp_files():
        floor = cpp_floor(path.relative_to(CSRC))
        assert floor in CPP_FLOORS, f"{path}: give the folder a floor here"
        wrong += [
            f"{path.relative_to(ROOT)} includes {name}"
            for name in includes(path)[0]
            if cpp_floor(name) not in CPP_FLOORS[floor]
        ]
    assert not wrong


def test_system_headers_stay_on_their_floors():
    wrong = []
    for path in cpp_files():
        floor = cpp_floor(path.relative_to(CSRC))
        for name in includes(path)[1]:
            if (
                (floor in {"simd", "kernels"} and name not in KERNEL_SYSTEM_HEADERS)
                or (floor != "bindings" and name.startswith(("pybind11/", "Python.h")))
                or (floor != "runtime" and name == "omp.h")
            ):
                wrong.append(f"{path.relative_to(ROOT)} includes <{name}>")
    assert not wrong


def test_only_the_runtime_starts_threads():
    wrong = [
        str(path.relative_to(ROOT))
        for path in cpp_files()
        if cpp_floor(path.relative_to(CSRC)) != "runtime"
        and re.search(r"#\s*pragma\s+omp|std::(thread|async|jthread)\b", path.read_text())
    ]
    assert not wrong


def test_every_kernel_source_lives_in_its_instruction_sets_namespace():
    wrong = [
        str(path.relative_to(ROOT))
        for path in cpp_files(CSRC / "kernels")
        if path.suffix == ".cpp" and "namespace cnnfast::CNNFAST_ISA {" not in path.read_text()
    ]
    assert not wrong


def python_unit(path):
    """The floor plan's name of a file of the package: its top-level module or subpackage."""
    parts = path.relative_to(PACKAGE).parts
    return parts[0].removesuffix(".py").removesuffix(".pyi")


def runtime_nodes(tree):
    """All nodes but those below `if TYPE_CHECKING:`, which never run."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        yield node
        yield from runtime_nodes(node)


def imported_units(path):
    """The units of cnnfast that a file imports, anywhere in it."""
    own_package = ("cnnfast", *path.relative_to(PACKAGE).parent.parts)
    for node in runtime_nodes(ast.parse(path.read_text())):
        modules = []
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = own_package[: len(own_package) - node.level + 1] if node.level else ()
            base = ".".join([*base, *([node.module] if node.module else [])])
            modules = [f"{base}.{alias.name}" for alias in node.names]
        for module in modules:
            parts = module.split(".")
            if parts[0] == "cnnfast" and len(parts) > 1:
                yield parts[1]


def test_python_imports_follow_the_layers():
    floor_of = {unit: number for number, floor in enumerate(PYTHON_FLOORS) for unit in floor}
    wrong = []
    for path in sorted(PACKAGE.rglob("*.py")):
        unit = python_unit(path)
        assert unit in floor_of, f"{path}: give the module a floor here"
        for other in set(imported_units(path)) - {unit}:
            if floor_of.get(other, -1) >= floor_of[unit]:
                wrong.append(f"{path.relative_to(ROOT)} imports {other}")
            if other == "_core" and unit not in CORE_USERS:
                wrong.append(f"{path.relative_to(ROOT)} imports the extension module: only ops may")
    assert not wrong


def test_files_are_short():
    sources = [
        path
        for folder in ("csrc", "python", "tests", "bench", "examples", "tools")
        for path in sorted((ROOT / folder).rglob("*"))
        if path.suffix in {".h", ".cpp", ".inc", ".py", ".pyi", ".sh", ".cmake"}
    ]
    assert len(sources) > 20
    lengths = {path: len(path.read_text().splitlines()) for path in sources}
    assert {str(path): length for path, length in lengths.items() if length > LONGEST_FILE} == {}


def run_python(code):
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_import_is_cheap():
    code = "import time, numpy; start = time.process_time(); import cnnfast; print(time.process_time() - start)"
    # Processor time, the best of several: what the import costs, not what else the machine was doing.
    assert min(float(run_python(code)) for _ in range(5)) <= LONGEST_IMPORT


@pytest.mark.parametrize("module", ["matplotlib", "PIL", "safetensors", "tqdm", "ssl", "urllib.request", "asyncio"])
def test_import_leaves_optional_modules_alone(module):
    before, after = run_python(
        f"import sys, numpy; print({module!r} in sys.modules); import cnnfast; print({module!r} in sys.modules)"
    ).split()
    assert after == before


def test_the_stub_lists_what_the_extension_offers():
    from cnnfast import _core

    stub = ast.parse((PACKAGE / "_core.pyi").read_text())
    listed = {node.name for node in stub.body if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
    listed |= {node.target.id for node in stub.body if isinstance(node, ast.AnnAssign)}
    offered = {name for name in vars(_core) if not name.startswith("_")} | {"__version__"}
    assert listed - offered == set()
    assert offered - listed == set()
