"""Exported models as others see them: checked by onnx, run by ONNX Runtime or by onnx's own reference."""

import numpy as np
import pytest

from cnnfast.interop import export_onnx


def exported(model, path, **options):
    """The file of a model, read again and checked."""
    onnx = pytest.importorskip("onnx")
    export_onnx(model, path, **options)
    proto = onnx.load(path)
    onnx.checker.check_model(proto, full_check=True)
    return proto


def run(path, inputs, engine="onnxruntime"):
    """The outputs of a file for the inputs, in order."""
    if engine == "reference":
        from onnx.reference import ReferenceEvaluator

        session = ReferenceEvaluator(str(path))
        return session.run(None, dict(zip(session.input_names, inputs, strict=True)))
    runtime = pytest.importorskip("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return session.run(None, {given.name: x for given, x in zip(session.get_inputs(), inputs, strict=True)})


def assert_same(found, wanted, tolerance=1e-5):
    """Arrays are as near as rounding leaves them."""
    wanted = np.asarray(wanted)
    assert found.shape == wanted.shape
    scale = max(float(np.abs(wanted).max(initial=0)), 1e-3)
    np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=tolerance * scale)


def randomized(model, seed=3):
    """The model with weights that leave nothing at its neutral value; variances are positive."""
    random = np.random.default_rng(seed)
    for variable in model.weights:
        values = variable.numpy() + random.uniform(-0.3, 0.3, variable.shape)
        variable.assign(np.abs(values) + 0.5 if "variance" in variable.name else values)
    return model


def kinds(proto):
    """How many nodes of each kind there are."""
    found = {}
    for node in proto.graph.node:
        found[node.op_type] = found.get(node.op_type, 0) + 1
    return found
