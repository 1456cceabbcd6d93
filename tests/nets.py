"""What tests of networks need: PyTorch, or a reason why they are skipped."""

import os

import pytest


def torch_or_skip():
    """Return PyTorch; fail without where FASTRESTORE_TEST_REQUIRE names "torch"."""
    if "torch" in os.environ.get("FASTRESTORE_TEST_REQUIRE", ""):
        import safetensors
        import torch

        assert safetensors
        return torch
    pytest.importorskip("safetensors", reason="networks need the extra 'nets'")
    return pytest.importorskip("torch", reason="networks need the extra 'nets'")
