"""PyTorch's files read without PyTorch: what is in them, and that nothing in them is executed or believed."""

import io
import pickle
import struct
import subprocess
import sys
import time
import tracemalloc
import zipfile

import numpy as np
import pytest

import torch_files
from cnnfast.interop import read_safetensors, read_torch, save_torch
from torch_files import archived, name, numbers, state_pickle, storage, tensor, text

FOUR = np.array([1, 2, 3, 4], "<f4").tobytes()


def read_bytes(tmp_path, data):
    path = tmp_path / "net.pth"
    path.write_bytes(data)
    return read_torch(path)


def refusal(tmp_path, data):
    with pytest.raises(ValueError, match=r"net\.pth") as caught:
        read_bytes(tmp_path, data)
    return str(caught.value)


# Files as they are


@pytest.mark.parametrize("file", ["torch_archive.pth", "torch_legacy.pth"])
def test_kept_files_hold_what_they_were_given(file):
    found = read_torch(torch_files.DATA / file)
    expected = torch_files.kept_state()
    assert list(found) == list(expected)
    for key, array in expected.items():
        assert found[key].dtype == array.dtype, key
        assert found[key].shape == array.shape, key
        assert np.array_equal(found[key], array), key
    everything = read_torch(torch_files.DATA / file, key="")
    assert "optimizer.state.0.step" in everything
    assert set(read_torch(torch_files.DATA / file, key="optimizer")) == {"state.0.step"}
    with pytest.raises(ValueError, match=r"no key 'nets'; there are \['epoch', 'state_dict', 'optimizer'\]"):
        read_torch(torch_files.DATA / file, key="nets")


def test_what_pytorch_writes_is_read(tmp_path):
    torch = pytest.importorskip("torch")
    base = torch.arange(24.0).reshape(4, 6)
    state = {
        "parameter": torch.nn.Parameter(torch.randn(2, 3)),
        "slice": base[1:3, 1::2],
        "permuted": torch.randn(2, 3, 4).permute(2, 0, 1),
        "integer": torch.tensor(5, dtype=torch.int32),
        "unsigned": torch.arange(3).to(torch.uint16),
        "complex": torch.tensor([1 + 2j]),
        "tied": base,
    }
    if hasattr(torch, "bfloat16"):
        state["short"] = torch.randn(50).bfloat16()
    for archive in (True, False):
        for protocol in (2, 3, 4, 5):
            path = tmp_path / "net.pt"
            torch.save(state, path, _use_new_zipfile_serialization=archive, pickle_protocol=protocol)
            found = read_torch(path)
            for key, value in state.items():
                expected = value.detach().float() if key == "short" else value.detach()
                assert np.array_equal(found[key], expected.numpy()), key
                assert found[key].flags.writeable


@pytest.mark.parametrize("legacy", [False, True])
def test_values_that_pytorch_negates_late(tmp_path, legacy):
    """Conjugates, and imaginary parts of them, are stored as they were before, with a mark."""
    torch = pytest.importorskip("torch")
    numbers = torch.randn(5, dtype=torch.cfloat).conj()
    path = tmp_path / "net.pth"
    for late in (numbers, numbers.imag, numbers.real):
        torch.save({"x": late}, path, _use_new_zipfile_serialization=not legacy)
        assert np.array_equal(read_torch(path)["x"], late.resolve_conj().resolve_neg().numpy())


def test_written_files_are_read_by_pytorch(tmp_path):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    arrays = {
        "matrix": rng.normal(size=(3, 4)).astype(np.float32),
        "transposed": rng.normal(size=(3, 4)).T,
        "scalar": np.array(3, np.int64),
        "empty": np.zeros((2, 0), np.float32),
        "big endian": np.arange(3, dtype=">f4"),
        "flags": np.array([True, False]),
        "ünï": np.zeros(1, np.float16),
        "short": np.array([[0, 65535], [3, 40000]], np.uint16),
        "words": np.array([[0, 1 << 31]], ">u4"),
        "long": np.array((1 << 64) - 1, np.uint64),
        "no words": np.zeros((0, 3), np.uint32),
    }
    save_torch(arrays, tmp_path / "net.pth")
    for found in (torch.load(tmp_path / "net.pth", weights_only=True), read_torch(tmp_path / "net.pth")):
        assert list(found) == list(arrays)
        for key, array in arrays.items():
            assert np.array_equal(np.asarray(found[key]), array)
            assert np.asarray(found[key]).dtype == array.dtype.newbyteorder("=")
    with pytest.raises(TypeError, match="'text' has type <U1"):
        save_torch({"text": np.array("a")}, tmp_path / "text.pth")
    with pytest.raises(FileExistsError):
        save_torch(arrays, tmp_path / "net.pth", overwrite=False)


def test_numbers_with_their_highest_byte_first(tmp_path):
    data = archived(state_pickle(x=tensor()), byteorder=b"big", data_0=np.arange(4, dtype=">f4").tobytes())
    assert read_bytes(tmp_path, data)["x"].tolist() == [[0, 1], [2, 3]]


def test_missing_files_and_folders(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such file"):
        read_torch(tmp_path / "none.pth")
    with pytest.raises(IsADirectoryError):
        read_torch(tmp_path)
    assert "neither an archive nor a pickle" in refusal(tmp_path, b"text")
    assert "neither" in refusal(tmp_path, b"")
    assert "a pickle of something else" in refusal(tmp_path, pickle.dumps([1], protocol=2))
    assert "a tar file" in refusal(tmp_path, b"\0" * 257 + b"ustar\0" + b"\0" * 300)


# What wants to be executed


class Runs:
    def __init__(self, function, *args):
        self.reduced = function, args

    def __reduce__(self):
        return self.reduced


def attacks():
    import os
    import subprocess

    for protocol in (0, 2, 4):
        for function, args in ((os.system, ("touch HERE",)), (eval, ("1",)), (getattr, (1, "real")), (exec, ("",))):
            yield pickle.dumps({"x": Runs(function, *args)}, protocol)
        yield pickle.dumps({"x": Runs(subprocess.Popen, ["touch", "HERE"])}, protocol)
    yield b"\x80\x02(" + text("touch HERE") + b"ios\nsystem\n."  # INST
    yield b"\x80\x02(" + name("os", "system") + text("touch HERE") + b"o."  # OBJ
    yield b"\x80\x04" + text("os") + b"\x94" + text("system") + b"\x94h\x00h\x01\x93."  # names from the memo
    yield b"\x80\x04" + text("torch") + text("_utils.os.system") + b"\x93."
    yield b"\x80\x04" + text("collections") + text("OrderedDict.__init__.__globals__") + b"\x93."
    yield b"\x80\x04" + text("torch._utils") + text("_rebuild_tensor_v2.__globals__") + b"\x93."
    yield b"\x80\x02" + name("torch.nn.modules.container", "Sequential") + b")\x81."
    yield b"\x80\x02" + name("torch.storage", "_load_from_bytes") + b"."
    yield b"\x80\x02" + name("torch.serialization", "load") + b"."
    yield b"\x80\x02" + name("numpy.core.multiarray", "_reconstruct") + b"."
    yield b"\x80\x02\x82\x01."  # EXT1
    yield b"\x80\x05\x97."  # NEXT_BUFFER
    yield b"\x80\x02Pname\n."  # PERSID


@pytest.mark.parametrize("number", range(len(list(attacks()))))
def test_calls_are_refused(tmp_path, monkeypatch, number):
    monkeypatch.chdir(tmp_path)
    message = refusal(tmp_path, archived(list(attacks())[number]))
    assert "refused" in message
    prefix = pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1001, 2) + pickle.dumps({}, 2)
    assert "refused" in refusal(tmp_path, prefix + list(attacks())[number])
    assert [path.name for path in tmp_path.iterdir()] == ["net.pth"]


def test_refusals_name_what_was_wanted(tmp_path):
    assert "wants to call os.system" in refusal(tmp_path, archived(b"\x80\x02" + name("os", "system") + b"."))
    assert "wants to call builtins.eval" in refusal(
        tmp_path, archived(b"\x80\x02" + name("__builtin__", "eval") + b".")
    )
    assert "save the state_dict()" in refusal(tmp_path, archived(b"\x80\x02" + name("__main__", "Net") + b"."))
    assert "'torch\\x1b.x'" in refusal(tmp_path, archived(b"\x80\x02" + name("torch\x1b", "x") + b"."))


ORDERED = name("collections", "OrderedDict")
REBUILD = name("torch._utils", "_rebuild_tensor_v2")


@pytest.mark.parametrize(
    "part",
    [
        REBUILD + b")R",  # no arguments
        REBUILD + b"NR",  # arguments that are no tuple
        REBUILD + numbers(1, 2, 3, 4, 5, 6) + b"R",
        REBUILD + b"(" + name("torch", "float32") + numbers(1) + numbers(1) + numbers(1) + b"tR",
        name("torch", "float32") + b")R",  # a type is not called
        name("torch", "FloatStorage") + numbers(4) + b"\x81",
        ORDERED + numbers(1, 2, 3) + b"R",
        ORDERED + b"(]J\x01\x00\x00\x00atR",  # an OrderedDict of a list that holds no pairs
        ORDERED + b"(](]atatR",
        name("torch", "Size") + b"(" + text("ab") + b"tR",
        name("torch", "Size") + b"((" + b"K\x01" * 100 + b"ttR",
        name("_codecs", "encode") + b"(" + text("ab") + text("rot13") + b"tR",
        name("torch._utils", "_rebuild_parameter") + b"(NNNtR",
        name("torch._tensor", "_rebuild_from_type_v2") + b"(" + ORDERED + b"N))tR",
        tensor() + b"}b",  # attributes for a tensor
        ORDERED + b")R(NNtb",
        b"]}b",
        REBUILD + b"}b",
        storage(tag="module"),
        text("storage") + b"Q",
        b")Q",
        b"(" + text("storage") + text("FloatStorage") + text("0") + text("cpu") + b"K\x04tQ",
        storage(count=-1),
        storage(key="../../../etc/passwd"),
        storage(count=5),  # more than there is
        storage(key="1"),  # not there
        storage(kind="DoubleStorage"),
        tensor((3, 2)),  # beyond the storage's end
        tensor(offset=1),
        tensor((2, 2), (-2, 1), 3),
        tensor((2, 2), (2, 1), -1),
        tensor((2, -2)),
        tensor((2, 2), (2,)),
        tensor((1,) * 33, (1,) * 33),
        tensor((1 << 30, 1 << 30), (0, 0)),  # repeated without end
        tensor((2,), (2**31 - 1,)),
        b"\x90",
        b"]]a0h\x07",
        b"\x8b\xff\xff\xff\xff",
        b"\x8b" + struct.pack("<i", 300) + b"\x01" * 300,
        b"K\x01K\x02s",
        b"](K\x01e(K\x01u",
        b"}]Ns",  # a list as key
        b"}))s",
    ],
)  # fmt: skip
@pytest.mark.parametrize("legacy", [False, True])
def test_odd_calls_are_refused(tmp_path, part, legacy):
    pickled = b"\x80\x02}" + text("x") + part + b"s."
    if legacy:
        head = pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1001, 2) + pickle.dumps({}, 2)
        data = head + pickled + pickle.dumps(["0"], 2) + struct.pack("<q", 4) + FOUR
    else:
        data = archived(pickled, data_0=FOUR)
    assert any(word in refusal(tmp_path, data) for word in ("refused", "damaged", "missing", "ends too early"))


# What is small and wants to be large


def quickly(function, memory=100 << 20):
    tracemalloc.start()
    start = time.perf_counter()
    try:
        function()
        return time.perf_counter() - start < 10 and tracemalloc.get_traced_memory()[1] < memory
    finally:
        tracemalloc.stop()


def doubled(levels, container):
    """Containers of containers: as many leaves as two to the number of levels."""
    parts = [tensor() + b"q\x00"]
    for level in range(levels):
        again = b"h" + bytes([level])
        parts.append(b"0(" + again + again + container + b"q" + bytes([level + 1]))
    return b"".join(parts)


@pytest.mark.parametrize("container", [b"t", b"l"])
def test_laughter_is_bounded(tmp_path, container):
    data = archived(b"\x80\x02" + doubled(100, container) + b".", data_0=FOUR)
    assert quickly(lambda: refusal(tmp_path, data))


def test_loops_are_refused(tmp_path):
    assert "deeper" in refusal(tmp_path, archived(b"\x80\x02]q\x00h\x00a."))
    assert "deeper" in refusal(tmp_path, archived(b"\x80\x02}q\x00" + text("x") + b"h\x00s."))
    assert "deeper" in refusal(tmp_path, archived(b"\x80\x02" + b"(" * 100_000 + b"l" * 100_000 + b"."))


def test_many_instructions_are_refused(tmp_path):
    assert "instructions" in refusal(tmp_path, archived(b"\x80\x02" + b"N0" * 2_100_000 + b"."))
    long = name("_codecs", "encode") + b"q\x00" + b"(" + text("a" * 100_000) + text("latin1") + b"tq\x01"
    data = archived(b"\x80\x02" + long + b"h\x00h\x01R" * 1000 + b".")
    assert quickly(lambda: refusal(tmp_path, data))


def test_names_do_not_grow_without_end(tmp_path):
    """A long key before many entries, or one that many tensors share."""
    long = text("k" * 300_000)
    data = archived(b"\x80\x02}" + long + b"](" + b"N" * 200_000 + b"es.")
    assert quickly(lambda: refusal(tmp_path, data))
    assert "a name of more than 512 characters, 'kkkk" in refusal(tmp_path, data)
    one = b"}" + long + b"q\x00" + tensor((0,), (1,)) + b"q\x01s"
    data = archived(b"\x80\x02](" + one + b"}h\x00h\x01s" * 10_000 + b"e.", data_0=FOUR)
    assert quickly(lambda: refusal(tmp_path, data))


def test_tensors_that_repeat_a_storage_are_bounded(tmp_path):
    few = archived(state_pickle(x=tensor((1000,), (0,))), data_0=FOUR)
    assert read_bytes(tmp_path, few)["x"].tolist() == [1.0] * 1000
    many = {f"x{i}": tensor((500_000,), (0,)) for i in range(100)}
    assert quickly(lambda: refusal(tmp_path, archived(state_pickle(**many), data_0=FOUR)))


def test_archives_that_expand_are_refused(tmp_path):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("net/data.pkl", state_pickle(x=tensor((1 << 24,), (1,), stored=storage(count=1 << 24))))
        archive.writestr("net/data/0", b"\0" * (1 << 26))
    assert quickly(lambda: refusal(tmp_path, buffer.getvalue()))
    assert "32 times" in refusal(tmp_path, buffer.getvalue())


def test_sizes_that_an_archive_makes_up(tmp_path):
    """The directory says that there are more bytes than there are."""
    data = bytearray(archived(state_pickle(x=tensor((1024,), (1,), stored=storage(count=1024))), data_0=FOUR))
    at = data.rindex(b"net/data/0") - 46
    for offsets in ((24,), (20, 24)):
        changed = bytearray(data)
        for offset in offsets:
            struct.pack_into("<I", changed, at + offset, 4096)
        refusal(tmp_path, bytes(changed))


# Damage


@pytest.mark.parametrize("file", ["torch_archive.pth", "torch_legacy.pth"])
def test_damage_is_a_value_error_or_harmless(tmp_path, file):
    data = (torch_files.DATA / file).read_bytes()
    rng = np.random.default_rng(1)
    for length in rng.choice(len(data), 150, replace=False):
        refusal(tmp_path, data[:length])
    for _ in range(600):
        damaged = bytearray(data)
        for place in rng.choice(len(data), rng.integers(1, 4)):
            damaged[place] = rng.integers(256)
        try:
            found = read_bytes(tmp_path, bytes(damaged))
        except ValueError as error:
            assert "net.pth" in str(error)  # noqa: PT017
        else:
            assert sum(array.nbytes for array in found.values()) < 1 << 21


@pytest.mark.parametrize("start", [b"\x80\x02", b"\x80\x04"])
def test_random_pickles_are_refused(tmp_path, start):
    rng = np.random.default_rng(2)
    codes = np.frombuffer(b"N\x88JKMGUX]})lt d\x85\x86\x87aesu(0 12hq\x94cRb\x81Q\x93io.", np.uint8)
    for _ in range(1000):
        body = rng.choice(codes, rng.integers(1, 60)).astype(np.uint8).tobytes()
        try:
            assert isinstance(read_bytes(tmp_path, archived(start + body + b".")), dict)
        except ValueError as error:
            assert "net.pth" in str(error)  # noqa: PT017


# Safetensors


def test_plain_safetensors_files(tmp_path):
    numpy = pytest.importorskip("safetensors.numpy")
    arrays = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.array(7), "c": np.array([True, False])}
    numpy.save_file(arrays, tmp_path / "net.safetensors", metadata={"made": "here"})
    found = read_safetensors(tmp_path / "net.safetensors")
    assert {key: (value.dtype, value.tolist()) for key, value in found.items()} == {
        key: (value.dtype, value.tolist()) for key, value in arrays.items()
    }


def safetensors(header, data=b""):
    head = header if isinstance(header, bytes) else repr(header).replace("'", '"').encode()
    return struct.pack("<Q", len(head)) + head + data


def test_bfloat16_in_safetensors(tmp_path):
    path = tmp_path / "net.safetensors"
    path.write_bytes(safetensors({"x": {"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]}}, b"\xc0\x3f\x40\xc0"))
    assert read_safetensors(path)["x"].tolist() == [1.5, -3.0]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x10\0\0\0\0\0\0\0{}",
        struct.pack("<Q", 1 << 60) + b"{}",
        safetensors(b"[1]"),
        safetensors(b"{"),
        safetensors(b"[" * 100_000),
        safetensors(b"\xff\xfe"),
        safetensors({"x": 1}),
        safetensors({"x": {"dtype": "F4", "shape": [1], "data_offsets": [0, 4]}}, b"1234"),
        safetensors({"x": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}}, b"1234"),
        safetensors({"x": {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]}}, b"1234"),
        safetensors({"x": {"dtype": "F32", "shape": [-1], "data_offsets": [8, 4]}}, b"12345678"),
        safetensors({"x": {"dtype": "F32", "shape": [1.0], "data_offsets": [0, 4]}}, b"1234"),
        safetensors({"x": {"dtype": "F32", "shape": "1", "data_offsets": [0, 4]}}, b"1234"),
        safetensors({"x": {"dtype": "F32", "shape": [1 << 40, 0], "data_offsets": [0, 4]}}, b"1234"),
        safetensors({f"x{i}": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]} for i in range(9)}, b"1234"),
    ],
)  # fmt: skip
def test_damaged_safetensors_files(tmp_path, data):
    path = tmp_path / "net.safetensors"
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r"net\.safetensors"):
        read_safetensors(path)


def test_nothing_here_needs_pytorch():
    code = """
import sys, pkgutil, importlib
sys.modules["torch"] = None
import cnnfast.interop.torch as package
for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
    importlib.import_module(module.name)
from cnnfast import interop
try:
    interop.from_torch(None, (1, 2))
except ImportError as error:
    print(error)
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "from_torch needs torch: pip install 'cnnfast[torch]'"
