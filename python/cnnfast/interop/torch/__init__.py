"""PyTorch's files and modules."""
