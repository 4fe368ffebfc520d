"""No code for one instruction set may reach a machine that lacks it: the symbols of the compiled kernels.

An inline or template function shared with other code is emitted as a weak symbol, with AVX-512 in it where it was
compiled for AVX-512, and the linker keeps any one copy for everybody.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCES = sorted((ROOT / "csrc" / "kernels").glob("*.cpp"))

# What kernels may need from elsewhere: the compiler turns loops into the memory functions by itself.
LIBRARY_FUNCTIONS = {"memcpy", "memmove", "memset", "_GLOBAL_OFFSET_TABLE_", "__stack_chk_fail"}


def kernel_objects(build):
    """The compiled kernels of a build folder, one list for each instruction set."""
    folders = sorted(build.glob("CMakeFiles/cnnfast_kernels_*.dir"))
    return {folder.stem.removeprefix("cnnfast_kernels_"): sorted(folder.rglob("*.o")) for folder in folders}


def is_current(build):
    """Whether a build folder holds every kernel, compiled for use on this machine, from the sources as they are."""
    cache = build / "CMakeCache.txt"
    if not cache.exists() or re.search(r"CMAKE_TOOLCHAIN_FILE:|CNNFAST_SANITIZE:STRING=\w", cache.read_text()):
        return False
    objects = kernel_objects(build)
    wanted = {f"{source.name}.o" for source in SOURCES}
    if not objects or any({path.name for path in paths} != wanted for paths in objects.values()):
        return False
    inputs = [*ROOT.glob("csrc/kernels/*"), *ROOT.glob("csrc/simd/*"), *ROOT.glob("cmake/*")]
    oldest = min(path.stat().st_mtime for paths in objects.values() for path in paths)
    return oldest >= max(path.stat().st_mtime for path in inputs)


def compile_kernels(build):
    """Compile the kernels and nothing else."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    compiler = os.environ.get("CXX", "c++")
    missing = [tool for tool in ("cmake", "ninja", compiler) if shutil.which(tool, path=path) is None]
    if missing:
        pytest.skip(f"compiling the kernels needs a C++ compiler, cmake and ninja; missing: {', '.join(missing)}")
    configure = ["cmake", "-G", "Ninja", "-S", str(ROOT), "-B", str(build), "-DCNNFAST_BUILD_PYTHON=OFF"]
    for command in (configure, ["cmake", "--build", str(build), "--target", "cnnfast_kernels"]):
        done = subprocess.run(command, env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def objects(tmp_path_factory):
    if shutil.which("nm") is None or os.name == "nt":
        pytest.skip("reading symbols needs nm")
    for build in sorted((ROOT / "build").glob("*")):
        if is_current(build):
            return kernel_objects(build)
    build = tmp_path_factory.mktemp("kernels")
    compile_kernels(build)
    assert is_current(build)
    return kernel_objects(build)


def symbols(path):
    """(type, demangled name) of every symbol of an object file."""
    output = subprocess.run(["nm", "-C", str(path)], check=True, capture_output=True, text=True).stdout
    return re.findall(r"^[0-9a-f]* +(\w) (.*)$", output, re.MULTILINE)


def test_kernels_define_nothing_weak(objects):
    weak = [
        (path.name, name) for isa in objects for path in objects[isa] for kind, name in symbols(path) if kind in "WVwvu"
    ]
    assert not weak


def test_kernels_stay_in_the_namespace_of_their_instruction_set(objects):
    strangers = [
        (path.name, name)
        for isa in objects
        for path in objects[isa]
        for kind, name in symbols(path)
        if kind in "TDBRC" and not name.startswith(f"cnnfast::{isa}::")
    ]
    assert not strangers


def test_kernels_need_nothing_from_elsewhere(objects):
    needed = [
        (path.name, name)
        for isa in objects
        for path in objects[isa]
        for kind, name in symbols(path)
        if kind == "U" and name not in LIBRARY_FUNCTIONS and not name.startswith(f"cnnfast::{isa}::")
    ]
    assert not needed


def test_every_instruction_set_was_looked_at(objects):
    from cnnfast import _core

    assert set(_core.available_isas()) <= set(objects)
    assert all(symbols(path) for paths in objects.values() for path in paths)
