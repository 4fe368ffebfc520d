"""What the kept files of PyTorch's hold, and pickles written by hand."""

import io
import struct
import zipfile
from pathlib import Path

import numpy as np

DATA = Path(__file__).parent / "data"


def kept_state():
    """The arrays in tests/data/torch_archive.pth and torch_legacy.pth; run this file to write them again."""
    base = np.arange(24, dtype=np.float32).reshape(4, 6) / 8
    return {
        "conv.weight": np.arange(54, dtype=np.float32).reshape(2, 3, 3, 3) / 16 - 1,
        "conv.bias": np.array([0.5, -0.25], np.float32),
        "half": np.array([1.5, -2.0], np.float16),
        "bfloat16": np.array([1.5, -3.0], np.float32),
        "double": np.array(0.1, np.float64),
        "counter": np.array(7, np.int64),
        "flags": np.array([True, False]),
        "bytes": np.array([0, 255], np.uint8),
        "transposed": base.T,
        "view": base[1:3, ::2],
        "repeated": np.full((3, 4), 2.5, np.float32),
        "empty": np.zeros((0, 3), np.float32),
    }


def write_kept_files():
    import torch

    arrays = kept_state()
    base = torch.arange(24).reshape(4, 6) / 8
    state = {name: torch.from_numpy(np.array(array)) for name, array in arrays.items()}
    state["bfloat16"] = state["bfloat16"].bfloat16()
    state["transposed"], state["view"] = base.t(), base[1:3, ::2]
    state["repeated"] = torch.tensor(2.5).expand(3, 4)
    state["conv.weight"] = torch.nn.Parameter(state["conv.weight"])
    checkpoint = {"epoch": 3, "state_dict": state, "optimizer": {"state": {0: {"step": torch.tensor(1.0)}}}}
    torch.save(checkpoint, DATA / "torch_archive.pth")
    torch.save(checkpoint, DATA / "torch_legacy.pth", _use_new_zipfile_serialization=False)


def text(value):
    data = value.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def name(module, function):
    return f"c{module}\n{function}\n".encode()


def archived(pickle, **members):
    """An archive as PyTorch writes it, around a pickle and members such as data_0=bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("net/data.pkl", pickle)
        for member, data in members.items():
            archive.writestr("net/" + member.replace("_", "/"), data)
    return buffer.getvalue()


def storage(kind="FloatStorage", key="0", count=4, tag="storage"):
    return b"(" + text(tag) + name("torch", kind) + text(key) + text("cpu") + b"J" + struct.pack("<i", count) + b"tQ"


def numbers(*values):
    return b"(" + b"".join(b"J" + struct.pack("<i", value) for value in values) + b"t"


def tensor(shape=(2, 2), strides=(2, 1), offset=0, stored=None):
    parts = b"(" + (stored or storage()) + b"J" + struct.pack("<i", offset) + numbers(*shape) + numbers(*strides)
    return name("torch._utils", "_rebuild_tensor_v2") + parts + b"\x89" + name("collections", "OrderedDict") + b")RtR"


def state_pickle(**entries):
    """A dict of pickled values."""
    return b"\x80\x02}(" + b"".join(text(key) + value for key, value in entries.items()) + b"u."


if __name__ == "__main__":
    write_kept_files()
