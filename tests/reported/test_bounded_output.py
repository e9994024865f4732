"""What is shown is bounded, however much there is: of queued runs the first in line, of a message what fits a line."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobctl.cli.main import main
from jobctl.definitions.files import read_file
from jobctl.engines.local.submit import enqueue
from jobctl.host.host import Host
from jobctl.store.store import Store


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("JOBCTL_STATE_DIR", str(tmp_path / "state"))
    (tmp_path / "state").mkdir(0o700)
    return tmp_path


def test_of_many_queued_runs_the_first_are_shown(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "jobs.toml").write_text("[jobs.x]\ncommand = 'true'\n")
    job = read_file("jobs.toml").jobs["x"]
    with Store(str(folder / "state")) as store:
        names = [enqueue(store, job, {}, trigger="manual", host=Host()).name for _ in range(60)]
    assert main(["status"]) == 0
    out = capsys.readouterr().out
    table = out.split("JOB ")[0]
    assert [name for name in names if name in table] == names[:20]
    assert "and 40 more that are queued: jobctl history --status queued" in out


def test_a_long_message_is_cut_in_lines_and_tables(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A message of 300 kB made one row of `history` 65,630 characters."""
    (folder / "jobs.toml").write_text(
        "[jobs.x]\ncommand = '''echo message=$(head -c 60000 /dev/zero | tr '\\\\0' x) > $JOBCTL_FAILURE; exit 1'''\n"
    )
    assert main(["run", "x"]) == 1
    out, err = capfd.readouterr()
    assert max(map(len, (out + err).splitlines())) < 2_100
    for words in (["status"], ["status", "x"], ["history"], ["why", "x"]):
        assert main(words) == 0
        out, err = capfd.readouterr()
        limit = 70_000 if words[0] == "why" else 2_100  # which is asked for it
        assert max(map(len, (out + err).splitlines())) < limit, words
