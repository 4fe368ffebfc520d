"""The code of docs/interop.md runs: a section's blocks one after the other, each section in a folder of its own.

A block with a line such as `# needs: torch, onnxruntime` is skipped, and what follows it in its section, where one of
these packages is missing.
"""

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[1] / "docs" / "interop.md"


def sections():
    """[(title, [code, ...])] of those sections that have code."""
    parts = re.split(r"^## +(.+)$", PAGE.read_text(), flags=re.MULTILINE)
    found = [("", parts[0]), *zip(parts[1::2], parts[2::2], strict=True)]
    blocks = [(title, re.findall(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)) for title, text in found]
    return [(title, code) for title, code in blocks if code]


@pytest.mark.parametrize(("title", "blocks"), sections(), ids=[title for title, _ in sections()])
def test_code_of_the_page(title, blocks, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "example"}
    for number, code in enumerate(blocks, 1):
        for package in ",".join(re.findall(r"^# needs:(.+)$", code, re.MULTILINE)).split(","):
            if package.strip():
                pytest.importorskip(package.strip())
        exec(compile(code, f"{PAGE.name}, {title}, block {number}", "exec"), names)


def test_there_is_code():
    assert len(sections()) >= 2
