"""One run for a job and key, however often and by however many it is asked for.

Submitting twice - a retried request, two pipelines - must be one run: restatedev/restate#5128,
dbos-inc/dbos-transact-py#544, conductor-oss/conductor#622, sayiir/sayiir#110.
"""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from homes import PATIENCE, Daemons

JOBS = """
[jobs.pay]
command = 'echo "$JOBCTL_PARAM_ORDER" >> paid; [ ! -e bad ]'
params = { order = "1", day = { default = "{{ run.fire_time }}" } }
[jobs.slow]
command = 'echo begun >> begun; until [ -e go ]; do sleep 0.05; done; echo slow >> paid'
[jobs.by-order]
command = 'echo "$JOBCTL_PARAM_ORDER" >> paid'
key = "order-{{ params.order }}"
params = { order = {} }
[jobs.waits]
queue = "one"
command = 'echo waits >> paid'
[queues.one]
concurrency = 1
"""

TICKS = """
[jobs.ticks]
schedule = { every = "1s" }
key = "once"
command = 'echo tick >> paid'
"""

# Two calls that mean the same run -> the exit code of both.
SAME = {
    "a foreground run": ("run pay --key 7", "run pay --key 7", 0),
    "one that failed": ("run pay --key 7", "run pay --key 7", 1),
    "handed over": ("run pay --key 7 --detach", "run pay --key 7 --detach", 0),
    "handed over, then here": ("run pay --key 7 --detach", "run pay --key 7", 0),
    "here, then handed over": ("run pay --key 7", "run pay --key 7 --wait 20s", 0),
    "the default, said": ("run pay --key 7", "run pay --key 7 -p order=1", 0),
    "the job says the key": ("run by-order -p order=7", "run by-order -p order=7", 0),
    "said and by the job": ("run by-order -p order=7", "run by-order -p order=7 --key order-7", 0),
    "in a queue": ("run waits --key 7", "run waits --key 7", 0),
}


@pytest.mark.parametrize("what", SAME)
def test_asked_for_twice_it_is_one_run(home: Callable[[str], Daemons], what: str) -> None:
    first, second, code = SAME[what]
    place = home(JOBS)
    if code:
        (place.folder / "bad").touch()
    job = first.split()[1]
    for call in (first, second):
        ended, output = place.call(*call.split())
        assert ended == code, output
    assert f"there is a run with that key: {job}-" in output
    assert len(place.rows(job)) == 1
    assert len(place.lines("paid")) == int("--detach" not in second)


@pytest.mark.parametrize(
    ("first", "second", "says"),
    [
        ("run pay --key 7", "run pay --key 7 -p order=2", "another order"),
        ("run pay --key 7 -p order=2", "run pay --key 7", "another order"),
        ("run pay --key 7 --detach", "run pay --key 7 --detach -p day=x", "another day"),
    ],
)
def test_other_parameters_are_a_conflict(home: Callable[[str], Daemons], first: str, second: str, says: str) -> None:
    place = home(JOBS)
    assert place.call(*first.split())[0] == 0
    code, output = place.call(*second.split())
    assert code == 1
    assert says in output
    assert "take another key" in output
    assert '"key_conflict"' in place.call(*second.split(), "--json")[1]
    assert len(place.rows("pay")) == 1


@pytest.mark.parametrize("how", [[], ["--detach"]], ids=["foreground", "detached"])
def test_many_who_ask_at_once_have_one_run(home: Callable[[str], Daemons], how: list[str]) -> None:
    place = home(JOBS)
    if how:
        place.daemon()
    all_of_them = [place.start("run", "slow", "--key", "7", *how) for _ in range(6)]
    place.until(lambda: place.lines("begun"))
    (place.folder / "go").touch()
    for process in all_of_them:
        assert process.wait(PATIENCE) == 0
    place.until(lambda: place.lines("paid"))
    assert (place.lines("begun"), place.lines("paid")) == (["begun"], ["slow"])
    assert len(place.rows("slow")) == 1


def test_a_run_that_nobody_has_is_taken_up_by_who_asks_for_it(home: Callable[[str], Daemons]) -> None:
    place = home(JOBS)
    first = place.start("run", "slow", "--key", "7")
    place.until(lambda: place.lines("begun"))
    first.kill()
    first.wait(PATIENCE)
    (place.folder / "go").touch()
    code, output = place.call("run", "slow", "--key", "7")
    assert code == 0, output
    assert (place.lines("begun"), place.lines("paid")) == (["begun"], ["slow"])


def test_a_signal_ends_the_wait_and_not_somebody_elses_run(home: Callable[[str], Daemons]) -> None:
    place = home(JOBS)
    place.daemon()
    assert place.call("run", "slow", "--key", "7", "--detach")[0] == 0
    place.until(lambda: place.lines("begun"))
    second = place.start("run", "slow", "--key", "7", "--wait", "60s")
    assert second.stdout is not None
    assert "there is a run with that key" in second.stdout.readline()
    second.terminate()
    second.wait(PATIENCE)
    (place.folder / "go").touch()
    place.until(lambda: [row.status for row in place.rows("slow")] == ["succeeded"])


def test_a_fire_time_whose_key_has_a_run_is_skipped_and_says_so(home: Callable[[str], Daemons]) -> None:
    place = home(TICKS)
    place.daemon()
    place.until(lambda: "there is a run with its key" in place.call("status")[1])
    [row] = place.rows("ticks")
    place.until(lambda: place.lines("paid"))
    assert place.lines("paid") == ["tick"]
    assert json.loads(place.call("status", row.name, "--json")[1])["key"] == "once"
    assert json.loads(place.call("status", "ticks/once", "--json")[1])["id"] == row.name


def test_a_run_that_keep_removes_frees_its_key(home: Callable[[str], Daemons]) -> None:
    place = home(JOBS.replace("[jobs.slow]", "keep = { runs = 1 }\n[jobs.slow]"))
    for key in ("7", "8", "9"):
        assert place.call("run", "pay", "--key", key)[0] == 0
    assert place.call("prune")[0] == 0
    assert place.call("run", "pay", "--key", "7")[0] == 0
    assert place.call("run", "pay", "--key", "9")[0] == 0
    assert len(place.lines("paid")) == 4


@pytest.mark.parametrize("key", ["", "  ", "a\nb", "\x1b[2J", "x" * 201])
def test_what_can_be_no_key_is_a_usage_error(home: Callable[[str], Daemons], key: str) -> None:
    place = home(JOBS)
    for more in ([], ["--detach"]):
        code, output = place.call("run", "pay", "--key", key, *more)
        assert (code, "cannot be the key of a run" in output) == (2, True), output
    assert place.call("run", "by-order", "-p", f"order={'y' * 300}")[0] == 2
    assert not place.rows("pay")


def test_the_key_of_a_job_is_checked_when_the_file_is_read(home: Callable[[str], Daemons]) -> None:
    place = home('[jobs.a]\ncommand = "true"\nkey = "{{ params.ordr }}"\nparams = { order = "1" }\n')
    code, output = place.call("validate")
    assert code == 2
    assert "the job has no parameter 'ordr'" in output


def test_a_key_may_hold_what_no_name_may(home: Callable[[str], Daemons]) -> None:
    place = home(JOBS)
    assert place.call("run", "by-order", "-p", "order=ä/ö x")[0] == 0
    assert place.call("status", "by-order/order-ä/ö x", "--exit-status")[0] == 0
