"""Every algorithm of a convolution by its name, on random shapes and not only those that are routed to it."""

import numpy as np
import pytest

from cnnfast import ops
from cnnfast.ops._prepared import prepared_convolution
from reference import assert_close
from test_conv import Case, check_against_reference, gradients

# What conv_algorithms says of a pass that takes the algorithm, and which passes may.
TAKEN = {
    "direct": ("direct", ("forward", "backward_data", "backward_weights")),
    "im2col": ("im2col", ("forward", "backward_data", "backward_weights")),
    "lines": ("lines", ("forward", "backward_data")),
    "images": ("images", ("forward", "backward_data")),
    "grouped": (("grouped", "depthwise"), ("forward", "backward_data", "backward_weights")),
    "columns": ("columns", ("backward_data",)),
    "few_rows": ("few rows", ("forward", "backward_data", "backward_weights")),
}


def random_case(rng, algorithm):
    few, many = int(rng.integers(1, 9)), int(rng.integers(1, 40))
    if algorithm == "grouped":
        return Case(rng, groups=int(rng.integers(2, 20)), c=int(rng.integers(1, 9)), k=int(rng.integers(1, 9)))
    case = Case(rng, groups=1, c=few, k=many) if rng.random() < 0.5 else Case(rng, groups=1, c=many, k=few)
    if algorithm in ("direct", "im2col"):
        return Case(rng)
    if algorithm == "images" and rng.random() < 0.5:
        images = int(rng.integers(4, 40))
        case.x = rng.standard_normal((images, *case.x.shape[1:])).astype(np.float32)
    if algorithm == "few_rows":
        case.strides = case.dilation = [1] * case.rank
        case.padding, case.pads = "valid", [(0, 0)] * case.rank
        case.x = rng.standard_normal((int(rng.integers(1, 9)), *[1] * case.rank, few)).astype(np.float32)
        case.w = rng.standard_normal((*[1] * case.rank, few, many)).astype(np.float32)
        case.b, case.terms = rng.standard_normal(many).astype(np.float32), few
    return case


def routes(case, algorithm):
    """Each pass's loops; None where the algorithm has none for this shape."""
    window = {"strides": case.strides, "padding": case.padding, "dilation_rate": case.dilation, "groups": case.groups}
    try:
        return ops.conv_algorithms(case.x.shape, case.w.shape, algorithm=algorithm, **window)
    except ValueError:
        return None


def taken_case(rng, algorithm, which):
    """A random convolution one pass of which runs through these loops."""
    names, _ = TAKEN[algorithm]
    for _ in range(200):
        case = random_case(rng, algorithm)
        case.flip &= algorithm != "columns"
        found = routes(case, algorithm)
        if found is not None and found[which].startswith(names):
            case.algorithm = algorithm
            return case
    raise AssertionError(f"no random shape took {algorithm} {which}")


PASSES = [(algorithm, which) for algorithm, (_, passes) in TAKEN.items() for which in passes]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("algorithm", "which"), PASSES)
def test_all_passes_of_random_shapes(isa, threads, seed, algorithm, which):
    rng = np.random.default_rng([seed, *algorithm.encode(), *which.encode()])
    check_against_reference(rng, taken_case(rng, algorithm, which))


@pytest.mark.parametrize(("algorithm", "which"), PASSES)
def test_same_bits_for_every_thread_count(isa, rng, same_bits_for_all_threads, algorithm, which):
    for _ in range(4):
        case = taken_case(rng, algorithm, which)
        dy = rng.standard_normal(case.run(case.x, case.w).shape).astype(np.float32)

        def compute(case=case, dy=dy):
            y, found = gradients(case.run, [case.x, case.w, case.b], dy)
            return [y, *found]

        same_bits_for_all_threads(compute)


@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize("algorithm", [name for name, (_, passes) in TAKEN.items() if "forward" in passes])
def test_activations(isa, rng, algorithm, activation):
    case = taken_case(rng, algorithm, "forward")
    y = case.reference(case.x, case.w) + case.b
    expected = np.maximum(y, 0) if activation == "relu" else np.tanh(y)
    assert_close(case.run(case.x, case.w, case.b, activation), expected, case.terms)


@pytest.mark.parametrize(
    ("algorithm", "x", "kernel", "groups"),
    [
        ("lines", (1, 9, 40, 32), (3, 3, 32, 33), 1),
        ("lines", (1, 9, 40, 4), (3, 3, 2, 4), 2),
        ("images", (1, 9, 40, 32), (3, 3, 32, 33), 1),
        ("grouped", (1, 9, 9, 3), (3, 3, 3, 3), 1),
        ("grouped", (1, 9, 9, 66), (3, 3, 33, 66), 2),
        ("columns", (1, 9, 9, 3), (1, 1, 3, 30), 1),
        ("columns", (1, 9, 9, 9), (3, 3, 9, 30), 1),
        ("few_rows", (9, 1, 1, 9), (1, 1, 9, 30), 1),
        ("few_rows", (1, 3, 3, 9), (3, 3, 9, 30), 1),
    ],
)
def test_shapes_that_an_algorithm_does_not_admit(isa, rng, algorithm, x, kernel, groups):
    x, kernel = rng.standard_normal(x).astype(np.float32), rng.standard_normal(kernel).astype(np.float32)
    with pytest.raises(ValueError, match=f"conv2d: algorithm '{algorithm}' needs .*, got x "):
        ops.conv2d(x, kernel, groups=groups, algorithm=algorithm)
    with pytest.raises(ValueError, match=f"conv2d: algorithm '{algorithm}' needs"):
        prepared_convolution(2, kernel, None, 1, "valid", 1, groups, None, algorithm)(x)


def test_unknown_algorithms_are_refused():
    with pytest.raises(ValueError, match=r"conv2d: algorithm must be one of 'auto', .*'few_rows', got 'fast'"):
        ops.conv2d(np.ones((1, 3, 3, 1)), np.ones((1, 1, 1, 1)), algorithm="fast")


FAR = 2**31 - 1


@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize("strides", [(FAR, 1), (1, FAR), (FAR, FAR)], ids=["rows", "columns", "both"])
@pytest.mark.parametrize(("channels", "filters"), [(3, 4), (3, 8), (1, 2), (20, 33)])
def test_strides_over_the_whole_image(isa, rng, channels, filters, strides, dilation):
    # No loops keep, copy or walk what lies between two windows where there is but one.
    x = rng.standard_normal((2, 9, 40, channels)).astype(np.float32)
    w = rng.standard_normal((3, 3, channels, filters)).astype(np.float32)
    rows, columns = (size if step == 1 else 2 * dilation + 1 for size, step in zip((9, 40), strides, strict=True))
    near = np.ascontiguousarray(x[:, :rows, :columns])
    expected = ops.conv2d(near, w, dilation_rate=dilation, algorithm="direct")
    dy = rng.standard_normal(expected.shape).astype(np.float32)
    y, (dx, dw) = gradients(lambda *a: ops.conv2d(*a, strides=strides, dilation_rate=dilation), [x, w], dy)
    _, (near_dx, near_dw) = gradients(
        lambda *a: ops.conv2d(*a, dilation_rate=dilation, algorithm="direct"), [near, w], dy
    )
    assert_close(y, expected, 9 * channels)
    assert_close(dx[:, :rows, :columns], near_dx, 9 * filters)
    assert np.count_nonzero(dx) == np.count_nonzero(dx[:, :rows, :columns])
    assert_close(dw, near_dw, dy.size // filters)
