"""Files of Keras that are damaged or malicious: refused by name, at once, and nothing in them is followed."""

import json
import re
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

import cnnfast
from cnnfast.interop.hdf5 import Contents, Group, hdf5_bytes

h5py = pytest.importorskip("h5py")
DATA = Path(__file__).parent / "data"
FILES = ["keras3.keras", "keras3.h5", "keras2.h5", "keras3.weights.h5"]


@pytest.fixture(scope="module")
def model():
    return cnnfast.load_model(DATA / "keras3.keras")


def load(model, path):
    return model.load_weights(path) if path.name.endswith(".weights.h5") else cnnfast.load_model(path)


def refused(model, path, match=""):
    before = model.get_weights()
    with pytest.raises(ValueError, match=re.escape(str(path)) + "(?s:.*)" + match):
        load(model, path)
    for one, other in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("name", FILES)
def test_truncated(model, tmp_path, name):
    data, path = (DATA / name).read_bytes(), tmp_path / name
    for length in [0, 1, 7, 8, 20, 95, 96, *range(100, len(data) - 4000, len(data) // 60)]:
        path.write_bytes(data[:length])
        refused(model, path)


@pytest.mark.filterwarnings("ignore::UserWarning")  # of an optimizer's state that is gone
@pytest.mark.parametrize("name", FILES)
def test_flipped_bytes(model, tmp_path, rng, name):
    data, path = (DATA / name).read_bytes(), tmp_path / name
    outcomes = set()
    for _ in range(150):
        damaged = bytearray(data)
        for place in rng.integers(0, len(data), rng.choice([1, 4, 64])):
            damaged[place] = rng.choice([0, 1, 128, 255])
        path.write_bytes(damaged)
        try:
            load(model, path)
        except ValueError as error:
            outcomes.add(str(path) in str(error))
    assert outcomes == {True}


# Archives


def members(path=DATA / "keras3.keras"):
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def archive(path, parts, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as file:
        for name, data in parts.items():
            file.writestr(name, data)
    return path


def with_config(path, change):
    parts = members()
    config = json.loads(parts["config.json"])
    change(config["config"]["layers"])
    return archive(path, parts | {"config.json": json.dumps(config)})


def test_members_that_claim_more_than_there_is(model, tmp_path):
    path = archive(tmp_path / "bomb.keras", members() | {"config.json": b" " * (1 << 25)}, zipfile.ZIP_DEFLATED)
    refused(model, path, r"config.json: damaged: claims 33554432 bytes, of which the file holds \d+")
    path = archive(tmp_path / "lie.keras", members())
    data = bytearray(path.read_bytes())
    place = data.rindex(b"config.json") - 46  # in the central directory
    assert data[place : place + 4] == b"PK\x01\x02"
    data[place + 24 : place + 28] = struct.pack("<I", 500)
    path.write_bytes(data)
    refused(model, path, "config.json")
    for name in ("config.json", "model.weights.h5"):
        refused(model, archive(tmp_path / "a.keras", {k: v for k, v in members().items() if k != name}), "is missing")
    (tmp_path / "text.keras").write_text("no archive")
    refused(model, tmp_path / "text.keras", "not a .keras file")
    with pytest.raises(IsADirectoryError):
        cnnfast.load_model(tmp_path)


def test_members_with_other_places_are_left_alone(tmp_path):
    (tmp_path / "in").mkdir()
    names = ("../escaped", f"{tmp_path}/absolute", "assets/../../escaped", "assets/x")
    path = archive(tmp_path / "in" / "a.keras", members() | dict.fromkeys(names, b"x"))
    cnnfast.load_model(path)
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["a.keras", "in"]


def test_pickled_weights_are_not_read(model, tmp_path):
    parts = members()
    parts["model.weights.npz"] = parts.pop("model.weights.h5")
    refused(model, archive(tmp_path / "a.keras", parts), "pickled Python objects")


@pytest.mark.parametrize(
    "function",
    [
        {"class_name": "__lambda__", "config": {"value": ["4wEAAAA=", None, None]}},
        ["4wEAAAA=", None, None],
    ],
)
def test_code_is_never_run(model, tmp_path, function):
    entry = {"module": "keras.layers", "class_name": "Lambda", "config": {"function": function}, "name": "code"}
    path = with_config(tmp_path / "a.keras", lambda found: found.append({**entry, "inbound_nodes": []}))
    refused(model, path, "a Lambda with compiled Python code, which is never run")
    refused_too = with_config(tmp_path / "b.keras", lambda found: found[1]["config"].update(activation=entry))
    refused(model, refused_too, "never run")


@pytest.mark.parametrize(
    "text", [b"[" * 100_000, b'{"a":' * 100_000, b"[]", b"NaN", b"\xff", b"{", b'{"class_name": 1}']
)
def test_architectures_that_are_none(model, tmp_path, text):
    refused(model, archive(tmp_path / "a.keras", members() | {"config.json": text}))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1, 0, 1e300, 1 << 62, "3", None, [], {"a": 1}])
def test_sizes_that_are_none(model, tmp_path, value):
    refused(model, with_config(tmp_path / "a.keras", lambda found: found[1]["config"].update(filters=value)))
    refused(model, with_config(tmp_path / "b.keras", lambda found: found[1]["config"].update(kernel_size=[3, value])))


def test_architectures_that_need_more_than_the_file_holds(model, tmp_path):
    path = with_config(tmp_path / "a.keras", lambda found: found[1]["config"].update(filters=10**9))
    refused(model, path, "needs more weights than the file holds")
    refused(model, with_config(tmp_path / "b.keras", lambda found: found.pop(2)))
    path = with_config(tmp_path / "c.keras", lambda found: found[1]["config"].update(use_bias=False))
    refused(model, path, "expects 1 arrays, got 2")


def places(value, path=()):
    found = [path]
    if isinstance(value, (dict, list)):
        for key in value if isinstance(value, dict) else range(len(value)):
            found += places(value[key], (*path, key))
    return found


WEIRD = [None, -1, 0, 10**9, 1 << 70, 1e300, float("nan"), "", "same", [], {}, [None], True, [[1, 2]], 0.5, "float16"]


@pytest.mark.filterwarnings("ignore::UserWarning")  # of an optimizer that begins anew
def test_architectures_with_anything_anywhere(tmp_path, rng):
    parts, path = members(), tmp_path / "a.keras"
    everywhere = places(json.loads(parts["config.json"]))[1:]
    outcomes = set()
    for number in rng.integers(0, len(everywhere), 200):
        config = json.loads(parts["config.json"])
        *above, last = everywhere[number]
        inside = config
        for key in above:
            inside = inside[key]
        inside[last] = WEIRD[rng.integers(len(WEIRD))]
        archive(path, parts | {"config.json": json.dumps(config)})
        try:
            cnnfast.load_model(path)
        except ValueError as error:
            outcomes.add(str(path) in str(error))
    assert outcomes == {True}


def test_an_unknown_optimizer_can_be_left_out(model, tmp_path):
    parts = members()
    config = json.loads(parts["config.json"])
    config["compile_config"]["optimizer"]["class_name"] = "Other"
    path = archive(tmp_path / "a.keras", parts | {"config.json": json.dumps(config)})
    refused(model, path, "optimizer 'Other' is not known.*compile=False loads the model without")
    assert not cnnfast.load_model(path, compile=False).compiled


# HDF5

KERNEL = "layers/conv2d/vars/0"


def edited(path, change):
    path.write_bytes((DATA / "keras3.weights.h5").read_bytes())
    with h5py.File(path, "r+") as file:
        change(file)
    return path


def replaced(make):
    def change(file):
        del file[KERNEL]
        make(file, file[KERNEL.rpartition("/")[0]])

    return change


def virtual(file, group):
    layout = h5py.VirtualLayout((3, 3, 2, 3), np.float32)
    layout[:] = h5py.VirtualSource("other.h5", "x", (3, 3, 2, 3))
    group.create_virtual_dataset("0", layout)


CHANGES = {
    "an external link": (
        lambda file, group: group.__setitem__("0", h5py.ExternalLink("/etc/passwd", "x")),
        "elsewhere",
    ),
    "a soft link": (lambda file, group: group.__setitem__("0", h5py.SoftLink("/layers/conv2d/vars/0")), "elsewhere"),
    "another file": (
        lambda file, group: group.create_dataset("0", (3, 3, 2, 3), "f4", external=[("/etc/passwd", 0, 216)]),
        "other files",
    ),
    "a virtual array": (virtual, "other arrays"),
    "references": (
        lambda file, group: group.create_dataset("0", (3, 3, 2, 3), h5py.ref_dtype),
        "expects numbers",
    ),
    "text": (lambda file, group: group.create_dataset("0", data=np.full((3, 3, 2, 3), b"1.0")), "expects numbers"),
    "a huge shape": (lambda file, group: group.create_dataset("0", (1 << 20, 1 << 20), "f4"), "expects shape"),
    "nothing yet": (lambda file, group: group.create_dataset("0", (3, 3, 2, 3), "f4"), "never written"),
    "no chunk yet": (
        lambda file, group: group.create_dataset("0", (3, 3, 2, 3), "f4", chunks=True),
        "never written",
    ),
    "another shape": (lambda file, group: group.create_dataset("0", data=np.zeros(54, "f4")), "expects shape"),
    "other compression": (
        lambda file, group: group.create_dataset("0", data=np.zeros((3, 3, 2, 3)), compression="lzf"),
        "filter lzf are not read",
    ),
    "nothing": (lambda file, group: None, "expects 2 arrays, got 1"),
    "a group": (lambda file, group: group.create_group("0"), "expects 2 arrays, got 1"),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_weight_that_is(model, tmp_path, what):
    make, match = CHANGES[what]
    refused(model, edited(tmp_path / "a.weights.h5", replaced(make)), match)


@pytest.mark.parametrize("dtype", ["f2", "f8", ">f4", "i4", "u1"])
def test_numbers_of_other_types_are_converted(model, tmp_path, dtype):
    values = np.arange(54).reshape(3, 3, 2, 3)

    def make(file, group):
        group.create_dataset("0", data=values.astype(dtype))

    model.load_weights(edited(tmp_path / "a.weights.h5", replaced(make)))
    np.testing.assert_array_equal(model.get_layer("conv2d").get_weights()[0], values)
    model.load_weights(DATA / "keras3.weights.h5")


def test_circles_end(model, tmp_path):
    def circle(file):
        file["layers/conv2d/again"] = file["layers"]
        file["back"] = file["/"]

    model.load_weights(edited(tmp_path / "a.weights.h5", circle))


def test_groups_within_groups(model, tmp_path):
    root = Group()
    root.at("/".join("a" * 200))
    path = tmp_path / "a.weights.h5"
    path.write_bytes(hdf5_bytes(root))
    refused(model, path, "nested more than 100 deep")


def test_a_heap_that_does_not_advance(model, tmp_path):
    data = bytearray((DATA / "keras2.h5").read_bytes())
    place = data.index(b"GCOL")
    data[place + 16 : place + 4096] = struct.pack("<HHIQ", 7, 0, 0, 0) * 255
    path = tmp_path / "a.h5"
    path.write_bytes(data)
    refused(model, path, "text is missing")


@pytest.mark.parametrize("attribute", ["layer_names", "weight_names"])
def test_lists_of_names_that_lie(model, tmp_path, attribute):
    path = tmp_path / "a.h5"
    path.write_bytes((DATA / "keras2.h5").read_bytes())
    with h5py.File(path, "r+") as file:
        group = file["model_weights"] if attribute == "layer_names" else file["model_weights/conv"]
        group.attrs[attribute] = [b"../../x", b"norm"]
    refused(model, path)


@pytest.mark.parametrize(("padding", "data"), [("NULLTERM", b"conv\0x"), ("NULLPAD", b"conv"), ("SPACEPAD", b"conv  ")])
def test_text_of_a_fixed_size_ends_where_its_type_says(tmp_path, padding, data):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        kind = h5py.h5t.C_S1.copy()
        kind.set_size(6)
        kind.set_strpad(getattr(h5py.h5t, f"STR_{padding}"))
        attribute = h5py.h5a.create(file.id, b"name", kind, h5py.h5s.create(h5py.h5s.SCALAR))
        attribute.write(np.array(data, "S6"), mtype=kind)
    assert Contents(path.read_bytes()).text("", "name") == "conv"
