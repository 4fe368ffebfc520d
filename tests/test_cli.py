"""The command line, mostly in this process; the default training once, as its users run it."""

import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

import cnnfast
from cnnfast.cli import main, train
from cnnfast.datasets import digits
from cnnfast.models import load_model, read_metadata
from drawing import draw_digit

EXAMPLES = os.path.join(os.path.dirname(__file__), os.pardir, "examples", "digits")


@pytest.fixture(autouse=True)
def one_thread():
    """What is computed does not depend on it, and small networks gain nothing from more on a busy machine."""
    before = cnnfast.get_num_threads()
    cnnfast.set_num_threads(1)
    yield
    cnnfast.set_num_threads(before)


@pytest.fixture(scope="module")
def default_training(tmp_path_factory):
    """The default training in a process and folder of its own: its output and the model's path."""
    folder = tmp_path_factory.mktemp("training")
    result = subprocess.run(
        [sys.executable, "-m", "cnnfast", "train", "--threads", "1"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout, folder / "lenet5-digits.safetensors"


@pytest.fixture(scope="module")
def model(default_training):
    return str(default_training[1])


@pytest.fixture(scope="module")
def shapes(tmp_path_factory):
    """A folder with two folders of colour images that are easy to tell apart: red discs, green bars."""
    root = tmp_path_factory.mktemp("data") / "shapes"
    rng = np.random.default_rng(0)
    for name, channel in (("bar", 1), ("disc", 0)):
        (root / name).mkdir(parents=True)
        for i in range(20):
            image = rng.integers(0, 60, (24, 20, 3), dtype=np.uint8)
            image[8:16, 6:14, channel] += 180
            Image.fromarray(image).save(root / name / f"{i}.png")
    (root / "bar" / "notes.txt").write_text("no image")
    return root


def run(capsys, *arguments):
    """Run the command line here; returns exit code, standard output, standard error."""
    code = main([str(a) for a in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def succeed(capsys, *arguments):
    code, out, err = run(capsys, *arguments)
    assert code == 0, err
    return out


def fail(capsys, *arguments):
    """The one line of an error that the user can put right."""
    code, _, err = run(capsys, *arguments)
    assert code == 1
    assert err.startswith("cnnfast: error: ")
    assert err.count("\n") == 1
    return err


# The default training and what its model can do.


def test_default_training_reads_unseen_digits(default_training, capsys):
    out, path = default_training
    assert "digits: 1437 training images" in out
    assert "360 test images" in out
    accuracy = float(out.split("test accuracy: ")[1].split("%")[0])
    assert accuracy >= 98
    assert out.rstrip().endswith("saved lenet5-digits.safetensors")
    report = json.loads(succeed(capsys, "evaluate", path, "--json"))
    assert report["images"] == 360
    assert round(100 * report["accuracy"], 2) == accuracy


def test_model_file_says_how_images_are_prepared(model):
    entry = read_metadata(model)["preprocessing"]
    assert (entry["height"], entry["width"], entry["channels"], entry["max_value"]) == (32, 32, 1, 16)
    assert entry["class_names"] == list("0123456789")
    assert load_model(model).count_params() == 61_706  # LeNet-5's published weights, without its sparse connections


@pytest.mark.parametrize(("file", "digit"), [("three.png", "3"), ("five.png", "5"), ("two.png", "2")])
def test_example_pictures(model, capsys, file, digit):
    path = os.path.join(EXAMPLES, file)
    assert succeed(capsys, "predict", model, path).startswith(f"{path}: {digit} (")


def test_drawn_digits(model, tmp_path, capsys):
    looks = {
        "pen": {"ink": (40, 40, 45), "paper": (244, 242, 236), "seed": 1},
        "chalk": {"ink": "white", "paper": (30, 50, 40), "height": 0.5, "shift": (15, -10), "seed": 2},
        "marker": {"width": 20, "size": 300, "ink": (200, 30, 30), "seed": 3},
    }
    files = []
    for digit in range(10):
        for look, options in looks.items():
            files.append(tmp_path / f"{digit}-{look}.png")
            draw_digit(digit, **options).save(files[-1])
    results = json.loads(succeed(capsys, "predict", model, *files, "--json"))
    right = [r["predictions"][0]["class"] == os.path.basename(r["file"])[0] for r in results]
    assert len(right) == 30
    assert sum(right) >= 27


def test_predict_arrays(model, tmp_path, capsys):
    _, (x_test, y_test) = digits.load_data()
    np.save(tmp_path / "all.npy", x_test)
    np.savez(tmp_path / "labelled.npz", x=x_test[:50], y=y_test[:50])
    np.save(tmp_path / "one.npy", x_test[0])
    np.save(tmp_path / "none.npy", x_test[:0])
    results = json.loads(succeed(capsys, "predict", model, tmp_path / "all.npy", "--json"))
    named = [int(r["predictions"][0]["class"]) for r in results]
    assert np.mean(named == y_test) >= 0.98
    assert results[7]["file"].endswith("all.npy[7]")
    lines = succeed(capsys, "predict", model, tmp_path / "labelled.npz").splitlines()
    assert [int(line.split(": ")[1][0]) for line in lines] == named[:50]
    assert succeed(capsys, "predict", model, tmp_path / "one.npy").startswith(f"{tmp_path / 'one.npy'}: {named[0]} (")
    assert succeed(capsys, "predict", model, tmp_path / "none.npy") == ""


def test_predict_several_guesses(model, capsys):
    path = os.path.join(EXAMPLES, "three.png")
    (result,) = json.loads(succeed(capsys, "predict", model, path, "--top", "3", "--json"))
    probabilities = [p["probability"] for p in result["predictions"]]
    assert len(probabilities) == 3
    assert probabilities == sorted(probabilities, reverse=True)
    line = succeed(capsys, "predict", model, path, "--top", "3")
    assert line.count("%") == 3
    (result,) = json.loads(succeed(capsys, "predict", model, path, "--top", "99", "--json"))
    assert sum(p["probability"] for p in result["predictions"]) == pytest.approx(1, abs=1e-4)
    assert len(result["predictions"]) == 10


def test_predict_goes_on_after_a_file_that_cannot_be_read(model, tmp_path, capsys):
    Image.new("L", (20, 20), 255).save(tmp_path / "blank.png")
    good = os.path.join(EXAMPLES, "three.png")
    code, out, err = run(capsys, "predict", model, tmp_path / "absent.png", tmp_path / "blank.png", good)
    assert code == 1
    assert out.startswith(f"{good}: 3 (")
    assert [line.split(": ")[-1] for line in err.splitlines()] == [
        "no such file",
        "the picture is one even grey",
    ]


def test_evaluate_on_labelled_arrays(model, tmp_path, capsys):
    _, (x_test, y_test) = digits.load_data()
    np.savez(tmp_path / "x.npz", x=x_test, y=y_test)
    expected = succeed(capsys, "evaluate", model)
    assert expected.splitlines()[1].endswith("of 360)")
    assert succeed(capsys, "evaluate", model, "--data", tmp_path / "x.npz") == expected
    np.savez(tmp_path / "split.npz", x_train=x_test[:3], y_train=y_test[:3], x_test=x_test, y_test=y_test)
    assert succeed(capsys, "evaluate", model, "--data", tmp_path / "split.npz") == expected


def test_summary(model, capsys):
    out = succeed(capsys, "summary", model)
    assert "(None, 28, 28, 6)" in out
    assert "61,706" in out


# Training on the user's data.


def test_train_on_class_folders(shapes, tmp_path, capsys):
    out_file = tmp_path / "shapes.safetensors"
    out = succeed(capsys, "train", "--data", shapes, "--epochs", "8", "--out", out_file, "--quiet")
    assert "shapes: 32 training images, 8 test images, 2 classes, input 32x32x3" in out
    assert "test accuracy: 100.00% (8 of 8)" in out
    lines = succeed(capsys, "predict", out_file, shapes / "bar" / "0.png", shapes / "disc" / "0.png").splitlines()
    assert [line.split(": ")[1].split()[0] for line in lines] == ["bar", "disc"]
    assert "accuracy: 100.00% (40 of 40)" in succeed(capsys, "evaluate", out_file, "--data", shapes)


def test_train_on_train_and_test_folders(shapes, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for part, images in (("train", range(12)), ("test", range(12, 20))):
        for name in ("bar", "disc"):
            folder = tmp_path / "sets" / part / name
            folder.mkdir(parents=True)
            for i in images:
                (folder / f"{i}.png").write_bytes((shapes / name / f"{i}.png").read_bytes())
    out = succeed(
        capsys, "train", "--data", "sets", "--model", "convnet", "--image-size", "12", "10", "--grey", "--epochs", "1"
    )
    assert "24 training images, 16 test images, 2 classes, input 12x10x1" in out
    assert (tmp_path / "convnet-sets.safetensors").exists()
    assert (
        json.loads(succeed(capsys, "evaluate", "convnet-sets.safetensors", "--data", "sets", "--json"))["images"] == 16
    )


@pytest.mark.parametrize("labels", [[0, 1, 2], [3, 10, 7], ["cat", "dog", "eel"]])
@pytest.mark.parametrize("layout", ["x", "x_train"])
def test_train_on_npz(labels, layout, tmp_path, capsys, rng):
    names = np.array(labels)
    y = np.tile(names, 20)
    x = rng.integers(0, 50, (60, 9, 9), dtype=np.uint8)
    for i, name in enumerate(names):
        x[y == name, 3 * i : 3 * i + 3] += 150
    path = tmp_path / "three.npz"
    if layout == "x":
        np.savez(path, x=x, y=y)
    else:
        np.savez(path, x_train=x[:48], y_train=y[:48], x_test=x[48:], y_test=y[48:])
    out_file = tmp_path / "three.safetensors"
    arguments = ["train", "--data", path, "--model", "mlp", "--epochs", "20", "--out", out_file, "--quiet"]
    out = succeed(capsys, *arguments, "--validation-split", "0.25")
    assert "test accuracy: 100.00% (12 of 12)" in out
    # In the order of the labels, numbers by size.
    assert read_metadata(out_file)["preprocessing"]["class_names"] == [str(label) for label in sorted(labels)]
    np.save(tmp_path / "last.npy", x[y == names[-1]][0])
    assert f": {names[-1]} (" in succeed(capsys, "predict", out_file, tmp_path / "last.npy")


def test_train_on_drawn_signs(tmp_path, capsys):
    """--ink measures the form of the arrays and brings pictures to it."""
    (x_train, y_train), (x_test, y_test) = digits.load_data()
    chosen = [np.isin(y, (2, 3, 5)) for y in (y_train, y_test)]
    path = tmp_path / "some.npz"
    parts = {"x_train": x_train[chosen[0]], "y_train": y_train[chosen[0]]}
    np.savez(path, **parts, x_test=x_test[chosen[1]], y_test=y_test[chosen[1]])
    out_file = tmp_path / "some.safetensors"
    size = ["--image-size", "16", "16", "--max-value", "16"]
    succeed(capsys, "train", "--data", path, "--ink", *size, "--epochs", "12", "--out", out_file, "--quiet")
    ink = read_metadata(out_file)["preprocessing"]["ink"]
    assert (ink["height"], ink["width"], ink["box_height"]) == (8, 8, 1)
    Image.fromarray((255 - 15 * x_test[chosen[1]][0]).astype(np.uint8)).resize((64, 64)).save(tmp_path / "x.png")
    assert f": {y_test[chosen[1]][0]} (" in succeed(capsys, "predict", out_file, tmp_path / "x.png")


def test_the_seed_decides_everything(shapes, tmp_path, capsys):
    weights = []
    for run_number, seed in enumerate([5, 5, 6]):
        out_file = tmp_path / f"{run_number}.safetensors"
        arguments = ["--data", shapes, "--epochs", "1", "--augment", "1", "--seed", seed, "--out", out_file, "--quiet"]
        succeed(capsys, "train", *arguments)
        weights.append(np.concatenate([w.ravel() for w in load_model(out_file).get_weights()]))
    np.testing.assert_array_equal(weights[0], weights[1])
    assert not np.array_equal(weights[0], weights[2])


def test_model_that_was_saved_from_python(tmp_path, capsys):
    from cnnfast.layers import Dense, Flatten, Input

    path = tmp_path / "own.safetensors"
    cnnfast.Sequential([Input((4, 5, 3)), Flatten(), Dense(3, activation="softmax")]).save(path)
    np.save(tmp_path / "x.npy", np.zeros((2, 4, 5, 3), np.uint8))
    assert len(json.loads(succeed(capsys, "predict", path, tmp_path / "x.npy", "--json"))) == 2
    assert "was not trained on the embedded digits" in fail(capsys, "evaluate", path)


# What goes wrong.


def test_usage_errors(capsys):
    for arguments in (
        [],
        ["fly"],
        ["train", "--epochs", "0"],
        ["train", "--epochs", "many"],
        ["train", "--learning-rate", "-1"],
        ["train", "--learning-rate", "inf"],
        ["train", "--test-split", "1"],
        ["train", "--model", "resnet"],
        ["predict", "model.safetensors"],
        ["info", "--threads", "0"],
    ):
        code, out, err = run(capsys, *arguments)
        assert code == 2, arguments
        assert err.startswith("usage: cnnfast"), arguments
        assert not out


def test_help(capsys):
    assert "train" in succeed(capsys, "--help")
    for command in ("train", "evaluate", "predict", "summary", "info"):
        assert f"usage: cnnfast {command}" in succeed(capsys, command, "--help")


def test_missing_model(capsys, tmp_path):
    for command in ("evaluate", "summary"):
        assert "absent.safetensors" in fail(capsys, command, tmp_path / "absent.safetensors")
    assert "absent.safetensors" in fail(capsys, "predict", tmp_path / "absent.safetensors", "x.png")


def test_damaged_model(capsys, tmp_path, model):
    (tmp_path / "bad.safetensors").write_bytes(b"no model")
    assert "bad.safetensors" in fail(capsys, "summary", tmp_path / "bad.safetensors")
    with open(model, "rb") as file:
        (tmp_path / "half.safetensors").write_bytes(file.read()[:100_000])
    assert "half.safetensors" in fail(capsys, "evaluate", tmp_path / "half.safetensors")


def test_data_that_cannot_be_used(capsys, tmp_path, model):
    def npz(**arrays):
        np.savez(tmp_path / "x.npz", **arrays)
        return fail(capsys, "train", "--data", tmp_path / "x.npz")

    x, y = np.zeros((6, 16, 16), np.uint8), np.array([0, 1, 2] * 2)
    assert "no array y: expected x and y" in npz(x=x)
    assert "no array y_test" in npz(x_train=x, y_train=y, x_test=x)
    assert "expected one label (an integer or a text) per image" in npz(x=x, y=y[1:])
    assert "expected one label (an integer or a text) per image" in npz(x=x, y=np.eye(6))
    assert "expected one label (an integer or a text) per image" in npz(x=x, y=y * 1.5)
    assert "expected at least two classes, found 1" in npz(x=x, y=y * 0)
    assert "no images" in npz(x=x[:0], y=y[:0])
    assert "expected images of shape" in npz(x=x[:, 0], y=y)
    assert "label '2' is none of the model's classes: 0, 1" in npz(x_train=x[:2], y_train=y[:2], x_test=x, y_test=y)
    assert "lenet5 needs images of at least 12x12 pixels" in npz(x=x[:, :9], y=y)
    assert "no such file" in fail(capsys, "train", "--data", tmp_path / "absent.npz").lower()
    (tmp_path / "list.csv").write_text("1,2")
    assert "expected an .npz file or a folder" in fail(capsys, "train", "--data", tmp_path / "list.csv")
    (tmp_path / "empty").mkdir()
    assert "no images found" in fail(capsys, "train", "--data", tmp_path / "empty")
    np.savez(tmp_path / "other.npz", x=x, y=y + 100)
    assert "label '100' is none of the model's classes" in fail(
        capsys, "evaluate", model, "--data", tmp_path / "other.npz"
    )


def test_place_to_save_is_checked_before_the_training(capsys, tmp_path):
    assert "no such folder" in fail(capsys, "train", "--out", tmp_path / "absent" / "x.safetensors")


def test_without_pillow(capsys, monkeypatch, model):
    monkeypatch.setitem(sys.modules, "PIL", None)
    assert "pip install 'cnnfast[images]'" in fail(capsys, "predict", model, os.path.join(EXAMPLES, "three.png"))


def test_interrupt(capsys, monkeypatch):
    def interrupted(arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(train, "run", interrupted)
    code, out, err = run(capsys, "train")
    assert (code, out, err) == (130, "", "\ncnnfast: interrupted\n")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT to send to another process")
def test_interrupt_while_training(tmp_path):
    # A shell's background jobs start with interrupts ignored, and so would what the tests start from one.
    program = (
        "import runpy, signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "sys.argv = ['cnnfast', 'train', '--threads', '1', '--epochs', '1000']; "
        "runpy.run_module('cnnfast', run_name='__main__')"
    )
    command = [sys.executable, "-u", "-c", program]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout.readline().startswith(b"digits: ")
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=120)
    assert process.returncode == 130
    assert err.endswith(b"\ncnnfast: interrupted\n")
    assert b"Traceback" not in err
    assert not list(tmp_path.iterdir())


def test_reader_that_has_gone(tmp_path, model):
    """`cnnfast predict ... | head -n 1` ends without a traceback."""
    np.save(tmp_path / "many.npy", np.zeros((20_000, 8, 8), np.uint8))
    command = [sys.executable, "-m", "cnnfast", "predict", model, str(tmp_path / "many.npy"), "--threads", "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""


# Information.


def test_info(capsys):
    out = succeed(capsys, "info")
    assert cnnfast.__version__ in out
    assert cnnfast.config_info()["isa"] in out
    assert "GFLOP/s" not in out
    assert float(succeed(capsys, "info", "--peak").split("measured peak")[1].split()[0]) > 0


def test_threads(capsys):
    assert "threads          2 (" in succeed(capsys, "info", "--threads", "2")


def test_module_and_command_are_the_same():
    result = subprocess.run([sys.executable, "-m", "cnnfast", "info"], capture_output=True, text=True, check=True)
    assert cnnfast.__version__ in result.stdout
