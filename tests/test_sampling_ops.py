"""Images read at computed places, regions, boxes, positions of pooling, scattering: definitions in NumPy, gradients."""

import itertools
import math

import numpy as np
import pytest

from cnnfast import Model, Tensor, gradcheck, layers, ops

image = ops.image


def normal(rng, *shape):
    return rng.standard_normal(shape).astype(np.float32)


# Sampling, one number at a time.


def mirrored(x, low, high):
    while not low <= x <= high and high > low:
        x = 2 * low - x if x < low else 2 * high - x
    return x if high > low else low


def pixel(plane, at, padding, align):
    spots = []
    for i, n in zip(at, plane.shape, strict=True):
        if padding == "zeros" and not 0 <= i < n:
            return 0.0
        low, high = (0, n - 1) if align else (-0.5, n - 0.5)
        spots.append(int(min(max(mirrored(i, low, high) if padding == "reflection" else i, 0), n - 1)))
    return float(plane[tuple(spots)])


def keys(d, a=-0.75):
    d = abs(d)
    if d <= 1:
        return ((a + 2) * d - (a + 3)) * d * d + 1
    return ((a * d - 5 * a) * d + 8 * a) * d - 4 * a if d < 2 else 0.0


def sampled(plane, coordinates, interpolation, padding, align):
    at = []
    for c, n in zip(coordinates[::-1], plane.shape, strict=True):
        x = (c + 1) / 2 * (n - 1) if align else ((c + 1) * n - 1) / 2
        x = float(np.rint(x)) if interpolation == "nearest" else x
        at.append(x)
    if interpolation == "nearest":
        return pixel(plane, [round(x) for x in at], padding, align)
    reach = (0, 1) if interpolation == "bilinear" else (-1, 0, 1, 2)
    total = 0.0
    for offsets in itertools.product(reach, repeat=len(at)):
        spots = [math.floor(x) + o for x, o in zip(at, offsets, strict=True)]
        weights = [
            max(1 - abs(x - s), 0) if interpolation == "bilinear" else keys(x - s)
            for x, s in zip(at, spots, strict=True)
        ]
        total += math.prod(weights) * pixel(plane, spots, padding, align)
    return total


@pytest.mark.parametrize("align", [False, True])
@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("interpolation", ["bilinear", "nearest", "bicubic"])
def test_grid_sample_is_its_definition(interpolation, padding, align, rng):
    for sizes, out in (((4, 5), (3, 4)), ((1, 3), (2, 3)), ((3, 4, 2), (2, 3, 2))):
        x = normal(rng, 2, *sizes, 3)
        grid = rng.uniform(-2.2, 2.2, (2, *out, len(sizes))).astype(np.float32)
        found = image.grid_sample(x, grid, interpolation, padding, align)
        assert found.shape == (2, *out, 3)
        for place in np.ndindex(found.shape):
            plane = x[place[0], ..., place[-1]]
            wanted = sampled(plane, grid[place[:-1]].tolist(), interpolation, padding, align)
            np.testing.assert_allclose(found[place], wanted, rtol=1e-3, atol=2e-4, err_msg=str(place))


@pytest.mark.parametrize("align", [False, True])
@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic", "nearest"])
def test_gradients_of_grid_sample_are_pytorchs(interpolation, padding, align, rng):
    torch = pytest.importorskip("torch")
    x, grid = normal(rng, 2, 5, 6, 3), rng.uniform(-1.6, 1.6, (2, 4, 3, 2)).astype(np.float32)
    dy = normal(rng, 2, 4, 3, 3)
    from cnnfast import GradientTape

    with GradientTape() as tape:
        a, b = Tensor(x), Tensor(grid)
        tape.watch([a, b])
        y = image.grid_sample(a, b, interpolation, padding, align)
        loss = ops.sum(y * dy)
    found = tape.gradient(loss, [a, b])
    theirs = [torch.tensor(np.moveaxis(x, -1, 1).copy(), requires_grad=True), torch.tensor(grid, requires_grad=True)]
    out = torch.nn.functional.grid_sample(*theirs, interpolation, padding, align)
    (out * torch.tensor(np.moveaxis(dy, -1, 1).copy())).sum().backward()
    np.testing.assert_allclose(np.asarray(y), np.moveaxis(out.detach().numpy(), 1, -1), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(np.asarray(found[0]), np.moveaxis(theirs[0].grad.numpy(), 1, -1), rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(np.asarray(found[1]), theirs[1].grad.numpy(), rtol=1e-3, atol=1e-3)


def test_grid_sample_takes_what_is_no_number(rng):
    x = normal(rng, 1, 3, 3, 1)
    grid = np.array([np.nan, 0, np.inf, 0, 0, -np.inf, 1e30, 1e30], np.float32).reshape(1, 1, 4, 2)
    assert not np.asarray(image.grid_sample(x, grid)).any()
    for padding in ("border", "reflection"):
        assert np.isfinite(image.grid_sample(x, grid, "bicubic", padding)).all()
    assert image.grid_sample(x, np.zeros((1, 0, 2, 2))).shape == (1, 0, 2, 1)
    for wrong in (
        lambda: image.grid_sample(x, grid, "lanczos"),
        lambda: image.grid_sample(x, grid, padding="wrap"),
        lambda: image.grid_sample(x, grid[..., :1]),
        lambda: image.grid_sample(np.zeros((1, 0, 3, 1)), grid),
        lambda: image.grid_sample(x, np.zeros((2, 1, 1, 2))),
    ):
        with pytest.raises(ValueError, match="grid_sample"):
            wrong()


# Regions


def region(plane, box, size, ratio, mode, half_pixel):
    offset = 0.5 if half_pixel else 0.0
    x1, y1, x2, y2 = (float(n) - offset for n in box)
    w, h = (x2 - x1, y2 - y1) if half_pixel else (max(x2 - x1, 1.0), max(y2 - y1, 1.0))
    down, across = ratio or max(math.ceil(h / size[0]), 0), ratio or max(math.ceil(w / size[1]), 0)
    result = np.zeros(size)
    for i, j in np.ndindex(*size):
        found = []
        for a, b in np.ndindex(down, across):
            y, x = y1 + (i + (a + 0.5) / down) * h / size[0], x1 + (j + (b + 0.5) / across) * w / size[1]
            if y < -1 or x < -1 or y > plane.shape[0] or x > plane.shape[1]:
                found.append([0.0] * 4)
                continue
            parts = []
            for c, n in ((max(y, 0), plane.shape[0]), (max(x, 0), plane.shape[1])):
                low = min(int(c), n - 1)
                part = 0.0 if low == n - 1 else c - low
                parts.append(((low, 1 - part), (min(low + 1, n - 1), part)))
            found.append([p * q * float(plane[r, s]) for r, p in parts[0] for s, q in parts[1]])
        values = np.array(found).reshape(-1, 4)
        if len(values):
            result[i, j] = values.sum(axis=1).mean() if mode == "avg" else values.max()
    return result


BOXES = np.array([[0.5, 1, 5.2, 4], [-3, -2, 2.5, 9], [2, 2, 2.2, 2.1], [6, 1, 3, 4], [0, 0, 6, 5]], np.float32)


@pytest.mark.parametrize("half_pixel", [True, False])
@pytest.mark.parametrize("mode", ["avg", "max"])
@pytest.mark.parametrize("ratio", [0, 2])
def test_roi_align_is_its_definition(ratio, mode, half_pixel, rng):
    x, numbers = normal(rng, 2, 5, 6, 2), np.array([0, 1, 1, 0, 1])
    found = image.roi_align(x, BOXES * 2, numbers, (3, 2), 0.5, ratio, mode, half_pixel)
    assert found.shape == (5, 3, 2, 2)
    for place, (box, number) in enumerate(zip(BOXES, numbers, strict=True)):
        for c in range(2):
            wanted = region(x[number, ..., c], box, (3, 2), ratio, mode, half_pixel)
            np.testing.assert_allclose(found[place, ..., c], wanted, rtol=1e-4, atol=1e-5, err_msg=f"box {place}")
    assert gradcheck(lambda v: image.roi_align(v, BOXES, numbers, (3, 2), 1.0, ratio, mode, half_pixel), [x], atol=2e-4)


def test_roi_align_refuses_what_does_not_fit(rng):
    x = normal(rng, 2, 5, 6, 2)
    assert image.roi_align(x, np.zeros((0, 4)), [], 7).shape == (0, 7, 7, 2)
    with pytest.raises(IndexError, match="batch_indices"):
        image.roi_align(x, BOXES, [0, 1, 2, 0, 0], 2)
    for box in ([0, 0, np.inf, 1], [0, 0, np.nan, 1], [0, 0, 1e9, 1]):
        with pytest.raises(ValueError, match=r"roi_align: (a box|boxes)"):
            image.roi_align(x, [box], [0], 2)
    for wrong in ({"mode": "min"}, {"sampling_ratio": -1}, {"output_size": 0}):
        with pytest.raises(ValueError, match="roi_align"):
            image.roi_align(**{"images": x, "boxes": BOXES, "batch_indices": [0] * 5, "output_size": 2, **wrong})


# Boxes


def suppressed(boxes, scores, limit, iou_threshold, score_threshold):
    def iou(a, b):
        (ay1, ay2), (ax1, ax2) = sorted(a[::2]), sorted(a[1::2])
        (by1, by2), (bx1, bx2) = sorted(b[::2]), sorted(b[1::2])
        shared = max(min(ay2, by2) - max(ay1, by1), 0) * max(min(ax2, bx2) - max(ax1, bx1), 0)
        union = (ay2 - ay1) * (ax2 - ax1) + (by2 - by1) * (bx2 - bx1) - shared
        return shared / union if shared > 0 else 0.0

    found = []
    for n, c in np.ndindex(*scores.shape[:2]):
        kept = []
        for i in sorted(range(len(boxes[n])), key=lambda i, n=n, c=c: (-scores[n, c, i], i)):
            fits = len(kept) < limit and (score_threshold is None or scores[n, c, i] > score_threshold)
            if fits and all(iou(boxes[n, i], boxes[n, k]) <= iou_threshold for k in kept):
                kept.append(i)
        found += [[n, c, i] for i in kept]
    return np.array(found, np.int64).reshape(-1, 3)


def test_non_max_suppression_is_its_definition(rng):
    boxes = rng.uniform(0, 4, (2, 30, 4)).astype(np.float64).round(2)
    scores = rng.uniform(0, 1, (2, 3, 30)).round(1)  # with equal ones
    for limit, iou, score in itertools.product((0, 3, 30), (0.0, 0.3, 1.0), (None, 0.55)):
        found = image.non_max_suppression(boxes, scores, limit, iou, score)
        np.testing.assert_array_equal(found, suppressed(boxes, scores, limit, iou, score))
    middles = np.concatenate([(boxes[..., :2] + boxes[..., 2:]) / 2, np.abs(boxes[..., 2:] - boxes[..., :2])], -1)
    np.testing.assert_array_equal(
        image.non_max_suppression(middles, scores, 9, 0.31, 0.2, True),
        image.non_max_suppression(boxes, scores, 9, 0.31, 0.2),
    )
    flat = np.zeros((1, 4, 4))
    assert image.non_max_suppression(flat, np.ones((1, 1, 4)), 9, 0.0).shape == (4, 3)  # without area nothing overlaps
    assert image.non_max_suppression(flat, np.full((1, 1, 4), np.nan), 9).shape == (0, 3)
    with pytest.raises(ValueError, match="iou_threshold"):
        image.non_max_suppression(flat, np.ones((1, 1, 4)), 9, 1.5)
    with pytest.raises(ValueError, match="expects boxes"):
        image.non_max_suppression(flat, np.ones((1, 4)), 9)


def test_models_suppress_boxes(rng):
    boxes, scores = layers.Input(batch_shape=(1, 20, 4)), layers.Input(batch_shape=(1, 2, 20))
    kept = image.non_max_suppression(boxes, scores, 5, 0.4, 0.5)
    assert kept.shape == (None, 3)
    model = Model([boxes, scores], ops.take(ops.squeeze(boxes, 0), kept[:, 2], axis=0))
    x, s = rng.uniform(0, 4, (1, 20, 4)).astype(np.float32), rng.uniform(0, 1, (1, 2, 20)).astype(np.float32)
    np.testing.assert_array_equal(model([x, s]), x[0][suppressed(x, s, 5, 0.4, 0.5)[:, 2]])


# Pooling's positions


@pytest.mark.parametrize("padding", ["valid", "same", "pairs"])
@pytest.mark.parametrize("sizes", [(9,), (6, 7), (4, 5, 6)])
def test_positions_are_where_the_largest_values_are(sizes, padding, rng):
    rank = len(sizes)
    x = normal(rng, 2, *sizes, 3).round(1)
    x[0, 0] = np.nan
    for k, s, d in ((2, None, 1), (3, 2, 1), (2, 1, 2)):
        pads = [(1, 0)] * rank if padding == "pairs" else padding
        y = {1: ops.max_pool1d, 2: ops.max_pool2d, 3: ops.max_pool3d}[rank](x, k, s, pads, d)
        found = ops.max_pool_positions(x, k, s, pads, d)
        assert found.shape == y.shape
        first = np.moveaxis(x, -1, 1)  # whose elements, in a row, are what positions count
        np.testing.assert_array_equal(first.reshape(-1)[found], y)
        by_column = ops.max_pool_positions(x, k, s, pads, d, column_major=True)
        turned = np.ascontiguousarray(first.transpose(0, 1, *range(rank + 1, 1, -1)))
        np.testing.assert_array_equal(turned.reshape(-1)[by_column], y)
        if d == 1 and padding == "valid":
            back = ops.max_unpool(y, found, sizes)
            wanted = np.zeros(first.size, np.float32)
            wanted[found.ravel()] = np.asarray(y).ravel()
            np.testing.assert_array_equal(np.moveaxis(back, -1, 1), wanted.reshape(first.shape))


def test_unpooling_has_its_gradient_and_refuses_other_shapes(rng):
    x = normal(rng, 2, 4, 6, 3)
    places = ops.max_pool_positions(x)
    y = ops.max_pool2d(x)
    assert gradcheck(lambda v: ops.max_unpool(v, places, (4, 6)), [np.asarray(y)])
    with pytest.raises(ValueError, match="positions of its shape"):
        ops.max_unpool(y, places[:1], (4, 6))
    with pytest.raises(ValueError, match="size"):
        ops.max_unpool(y, places, (0, 6))
    assert ops.max_pool_positions(np.zeros((0, 4, 4, 2))).shape == (0, 2, 2, 2)


# Scattering


@pytest.mark.parametrize("reduction", [None, "add", "mul", "max", "min"])
def test_scattering_is_its_definition(reduction, rng):
    combine = {None: lambda a, b: b, "add": np.add, "mul": np.multiply, "max": np.maximum, "min": np.minimum}[reduction]
    x, new = normal(rng, 4, 3), normal(rng, 6, 3)
    rows = np.array([[0], [2], [0], [3], [2], [0]])
    wanted = x.copy()
    for row, update in zip(rows[:, 0], new, strict=True):
        wanted[row] = combine(wanted[row], update)
    np.testing.assert_allclose(ops.scatter_update(x, rows, new, reduction), wanted, rtol=1e-6)
    assert gradcheck(lambda a, b: ops.scatter_update(a, rows, b, reduction), [x, new])
    for axis in (0, -1):
        places = rng.integers(-3, 3, (3, 2))
        updates = normal(rng, 3, 2)
        wanted = x.copy()
        for i, j in np.ndindex(3, 2):
            spot = (places[i, j], j) if axis == 0 else (i, places[i, j])
            wanted[spot] = combine(wanted[spot], updates[i, j])
        found = ops.scatter_along_axis(x, places, updates, axis, reduction)
        np.testing.assert_allclose(found, wanted, rtol=1e-6)
    places = np.array([[0, 1], [0, 2]])
    assert gradcheck(lambda a, b: ops.scatter_along_axis(a, places, b, 0, reduction), [x, normal(rng, 2, 2)])


def test_products_with_zeros_have_their_gradient():
    x, rows = np.array([2.0, 3.0, 5.0], np.float32), [[0], [0], [1], [1]]
    updates = np.array([0.0, 7.0, 0.0, 0.0], np.float32)
    assert gradcheck(lambda a, b: ops.scatter_update(a, rows, b, "mul"), [x, updates])


def test_gather_nd_is_its_definition(rng):
    x = normal(rng, 2, 3, 4, 5)
    places = rng.integers(-2, 2, (2, 6, 2))
    found = ops.gather_nd(x, places, 1)
    assert found.shape == (2, 6, 5)
    for n, i in np.ndindex(2, 6):
        np.testing.assert_array_equal(found[n, i], x[n, places[n, i, 0], places[n, i, 1]])
    np.testing.assert_array_equal(ops.gather_nd(x, places), x[places[..., 0], places[..., 1]])
    assert ops.gather_nd(np.arange(4), [[1]]).dtype.kind == "i"
    assert gradcheck(lambda v: ops.gather_nd(v, places, 1), [x])
    for wrong, batch in ((places[:1], 1), (rng.integers(0, 1, (2, 5)), 0), (places, 3)):
        with pytest.raises(ValueError, match="gather_nd"):
            ops.gather_nd(x, wrong, batch)
    with pytest.raises(IndexError):
        ops.gather_nd(x, [[7]])
    with pytest.raises(IndexError, match="scatter_along_axis"):
        ops.scatter_along_axis(x[0, 0], [[9]], [[1.0]])
    with pytest.raises(ValueError, match="scatter_along_axis"):
        ops.scatter_along_axis(x[0, 0], [[0, 1]], [[1.0]])
