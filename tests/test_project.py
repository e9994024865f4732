"""What stands around the source for those who work on it: the targets, the lock file, the workflow, the templates."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
TARGETS = dict(re.findall(r"^([a-z]+):.*?## (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE))


def _name(requirement: str) -> str:
    return re.split(r"[\[<>=;~! ]", requirement)[0].lower().replace("_", "-")


def test_every_target_has_its_line_of_help() -> None:
    phony = re.search(r"^\.PHONY: (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert phony is not None
    assert set(phony[1].split()) == set(TARGETS)


@pytest.mark.parametrize("document", ["CONTRIBUTING.md", ".github/PULL_REQUEST_TEMPLATE.md"])
def test_the_targets_that_are_named_are_there(document: str) -> None:
    named = re.findall(r"`?make ([a-z]+)", (ROOT / document).read_text())
    assert named
    assert set(named) <= set(TARGETS)


@pytest.mark.parametrize("target", TARGETS)
def test_what_a_target_runs_is_there(target: str) -> None:
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    done = subprocess.run(["make", "--dry-run", target], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for word in re.findall(r"(?<!\S)(?:tests/[\w./]+|\.ci/run|requirements\.lock)", done.stdout):
        assert (ROOT / word).exists(), f"make {target}: {word}"


def test_the_lock_file_has_all_that_is_asked_for() -> None:
    asked = [*PROJECT["dependencies"], *(one for extra in PROJECT["optional-dependencies"].values() for one in extra)]
    here = {_name(line) for line in (ROOT / "requirements.lock").read_text().splitlines() if "==" in line}
    assert {_name(one) for one in asked} - here == set()


def test_the_workflow_runs_all_checks_on_all_versions() -> None:
    workflow = (ROOT / ".github/workflows/ci.yml").read_text()
    assert ".ci/run" in workflow
    first = int(PROJECT["requires-python"].removeprefix(">=3."))
    assert re.findall(r'"3\.(\d+)"', workflow) == [str(minor) for minor in range(first, 15)]


@pytest.mark.parametrize("template", sorted((ROOT / ".github").rglob("*.md")), ids=lambda path: path.name)
def test_who_reports_is_asked_what_the_doctor_says(template: Path) -> None:
    assert "jobctl doctor --json" in template.read_text()


@pytest.mark.parametrize("document", ["CONTRIBUTING.md", "SECURITY.md", "docs/why-so.md"])
def test_links_lead_somewhere(document: str) -> None:
    text = (ROOT / document).read_text()
    for target in re.findall(r"\]\(([^)#]+)", text):
        assert (ROOT / document).parent.joinpath(target).exists(), target
    for path in re.findall(r"`((?:core|cli|daemon|store|engines)/[\w.]+\.\w+)`", text):
        assert (ROOT / "src/jobctl" / path).exists(), path
