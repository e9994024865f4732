"""What an engine makes of steps that are done for each item of a list. What follows from what: core/test_items.py."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from worlds import Document, World, statuses

from jobctl.core.errors import JobctlError, NotFoundError
from jobctl.core.model import Queue, encode
from jobctl.core.run.history import EventType, replay
from jobctl.core.run.rows import NewRun
from jobctl.engines.local import control
from jobctl.engines.local.live import LiveRun
from jobctl.host.host import Host
from jobctl.store.append import Batch

EACH = """
[[jobs.x.steps]]
name = "each"
foreach = {}
command = '''{}'''
"""
MARK = 'echo "$JOBCTL_ITEM" >> marks'


def items(world: World, run: LiveRun, name: str = "each") -> list[Document]:
    found: list[Document] = world.step(run, name)["items"]
    return found


def marks(world: World) -> list[str]:
    return world.read("marks").splitlines()


# -- where the list comes from ---------------------------------------------------------------------------------------

MAKE = """
[[jobs.x.steps]]
name = "make"
command = '''{}'''
"""
TWO = """
[[jobs.x.steps]]
name = "two"
foreach = ["a", "b", "c"]
command = '[ "$JOBCTL_ITEM" = b ] || echo "v=$JOBCTL_ITEM!" > $JOBCTL_OUTPUT; echo "said $JOBCTL_ITEM"'
"""


@pytest.mark.parametrize(
    ("before", "source", "expected"),
    [
        ("", '["a", 2, { b = [1] }, true]', ["a", "2", '{"b":[1]}', "true"]),
        ("", '{ items = ["a"], max_parallel = 1 }', ["a"]),
        ("", "[]", []),
        ('params = { l = { type = "list", default = [1, "b"] } }\n', '"{{ params.l }}"', ["1", "b"]),
        ("params = { l = '[\"a b\", null]' }\n", '"{{ params.l }}"', ["a b", "null"]),
        (MAKE.format('echo "l=[1, \\"x\\"]" > $JOBCTL_OUTPUT'), '"{{ steps.make.outputs.l }}"', ["1", "x"]),
        (MAKE.format('echo first; echo "[7, 8]"'), '"{{ steps.make.stdout }}"', ["7", "8"]),
        (TWO, '"{{ steps.two.outputs.v }}"', ["a!", "null", "c!"]),
        (TWO, '"{{ steps.two.stdout }}"', ["said a", "said b", "said c"]),
    ],
)
def test_where_a_list_comes_from(world: World, before: str, source: str, expected: list[str]) -> None:
    run = world.run(before + EACH.format(source, MARK))
    assert run.state.status == "succeeded"
    assert sorted(marks(world)) == sorted(expected)
    assert [item["status"] for item in items(world, run)] == ["succeeded"] * len(expected)


def test_a_list_that_a_signal_brought(world: World) -> None:
    run = world.start('[[jobs.x.steps]]\nname = "s"\nsignal = "go"' + EACH.format('"{{ steps.s.outputs.l }}"', MARK))
    control.send_signal(world.store, world.row(run), "go", {"l": [{"a": 1}]}, by="me", host=Host())
    world.finish(run)
    assert marks(world) == ['{"a":1}']


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is empty, not a JSON list"),
        ("a b", "is not JSON: Expecting value"),
        ('{"a": 1}', "is an object, not a list"),
        ('"a"', "is a text, not a list"),
        ("3", "is a number, not a list"),
        ("null", "is null, not a list"),
        ("[NaN]", "is not JSON: NaN is no JSON value"),
        ("[" * 100_000, "is not JSON"),
        ("[" * 70 + "]" * 70, "is nested more than 64 deep"),
        (json.dumps([1] * 10_001), "has 10,001 items, 10,000 is the limit"),
    ],
    ids=lambda value: value[:20],
)
def test_what_is_no_list_fails_the_step_with_a_sentence(world: World, text: str, says: str) -> None:
    run = world.run('params = { l = "" }' + EACH.format('"{{ params.l }}"', "true"), {"l": text})
    step = world.step(run, "each")
    assert (step["status"], step["items"], step["outputs"]) == ("failed", [], [])
    assert step["error"].startswith("foreach: {{ params.l }} ")
    assert says in step["error"]


def test_an_output_that_nobody_wrote_is_no_list(world: World) -> None:
    run = world.run(MAKE.format("true") + EACH.format('"{{ steps.make.outputs.l }}"', "true"))
    assert "has no value: step make wrote no output 'l'" in world.step(run, "each")["error"]


# -- what an item gets -----------------------------------------------------------------------------------------------


def test_what_an_item_sees(world: World) -> None:
    run = world.run(
        """
[[jobs.x.steps]]
name = "each"
foreach = [{ host = "db1", port = 5 }, { host = "db2", port = 6 }]
env = { HOST = "{{ item.host }}", WHOLE = "{{ item }}" }
only_if = 'test -n "$JOBCTL_ITEM"'
command = ["sh", "-c", '''echo "$JOBCTL_STEP $JOBCTL_ITEM_INDEX $JOBCTL_ITEM"
echo "$HOST $WHOLE $1 $JOBCTL_IDEMPOTENCY_KEY"''', "sh", "{{ item.port }}"]
"""
    )
    assert run.state.status == "succeeded", run.state.reason
    whole = '{"host":"db2","port":6}'
    assert world.log(run, "each[1]").splitlines() == [f"each 1 {whole}", f"db2 {whole} 6 {run.name}/each[1]"]


def test_the_folder_of_an_item(world: World) -> None:
    (world.folder / "b").mkdir()
    run = world.run('[[jobs.x.steps]]\nname = "each"\nforeach = ["b", "no"]\ncwd = "{{ item }}"\ncommand = "pwd"')
    assert world.log(run, "each[0]") == f"{world.folder}/b\n"
    assert [item["error"] for item in items(world, run)] == [None, "its working folder (cwd) cannot be entered"]


@pytest.mark.parametrize(
    ("value", "command", "says"),
    [
        ({"a": 1}, '["echo", "{{ item.b }}"]', "{{ item.b }} has no value: the item has no key 'b'"),
        ("text", '["echo", "{{ item.b }}"]', "{{ item.b }} has no value: the item is no object with keys"),
        ("x" * 200_000, '"true"', "the item is too long for a variable (128 KiB); list paths or addresses instead"),
        ("a\0b", '"true"', "the item cannot be handed to a command: it holds a NUL character"),
        ("\ud800", '"true"', "the item cannot be handed to a command: it holds half a character"),
    ],
    ids=["no key", "no object", "long", "NUL", "half a character"],
)
def test_an_item_that_cannot_be_handed_on_fails_alone(world: World, value: object, command: str, says: str) -> None:
    (world.folder / "list").write_text("l=" + json.dumps([value, {"b": 1}]) + "\n")
    text = MAKE.format("cat list > $JOBCTL_OUTPUT") + '[[jobs.x.steps]]\nname = "each"\n'
    run = world.run(f'{text}foreach = "{{{{ steps.make.outputs.l }}}}"\ncommand = {command}')
    found = items(world, run)
    assert [(item["status"], item["error"]) for item in found] == [("failed", says), ("succeeded", None)]
    assert run.state.status == "failed"


def test_each_item_has_its_own_attempts_cursor_and_condition(world: World) -> None:
    run = world.run(
        """
[[jobs.x.steps]]
name = "each"
foreach = ["good", "late", "no"]
retry = { maximum_attempts = 2, initial_interval = "10ms" }
only_if = '[ "$JOBCTL_ITEM" != no ]'
command = '''
echo "at $JOBCTL_ITEM" >> $JOBCTL_HEARTBEAT; echo "$JOBCTL_CURSOR"; echo "n=$JOBCTL_ATTEMPT" >> $JOBCTL_OUTPUT
[ "$JOBCTL_ITEM" != late ] || [ "$JOBCTL_ATTEMPT" = 2 ]'''
[[jobs.x.steps]]
name = "after"
command = ["echo", "{{ steps.each.outputs.n }}"]
"""
    )
    assert [(item["status"], item["attempt"], item["cursor"]) for item in items(world, run)] == [
        ("succeeded", 1, "at good"),
        ("succeeded", 2, "at late"),
        ("skipped", 1, None),
    ]
    assert world.log(run, "each[1]", 2) == "at late\n"
    assert world.log(run, "after") == '["1","2",null]\n'
    assert world.step(run, "each")["outputs"] == [{"n": "1"}, {"n": "2"}, {}]
    assert run.state.steps["each"].outputs == {}  # computed, not kept twice


def test_no_more_at_once_than_the_step_allows(world: World) -> None:
    text = EACH.format("{ items = [1, 2, 3, 4, 5], max_parallel = 2 }", "echo + >> marks; sleep 0.05; echo - >> marks")
    run = world.run(text)
    assert run.state.status == "succeeded"
    running = most = 0
    for mark in marks(world):
        running += 1 if mark == "+" else -1
        most = max(most, running)
    assert (running, most) == (0, 2)


def test_items_stand_in_queues(world: World) -> None:
    world.engine.queues = {"q": Queue("q", concurrency=1)}
    text = "[queues.q]\nconcurrency = 1\n[jobs.x]" + EACH.format("[1, 2, 3]", "echo + >> marks; echo - >> marks")
    run = world.run(text + 'queue = "q"')
    assert run.state.status == "succeeded"
    assert marks(world) == ["+", "-"] * 3


def test_what_waits_for_its_queue_does_not_begin_when_another_item_has_failed(world: World) -> None:
    world.engine.queues = {"q": Queue("q", concurrency=1)}
    text = "[queues.q]\nconcurrency = 1\n[jobs.x]" + EACH.format('["a", "b", "c"]', MARK + "; exit 1")
    run = world.run(text + 'queue = "q"\nfail_fast = true')
    assert run.state.reason == "step each: 1 of 3 items failed: [0]; 2 of 3 items were not done"
    assert marks(world) == ["a"]
    assert [item["status"] for item in items(world, run)] == ["failed", "canceled", "canceled"]


def test_an_item_that_waited_for_its_queue_does_not_begin_after_a_crash_either(world: World) -> None:
    queues = {"q": Queue("q", concurrency=1)}
    world.engine.queues = queues
    text = "[queues.q]\nconcurrency = 1\n[jobs.x]" + EACH.format(
        '["a", "b"]', MARK + "; until [ -e go ]; do :; done; exit 1"
    )
    run = world.start(text + 'queue = "q"\nfail_fast = true')
    world.until(lambda: marks(world) == ["a"])
    world.die()
    (world.folder / "go").touch()
    world.engine.queues = queues
    run = world.finish(world.take(run))
    assert marks(world) == ["a"]
    assert [item["status"] for item in items(world, run)] == ["failed", "canceled"]


# -- failures, resumes -----------------------------------------------------------------------------------------------


def test_a_resume_does_only_what_failed(world: World) -> None:
    run = world.run(EACH.format('["a", "b", "c"]', MARK + '; [ "$JOBCTL_ITEM" != b ] || [ -e go ]'))
    assert run.state.reason == "step each: 1 of 3 items failed: [1]"
    assert sorted(marks(world)) == ["a", "b", "c"]
    (world.folder / "go").touch()
    run = world.again(run)
    assert run.state.status == "succeeded"
    assert sorted(marks(world)) == ["a", "b", "b", "c"]
    assert [(item["status"], item["attempt"]) for item in items(world, run)] == [
        ("succeeded", 1),
        ("succeeded", 2),
        ("succeeded", 1),
    ]
    run = world.again(run, "each")
    assert sorted(marks(world)) == ["a", "a", "b", "b", "b", "c", "c"]


def test_a_list_of_another_length_leaves_nothing_behind(world: World) -> None:
    text = MAKE.format('echo "l=$(cat list)" > $JOBCTL_OUTPUT') + EACH.format('"{{ steps.make.outputs.l }}"', MARK)
    (world.folder / "list").write_text('["a", "b", "c"]')
    run = world.run(text)
    (world.folder / "list").write_text('["z"]')
    run = world.again(run, "make")
    assert run.state.status == "succeeded"
    assert [(item["item"], item["status"]) for item in items(world, run)] == [("z", "succeeded")]
    assert sorted(marks(world)) == ["a", "b", "c", "z"]
    (world.folder / "list").write_text('["y", "x"]')
    run = world.again(run, "make")
    # What numbers an item's files and rows goes on, whosever they were.
    assert [(item["item"], item["attempt"]) for item in items(world, run)] == [("y", 3), ("x", 2)]


@pytest.mark.parametrize(
    ("source", "expected"),
    [('["a", "b"]', ["a", "b", "b"]), ('["a", "z"]', ["a", "a", "b", "z"])],
    ids=["the same list", "another list"],
)
def test_a_resume_with_another_definition(world: World, source: str, expected: list[str]) -> None:
    run = world.run(EACH.format('["a", "b"]', MARK + '; [ "$JOBCTL_ITEM" = a ]'))
    run = world.again(run, updated=EACH.format(source, MARK))
    assert run.state.status == "succeeded"
    assert sorted(marks(world)) == expected


def test_a_step_that_is_no_list_any_more(world: World) -> None:
    run = world.run(EACH.format('["a", "b"]', "exit 1"))
    run = world.again(run, updated='[[jobs.x.steps]]\nname = "each"\ncommand = "echo one >> marks"')
    assert run.state.status == "succeeded"
    assert marks(world) == ["one"]
    step = world.step(run, "each")
    assert "items" not in step
    assert [attempt["status"] for attempt in step["attempts"]] == ["succeeded"]


def test_what_failed_is_undone_item_by_item_newest_first(world: World) -> None:
    run = world.run(
        """
[[jobs.x.steps]]
name = "each"
foreach = { items = ["a", "b", "no"], max_parallel = 1 }
only_if = '[ $JOBCTL_ITEM != no ]'
command = 'echo "id=$JOBCTL_ITEM-1" > $JOBCTL_OUTPUT'
[jobs.x.steps.compensate]
command = ["sh", "-c", '''
echo "$1 $JOBCTL_OUTPUT_ID $JOBCTL_ITEM_INDEX $JOBCTL_STEP_STATUS" >> marks''', "sh", "{{ item }}"]
[[jobs.x.steps]]
name = "b"
command = "exit 1"
"""
    )
    assert marks(world) == ["b b-1 1 succeeded", "a a-1 0 succeeded"]
    assert statuses(world.document(run))["each"] == "compensated"
    assert [item["status"] for item in items(world, run)] == ["compensated", "compensated", "skipped"]
    with pytest.raises(JobctlError, match=r"was rolled back \(each\)"):
        control.reopen(world.store, world.row(run), run.job, definition=None, from_step=None, by="me", host=Host())


def test_what_always_runs_goes_on_at_the_end(world: World) -> None:
    run = world.run(
        """
[[jobs.x.steps]]
name = "each"
foreach = { items = [1, 2, 3, 4], max_parallel = 1 }
when = "always"
command = 'echo $JOBCTL_ITEM >> marks; touch begun; until [ -e go ]; do sleep 0.01; done'
[[jobs.x.steps]]
name = "b"
needs = []
command = 'until [ -e begun ]; do sleep 0.01; done; echo failed >> marks; touch go; exit 1'
[[jobs.x.steps]]
name = "c"
needs = ["b"]
command = "true"
"""
    )
    assert run.state.status == "failed"
    assert sorted(marks(world)) == ["1", "2", "3", "4", "failed"]
    assert statuses(world.document(run)) == {"each": "succeeded", "b": "failed", "c": "skipped"}


@pytest.mark.parametrize("kind", [EventType.CANCEL_REQUESTED, EventType.TERMINATE_REQUESTED])
def test_a_run_that_is_stopped(world: World, kind: EventType) -> None:
    run = world.start(EACH.format("{ items = [1, 2, 3], max_parallel = 2 }", "echo up >> marks; sleep 60"))
    world.until(lambda: len(marks(world)) == 2)
    world.engine.request(run, kind, reason="because", by="me")
    world.finish(run)
    assert len(marks(world)) == 2
    step = world.step(run, "each")
    assert (step["status"], step["error"]) == ("canceled", "3 of 3 items were not done")
    assert [item["status"] for item in step["items"]] == ["canceled", "canceled", "skipped"]
    assert world.alive(run) == []


# -- answers ---------------------------------------------------------------------------------------------------------


def test_each_item_has_its_own_answer(world: World) -> None:
    run = world.start('[[jobs.x.steps]]\nname = "ask"\nforeach = ["anna", "ben", "cleo"]\napproval = "May they?"')
    world.until(lambda: len([s for s in run.state.steps.values() if s.waiting]) == 3)
    assert world.document(run)["waiting_for"] == {"kind": "approval", "name": "ask[0]", "until": None}

    def answer(step: str | None, *, approved: bool = True) -> None:
        control.answer(world.store, world.row(run), step, approved=approved, comment=None, by="me", host=Host())

    for vague in (None, "ask"):
        with pytest.raises(JobctlError, match=r"several approvals: ask\[0\], ask\[1\], ask\[2\]") as raised:
            answer(vague)
        assert raised.value.hint == f"name the item: jobctl approve {run.name} 'ask[0]'"
    with pytest.raises(JobctlError, match=r"step ask\[7\] of run .* does not wait"):
        answer("ask[7]")
    with pytest.raises(NotFoundError, match="has no step"):
        answer("asks[0]")
    answer("ask[1]")
    answer("ask[0]", approved=False)
    world.until(lambda: run.state.steps["ask[0]"].status == "failed")
    answer("ask")  # the one that is left
    world.finish(run)
    assert [(item["status"], item["outputs"]) for item in items(world, run, "ask")] == [
        ("failed", {}),
        ("succeeded", {"by": "me"}),
        ("succeeded", {"by": "me"}),
    ]


# -- crashes ---------------------------------------------------------------------------------------------------------

STORY = """
[[jobs.x.steps]]
name = "make"
command = 'echo "l=[1, 2, 3]" > $JOBCTL_OUTPUT; echo make >> marks'
[[jobs.x.steps]]
name = "each"
foreach = { items = "{{ steps.make.outputs.l }}", max_parallel = 2 }
retry = { maximum_attempts = 2, initial_interval = "1ms" }
command = 'echo "$JOBCTL_ITEM.$JOBCTL_ATTEMPT" >> marks; [ $JOBCTL_ITEM != 2 ] || [ $JOBCTL_ATTEMPT = 2 ]'
compensate = 'echo "undo $JOBCTL_ITEM" >> marks'
[[jobs.x.steps]]
name = "empty"
foreach = []
command = "echo never >> marks"
[[jobs.x.steps]]
name = "last"
command = "echo last >> marks; exit 1"
"""


def test_a_crash_after_any_event_loses_nothing_and_does_nothing_twice(world: World, tmp_path: Path) -> None:
    run = world.run(STORY)
    assert run.state.status == "failed"
    events = world.events(run)
    expected = sorted(marks(world))
    assert expected == sorted(["make", "1.1", "2.1", "2.2", "3.1", "last", "undo 1", "undo 2", "undo 3"])
    assert [event.type for event in events].count(EventType.ITEMS_LISTED) == 2
    outcome = {key: (str(step.status), len(step.attempts)) for key, step in run.state.steps.items()}
    for length in range(2, len(events)):
        # What is recorded as ended is done; of what is only recorded as started there is nothing yet.
        begun = events[:length]
        done = [e for e in begun if e.type in (EventType.ATTEMPT_ENDED, EventType.UNDO_ENDED)]
        (tmp_path / f"crash{length}").mkdir()
        other = World(tmp_path / f"crash{length}")
        try:
            job = other.job(STORY)
            batch = Batch(0, 0, begun, replay(begun), executor="gone", new=NewRun("x-000001", "x", encode(job)))
            assert other.store.append([batch]) == []
            again = other.engine.take(batch.run_id, job, env_file={})
            assert again is not None
            other.finish(again)
            assert {key: (str(s.status), len(s.attempts)) for key, s in again.state.steps.items()} == outcome
            assert len(set(marks(other))) == len(marks(other)) == len(expected) - len(done), begun[-1]
        finally:
            other.close()


def test_items_that_run_are_adopted(world: World) -> None:
    command = MARK + "; until [ -e go ]; do sleep 0.01; done"
    run = world.start(EACH.format("{ items = [1, 2, 3], max_parallel = 2 }", command))
    world.until(lambda: len(marks(world)) == 2)
    world.die()
    run = world.take(run)
    (world.folder / "go").touch()
    world.finish(run)
    assert run.state.status == "succeeded"
    assert sorted(marks(world)) == ["1", "2", "3"]
