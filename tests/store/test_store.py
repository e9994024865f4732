"""What reads, decides and appends until nobody was faster."""

from __future__ import annotations

import pytest
from histories import CREATED, ENDED, TAKEN, add, more

from jobctl.core.run.history import Event, EventType
from jobctl.store.store import Store


@pytest.mark.parametrize("interrupted_by", ["pause", "end"])
def test_a_request_that_comes_while_a_run_is_taken_is_not_lost(
    store: Store, monkeypatch: pytest.MonkeyPatch, interrupted_by: str
) -> None:
    run = add(store, "x-000001", [CREATED, TAKEN])
    read, did = store.events, list[int]()

    def events(run_id: int, *, after: int = 0, upto: int | None = None) -> list[Event]:
        if not did:
            did.append(1)
            event = ENDED if interrupted_by == "end" else Event(EventType.RUN_PAUSED, 2_000)
            seen = read(run_id)
            store.append([more(store, run_id, [event], seq=len(seen))])
        return read(run_id, after=after, upto=upto)

    monkeypatch.setattr(store, "events", events)
    taken = store.take([run], "e2", "", 3_000, lambda _: False)
    assert taken == ([run] if interrupted_by == "pause" else [])
    assert store.run(run).status == ("paused" if taken else "failed")


@pytest.mark.parametrize(("alive", "taken"), [(True, False), (False, True)])
def test_a_run_is_taken_from_the_dead_only(store: Store, alive: bool, taken: bool) -> None:
    run = add(store, "x-000001", [CREATED, TAKEN])
    assert store.take([run], "e2", "", 5, lambda _: alive) == ([run] if taken else [])
    assert store.run(run).executor == ("e2" if taken else "e1")
