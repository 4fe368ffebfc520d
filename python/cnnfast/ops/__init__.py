"""Differentiable operations: NumPy in and out, tensors while a tape records."""
