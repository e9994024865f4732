"""What is said of a run in a store, for tests that have the store in their hands."""

from __future__ import annotations

from typing import Any

from jobctl.core.run.rows import RunRow
from jobctl.core.run.why import Reason
from jobctl.engines.local.client import LocalClient
from jobctl.host import clock
from jobctl.store.store import Store
from jobctl.views import documents, overview
from jobctl.views.run import detail


def run_document(store: Store, row: RunRow) -> dict[str, Any]:
    client = LocalClient(store)
    return documents.run_document(detail(client, client.look(row), clock.now()))


def summary(store: Store, row: RunRow) -> dict[str, Any]:
    return documents.summary(LocalClient(store).look(row))


def reasons(store: Store, row: RunRow, now: int) -> list[Reason]:
    client = LocalClient(store)
    return client.reasons(client.look(row), now)


def failed_notifications(store: Store, jobs: list[str], since: int) -> list[dict[str, Any]]:
    return [
        {**documents.summary(one.run), "about": None if one.about is None else documents.about(one.about)}
        for one in overview.failed_notifications(LocalClient(store), jobs, since)
    ]
