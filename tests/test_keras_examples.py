"""The scripts under examples/keras, run as they are, and with Keras where it is installed: only the import differs."""

import types
from pathlib import Path

import numpy as np
import pytest

SCRIPTS = sorted((Path(__file__).parents[1] / "examples" / "keras").glob("*.py"))
QUICK = ["--count", "96", "--epochs", "2"]


def loaded(path, as_keras):
    """The script as a module, with its import of cnnfast turned into one of Keras where that is asked for."""
    text = path.read_text(encoding="utf-8")
    assert "import cnnfast as keras\nfrom cnnfast import layers\n" in text
    if as_keras:
        text = text.replace("import cnnfast as keras\nfrom cnnfast", "import keras\nfrom keras")
    module = types.ModuleType(path.stem)
    module.__doc__ = None
    exec(compile(text, str(path), "exec"), module.__dict__)
    return module


def numbers(history):
    assert all(np.isfinite(values).all() for values in history.values())
    return history


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_runs(path, capsys):
    history = numbers(loaded(path, as_keras=False).main(QUICK))
    assert len(history["loss"]) == 2
    assert capsys.readouterr().out


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_runs_with_keras(path, capsys):
    pytest.importorskip("torch")
    pytest.importorskip("keras")
    theirs, ours = loaded(path, as_keras=True), loaded(path, as_keras=False)
    assert numbers(theirs.main(QUICK)).keys() == numbers(ours.main(QUICK)).keys()
    their_model, our_model = theirs.build(), ours.build()
    assert our_model.count_params() == their_model.count_params()
    assert [w.shape for w in our_model.get_weights()] == [w.shape for w in their_model.get_weights()]
    our_model.set_weights(their_model.get_weights())
    x = np.random.default_rng(0).random((4, *our_model.input_shape[1:]), np.float32)
    np.testing.assert_allclose(our_model.predict(x, verbose=0), their_model.predict(x, verbose=0), atol=1e-4)


def test_there_are_scripts():
    assert len(SCRIPTS) == 7
