"""HDF5 files as people's own programs write them through h5py: every layout of arrays, groups and attributes."""

import io
import tempfile
import time
import zlib
from pathlib import Path

import numpy as np
import pytest

import cnnfast
from cnnfast.interop.hdf5 import Contents

h5py = pytest.importorskip("h5py")

VERSIONS = ["earliest", "v108", "v110", "latest"]
FILTERS = [
    {},
    {"compression": "gzip"},
    {"compression": "gzip", "compression_opts": 9, "shuffle": True, "fletcher32": True},
    {"fletcher32": True},
    {"shuffle": True},
]
# The shape, and what makes each version choose another index: of a single chunk, of a fixed number, of one that grows
# along the first or another axis, or along several.
LAYOUTS = [
    ((7, 5), {"chunks": (7, 5)}),
    ((7, 5), {"chunks": (3, 2)}),
    ((70, 50), {"chunks": (3, 2), "maxshape": (100, 60)}),
    ((7, 5), {"chunks": (3, 2), "maxshape": (None, 5)}),
    ((30, 17), {"chunks": (4, 2), "maxshape": (32, None)}),
    ((7, 3, 4, 5), {"chunks": (2, 1, 3, 2), "maxshape": (9, 3, None, 6)}),
    ((70, 50), {"chunks": (3, 2), "maxshape": (None, None)}),
    ((2, 3), {"chunks": (100, 30), "maxshape": (None, None)}),
    ((2, 3, 1, 5), {}),
    ((4,), {"chunks": True}),
    ((0, 3), {"chunks": (1, 3), "maxshape": (None, 3)}),
]
TYPES = ["<f4", ">f4", "<f2", ">f2", "<f8", ">f8", "i1", "u1", ">i2", "<u2", "<i4", ">u4", "<i8", ">u8", "?"]


def written(fill, libver="earliest"):
    bounds = (libver, libver if libver.startswith("v") else "latest")
    with tempfile.TemporaryDirectory() as folder:
        with h5py.File(f"{folder}/a.h5", "w", libver=bounds) as file:
            fill(file)
        return Path(folder, "a.h5").read_bytes()


def same_as_h5py(data, path="x"):
    with h5py.File(io.BytesIO(data)) as file:
        expected = file[path][()]
    found = Contents(data).array(path, expected.shape)
    if expected.dtype.kind == "f":
        assert found.dtype == np.float32
        expected = expected.astype(np.float32)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("libver", VERSIONS)
@pytest.mark.parametrize("filters", FILTERS, ids=lambda f: "+".join(f) or "plain")
def test_arrays_in_chunks(rng, libver, filters):
    for number, (shape, layout) in enumerate(LAYOUTS):
        if filters and not layout:
            continue
        for dtype in (TYPES[(number * 4 + step) % len(TYPES)] for step in range(4)):
            values = rng.normal(scale=100, size=shape).astype(dtype)
            arguments = {"data": values, **layout, **filters}
            same_as_h5py(written(lambda file, given=arguments: file.create_dataset("x", **given), libver))


@pytest.mark.parametrize("libver", VERSIONS)
@pytest.mark.parametrize("dtype", TYPES)
def test_every_type_and_scalars(rng, libver, dtype):
    values = rng.normal(scale=100, size=(5, 3)).astype(dtype)

    def fill(file):
        file.create_dataset("x", data=values)
        file.create_dataset("scalar", data=values[1, 2])
        file.create_dataset("chunks", data=values, compression="gzip", chunks=(2, 2))

    data = written(fill, libver)
    for path in ("x", "scalar", "chunks"):
        same_as_h5py(data, path)


def test_special_values():
    values = np.array([np.nan, np.inf, -np.inf, -0.0, 1e-45, 3e38], np.float32)
    same_as_h5py(written(lambda file: file.create_dataset("x", data=values, compression="gzip", shuffle=True)))


@pytest.mark.parametrize("libver", ["earliest", "latest"])
def test_long_indices(libver):
    """So many chunks that the indices have several levels, tables of blocks, and pages that nobody has written."""

    def fill(file):
        for name, most in (("x", 40_000), ("y", None)):
            file.create_dataset(name, (40_000,), "i2", chunks=(1,), maxshape=(most,), fillvalue=-3)
            for part in (slice(0, 1500), slice(20_000, 20_002), slice(39_990, 40_000)):
                file[name][part] = np.arange(40_000)[part] % 1000
        file.create_dataset("z", (60, 60), "f4", chunks=(1, 1), maxshape=(None, None), compression="gzip")
        file["z"][...] = np.arange(3600).reshape(60, 60)

    data = written(fill, libver)
    for path in "xyz":
        same_as_h5py(data, path)


def test_pages_of_an_index_that_grows():
    def fill(file):
        file.create_dataset("x", (180_000,), "i4", chunks=(1,), maxshape=(None,))
        for start in (5, 140_000, 140_500, 150_000, 179_000):
            file["x"][start : start + 30] = np.arange(30)

    same_as_h5py(written(fill, "latest"))


def test_arrays_that_became_longer_and_shorter():
    def fill(file):
        for name, most in (("x", (None, 40)), ("y", (None, None)), ("z", (50, 50))):
            array = file.create_dataset(name, (9, 30), "f4", chunks=(4, 7), maxshape=most, fletcher32=True)
            array[...] = np.arange(270).reshape(9, 30)
            array.resize((41, 12))
            array[20:] = 7
            array.resize((35, 39))

    for libver in ("earliest", "latest"):
        for path in "xyz":
            same_as_h5py(written(fill, libver), path)


@pytest.mark.parametrize("libver", ["earliest", "latest"])
def test_space_that_was_set_aside_at_once(libver):
    def fill(file):
        properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        properties.set_chunk((3, 2))
        properties.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
        space = h5py.h5s.create_simple((7, 5), (8, 9))
        made = h5py.h5d.create(file.id, b"x", h5py.h5t.IEEE_F32LE, space, properties)
        h5py.Dataset(made)[...] = np.arange(35).reshape(7, 5)

    same_as_h5py(written(fill, libver))


def test_a_chunk_that_skipped_a_filter():
    def fill(file):
        array = file.create_dataset("x", (4, 4), "f4", chunks=(2, 4), compression="gzip", shuffle=True)
        array[...] = 5.0
        array.id.write_direct_chunk((2, 0), np.arange(8, dtype="<f4").tobytes(), filter_mask=3)

    for libver in ("earliest", "latest"):
        same_as_h5py(written(fill, libver))


@pytest.mark.parametrize("libver", VERSIONS)
@pytest.mark.parametrize("order", [False, True])
@pytest.mark.parametrize("count", [3, 9, 300, 3000])
def test_groups(libver, order, count):
    names = [f"größe_{number}" if number % 3 else "n" * (number % 200 + 1) + str(number) for number in range(count)]

    def fill(file):
        group = file.create_group("in", track_order=order)
        for name in names:
            group.create_group(name)
        for name in names[1::2]:
            del group[name]
        group["last"] = np.arange(3)

    contents = Contents(written(fill, libver))
    assert set(contents.groups) == {"", "in", *(f"in/{name}" for name in names[::2])}
    assert contents.names("in") == ["last"]


@pytest.mark.parametrize("libver", VERSIONS)
@pytest.mark.parametrize("order", [False, True])
@pytest.mark.parametrize("count", [1, 8, 9, 2000])
def test_attributes(libver, order, count):
    texts = {f"ключ {number}": "värde" * (number % 40) for number in range(count)}
    lists = {f"list {number}": [f"{number}", "é", "three"] for number in range(min(count, 30))}

    def fill(file):
        for group in (file.create_group("in", track_order=order), file.create_dataset("x", data=1.0)):
            for name, text in texts.items():
                group.attrs[name] = text
        for name, items in lists.items():
            file["in"].attrs[name] = items
            file["in"].attrs[f"fixed {name}"] = np.array([item.encode() for item in items])
        file["in"].attrs["number"] = 3
        file["in"].attrs["nothing"] = h5py.Empty("f4")
        file["in"].attrs["numbers"] = np.arange(1000)

    contents = Contents(written(fill, libver))
    assert {name: contents.text("in", name) for name in texts} == texts
    for name, items in lists.items():
        assert contents.texts("in", name) == contents.texts("in", f"fixed {name}") == items


def test_attributes_too_long_for_a_heaps_blocks():
    texts = {f"list {number}": [f"{'n' * 60}{i}" for i in range(200 * number)] for number in range(1, 20)}

    def fill(file):
        for name, items in texts.items():
            file.attrs[name] = np.array([item.encode() for item in items])

    contents = Contents(written(fill, "latest"))
    assert {name: contents.texts("", name) for name in texts} == texts


def test_types_with_names_and_what_is_not_numbers():
    def fill(file):
        file["kind"] = np.dtype("<f4")
        file.create_dataset("x", data=[1.0, 2.0], dtype=file["kind"])
        file.create_dataset("y", data=[1.0, 2.0], dtype=file["kind"], chunks=(1,), compression="gzip")
        file.create_dataset("text", data=["a", "b"], chunks=(1,))
        file.create_dataset("pairs", (3,), np.dtype([("a", "f4"), ("b", "i4")]), chunks=(2,))
        file.create_dataset("complex", data=np.ones(3, np.complex64))
        file["nothing"] = h5py.Empty("f4")
        file.attrs.create("named", 1.0, dtype=file["kind"])

    for libver in ("earliest", "latest"):
        data = written(fill, libver)
        for path in "xy":
            same_as_h5py(data, path)
        for path, shape in (("text", (2,)), ("pairs", (3,)), ("complex", (3,)), ("nothing", ())):
            with pytest.raises(ValueError, match="expects numbers"):
                Contents(data).array(path, shape)


def test_what_is_not_read():
    def fill(file):
        file.create_dataset("lzf", data=np.zeros((9, 9)), compression="lzf")
        file.create_dataset("offset", data=np.arange(9), scaleoffset=True)
        file.create_dataset("new", (3, 3), "f4", chunks=(2, 2))
        file.create_dataset("huge", (1 << 20, 1 << 20), "f4", chunks=(2, 2), compression="gzip")

    contents = Contents(written(fill, "latest"))
    for path, shape, why in [
        ("lzf", (9, 9), "filter lzf are not read"),
        ("offset", (9,), "filter scale-offset are not read"),
        ("new", (3, 3), "never written"),
        ("huge", (1 << 20, 1 << 20), "never written"),
    ]:
        with pytest.raises(ValueError, match=why):
            contents.array(path, shape)
    assert contents.elements() < 1000  # whatever the shapes say


def test_what_a_file_really_holds():
    data = written(lambda file: file.create_dataset("x", data=np.zeros(1 << 20, "f4"), compression="gzip"))
    assert len(data) < 100_000
    assert Contents(data).elements() == 1 << 20
    data = written(lambda file: file.create_dataset("x", (1 << 40,), "f4", chunks=(64,)).__setitem__(0, 1.0))
    assert Contents(data).elements() == 64


@pytest.mark.parametrize("libver", VERSIONS)
def test_a_chunk_that_lies(libver):
    """A chunk that becomes more than its shape, less, nothing, or fails its checksum."""
    good = np.arange(50, dtype="<f4").tobytes()

    def fill(stored):
        def change(file):
            array = file.create_dataset("x", (100,), "f4", chunks=(50,), compression="gzip")
            array[...] = 1.0
            array.id.write_direct_chunk((50,), stored)

        return change

    np.testing.assert_array_equal(
        Contents(written(fill(zlib.compress(good)), libver)).array("x", (100,))[50:], range(50)
    )
    for stored in (
        zlib.compress(b"\0" * (1 << 26)),
        zlib.compress(good + b"\0"),
        zlib.compress(good[:-1]),
        zlib.compress(good)[:-9],
        b"no stream",
    ):
        with pytest.raises(ValueError, match=r"damaged: a (compressed )?chunk"):
            Contents(written(fill(stored), libver)).array("x", (100,))

    def checked(file):
        file.create_dataset("x", data=np.arange(3, dtype="f4"), chunks=(3,), fletcher32=True)
        place = file["x"].id.get_chunk_info(0).byte_offset
        file.attrs["place"] = str(place)

    data = bytearray(written(checked, libver))
    data[int(Contents(bytes(data)).text("", "place")) + 5] ^= 1
    with pytest.raises(ValueError, match="checksum"):
        Contents(bytes(data)).array("x", (3,))


@pytest.mark.parametrize("libver", ["earliest", "latest"])
def test_arrays_with_several_names(libver):
    def fill(file):
        file["in/x"] = np.arange(5, dtype="f4")
        file["y"] = file["in/x"]
        file["in/again"] = file["/"]

    data = written(fill, libver)
    for path in ("in/x", "y"):
        same_as_h5py(data, path)
    assert Contents(data).names("in") == ["x"]
    assert Contents(data).names("") == ["y"]


def test_compressed_twice_a_chunk_grows_no_more_than_once():
    """A few hundred bytes that claim to be 32 MB."""

    def fill(file):
        properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        properties.set_chunk((1 << 23,))
        properties.set_deflate(9)
        properties.set_deflate(9)
        space = h5py.h5s.create_simple((1 << 23,))
        made = h5py.h5d.create(file.id, b"x", h5py.h5t.IEEE_F32LE, space, properties)
        stored = zlib.compress(zlib.compress(b"\0" * (1 << 25), 9), 9)
        h5py.Dataset(made).id.write_direct_chunk((0,), stored)
        file.create_dataset("y", data=np.arange(9.0), compression="gzip")

    contents = Contents(written(fill, "latest"))
    with pytest.raises(ValueError, match="damaged: a compressed chunk"):
        contents.array("x", (1 << 23,))
    np.testing.assert_array_equal(contents.array("y", (9,)), np.arange(9))


@pytest.mark.parametrize("libver", ["earliest", "latest"])
@pytest.mark.parametrize("name", ["keras2.h5", "keras3.h5", "keras3.weights.h5"])
def test_models_that_somebody_has_compressed(tmp_path, libver, name):
    """Files of Keras, copied with h5py's filters, order of creation and a link to everything from a large group."""

    def copied(path, item):
        if isinstance(item, h5py.Group):
            made = target.require_group(path)
        else:
            how = {"compression": "gzip", "shuffle": True, "fletcher32": True} if item.ndim else {}
            made = target.create_dataset(path, data=item[()], **how)
        for key, value in item.attrs.items():
            made.attrs[key] = value

    data, path = Path(__file__).parent / "data", tmp_path / name
    with h5py.File(data / name) as source, h5py.File(path, "w", libver=libver, track_order=True) as target:
        for key, value in source.attrs.items():
            target.attrs[key] = value
        for number in range(20):
            target.attrs[f"größe {number}"] = "text"
        source.visititems(copied)
    assert len(path.read_bytes()) != len((data / name).read_bytes())
    if name.endswith(".weights.h5"):
        expected, found = (cnnfast.load_model(data / "keras3.keras") for _ in range(2))
        expected.load_weights(data / name)
        found.set_weights([np.zeros_like(w) for w in found.get_weights()])
        found.load_weights(path)
    else:
        expected, found = cnnfast.load_model(data / name), cnnfast.load_model(path)
    for one, other in zip(found.get_weights(), expected.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


# Damage


def everything(file):
    for number in range(12):
        file.create_group(f"größe {number}").attrs[f"ключ {number}"] = "text"
        file.attrs[f"a{number}"] = [b"x" * 500] * number
    for number, (shape, layout) in enumerate(LAYOUTS):
        values = np.arange(np.prod(shape)).reshape(shape)
        file.create_dataset(f"in/{number}", data=values.astype("f4"), **layout, **(FILTERS[2] if layout else {}))
        file.create_dataset(f"plain/{number}", data=values.astype("f4"), **layout)


def read_all(data, shapes):
    contents = Contents(data)
    contents.elements()
    for path, shape in shapes.items():
        contents.array(path, shape)


@pytest.fixture(scope="module", params=["earliest", "latest"])
def whole(request):
    data = written(everything, request.param)
    contents = Contents(data)
    return data, {path: found.shape for path, found in contents.arrays.items()}


def test_truncated(whole):
    data, shapes = whole
    started, outcomes = time.perf_counter(), set()
    for length in {0, 8, 47, 95, *range(50, len(data) - 50, len(data) // 150)}:
        with pytest.raises(ValueError, match=r"damaged|not an HDF5"):
            read_all(data[:length], shapes)
        outcomes.add(length)
    assert len(outcomes) > 100
    assert time.perf_counter() - started < 30


def test_flipped_bytes(whole, rng):
    """Every outcome is the arrays or a ValueError, soon, also where the index of the chunks is what is hit."""
    data, shapes = whole
    signs = [b"TREE", b"SNOD", b"HEAP", b"FRHP", b"FHDB", b"FHIB", b"BTHD", b"BTLF", b"BTIN", b"FAHD", b"FADB", b"EAHD"]
    signs += [b"EAIB", b"EASB", b"EADB", b"OHDR", b"OCHK", b"GCOL"]
    begins = [at for sign in signs for at in range(len(data)) if data.startswith(sign, at)]
    refused, slowest = 0, 0.0
    for number in range(160):
        damaged = bytearray(data)
        if number % 2:
            places = begins[rng.integers(len(begins))] + rng.integers(4, 80, rng.choice([1, 3]))
        else:
            places = rng.integers(0, len(data), rng.choice([1, 4, 64]))
        for place in places:
            damaged[min(place, len(data) - 1)] = rng.choice([0, 1, 2, 3, 127, 128, 255])
        started = time.perf_counter()
        try:
            read_all(bytes(damaged), shapes)
        except ValueError:
            refused += 1
        slowest = max(slowest, time.perf_counter() - started)
    assert refused > 40
    assert slowest < 3
