"""What the READMEs promise: their Python runs, and the commands, extras and files that they name exist."""

import re
import shlex
from pathlib import Path

import pytest

import cnnfast
from cnnfast.cli import main

ROOT = Path(__file__).resolve().parents[1]
READMES = ["README.md", "README.zh-CN.md"]
DOCUMENTS = [*READMES, "CONTRIBUTING.md", "CHANGELOG.md", *(f"docs/{p.name}" for p in sorted(ROOT.glob("docs/*.md")))]


def text_of(name):
    return (ROOT / name).read_text(encoding="utf-8")


def blocks(name, language):
    return re.findall(rf"^```{language}\n(.*?)^```$", text_of(name), re.MULTILINE | re.DOTALL)


def run_block(code, capsys):
    exec(compile(code, "README", "exec"), {"__name__": "__main__"})
    return capsys.readouterr().out


@pytest.mark.parametrize("name", READMES)
def test_sequential_example(name, capsys):
    before = cnnfast.get_num_threads()
    cnnfast.set_num_threads(1)
    cnnfast.utils.set_random_seed(0)
    try:
        out = run_block(blocks(name, "python")[0], capsys)
    finally:
        cnnfast.set_num_threads(before)
    loss, accuracy = map(float, re.findall(r"\d+\.\d+", out))
    assert accuracy >= 0.95
    assert loss < 0.3


@pytest.mark.parametrize("name", READMES)
def test_functional_example(name, capsys):
    assert "Total params: 3,002" in run_block(blocks(name, "python")[1], capsys)


@pytest.mark.parametrize("name", READMES)
def test_gradient_example_prints_what_its_comment_says(name, capsys):
    code = blocks(name, "python")[2]
    (expected,) = re.findall(r"print\(.*\)  # (.*)", code)
    assert run_block(code, capsys).strip() == expected


def test_both_readmes_hold_the_same_code():
    for language in ("python", "sh"):
        assert blocks(READMES[0], language) == blocks(READMES[1], language)
    assert len(blocks(READMES[0], "python")) == 3
    assert len(blocks(READMES[0], "sh")) == 4


def test_commands_set_up_measure_and_test():
    train, _, compare, test = (block.strip() for block in blocks("README.md", "sh"))
    assert train == "python3 -m venv .venv && .venv/bin/pip install . && .venv/bin/cnnfast train"
    assert test == "python3 -m venv .venv && .venv/bin/pip install '.[test]' && .venv/bin/pytest"
    install, measure = compare.split(" && ")
    assert install == "pip install '.[peers,test]'"
    assert measure.startswith("python -m bench.compare ")
    known = (ROOT / "bench/compare.py").read_text(encoding="utf-8")
    for option in re.findall(r"--[a-z]+", measure):
        assert f'"{option}"' in known


@pytest.mark.parametrize("name", READMES)
def test_commands_exist(name, capsys):
    named = set(re.findall(r"cnnfast (train|evaluate|predict|summary|info|[a-z]+ MODEL)", text_of(name)))
    commands = {command.split()[0] for command in named}
    assert commands == {"train", "evaluate", "predict", "summary", "info"}
    for row in re.findall(r"^\| `cnnfast (\w+)[^`]*` \|(.*)\|$", text_of(name), re.MULTILINE):
        assert main([row[0], "--help"]) == 0
        help_text = capsys.readouterr().out
        for option in re.findall(r"--[a-z-]+", row[1]):
            assert option in help_text, f"cnnfast {row[0]} {option}"


@pytest.mark.parametrize("name", READMES)
def test_extras_exist(name):
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    section = project.split("[project.optional-dependencies]")[1].split("\n[")[0]
    extras = set(re.findall(r"^(\w+) = ", section, re.MULTILINE))
    named = set(re.findall(r"(?:cnnfast|\.)\[(\w+)\]", text_of(name)))
    assert named == extras
    (everything,) = re.findall(r"^all = .*\[(.*?)\]", section, re.MULTILINE)
    (row,) = re.findall(r"^\| `cnnfast\[all\]` \|(.*)\|$", text_of(name), re.MULTILINE)
    assert set(re.findall(r"`(\w+)`", row)) == set(everything.split(","))


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_lead_to_files(name):
    links = re.findall(r"\]\(([^)#]+)\)", text_of(name))
    missing = [link for link in links if "://" not in link and not ((ROOT / name).parent / link).exists()]
    assert not missing


def test_example_pictures_of_the_command_exist():
    (predict,) = re.findall(r"cnnfast (predict .*)", blocks("README.md", "sh")[1])
    pattern = shlex.split(predict)[-1]
    assert len(list(ROOT.glob(pattern))) >= 3
