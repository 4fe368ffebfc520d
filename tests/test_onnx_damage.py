"""ONNX files that are damaged, or made to do harm: every one is refused, quickly, in bounded memory."""

import time
import tracemalloc

import numpy as np
import pytest

import cnnfast
from cnnfast.interop import load_onnx

onnx = pytest.importorskip("onnx")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from onnx_files import model_of  # noqa: E402

IMAGE = {"x": ["N", 3, 8, 8]}


def small_file():
    rng = np.random.default_rng(0)
    constants = {"w": rng.normal(size=(4, 3, 3, 3)).astype("f4"), "s": np.array([0, -1]), "d": np.ones((144, 2), "f4")}
    nodes = [
        ("Conv", ["x", "w"], ["c"], {"pads": [1, 1, 1, 1], "strides": [2, 2]}),
        ("Relu", ["c"], ["r"]),
        ("MaxPool", ["r"], ["p"], {"kernel_shape": [2, 2]}),
        ("Concat", ["p", "p", "p", "p"], ["q"], {"axis": 1}),
        ("Reshape", ["q", "s"], ["f"]),
        ("MatMul", ["f", "d"], ["y"]),
    ]
    return model_of(nodes, IMAGE, ["y"], constants).SerializeToString()


def refused(model, match, megabytes=200, seconds=20, **options):
    """Check that a model is refused as it should be."""
    source = model if isinstance(model, (bytes, str)) or hasattr(model, "joinpath") else model.SerializeToString()
    tracemalloc.start()
    began = time.perf_counter()
    try:
        with pytest.raises(ValueError, match=match):
            load_onnx(source, **options)
        assert tracemalloc.get_traced_memory()[1] < megabytes << 20
    finally:
        tracemalloc.stop()
    assert time.perf_counter() - began < seconds


def why_refused(path):
    """The error that a file leads to, or None."""
    try:
        load_onnx(path)
    except ValueError as error:
        return str(error)
    return None


def test_truncated_files_are_refused_or_sound(tmp_path):
    data, path = small_file(), tmp_path / "cut.onnx"
    load_onnx(data)
    whole = 0
    for end in [*range(200), *range(200, len(data), 29)]:
        path.write_bytes(data[:end])
        message = why_refused(path)
        whole += message is None
        assert message is None or "cut.onnx" in message
    assert whole < 5


def test_flipped_bits_are_refused_or_sound(tmp_path):
    data, path = bytearray(small_file()), tmp_path / "flipped.onnx"
    names = [place for place in range(len(data)) if not 200 < place < len(data) - 600]
    refusals = 0
    for place in names[::2]:
        for bit in (1 << place % 8, 128):
            data[place] ^= bit
            path.write_bytes(data)
            data[place] ^= bit
            message = why_refused(path)
            refusals += message is not None
            assert message is None or "flipped.onnx" in message
    assert refusals > 100


def test_other_files_are_refused(tmp_path):
    for number, data in enumerate(
        [b"", b"\0" * 100, b"{}", b"PK\3\4" + bytes(50), np.random.default_rng(1).bytes(999)]
    ):
        path = tmp_path / f"{number}.onnx"
        path.write_bytes(data)
        refused(path, f"{number}.onnx: not an ONNX file")
    with pytest.raises(FileNotFoundError):
        load_onnx(tmp_path / "none.onnx")
    with pytest.raises(IsADirectoryError):
        cnnfast.load_model(tmp_path)


def chain(*nodes, constants=(), **more):
    return model_of(nodes, more.pop("inputs", IMAGE), ["y"], constants, **more)


def tensor(dims, kind=TensorProto.FLOAT, **fields):
    return TensorProto(dims=dims, data_type=kind, **fields)


ADD_W = ("Add", ["x", "w"], ["y"])

GRAPHS = [
    (chain(("Add", ["x", "b"], ["a"]), ("Relu", ["a"], ["b"]), ("Relu", ["b"], ["y"])), "in a circle"),
    (chain(("Add", ["x", "y"], ["y"])), "in a circle"),
    (chain(("Relu", ["x"], ["y"]), ("Relu", ["x"], ["y"])), "'y', which something else makes too"),
    (chain(("Relu", ["x"], ["x"]), ("Relu", ["x"], ["y"])), "which something else makes too"),
    (chain(("Relu", ["z"], ["y"])), "Relu_0' takes 'z', which nothing makes"),
    (chain(("Relu", ["x"], ["z"])), "nothing makes the outputs"),
    (chain(("Relu", ["x"], ["z"], {}), ("LSTM", ["z", "z", "z"], ["y"])), r"LSTM 'LSTM_1' \(opset 17\).*recurrent"),
    (chain(("QuantizeLinear", ["x", "w"], ["y"]), constants={"w": np.float32(1)}), "QuantizeLinear.*quantization"),
    (chain(("Frobnicate", ["x"], ["y"])), r"Frobnicate 'Frobnicate_0' \(opset 17\)"),
    (chain(("Relu", ["x"], ["y"], {"domain": "com.example"})), "domain 'com.example'"),
    (chain(("Relu", ["x"], ["y"]), opset=3), "opset 3 is too old"),
    (chain(("Relu", [], ["y"])), "Relu_0.*input 0 is missing"),
    (chain(("Conv", ["x", "w"], ["y"]), constants={"w": np.ones((4, 2, 3, 3), "f4")}), "Conv_0.*channels"),
    (chain(("Conv", ["x", "w"], ["y"], {"group": 0}), constants={"w": np.ones((4, 3, 3, 3), "f4")}), "Conv_0.*group"),
    (chain(("Conv", ["x", "w"], ["y"], {"strides": "up"}), constants={"w": np.ones((4, 3, 3, 3), "f4")}), "Conv_0"),
    (chain(("Concat", ["x", "x"], ["y"], {"axis": 9})), "Concat_0"),
    (chain(("Reshape", ["x", "x"], ["y"])), "Reshape_0.*must be constant; it depends on x"),
    (chain(("Det", ["x"], ["d"]), ("Relu", ["d"], ["y"])), "Det_0.*not supported"),
    (chain(ADD_W, constants={"w": tensor([-1, 3])}), "'w': sizes from 0 on"),
    (chain(ADD_W, constants={"w": tensor([3, 8], raw_data=b"1234")}), "'w'.*96 bytes, got 4"),
    (chain(ADD_W, constants={"w": tensor([1 << 62, 1 << 62], raw_data=b"1234")}), "'w'.*bytes, got 4"),
    (chain(ADD_W, constants={"w": tensor([1 << 40], float_data=[1.0])}), "'w'.*float_data, got 1"),
    (chain(ADD_W, constants={"w": tensor([1], TensorProto.STRING, string_data=[b"a"])}), "element type 8"),
    (chain(ADD_W, constants={"w": tensor([1], 77, raw_data=b"a")}), "element type 77"),
]  # fmt: skip


@pytest.mark.parametrize(("model", "match"), GRAPHS, ids=range(len(GRAPHS)))
def test_wrong_graphs_are_refused(model, match):
    refused(model, match)


def whole(*numbers):
    return np.array(numbers, np.int64)


def doubling(count):
    """Concatenations of a value with itself, over and over."""
    return [("Concat", [f"c{i}", f"c{i}"], [f"c{i + 1}"], {"axis": 1}) for i in range(count)]


def squares(count):
    """A number times itself, over and over, beside an open size."""
    first = [("Shape", ["x"], ["s"]), ("Mul", ["s", "three"], ["q0"])]
    return [*first, *(("Mul", [f"q{i}", f"q{i}"], [f"q{i + 1}"]) for i in range(count))]


def nested_functions(depth, each, cycle=False):
    """Functions that call the next one several times each."""
    functions = []
    for level in range(depth):
        name = f"F{0 if cycle else level + 1}"
        nodes = [helper.make_node(name, [f"a{i}"], [f"a{i + 1}"], domain="own") for i in range(each)]
        if level == depth - 1 and not cycle:
            nodes = [helper.make_node("Relu", ["a0"], [f"a{each}"])]
        functions.append(
            helper.make_function("own", f"F{level}", ["a0"], [f"a{each}"], nodes, [helper.make_opsetid("", 17)])
        )
    return functions


def within(depth):
    """An If in an If in an If ..."""
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["z"])], "g", [], [onnx.ValueInfoProto(name="z")])
    for _ in range(depth):
        node = helper.make_node("If", ["c"], ["z"], then_branch=graph, else_branch=graph)
        graph = helper.make_graph([node], "g", [], [onnx.ValueInfoProto(name="z")])
    return graph


BOMBS = [
    chain(("ConstantOfShape", ["w"], ["c"]), ("Add", ["x", "c"], ["y"]), constants={"w": whole(1 << 40)}),
    chain(("ConstantOfShape", ["w"], ["c"]), ("Add", ["x", "c"], ["y"]), constants={"w": whole(1 << 20, 1 << 20)}),
    chain(("ConstantOfShape", ["w"], ["c"]), ("Add", ["x", "c"], ["y"]), constants={"w": whole(-5)}),
    chain(("Expand", ["v", "w"], ["c"]), ("Add", ["x", "c"], ["y"]),
          constants={"v": np.ones(1, "f4"), "w": whole(1 << 50)}),
    chain(("Expand", ["x", "w"], ["y"]), constants={"w": whole(1 << 30, 1, 3, 8, 8)}),
    chain(("Tile", ["v", "w"], ["c"]), ("Add", ["x", "c"], ["y"]),
          constants={"v": np.ones(9, "f4"), "w": whole(1 << 50)}),
    chain(("Tile", ["x", "w"], ["y"]), constants={"w": whole(1, 1, 1 << 20, 1 << 20)}),
    chain(("Range", ["a", "b", "c"], ["r"]), ("Add", ["x", "r"], ["y"]),
          constants={"a": np.float32(0), "b": np.float32(1e12), "c": np.float32(1)}),
    chain(("Range", ["a", "b", "c"], ["r"]), ("Add", ["x", "r"], ["y"]),
          constants={"a": np.float32(0), "b": np.float32(np.inf), "c": np.float32(1)}),
    chain(*doubling(60), ("Add", ["x", "c60"], ["y"]), constants={"c0": np.ones((1, 1000), "f4")}),
    chain(*doubling(60), ("Relu", ["c60"], ["y"]), inputs={"c0": ["N", 1000]}),
    chain(*squares(80), ("Reshape", ["x", "q80"], ["y"]), constants={"three": whole(3, 3, 3, 3)}),
    chain(("Mul", ["a", "b"], ["c"]), ("Add", ["x", "c"], ["y"]),
          constants={"a": np.ones((100_000, 1), "f4"), "b": np.ones((1, 100_000), "f4")}),
    chain(("Mul", ["x", "a"], ["b"]), ("Add", ["x", "b"], ["y"]), inputs={"x": [1, 100_000, 1]},
          constants={"a": np.ones((1, 1, 100_000), "f4")}),
    chain(("Transpose", ["x"], ["t"]), ("MatMul", ["t", "x"], ["y"]), inputs={"x": [1, 100_000]}),
    chain(("Einsum", ["x", "x"], ["y"], {"equation": "ni,nj->nij"}), inputs={"x": [1, 100_000]}),
    chain(("Pad", ["x", "w"], ["y"]), constants={"w": whole(0, 0, 1 << 20, 1 << 20, 0, 0, 0, 0)}),
    chain(("Resize", ["x", "", "w"], ["y"]), constants={"w": np.array([1, 1, 1e5, 1e5], "f4")}),
    chain(("Resize", ["x", "", "", "w"], ["y"]), constants={"w": whole(1, 3, 1 << 30, 8)}),
    chain(("AveragePool", ["x"], ["y"], {"kernel_shape": [2, 2], "pads": [1 << 20] * 4})),
    chain(("AveragePool", ["x"], ["y"], {"kernel_shape": [1 << 20] * 2, "dilations": [2, 2]})),
    chain(("Gather", ["x", "w"], ["y"], {"axis": 1}), inputs={"x": [1, 4, 1024, 1024]},
          constants={"w": np.zeros(4000, np.int64)}),
    chain(("Add", ["x", "x"], ["y"]), inputs={"x": [1, 1 << 20, 1 << 20]}),
    chain(("Split", ["x"], ["y"], {"num_outputs": 1 << 40, "axis": 1}), opset=18),
    chain(("F0", ["x"], ["y"], {"domain": "own"}), functions=nested_functions(20, 10)),
    chain(("F0", ["x"], ["y"], {"domain": "own"}), functions=nested_functions(1, 1, cycle=True)),
]  # fmt: skip


@pytest.mark.parametrize("model", BOMBS, ids=range(len(BOMBS)))
def test_what_asks_for_too_much_is_refused(model, monkeypatch):
    # The memory and the time that the real limits allow would only slow the tests down.
    monkeypatch.setattr("cnnfast.interop.onnx.budget._NODES", 3000)
    monkeypatch.setattr("cnnfast.interop.onnx.budget.LARGEST", 1 << 26)
    refused(model, "too large|sensible|more than|sizes|open|leads nowhere|num_outputs|64 bits", megabytes=300)


def test_one_weight_cannot_be_made_a_thousand_times(monkeypatch):
    monkeypatch.setattr("cnnfast.interop.onnx.budget.LARGEST", 1 << 22)
    model = chain(
        *(("Conv", ["x", "w"], [f"c{i}" if i else "y"], {"tag": i}) for i in range(1000)),
        constants={"w": np.ones((300, 3, 16, 16), "f4")},
        inputs={"x": [1, 3, 16, 16]},
    )
    refused(model, "sensible", megabytes=100)


def test_deep_nesting_is_refused():
    inner = within(12)
    node = helper.make_node("If", ["c"], ["y"], then_branch=inner, else_branch=inner)
    model = chain(("Relu", ["x"], ["unused"]), constants={"c": np.array(True)})
    model.graph.node.append(node)
    assert load_onnx(model).output_shape == (None, 8, 8, 3)
    deep = model.graph.SerializeToString()
    for _ in range(5000):  # a graph in an attribute of a node of a graph
        deep = message(1, message(4, b"If") + message(5, message(1, b"then_branch") + message(6, deep)))
    refused(message(7, deep), "not an ONNX file")


def message(field, payload):
    """A field of a protobuf message, as bytes."""
    length, n = b"", len(payload)
    while n > 127:
        length, n = length + bytes([n & 127 | 128]), n >> 7
    return bytes([field << 3 | 2]) + length + bytes([n]) + payload


def external(**entries):
    made = TensorProto(dims=[2, 3], data_type=TensorProto.FLOAT, data_location=TensorProto.EXTERNAL)
    for key, value in entries.items():
        made.external_data.add(key=key, value=str(value))
    return made


@pytest.fixture
def folder(tmp_path):
    """A folder for models, with a file of values in it and one beside it."""
    inside = tmp_path / "models"
    inside.mkdir()
    for place in (inside / "data.bin", tmp_path / "secret.bin"):
        place.write_bytes(np.arange(16, dtype="<f4").tobytes())
    (inside / "link.bin").symlink_to(tmp_path / "secret.bin")
    (inside / "out").symlink_to(tmp_path)
    return inside


def test_values_in_a_file_beside_the_model_are_read(folder):
    path = folder / "net.onnx"
    model = chain(("MatMul", ["x", "w"], ["y"]), inputs={"x": [None, 2]},
                  constants={"w": external(location="data.bin", offset=8, length=24)})  # fmt: skip
    path.write_bytes(model.SerializeToString())
    np.testing.assert_array_equal(load_onnx(path).get_weights()[0], np.arange(2, 8).reshape(2, 3))
    refused(model, "the model itself is not a file")


@pytest.mark.parametrize(
    ("entries", "match"),
    [
        ({"location": "../secret.bin"}, "not beside the model"),
        ({"location": "a/../../secret.bin"}, "not beside the model"),
        ({"location": "..\\secret.bin"}, "not beside the model"),
        ({"location": "/etc/hostname"}, "not beside the model"),
        ({"location": "C:\\secret.bin"}, "not beside the model"),
        ({"location": "link.bin"}, "leads out of"),
        ({"location": "out/secret.bin"}, "leads out of"),
        ({"location": "none.bin"}, "no file"),
        ({"location": "."}, "no file"),
        ({}, "not beside the model"),
        ({"location": "data.bin", "offset": 48}, "bytes 48 to 72 of .* which has 64"),
        ({"location": "data.bin", "offset": 1 << 60}, "which has 64"),
        ({"location": "data.bin", "offset": -8}, "offset .* expects a number"),
        ({"location": "data.bin", "offset": "9" * 30}, "offset .* expects a number"),
        ({"location": "data.bin", "length": 12}, "take 24 bytes, its file entry has 12"),
        ({"location": "data.bin", "length": "x"}, "length .* expects a number"),
    ],
)
def test_files_beside_the_model_cannot_lead_elsewhere(folder, entries, match):
    path = folder / "net.onnx"
    path.write_bytes(chain(ADD_W, constants={"w": external(**entries)}).SerializeToString())
    refused(path, match)


def test_a_file_beside_the_model_is_not_read_over_and_over(folder):
    path = folder / "net.onnx"
    names = [f"w{i}" for i in range(9)]
    model = chain(("Sum", ["x", *names], ["y"]), inputs={"x": [None, 3]},
                  constants={name: external(location="data.bin") for name in names})  # fmt: skip
    path.write_bytes(model.SerializeToString())
    refused(path, "more than twice as large")


def test_numpy_helper_agrees_about_every_element_type():
    for dtype in ("f4", "f8", "f2", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "?"):
        values = np.array([0, 1, 3, 7]).astype(dtype)
        raw = numpy_helper.from_array(values)
        fields = helper.make_tensor("w", raw.data_type, [4], values.tolist())
        for given in (raw, fields):
            model = load_onnx(chain(("Cast", ["w"], ["v"], {"to": 1}), ("Add", ["x", "v"], ["y"]),
                                    inputs={"x": [None, 4]}, constants={"w": given}))  # fmt: skip
            np.testing.assert_array_equal(model(np.zeros((1, 4)))[0], values.astype("f4"))
