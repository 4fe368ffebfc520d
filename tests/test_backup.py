"""A training that is killed and started again ends with the weights of one that was not."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from cnnfast import callbacks, layers, models, optimizers, utils

EPOCHS = 5
PROGRAM = """
import os, signal, sys
sys.path.insert(0, {tests!r})
from test_backup import EPOCHS, Kill, make, train
folder, kills = sys.argv[1], [int(k) for k in sys.argv[2:]]
model = make()
train(model, folder, [Kill(folder, kills)])
model.save(os.path.join(folder, "end.safetensors"))
"""


def make():
    utils.set_random_seed(3)
    model = models.Sequential(
        [
            layers.Input((6, 6, 2)),
            layers.RandomFlip(seed=7),
            layers.Conv2D(4, 3, activation="relu"),
            layers.BatchNormalization(),
            layers.Flatten(),
            layers.Dropout(0.3),
            layers.Dense(8, activation="relu"),
            layers.Dropout(0.3, seed=5),
            layers.Dense(3, activation="softmax"),
        ]
    )
    model.compile(optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    return model


def train(model, folder, more=(), epochs=EPOCHS):
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((48, 6, 6, 2)).astype(np.float32), rng.integers(0, 3, 48)
    halve = callbacks.LearningRateScheduler(lambda epoch, rate: rate * 0.9)
    kept = callbacks.BackupAndRestore(os.path.join(folder, "backup"))
    return model.fit(x, y, batch_size=8, epochs=epochs, verbose=0, callbacks=[halve, kept, *more])


class Kill(callbacks.Callback):
    """Kills the process at the batches of these numbers, counted over all of its lives."""

    def __init__(self, folder, batches):
        self.path, self.batches = Path(folder) / "count", batches

    def on_train_batch_begin(self, batch, logs=None):
        count = int(self.path.read_text()) if self.path.exists() else 0
        self.path.write_text(str(count + 1))
        if count in self.batches:
            os.kill(os.getpid(), signal.SIGKILL)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    model = make()
    train(model, tmp_path_factory.mktemp("whole"))
    return model.get_weights()


def start(folder, *kills):
    program = PROGRAM.format(tests=str(Path(__file__).parent))
    return subprocess.Popen([sys.executable, "-c", program, str(folder), *map(str, kills)])


def assert_same_end(folder, weights):
    for a, b in zip(models.load_model(folder / "end.safetensors").get_weights(), weights, strict=True):
        np.testing.assert_array_equal(a.view(np.uint32), b.view(np.uint32))
    assert not (folder / "backup").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_a_training_that_is_killed_goes_on_bit_for_bit(tmp_path, uninterrupted):
    lives = 0
    while start(tmp_path, 3, 17, 30).wait(60) != 0:
        lives += 1
        assert lives < 5
    assert lives == 3
    assert_same_end(tmp_path, uninterrupted)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_killed_at_any_moment(tmp_path, uninterrupted):
    process = start(tmp_path)
    while process.poll() is None and not list(tmp_path.glob("backup/*")):
        time.sleep(0.001)
    process.kill()
    process.wait()
    assert start(tmp_path).wait(60) == 0
    assert_same_end(tmp_path, uninterrupted)


class Stop(callbacks.Callback):
    def __init__(self, epoch):
        self.epoch = epoch

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == self.epoch:
            raise KeyboardInterrupt


def test_an_interrupted_training_goes_on_in_the_same_process(tmp_path, uninterrupted):
    with pytest.raises(KeyboardInterrupt):
        train(make(), tmp_path, [Stop(3)])
    model = make()
    utils.set_random_seed(99)  # restored as well
    history = train(model, tmp_path)
    assert history.epoch == [3, 4]
    for a, b in zip(model.get_weights(), uninterrupted, strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_state_before_serves_where_the_last_is_damaged(tmp_path):
    model = make()
    x, y = np.zeros((8, 6, 6, 2)), np.zeros(8)
    kept = callbacks.BackupAndRestore(tmp_path, double_checkpoint=True, delete_checkpoint=False)
    model.fit(x, y, epochs=3, verbose=0, callbacks=[kept])
    (tmp_path / "training.safetensors").write_bytes(b"damaged")
    assert make().fit(x, y, epochs=4, verbose=0, callbacks=[kept]).epoch == [2, 3]
    single = callbacks.BackupAndRestore(tmp_path / "single", delete_checkpoint=False)
    make().fit(x, y, verbose=0, callbacks=[single])
    (tmp_path / "single" / "training.safetensors").write_bytes(b"damaged")
    with pytest.raises(ValueError, match="not a model file, or damaged"):
        make().fit(x, y, verbose=0, callbacks=[single])


def test_the_state_of_another_model_is_refused(tmp_path):
    kept = callbacks.BackupAndRestore(tmp_path, save_freq=1, delete_checkpoint=False)
    make().fit(np.zeros((8, 6, 6, 2)), np.zeros(8), verbose=0, callbacks=[kept])
    other = models.Sequential([layers.Input((2,)), layers.Dense(3)])
    other.compile("sgd", "mse")
    with pytest.raises(ValueError, match="the state of another model's training"):
        other.fit(np.zeros((8, 2)), np.zeros((8, 3)), verbose=0, callbacks=[kept])
    with pytest.raises(ValueError, match="save_freq expects 'epoch' or an integer"):
        callbacks.BackupAndRestore(tmp_path, save_freq="day")
