"""The onnx package's own tests for backends: those that docs/onnx.md lists pass, and all others are refused."""

import functools
import sys
from pathlib import Path

import pytest

onnx = pytest.importorskip("onnx")

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tools"))

import onnx_table  # noqa: E402

DOCUMENT = (ROOT / "docs" / "onnx.md").read_text()
PASSING = onnx_table.passing(DOCUMENT)
SAME_VERSION = f"With onnx {onnx.__version__}, " in DOCUMENT  # other versions have other tests


@functools.cache
def available():
    """Making the tests' numbers takes some seconds, so it waits until one runs."""
    return onnx_table.tests()


@pytest.mark.parametrize("name", PASSING)
def test_backend(name):
    if name not in available():
        assert not SAME_VERSION
        pytest.skip(f"onnx {onnx.__version__} has no such test")
    onnx_table.run(available()[name][1].func)


def test_all_others_are_refused_and_the_document_is_up_to_date():
    if not SAME_VERSION:
        pytest.skip(f"docs/onnx.md was made with another version than {onnx.__version__}")
    found = {}
    for name, (category, item) in sorted(available().items()):
        if name in PASSING and item.proto[0] is not None:  # it ran above; here it is about its operators alone
            found[name] = category, onnx_table.Outcome(onnx_table.operators(item), "")
        else:
            found[name] = category, onnx_table.outcome(name, item)
    unexpected = [name for name, (_, result) in found.items() if not result.error and name not in PASSING]
    assert not unexpected, "these pass now: python tools/onnx_table.py > docs/onnx.md"
    assert onnx_table.document(found) == DOCUMENT
