"""All modules of operators, and why others are not here."""

from __future__ import annotations

import importlib

from cnnfast.interop.onnx.calls import FOLDERS, HANDLERS
from cnnfast.interop.onnx.reading import NodeData

_MODULES = (
    "activations", "arithmetic", "convolutions", "folding", "joining", "losses", "normalizations", "pools", "positions",
    "products", "reductions", "resizing", "sampling", "selecting", "shapes",
)  # fmt: skip

# Why operators are not taken over.
REASONS = {
    "control flow": ("If", "Loop", "Scan"),
    "quantization": (
        "QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "QLinearConv", "QLinearMatMul", "ConvInteger",
        "MatMulInteger",
    ),
    "recurrent networks": ("RNN", "LSTM", "GRU"),
    "sequences and optional values": (
        "SequenceAt", "SequenceConstruct", "SequenceEmpty", "SequenceErase", "SequenceInsert", "SequenceLength",
        "SequenceMap", "ConcatFromSequence", "SplitToSequence", "Optional", "OptionalGetElement", "OptionalHasElement",
        "ReverseSequence",
    ),
    "text": ("StringConcat", "StringNormalizer", "StringSplit", "RegexFullMatch", "TfIdfVectorizer", "LabelEncoder"),
    "random numbers": (
        "Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike",
    ),
    "signal processing": ("DFT", "STFT", "MelWeightMatrix", "BlackmanWindow", "HammingWindow", "HannWindow"),
    "bits of whole numbers": ("BitCast", "BitShift", "BitwiseAnd", "BitwiseNot", "BitwiseOr", "BitwiseXor"),
    "caches of language models": ("TensorScatter",),
    "image files": ("ImageDecoder",),
    "training": ("Adagrad", "Adam", "Momentum", "Gradient"),
}  # fmt: skip


def load() -> None:
    """Import all modules of operators, which enter what they take over."""
    for name in _MODULES:
        importlib.import_module(f"cnnfast.interop.onnx.{name}")


def is_unknown(node: NodeData) -> bool:
    """Whether an operator is neither taken over nor out of scope."""
    if node.domain or node.op_type in HANDLERS or node.op_type in FOLDERS:
        return False
    return not any(node.op_type in kinds for kinds in REASONS.values())


def reason_against(kind: str) -> str:
    """Why an operator is not taken over.

    Example:
        >>> reason_against("LSTM")
        'this operator is not supported: recurrent networks are out of scope'
    """
    for reason, kinds in REASONS.items():
        if kind in kinds:
            return f"this operator is not supported: {reason} {'is' if reason[-1] != 's' else 'are'} out of scope"
    return "this operator is not supported"
