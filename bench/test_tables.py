"""The tables that are made of measurements."""

from bench import tables
from bench.shapes import Layer


def test_operations_for_each_byte():
    layer = Layer("1x1", "conv", "", 2, (4, 4), 8, 16)
    assert layer.intensity == 2 * 32 * 8 * 16 / (4 * (32 * 8 + 32 * 16 + 8 * 16))
    assert Layer("pool", "max_pool", "", 2, (4, 4), 8, 8, 2, 2).intensity == 0


def test_only_direct_and_compute_bound_layers_stand_beside_the_peak():
    def row(name, percent, algorithm="direct"):
        return {"name": name, "pass": "forward", "algorithm": algorithm, "gflops": percent * 3, "percent": percent}

    rows = [row("r50_stem", 70.0), row("r50_1x1_14", 90.0), row("depthwise_32_112_s1", 20.0)]
    rows += [row("r50_3x3_28", 250.0, "winograd F(4x4, 3x3)"), {"name": "max_2x2_6", "pass": "forward"}]
    found = tables.peak_cells(rows)
    assert [(cells[0], cells[-1]) for cells in found] == [("r50_1x1_14", "90"), ("r50_stem", "70")]
    assert all(len(cells) == len(tables.PEAK_HEADINGS) for cells in found)
