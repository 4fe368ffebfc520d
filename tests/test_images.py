"""How the command line makes network input of arrays, photos and drawings."""

import json
import sys

import numpy as np
import pytest
from PIL import Image, ImageDraw

from cnnfast.cli.augment import distort, with_variants
from cnnfast.cli.data import stratified_split
from cnnfast.cli.errors import CommandError
from cnnfast.cli.images import Preprocessing, decode, load_array
from cnnfast.cli.ink import InkForm
from cnnfast.cli.resize import resize

GREY = Preprocessing(8, 8, 1, 255.0, ("a", "b"))
COLOUR = Preprocessing(8, 6, 3, 255.0, ("a", "b"))
INK = InkForm(8, 8, box_height=1.0, box_width=0.625, stretched=True, upright=True, amount=0.3)
LOOSE_INK = InkForm(28, 28, box_height=0.72, box_width=0.72, stretched=False, upright=False, amount=0.13)


# Resizing.


@pytest.mark.parametrize(("height", "width"), [(16, 20), (8, 30), (64, 10), (13, 17)])
def test_growing_is_pillows_bilinear_filter(rng, height, width):
    image = rng.random((8, 10)).astype(np.float32)
    # Each axis by itself: Pillow's filter for a shrinking axis is another.
    height, width = max(height, 8), max(width, 10)
    expected = np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR))
    np.testing.assert_allclose(resize(image[None, :, :, None], height, width)[0, :, :, 0], expected, atol=1e-5)


def test_shrinking_by_a_whole_factor_averages_blocks(rng):
    images = rng.random((2, 12, 20, 3)).astype(np.float32)
    expected = images.reshape(2, 4, 3, 5, 4, 3).mean(axis=(2, 4))
    np.testing.assert_allclose(resize(images, 4, 5), expected, rtol=1e-5)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (5, 7), (10, 3), (11, 11), (40, 2), (100, 101)])
def test_resizing_keeps_range_and_even_colour(rng, height, width):
    images = rng.integers(0, 256, (3, 11, 9, 2), dtype=np.uint8)
    resized = resize(images, height, width)
    assert resized.shape == (3, height, width, 2)
    assert resized.dtype == np.float32
    assert images.min() <= resized.min() <= resized.max() <= images.max() + 1e-3
    np.testing.assert_allclose(resize(np.full((1, 11, 9, 1), 7.0), height, width), 7.0, rtol=1e-6)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (5, 7), (10, 3)])
def test_shrinking_keeps_the_mean(rng, height, width):
    images = rng.random((3, 11, 9, 2))
    np.testing.assert_allclose(resize(images, height, width).mean(axis=(1, 2)), images.mean(axis=(1, 2)), rtol=1e-5)


# Arrays.


@pytest.mark.parametrize("shape", [(8, 8), (5, 8, 8), (5, 8, 8, 1), (5, 16, 16), (5, 8, 8, 3), (0, 8, 8)])
def test_arrays_of_many_shapes_become_grey_input(rng, shape):
    x = rng.integers(0, 256, shape, dtype=np.uint8)
    images = GREY.array(x)
    assert images.shape == (1 if len(shape) == 2 else shape[0], 8, 8, 1)
    assert images.dtype == np.float32
    if images.size:
        assert 0 <= images.min() <= images.max() <= 1


@pytest.mark.parametrize(("shape", "n"), [((8, 6, 3), 1), ((4, 8, 6, 3), 4), ((4, 8, 6), 4), ((4, 8, 6, 1), 4)])
def test_arrays_of_many_shapes_become_colour_input(rng, shape, n):
    assert COLOUR.array(rng.random(shape)).shape == (n, 8, 6, 3)


def test_integers_are_scaled_and_floats_taken_as_they_are():
    x = np.full((1, 8, 8), 51)
    np.testing.assert_allclose(GREY.array(x.astype(np.uint8)), 0.2)
    np.testing.assert_allclose(GREY.array(x.astype(np.int64)), 0.2)
    np.testing.assert_allclose(GREY.array(x.astype(np.float64)), 51)
    np.testing.assert_allclose(Preprocessing(8, 8, 1, 102, ("a",)).array(x), 0.5)


def test_colour_becomes_grey_as_in_pillow(rng):
    x = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
    expected = np.asarray(Image.fromarray(x).convert("L")) / 255
    np.testing.assert_allclose(GREY.array(x[None])[0, :, :, 0], expected, atol=1 / 255)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.zeros(8), r"expected images of shape .* got \(8,\)"),
        (np.zeros((1, 0, 8, 1)), "expected images of shape"),
        (np.zeros((1, 8, 8, 2)), r"expected images with 1 channel\(s\), got 2"),
        (np.array([["a"]]), "expected images as an array of numbers"),
        (np.zeros((8, 8), complex), "expected images as an array of numbers, got dtype complex128"),
    ],
)
def test_arrays_that_are_no_images(x, message):
    with pytest.raises(CommandError, match=message):
        GREY.array(x)


def test_load_array(tmp_path, rng):
    x = rng.random((2, 3)).astype(np.float32)
    np.save(tmp_path / "x.npy", x)
    np.savez(tmp_path / "one.npz", images=x)
    np.savez(tmp_path / "labelled.npz", x=x, y=x * 0)
    for name in ("x.npy", "one.npz", "labelled.npz"):
        np.testing.assert_array_equal(load_array(tmp_path / name), x)
    np.savez(tmp_path / "two.npz", a=x, b=x)
    with pytest.raises(CommandError, match="expected one array, or one named x; found a, b"):
        load_array(tmp_path / "two.npz")
    (tmp_path / "bad.npy").write_bytes(b"nothing of the kind")
    with pytest.raises(CommandError, match=r"bad\.npy"):
        load_array(tmp_path / "bad.npy")
    np.save(tmp_path / "objects.npy", np.array([{}], object))
    with pytest.raises(CommandError, match="allow_pickle"):
        load_array(tmp_path / "objects.npy")


# Image files.


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "I", "YCbCr"])
@pytest.mark.parametrize("channels", [1, 3])
def test_image_modes(tmp_path, mode, channels):
    path = tmp_path / ("image.tif" if mode in ("CMYK", "I;16", "I", "YCbCr") else "image.png")
    grey = Image.new("L", (6, 4), 255)
    grey.putpixel((2, 1), 0)
    if mode in ("I;16", "I"):
        pixels = np.asarray(grey).astype(np.uint16 if mode == "I;16" else np.int32) * 257
        Image.fromarray(pixels).save(path)
    else:
        grey.convert(mode).save(path)
    expected = np.ones((4, 6, channels))
    expected[1, 2] = 0
    np.testing.assert_allclose(decode(path, channels), expected, atol=0.02)


def test_transparent_parts_are_white_paper(tmp_path):
    image = Image.new("RGBA", (4, 4), (0, 0, 0, 0))
    image.putpixel((1, 2), (0, 0, 0, 255))
    image.save(tmp_path / "x.png")
    grey = decode(tmp_path / "x.png", 1)[:, :, 0]
    assert grey[2, 1] == 0
    assert grey.sum() == 15


def test_the_cameras_orientation_is_respected(tmp_path):
    image = Image.new("L", (6, 3), 255)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees
    image.save(tmp_path / "x.jpg", exif=exif)
    assert decode(tmp_path / "x.jpg", 1).shape == (6, 3, 1)


@pytest.mark.parametrize("content", [b"", b"not an image", b"\x89PNG\r\n\x1a\n and then nothing"])
def test_unreadable_image(tmp_path, content):
    (tmp_path / "x.png").write_bytes(content)
    with pytest.raises(CommandError, match=r"x\.png: not a readable image"):
        decode(tmp_path / "x.png", 1)


def test_truncated_image(tmp_path, rng):
    Image.fromarray(rng.integers(0, 256, (64, 64), dtype=np.uint8)).save(tmp_path / "x.png")
    content = (tmp_path / "x.png").read_bytes()
    (tmp_path / "x.png").write_bytes(content[: len(content) // 2])
    with pytest.raises(CommandError, match=r"x\.png: not a readable image"):
        decode(tmp_path / "x.png", 1)


def test_missing_image(tmp_path):
    with pytest.raises(CommandError, match=r"absent\.png: no such file"):
        decode(tmp_path / "absent.png", 1)


def test_without_pillow_the_error_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(CommandError, match=r"pip install 'cnnfast\[images\]'"):
        decode(tmp_path / "x.png", 1)


# Drawings.


def drawing(paper=1.0, ink=0.0, line=8, shift=(0, 0), scale=1.0, size=(120, 100)):
    """A hooked stroke, somewhat like a 1."""
    image = Image.new("F", size, paper)
    points = [(35, 40), (55, 20), (55, 90)]
    points = [(x * scale + shift[0], y * scale + shift[1]) for x, y in points]
    ImageDraw.Draw(image).line(points, fill=ink, width=line, joint="curve")
    return np.asarray(image)


@pytest.mark.parametrize("form", [INK, LOOSE_INK])
def test_paper_and_ink_may_be_of_any_lightness(form):
    expected = form.apply(drawing())
    assert expected.shape == (form.height, form.width, 1)
    assert expected.dtype == np.float32
    for paper, ink in [(0.0, 1.0), (0.9, 0.3), (0.2, 0.5)]:
        np.testing.assert_allclose(form.apply(drawing(paper, ink)), expected, atol=0.02)


@pytest.mark.parametrize("form", [INK, LOOSE_INK])
def test_place_and_size_in_the_picture_do_not_matter(form):
    expected = form.apply(drawing())
    np.testing.assert_allclose(form.apply(drawing(shift=(17, 5))), expected, atol=0.02)
    twice = form.apply(drawing(scale=2, line=16, size=(300, 300)))
    np.testing.assert_allclose(twice, expected, atol=0.2)
    assert np.abs(twice - expected).mean() < 0.03


@pytest.mark.parametrize("form", [INK, LOOSE_INK])
@pytest.mark.parametrize("line", [3, 6, 12])
def test_lines_get_the_data_sets_thickness(form, line):
    assert form.apply(drawing(line=line)).mean() == pytest.approx(form.amount, rel=0.1)


def test_box_and_centre():
    grey = np.ones((50, 90), np.float32)
    grey[10:40, 50:65] = 0
    image = LOOSE_INK.apply(grey)[:, :, 0]
    rows, columns = np.flatnonzero(image.max(axis=1) > 0.5), np.flatnonzero(image.max(axis=0) > 0.5)
    assert rows[0] + rows[-1] == pytest.approx(27, abs=1)
    assert columns[0] + columns[-1] == pytest.approx(27, abs=1)
    assert len(rows) > 1.5 * len(columns)


def test_slant_is_taken_out():
    image = Image.new("F", (100, 100), 1.0)
    ImageDraw.Draw(image).line([(70, 10), (30, 90)], fill=0.0, width=9)
    straight = INK.apply(np.asarray(image))[:, :, 0]
    x = np.arange(8)
    centres = (straight * x).sum(axis=1) / straight.sum(axis=1)
    np.testing.assert_allclose(centres, 3.5, atol=0.3)


def test_dust_does_not_move_the_sign():
    clean = drawing()
    dusty = clean.copy()
    dusty[2, 3] = dusty[97, 110] = 0
    np.testing.assert_allclose(INK.apply(dusty), INK.apply(clean), atol=0.05)


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_blank_picture(value):
    with pytest.raises(ValueError, match="no drawing found"):
        INK.apply(np.full((20, 30), value, np.float32))


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (2, 2), (3, 500)])
def test_tiny_and_narrow_drawings(shape):
    grey = np.ones(shape, np.float32)
    grey[0, 0] = 0
    if grey.size > 1:
        assert np.isfinite(INK.apply(grey)).all()
    else:
        with pytest.raises(ValueError, match="no drawing found"):
            INK.apply(grey)


def test_measured_form():
    images = np.zeros((3, 20, 10, 1), np.float32)
    images[:, 4:14, 3:6] = 1
    assert InkForm.measure(images) == InkForm(20, 10, 0.5, 0.5, stretched=False, upright=False, amount=0.15)


def test_picture_follows_the_recorded_form(tmp_path):
    path = tmp_path / "x.png"
    Image.fromarray((drawing() * 255).astype(np.uint8)).save(path)
    form = Preprocessing(32, 24, 3, 16, ("a",), INK)
    image = form.picture(path)
    assert image.shape == (1, 32, 24, 3)
    np.testing.assert_allclose(image[0, :, :, 0], resize(INK.apply(drawing())[None], 32, 24)[0, :, :, 0], atol=0.02)
    Image.new("L", (9, 9), 255).save(path)
    with pytest.raises(CommandError, match=r"x\.png: no drawing found"):
        form.picture(path)


# The record in a model file.


@pytest.mark.parametrize("form", [GREY, COLOUR, Preprocessing(32, 32, 1, 16, ("零", "one"), INK)])
def test_record_is_plain_json_and_comes_back(form):
    metadata = json.loads(json.dumps(form.metadata()))
    shape = (form.height, form.width, form.channels)
    assert Preprocessing.from_metadata(metadata, shape, 2) == form


def test_model_without_record():
    assert Preprocessing.from_metadata({}, (8, 6, 3), 2) == Preprocessing(8, 6, 3, 255.0, ("0", "1"))
    with pytest.raises(CommandError, match=r"takes input of shape \(10,\), not images"):
        Preprocessing.from_metadata({}, (10,), 2)


@pytest.mark.parametrize("entry", ["", 1, [], {}, {"height": 8}, {"ink": {"height": 1}}, {"ink": 3}])
def test_damaged_record(entry):
    with pytest.raises(CommandError, match="preprocessing entry is damaged"):
        Preprocessing.from_metadata({"preprocessing": entry}, (8, 8, 1), 2)


def test_record_of_another_network():
    with pytest.raises(CommandError, match="does not fit its network"):
        Preprocessing.from_metadata(GREY.metadata(), (8, 8, 1), 3)


# Splitting and distorting.


def test_stratified_split_takes_its_share_of_every_class():
    y = np.repeat([0, 1, 2, 3], [100, 10, 2, 1])
    kept, held = stratified_split(y, 0.2, seed=0)
    assert sorted([*kept, *held]) == list(range(113))
    assert np.bincount(y[held], minlength=4).tolist() == [20, 2, 1, 0]
    np.testing.assert_array_equal(stratified_split(y, 0.2, seed=0)[1], held)
    assert list(stratified_split(y, 0.2, seed=1)[1]) != list(held)


def test_variants_are_near_their_originals(rng):
    x = np.zeros((6, 16, 16, 2), np.float32)
    x[:, 5:11, 6:10] = 1
    more, labels = with_variants(x, np.arange(6), 3, empty_outside=True, seed=1)
    assert more.shape == (24, 16, 16, 2)
    assert more.dtype == np.float32
    np.testing.assert_array_equal(more[:6], x)
    np.testing.assert_array_equal(labels, np.tile(np.arange(6), 4))
    assert len({image.tobytes() for image in more[6:]}) == 18
    assert np.abs(more[6:].mean(axis=(1, 2)) - x[0].mean()).max() < 0.08
    assert 0 <= more.min() <= more.max() <= 1
    again, _ = with_variants(x, np.arange(6), 3, empty_outside=True, seed=1)
    np.testing.assert_array_equal(again, more)


@pytest.mark.parametrize("empty_outside", [False, True])
def test_what_comes_in_from_outside(rng, empty_outside):
    full = np.ones((20, 16, 12, 1), np.float32)
    corners = distort(full, rng, empty_outside)[:, [0, 0, -1, -1], [0, -1, 0, -1], 0]
    assert (corners.min() < 0.5) == empty_outside
