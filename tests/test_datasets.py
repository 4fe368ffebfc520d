"""Data sets: the embedded digits, the readers of local files, and the downloader against a server on this machine."""

import gzip
import hashlib
import http.server
import io
import tarfile
import threading

import numpy as np
import pytest

from cnnfast import downloads
from cnnfast.datasets import _files, cifar10, digits, fashion_mnist, mnist


def test_digits_are_embedded_and_split_evenly():
    (x_train, y_train), (x_test, y_test) = digits.load_data()
    assert x_train.shape == (1437, 8, 8)
    assert x_test.shape == (360, 8, 8)
    assert x_train.dtype == y_train.dtype == x_test.dtype == y_test.dtype == np.uint8
    assert x_train.max() == x_test.max() == digits.MAX_VALUE
    assert np.bincount(y_test).tolist() == [36] * 10
    # The published count of each digit in these 1,797 images.
    counts = np.bincount(np.concatenate([y_train, y_test]))
    assert counts.tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]


def test_digits_of_training_and_test_are_different_images():
    (x_train, _), (x_test, _) = digits.load_data()
    assert not {x.tobytes() for x in x_train} & {x.tobytes() for x in x_test}


def test_digits_calls_return_arrays_of_their_own():
    (x, _), _ = digits.load_data()
    x[:] = 0
    assert digits.load_data()[0][0].max() == digits.MAX_VALUE


# Local files.


@pytest.fixture
def small_split(rng):
    def images(n):
        return rng.integers(0, 256, (n, 28, 28), dtype=np.uint8), rng.integers(0, 10, n, dtype=np.uint8)

    return images(7), images(3)


def assert_same_split(got, expected):
    for (x, y), (expected_x, expected_y) in zip(got, expected, strict=True):
        np.testing.assert_array_equal(x, expected_x)
        np.testing.assert_array_equal(y, expected_y)


def idx_bytes(array):
    header = bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape)
    return header + array.tobytes()


@pytest.mark.parametrize("load", [mnist.load_data, fashion_mnist.load_data, cifar10.load_data])
def test_local_npz(load, tmp_path, small_split):
    (x_train, y_train), (x_test, y_test) = small_split
    path = tmp_path / "local.npz"
    np.savez(path, x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test)
    assert_same_split(load(path), small_split)
    assert_same_split(load(str(path)), small_split)


@pytest.mark.parametrize("packed", [False, True])
def test_local_idx_folder(packed, tmp_path, small_split):
    for name, array in zip(_files._IDX_NAMES, [a for part in small_split for a in part], strict=True):
        data = idx_bytes(array)
        (tmp_path / (f"{name}.gz" if packed else name)).write_bytes(gzip.compress(data) if packed else data)
    assert_same_split(mnist.load_data(tmp_path), small_split)
    assert_same_split(fashion_mnist.load_data(tmp_path), small_split)


def test_idx_types_and_byte_order(tmp_path):
    path = tmp_path / "values"
    path.write_bytes(bytes([0, 0, 0x0C, 1, 0, 0, 0, 2]) + (-5).to_bytes(4, "big", signed=True) + (7).to_bytes(4, "big"))
    values = _files.read_idx(path)
    assert values.tolist() == [-5, 7]
    assert values.dtype == np.int32


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not an idx file"),
        (b"\x1f\x8b rest", "not an idx file"),
        (bytes([0, 0, 8, 1, 0, 0, 0, 9]) + b"four", "expected 9 bytes of values for shape"),
        (bytes([0, 0, 8, 3, 0, 0]), "expected"),
    ],
)
def test_damaged_idx(tmp_path, content, message):
    path = tmp_path / "damaged"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        _files.read_idx(path)


def test_damaged_idx_gz(tmp_path):
    path = tmp_path / "damaged.gz"
    path.write_bytes(gzip.compress(b"\0" * 1000)[:-12])
    with pytest.raises(ValueError, match="damaged gzip"):
        _files.read_idx(path)


def test_incomplete_idx_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match="neither train-images-idx3-ubyte nor"):
        mnist.load_data(tmp_path)


def test_npz_that_misses_arrays(tmp_path):
    np.savez(tmp_path / "x.npz", x_train=np.zeros((2, 2)), y_train=np.zeros(2))
    with pytest.raises(ValueError, match="missing: x_test, y_test"):
        mnist.load_data(tmp_path / "x.npz")


def test_npz_with_too_few_labels(tmp_path, small_split):
    (x_train, y_train), (x_test, y_test) = small_split
    np.savez(tmp_path / "x.npz", x_train=x_train, y_train=y_train[1:], x_test=x_test, y_test=y_test)
    with pytest.raises(ValueError, match=r"x_train has shape \(7, 28, 28\), y_train \(6,\)"):
        mnist.load_data(tmp_path / "x.npz")


def test_npz_with_python_objects_is_refused(tmp_path):
    np.savez(tmp_path / "x.npz", x_train=np.array([{"code": 1}], dtype=object))
    with pytest.raises(ValueError, match="not a readable"):
        mnist.load_data(tmp_path / "x.npz")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 but not a zip", b"text"])
def test_npz_that_is_none(tmp_path, content):
    (tmp_path / "x.npz").write_bytes(content)
    with pytest.raises(ValueError, match=r"x\.npz: not a readable \.npz"):
        mnist.load_data(tmp_path / "x.npz")


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        mnist.load_data(tmp_path / "absent.npz")


# CIFAR-10.


@pytest.fixture
def cifar_batches(rng):
    """Each file's content, and the images (red, green and blue planes) and labels in it."""
    names = [f"data_batch_{i}.bin" for i in range(1, 6)] + ["test_batch.bin"]
    labels = {name: rng.integers(0, 10, 4, dtype=np.uint8) for name in names}
    planes = {name: rng.integers(0, 256, (4, 3, 32, 32), dtype=np.uint8) for name in names}
    files = {
        name: b"".join(
            bytes([label]) + image.tobytes() for label, image in zip(labels[name], planes[name], strict=True)
        )
        for name in names
    }
    return files, labels, planes


def tar_gz(path, files):
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


@pytest.mark.parametrize("packed", [False, True])
def test_cifar10(packed, tmp_path, cifar_batches):
    files, labels, planes = cifar_batches
    if packed:
        path = tar_gz(tmp_path / "cifar-10-binary.tar.gz", {**files, "batches.meta.txt": b"airplane\n"})
    else:
        path = tmp_path
        for name, content in files.items():
            (path / name).write_bytes(content)
    (x_train, y_train), (x_test, y_test) = cifar10.load_data(path)
    assert x_train.shape == (20, 32, 32, 3)
    assert y_train.shape == (20, 1)
    for i in range(5):
        name = f"data_batch_{i + 1}.bin"
        np.testing.assert_array_equal(y_train[4 * i : 4 * i + 4, 0], labels[name])
        for channel in range(3):
            np.testing.assert_array_equal(x_train[4 * i : 4 * i + 4, :, :, channel], planes[name][:, channel])
    np.testing.assert_array_equal(y_test[:, 0], labels["test_batch.bin"])
    np.testing.assert_array_equal(x_test[2, 5, 6], planes["test_batch.bin"][2, :, 5, 6])


def test_cifar10_of_pickles_is_refused(tmp_path):
    path = tar_gz(tmp_path / "cifar-10-python.tar.gz", {"data_batch_1": b"pickle", "test_batch": b"pickle"})
    with pytest.raises(ValueError, match=r"pickles.*use cifar-10-binary\.tar\.gz"):
        cifar10.load_data(path)


def test_cifar10_cut_short(tmp_path, cifar_batches):
    files, _, _ = cifar_batches
    files["data_batch_3.bin"] = files["data_batch_3.bin"][:-1]
    with pytest.raises(ValueError, match=r"data_batch_3\.bin: expected records of 3073 bytes, got 12291 bytes"):
        cifar10.load_data(tar_gz(tmp_path / "x.tar.gz", files))


def test_cifar10_damaged_archive(tmp_path, cifar_batches):
    path = tar_gz(tmp_path / "x.tar.gz", cifar_batches[0])
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(ValueError, match="not a readable tar archive"):
        cifar10.load_data(path)


# Downloads.

CONTENT = bytes(range(256)) * 3000


class Server(http.server.BaseHTTPRequestHandler):
    """Serves CONTENT; the class attributes make it misbehave."""

    content = CONTENT
    requests: list[tuple[str, str | None]] = []  # noqa: RUF012
    break_off_after: list[int] = []  # noqa: RUF012
    ranges = True

    def do_GET(self):
        asked = self.headers.get("Range")
        type(self).requests.append((self.path, asked))
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and self.ranges else 0
        if self.path != "/file":
            self.send_error(404)
        elif start and start >= len(self.content):
            self.send_error(416)
        else:
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(self.content) - 1}/{len(self.content)}")
            self.send_header("Content-Length", str(len(self.content) - start))
            self.end_headers()
            count = self.break_off_after.pop(0) if self.break_off_after else len(self.content)
            self.wfile.write(self.content[start : start + count])

    def log_message(self, *args):
        pass


@pytest.fixture
def server(tmp_path, monkeypatch):
    """The handler class of a running server, with its address; the cache is a folder of the test's own."""
    monkeypatch.setenv("CNNFAST_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "*")
    handler = type("Handler", (Server,), {"requests": [], "break_off_after": []})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        handler.address = f"http://127.0.0.1:{running.server_port}"
        yield handler
        running.shutdown()
        thread.join()


def remote(*urls, content=CONTENT):
    return downloads.RemoteFile("set.bin", hashlib.sha256(content).hexdigest(), urls)


def cached():
    return downloads.cache_folder() / "datasets" / "toy" / "set.bin"


def test_download_is_cached(server):
    file = remote(server.address + "/file")
    path = downloads.fetch(file, "toy")
    assert path == cached()
    assert path.read_bytes() == CONTENT
    assert not path.with_name("set.bin.part").exists()
    assert downloads.fetch(file, "toy") == path
    assert len(server.requests) == 1


def test_broken_transfer_is_resumed(server):
    server.break_off_after.extend([300_000, 100_000])
    path = downloads.fetch(remote(server.address + "/file"), "toy")
    assert path.read_bytes() == CONTENT
    assert [asked for _, asked in server.requests] == [None, "bytes=300000-", "bytes=400000-"]


def test_next_call_continues_what_an_earlier_one_began(server):
    part = cached().with_name("set.bin.part")
    part.parent.mkdir(parents=True)
    part.write_bytes(CONTENT[:500_000])
    assert downloads.fetch(remote(server.address + "/file"), "toy").read_bytes() == CONTENT
    assert server.requests == [("/file", "bytes=500000-")]


@pytest.mark.parametrize("left", [b"something else" * 100, CONTENT + b"and more", b"x" * len(CONTENT)])
def test_wrong_remains_of_an_earlier_download_are_replaced(server, left):
    part = cached().with_name("set.bin.part")
    part.parent.mkdir(parents=True)
    part.write_bytes(left)
    assert downloads.fetch(remote(server.address + "/file"), "toy").read_bytes() == CONTENT
    assert server.requests[-1] == ("/file", None)


def test_complete_remains_are_used(server):
    part = cached().with_name("set.bin.part")
    part.parent.mkdir(parents=True)
    part.write_bytes(CONTENT)
    assert downloads.fetch(remote(server.address + "/file"), "toy").read_bytes() == CONTENT


def test_server_without_ranges(server):
    server.ranges = False
    server.break_off_after.append(1000)
    assert downloads.fetch(remote(server.address + "/file"), "toy").read_bytes() == CONTENT


def test_damaged_copy_in_the_cache_is_replaced(server):
    cached().parent.mkdir(parents=True)
    cached().write_bytes(b"damaged")
    assert downloads.fetch(remote(server.address + "/file"), "toy").read_bytes() == CONTENT


def test_checksum_mismatch_leaves_nothing(server):
    file = remote(server.address + "/file", content=b"what was published")
    with pytest.raises(OSError, match=rf"checksum mismatch: got sha256 .* expected {file.sha256}"):
        downloads.fetch(file, "toy")
    assert not cached().exists()
    assert not cached().with_name("set.bin.part").exists()
    assert len(server.requests) == 1  # what came whole would come the same again


def test_second_address_is_tried(server):
    path = downloads.fetch(remote(server.address + "/absent", server.address + "/file"), "toy")
    assert path.read_bytes() == CONTENT
    assert [asked for asked, _ in server.requests] == ["/absent", "/file"]


def test_offline_message_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("CNNFAST_HOME", str(tmp_path))
    monkeypatch.setenv("no_proxy", "*")
    url = "http://127.0.0.1:9/mnist.npz"  # the discard port: nothing listens
    monkeypatch.setattr(mnist, "_FILE", downloads.RemoteFile("mnist.npz", "0" * 64, (url,)))
    with pytest.raises(OSError, match=r"could not get mnist\.npz") as caught:
        mnist.load_data()
    message = str(caught.value)
    assert url in message
    assert str(tmp_path / "datasets" / "mnist" / "mnist.npz") in message
    assert "sha256 " + "0" * 64 in message
    assert "mnist.load_data(path=...)" in message


def test_file_put_by_hand_is_used(tmp_path, monkeypatch, small_split):
    (x_train, y_train), (x_test, y_test) = small_split
    monkeypatch.setenv("CNNFAST_HOME", str(tmp_path))
    path = tmp_path / "datasets" / "mnist" / "mnist.npz"
    path.parent.mkdir(parents=True)
    np.savez(path, x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    monkeypatch.setattr(mnist, "_FILE", downloads.RemoteFile("mnist.npz", digest, ()))
    assert_same_split(mnist.load_data(), small_split)


def test_fashion_mnist_downloads_its_four_files(server, monkeypatch, small_split):
    server.content = gzip.compress(idx_bytes(small_split[0][0]))
    digest = hashlib.sha256(server.content).hexdigest()
    monkeypatch.setattr(fashion_mnist, "_SHA256", dict.fromkeys(fashion_mnist._SHA256, digest))
    monkeypatch.setattr(fashion_mnist, "_SOURCES", (server.address + "/file?",))
    monkeypatch.setattr(server, "do_GET", _serve_any(server.do_GET))
    (x_train, _), (x_test, _) = fashion_mnist.load_data()
    np.testing.assert_array_equal(x_train, small_split[0][0])
    np.testing.assert_array_equal(x_test, small_split[0][0])
    assert len(server.requests) == 4


def _serve_any(get):
    def do_get(self):
        self.path = "/file"
        get(self)

    return do_get


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"CNNFAST_HOME": "/a", "XDG_CACHE_HOME": "/b"}, "/a"),
        ({"XDG_CACHE_HOME": "/b"}, "/b/cnnfast"),
        ({"HOME": "/home/someone"}, "/home/someone/.cache/cnnfast"),
    ],
)
def test_cache_folder(variables, expected, monkeypatch):
    for name in ("CNNFAST_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert downloads.cache_folder().as_posix() == expected
