"""The engine's surroundings: instruction sets, threads, forks, memory, denormals, and what the package shows."""

import ast
import os
import subprocess
import sys
import threading
from importlib.resources import files

import numpy as np
import pytest

import cnnfast
from cnnfast import GradientTape, Tensor, _core, memory, ops

LARGE = (64, 32, 32, 16)  # enough work for several threads


def run_python(code, **environment):
    return subprocess.run(
        [sys.executable, "-W", "default", "-c", code],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={**os.environ, **environment},
    )


def large_array(seed=0):
    return np.random.default_rng(seed).standard_normal(LARGE).astype(np.float32)


# Instruction sets


@pytest.mark.parametrize("isa", _core.available_isas())
def test_the_environment_forces_an_instruction_set(isa):
    result = run_python("from cnnfast import _core; print(_core.isa())", CNNFAST_ISA=isa)
    assert (result.returncode, result.stdout.strip()) == (0, isa), result.stderr


def test_scalar_is_another_name_for_the_baseline():
    if "baseline" not in _core.available_isas():
        pytest.skip("this processor has no baseline of its own")
    assert (
        run_python("from cnnfast import _core; print(_core.isa())", CNNFAST_ISA="scalar").stdout.strip() == "baseline"
    )


def test_an_empty_variable_leaves_the_choice():
    result = run_python("from cnnfast import _core; print(_core.isa())", CNNFAST_ISA="")
    assert result.stdout.strip() == _core.available_isas()[0]


@pytest.mark.parametrize("name", ["sse9", "AVX2", "avx2 ", "neon" if "neon" not in _core.available_isas() else "avx2"])
def test_an_unknown_instruction_set_raises_import_error_with_what_there_is(name):
    result = run_python("import cnnfast", CNNFAST_ISA=name)
    assert result.returncode == 1
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith(f"ImportError: CNNFAST_ISA: '{name}' is not available on this machine")
    assert last.endswith(f"available: {', '.join(_core.available_isas())}")


# Threads


def test_the_number_of_threads_is_kept():
    before = cnnfast.get_num_threads()
    try:
        for count in (1, 3, np.int64(2)):
            cnnfast.set_num_threads(count)
            assert cnnfast.get_num_threads() == count
    finally:
        cnnfast.set_num_threads(before)


@pytest.mark.parametrize(
    ("count", "error", "message"),
    [
        (0, ValueError, "set_num_threads: count must be at least 1 .*, got 0"),
        (-3, ValueError, "got -3"),
        (1 << 40, ValueError, "at most 2147483647"),
        (2.0, TypeError, "set_num_threads: count must be an integer, got float"),
        ("2", TypeError, "got str"),
        (None, TypeError, "got NoneType"),
    ],
)
def test_a_wrong_number_of_threads_raises(count, error, message):
    before = cnnfast.get_num_threads()
    with pytest.raises(error, match=message):
        cnnfast.set_num_threads(count)
    assert cnnfast.get_num_threads() == before


@pytest.mark.parametrize(("text", "expected"), [("3", 3), ("5,2", 5), ("nonsense", None), ("0", None)])
def test_omp_num_threads_sets_the_default(text, expected):
    result = run_python("import cnnfast; print(cnnfast.get_num_threads())", OMP_NUM_THREADS=text)
    assert int(result.stdout) == (_core.available_processors() if expected is None else expected)


def test_the_default_follows_the_affinity_mask():
    code = (
        "import os; os.sched_setaffinity(0, [min(os.sched_getaffinity(0))]); "
        "import cnnfast; print(cnnfast.get_num_threads())"
    )
    if not hasattr(os, "sched_setaffinity"):
        pytest.skip("this system has no affinity mask")
    environment = {key: value for key, value in os.environ.items() if key != "OMP_NUM_THREADS"}
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120, env=environment
    )
    assert int(result.stdout) == 1


def test_first_calls_from_several_threads_at_once_end():
    code = """
import faulthandler, threading
import numpy as np
from cnnfast import _core
faulthandler.dump_traceback_later(20, exit=True)
x, ready = np.ones((4, 4), np.float32), []
def call():
    while not ready:
        pass
    _core.channel_sums(x)
threads = [threading.Thread(target=call) for _ in range(8)]
for t in threads:
    t.start()
ready.append(True)
for t in threads:
    t.join()
"""
    for _ in range(5):  # threads must meet in the very first call
        result = run_python(code)
        assert result.returncode == 0, result.stderr


def test_concurrent_calls_from_python_threads_are_right():
    inputs = [large_array(seed) for seed in range(4)]
    expected = [np.asarray(ops.tanh(x)) for x in inputs]
    wrong = []

    def work(index):
        for _ in range(10):
            t = Tensor(inputs[index])
            with GradientTape() as tape:
                tape.watch(t)
                y = ops.tanh(t)
            gradient = tape.gradient(y, t)
            if not np.array_equal(y, expected[index]):
                wrong.append(index)
            if not np.allclose(gradient, 1 - expected[index] ** 2, atol=1e-6):
                wrong.append(index)

    threads = [threading.Thread(target=work, args=(index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


FORKED = """
import os, sys, warnings
import numpy as np
import cnnfast
from cnnfast import ops

cnnfast.set_num_threads(2)
x = np.linspace(-3, 3, 1 << 20, dtype=np.float32)
expected = ops.tanh(x)
warnings.simplefilter("ignore", DeprecationWarning)  # Python's own, about forking with threads
pid = os.fork()
if pid == 0:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        same = [np.array_equal(ops.tanh(x), expected) for _ in range(3)]
    texts = [str(w.message) for w in caught]
    os._exit(0 if all(same) and len(texts) == 1 and "do not survive" in texts[0] else 1)
_, status = os.waitpid(pid, 0)
assert np.array_equal(ops.tanh(x), expected)
sys.exit(os.waitstatus_to_exitcode(status))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_computes_alone_and_warns_once():
    result = run_python(FORKED)
    assert result.returncode == 0, result.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_process_forked_before_the_first_use_keeps_its_threads():
    code = FORKED.replace("expected = ops.tanh(x)", "expected = np.tanh(x)")
    code = code.replace('len(texts) == 1 and "do not survive" in texts[0]', "not texts")
    code = code.replace("np.array_equal(ops.tanh(x), expected)", "np.allclose(ops.tanh(x), expected, atol=1e-6)")
    result = run_python(code)
    assert result.returncode == 0, result.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_fork_while_other_threads_compute_leaves_the_child_able_to_compute():
    # They hold the lock of the memory pool now and then: no child may inherit it locked.
    code = """
import os, signal, sys, threading, time, warnings
import numpy as np
from cnnfast import ops

warnings.simplefilter("ignore")
# Small enough for one thread; its scratch memory comes from the pool while the interpreter's lock is released.
x, w = np.ones((1, 16, 16, 32), np.float32), np.ones((3, 3, 32, 32), np.float32)
stop = threading.Event()

def work():
    while not stop.is_set():
        ops.conv2d(x, w)

def ends(pid):
    for _ in range(2000):
        if os.waitpid(pid, os.WNOHANG)[0]:
            return True
        time.sleep(0.005)
    os.kill(pid, signal.SIGKILL)
    return False

threads = [threading.Thread(target=work, daemon=True) for _ in range(3)]
for thread in threads:
    thread.start()
for _ in range(300):
    pid = os.fork()
    if pid == 0:
        ops.conv2d(x, w)
        os._exit(0)
    if not ends(pid):
        sys.exit("a child hangs")
stop.set()
for thread in threads:
    thread.join()
"""
    result = run_python(code)
    assert result.returncode == 0, result.stderr


# Memory


@pytest.fixture
def kept_limit():
    before = memory.stats()["limit_bytes"]
    memory.trim()
    yield
    memory.set_limit(before)
    memory.trim()


def test_a_block_is_used_again(kept_limit):
    memory.set_limit(1 << 30)
    x = large_array()
    before = memory.stats()
    y = ops.tanh(x)
    during = memory.stats()
    assert during["used_bytes"] - before["used_bytes"] >= y.nbytes
    assert during["allocations"] == before["allocations"] + 1
    address = y.ctypes.data
    assert address % 64 == 0
    del y
    after = memory.stats()
    assert after["used_bytes"] == before["used_bytes"]
    assert after["cached_bytes"] - before["cached_bytes"] >= x.nbytes
    y = ops.tanh(x)
    assert y.ctypes.data == address
    assert memory.stats()["reuses"] == before["reuses"] + 1


def test_trim_gives_everything_back(kept_limit):
    memory.set_limit(1 << 30)
    ops.tanh(large_array())
    cached = memory.stats()["cached_bytes"]
    assert cached > 0
    assert memory.trim() == cached
    assert memory.stats()["cached_bytes"] == 0
    assert memory.trim() == 0


def test_the_limit_bounds_what_is_kept(kept_limit):
    x = large_array()
    memory.set_limit(x.nbytes // 2)
    ops.tanh(x)
    assert memory.stats()["cached_bytes"] == 0
    memory.set_limit(0)
    ops.tanh(x[:4].copy())
    assert memory.stats()["cached_bytes"] == 0
    assert memory.stats()["limit_bytes"] == 0
    memory.set_limit(1 << 30)
    ops.tanh(x)
    assert memory.stats()["cached_bytes"] > 0
    memory.set_limit(1)  # lowering it lets go at once
    assert memory.stats()["cached_bytes"] == 0


def test_a_wrong_limit_raises():
    before = memory.stats()["limit_bytes"]
    with pytest.raises(ValueError, match=r"set_limit: limit_bytes must be between 0 and .*, got -1"):
        memory.set_limit(-1)
    with pytest.raises(ValueError, match="got 1180591620717411303424"):
        memory.set_limit(1 << 70)
    with pytest.raises(TypeError, match="set_limit: limit_bytes must be an integer, got float"):
        memory.set_limit(0.5)
    assert memory.stats()["limit_bytes"] == before


def test_memory_stays_flat_under_changing_shapes(kept_limit):
    memory.set_limit(8 << 20)
    used = memory.stats()["used_bytes"]
    rng = np.random.default_rng(0)
    for _ in range(40):
        shape = rng.integers(50, 150, 2)
        x = Tensor(np.ones((*shape, 8)))
        with GradientTape() as tape:
            tape.watch(x)
            y = ops.sum(ops.tanh(ops.relu(x)))
        tape.gradient(y, x)
        assert memory.stats()["cached_bytes"] <= 8 << 20
    del x, y, tape
    assert memory.stats()["used_bytes"] == used


def test_arrays_live_on_when_the_pool_is_trimmed(kept_limit):
    x = large_array()
    y = ops.relu(x)
    view = y[3:5]
    del y
    memory.trim()
    ops.relu(-x)
    np.testing.assert_array_equal(view, np.maximum(x[3:5], 0))


# Denormals


def test_the_callers_denormal_mode_is_left_alone(threads):
    tiny = np.float32(1e-40)
    assert tiny * np.float32(0.5) != 0
    ops.tanh(large_array())
    ops.tanh(np.ones(3, np.float32))
    assert tiny * np.float32(0.5) != 0
    assert np.all(np.full(100, tiny) * np.float32(0.5) > 0)
    ops.add(np.full(LARGE, tiny, np.float32), np.zeros(LARGE, np.float32))
    assert np.all(np.full(100, tiny) * np.float32(0.5) > 0)


# What the package shows


def test_show_config_prints_what_config_info_tells(capsys):
    assert cnnfast.show_config() is None
    printed = capsys.readouterr().out
    info = cnnfast.config_info()
    assert set(info) == {
        "version",
        "isa",
        "available_isas",
        "num_threads",
        "available_processors",
        "compiler",
        "openmp",
        "numpy",
    }
    for key, value in info.items():
        for part in value if key == "available_isas" else [value]:
            assert str(part) in printed, key
    assert info["numpy"] == np.__version__
    assert info["version"] == cnnfast.__version__ == _core.__version__


def test_the_stub_declares_what_the_extensions_classes_have():
    tree = ast.parse(files("cnnfast").joinpath("_core.pyi").read_text())
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    assert sorted(c.name for c in classes) == sorted(n for n in dir(_core) if isinstance(getattr(_core, n), type))
    for declared in classes:
        members = {node.name for node in declared.body if isinstance(node, ast.FunctionDef)}
        own = vars(getattr(_core, declared.name))
        assert {n for n in members if not n.startswith("_")} == {n for n in own if not n.startswith("_")}, declared.name
        assert members <= set(own), declared.name


def test_the_package_is_marked_as_typed():
    assert files("cnnfast").joinpath("py.typed").is_file()


def test_lazy_names_come_on_first_use_and_unknown_ones_raise():
    result = run_python(
        "import sys, cnnfast; assert 'cnnfast.memory' not in sys.modules; "
        "cnnfast.memory.stats(); assert 'memory' in dir(cnnfast); assert 'memory' in vars(cnnfast)"
    )
    assert result.returncode == 0, result.stderr
    with pytest.raises(AttributeError, match="module 'cnnfast' has no attribute 'no_such_name'"):
        _ = cnnfast.no_such_name
    assert {"layers", "Sequential", "gradcheck", "ops", "utils"} <= set(dir(cnnfast))
