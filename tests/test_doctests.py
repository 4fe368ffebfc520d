"""The examples in the documentation strings, run."""

import doctest
import importlib
import pkgutil

import numpy as np
import pytest

import cnnfast

MODULES = ["cnnfast", *sorted(m.name for m in pkgutil.walk_packages(cnnfast.__path__, "cnnfast."))]
OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@pytest.mark.parametrize("name", [name for name in MODULES if name not in {"cnnfast._core", "cnnfast.__main__"}])
def test_examples(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = doctest.testmod(importlib.import_module(name), extraglobs={"np": np}, optionflags=OPTIONS)
    assert result.failed == 0, f"{result.failed} of {result.attempted} examples; the output above tells which"


def test_there_are_examples():
    finder = doctest.DocTestFinder()
    assert any(test.examples for name in MODULES for test in finder.find(importlib.import_module(name)))
