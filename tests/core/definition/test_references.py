from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobctl.core.definition import references
from jobctl.core.definition.references import BadReferenceError, Scope


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("plain", []),
        ("{{ params.day }}", ["params.day"]),
        ("{{params.day}}", ["params.day"]),
        ("{{\tparams.a-b_c  }}", ["params.a-b_c"]),
        ("a {{ steps.dump.outputs.file }} b {{ steps.dump.stdout }}", ["steps.dump.outputs.file", "steps.dump.stdout"]),
        ("{{ item }}{{ item.id }}", ["item", "item.id"]),
        ("{{ run.id }} {{ run.job }}", ["run.id", "run.job"]),
        ("{{ run.fire_time }} {{ run.fire_date }}", ["run.fire_time", "run.fire_date"]),
        ('{"a":{"b":1}}', []),  # JSON's own closing braces
        ('{"a": {{ params.x }}}', ["params.x"]),
    ],
)
def test_finds(text: str, names: list[str]) -> None:
    assert [reference.name for reference in references.find(text)] == names


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("{{", "begins no reference", "nothing in it is replaced"),
        ("{{ params.x", "begins no reference", "nothing in it is replaced"),
        ("{{ params.x }", "begins no reference", "nothing in it is replaced"),
        ("{{{ params.x }}}", "begins no reference", "nothing in it is replaced"),
        ("{{ params . x }}", "begins no reference", "nothing in it is replaced"),
        ("{{ params\n.x }}", "begins no reference", "nothing in it is replaced"),
        ("{{.State}}", "no reference", "nothing in it is replaced"),
        ("{{ day }}", "day", "references are params.NAME"),
        ("{{ params }}", "params", "references are params.NAME"),
        ("{{ params.a.b }}", "params.a.b", "references are params.NAME"),
        ("{{ params.-a }}", "params.-a", "references are params.NAME"),
        ("{{ param.day }}", "param.day", "write {{ params.day }}"),
        ("{{ steps.a }}", "steps.a", "{{ steps.a.stdout }}"),
        ("{{ steps.a.output.k }}", "steps.a.output.k", "write {{ steps.a.outputs.k }}"),
        ("{{ run.date }}", "run.date", "run.fire_date"),
        ("{{ item.a.b }}", "item.a.b", "references are"),
    ],
)
def test_braces_that_are_no_reference(text: str, message: str, hint: str) -> None:
    with pytest.raises(BadReferenceError) as error:
        references.find(text)
    assert message in error.value.message
    assert hint in error.value.hint


@pytest.mark.parametrize(
    ("scope", "message", "hint"),
    [
        (Scope(), "{{ env.TOKEN }} is no reference", "environment variables are read by the command itself"),
        (Scope(secret=True), "has `{{ … }}` that is no reference", "references are"),
        (Scope(env=("TOKEN",)), "", ""),
        (Scope(env=("TOKENS",)), "{{ env.TOKEN }}: the job has no variable 'TOKEN'", "TOKENS"),
        (Scope(env=()), "{{ env.TOKEN }}: the job has no variable 'TOKEN'", 'inherit_env = ["TOKEN"]'),
        (Scope(env=(), more_env=True), "", ""),
    ],
)
def test_a_variable_is_named_where_it_may_be(scope: Scope, message: str, hint: str) -> None:
    faults = references.check("{{ env.TOKEN }}", scope)
    assert [fault.message for fault in faults] == [message] * bool(message)
    assert all(hint in fault.hint for fault in faults)


@pytest.mark.parametrize(
    ("text", "resolved"),
    [
        ("plain }} text", "plain }} text"),
        ("{{ params.a }}", "<params.a>"),
        ("x{{ params.a }}y{{ item }}z", "x<params.a>y<item>z"),
        ("{{ run.id }}{{ run.id }}", "<run.id><run.id>"),
    ],
)
def test_replaces(text: str, resolved: str) -> None:
    assert references.resolve(text, lambda reference: f"<{reference.name}>") == resolved


def test_what_was_put_in_is_not_read_again() -> None:
    values = {"params.a": "{{ params.b }}", "params.b": "secret"}
    assert references.resolve("{{ params.a }}!", lambda reference: values[reference.name]) == "{{ params.b }}!"


@given(st.text())
def test_a_value_arrives_as_it_is(value: str) -> None:
    assert references.resolve("-{{ params.a }}-", lambda _: value) == f"-{value}-"


@given(st.text(alphabet="{} .apirms\n"))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        found = references.find(text)
    except BadReferenceError:
        return
    assert all(text[reference.start : reference.end].startswith("{{") for reference in found)


SCOPE = Scope(params=["day"], steps=["dump", "later"], ended=lambda name: name == "dump")


@pytest.mark.parametrize(
    ("text", "scope", "faults"),
    [
        ("{{ params.day }} {{ steps.dump.stdout }} {{ run.id }}", SCOPE, []),
        ("{{ params.dya }}", SCOPE, [("no parameter 'dya'", "did you mean `day`?")]),
        ("{{ params.day }}", Scope(), [("no parameter 'day'", "there are none")]),
        ("{{ steps.dmup.stdout }}", SCOPE, [("no step 'dmup'", "did you mean `dump`?")]),
        ("{{ steps.later.stdout }}", SCOPE, [("may not have ended", 'add "later" to the `needs`')]),
        ("{{ steps.dump.stdout }}", Scope(), [("no step has ended", "in a step that needs that step")]),
        ("{{ item }}", SCOPE, [("no item without `foreach`", "add `foreach`")]),
        ("{{ item.id }}", Scope(item=True), []),
        ("{{ item.id }}", Scope(item=True, item_keys=frozenset({"id"})), []),
        ("{{ item.ids }}", Scope(item=True, item_keys=frozenset({"id"})), [("key 'ids'", "did you mean `id`?")]),
        ("{{ params.x }} {{ nope }} {{", Scope(), [("'x'", ""), ("nope", ""), ("begins no reference", "")]),
    ],
)
def test_checks_everything_against_what_may_be_named(text: str, scope: Scope, faults: list[tuple[str, str]]) -> None:
    found = references.check(text, scope)
    assert len(found) == len(faults)
    for fault, (message, hint) in zip(found, faults, strict=True):
        assert message in fault.message
        assert hint in fault.hint


def test_what_stands_in_wrong_braces_of_a_secret_is_not_repeated() -> None:
    found = references.check("a {{ hunter2 }} {{ steps.hunter2 }} {{hunter2", Scope(secret=True))
    assert len(found) == 3
    assert not any("hunter2" in fault.message + fault.hint for fault in found)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("echo $DAY", []),
        ("docker ps --format '{{.Names}}'", []),
        ("echo {{ params.day }} {{item}}", ["params.day", "item"]),
        ("echo {{ items }}", []),
    ],
)
def test_what_looks_like_a_reference_where_nothing_is_replaced(text: str, names: list[str]) -> None:
    assert references.mentioned(text) == names


@pytest.mark.parametrize(
    ("name", "variable"),
    [
        ("params.day-of", "JOBCTL_PARAM_DAY_OF"),
        ("run.id", "JOBCTL_RUN"),
        ("item", "JOBCTL_ITEM"),
        ("steps.a.stdout", ""),
        ("params", ""),
    ],
)
def test_the_variable_that_holds_the_same_value(name: str, variable: str) -> None:
    assert references.variable(name) == variable
