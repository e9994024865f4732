"""A run that goes on in this process while its store cannot be written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from jobctl.cli.main import main
from jobctl.core.errors import StoreUnavailableError
from jobctl.engines.local import commit
from jobctl.store.store import Store


def test_trouble_with_the_store_is_said_once(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "jobs.toml").write_text('[jobs.x]\ncommand = "touch ran"\n')
    monkeypatch.setattr(commit, "RETRY_STORE_MS", 10)
    append = Store.append
    left = 5

    def full(self: Store, *args: Any, **kwargs: Any) -> Any:
        nonlocal left
        if (folder / "ran").exists() and left:
            left -= 1
            raise StoreUnavailableError("the disk is full")
        return append(self, *args, **kwargs)

    monkeypatch.setattr(Store, "append", full)
    assert main(["run", "x"]) == 0
    told = capsys.readouterr().err
    assert left == 0
    assert told.count("the disk is full; trying again") == 1
    assert told.count("the state store can be written again") == 1
