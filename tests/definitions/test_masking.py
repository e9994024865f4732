from __future__ import annotations

import pytest

from jobctl.core.model import Http, Job, Step, encode
from jobctl.definitions.masking import MASK, Masker, has_secrets, is_secret, masked, masker, redact, unmask


@pytest.mark.parametrize(
    ("key", "secret"),
    [
        ("TOKEN", True),
        ("GITHUB_TOKEN_FILE", True),
        ("pgpassword", True),
        ("MySecret", True),
        ("AWS_ACCESS_KEY_ID", True),
        ("MONKEY", True),
        ("PATH", False),
        ("PGHOST", False),
        ("PASS", False),
        ("", False),
    ],
)
def test_names_of_secrets(key: str, secret: bool) -> None:
    assert is_secret(key) is secret


JOB = Job(
    "a",
    "/srv",
    (Step("one", command="x", env={"STEP_TOKEN": "hunter-3", "B": "b"}), Step("two", command="y")),
    default_env={"API_KEY": "hunter-1", "A": "a"},
    env={"PGPASSWORD": "hunter-2", "API_TOKEN": "{{ params.token }}"},
)


def test_a_redacted_job_has_no_secret_and_all_the_rest() -> None:
    found = redact(JOB)
    assert "hunter" not in encode(found)
    assert found.default_env == {"API_KEY": MASK, "A": "a"}
    assert found.env == {"PGPASSWORD": MASK, "API_TOKEN": MASK}
    assert found.steps == (Step("one", command="x", env={"STEP_TOKEN": MASK, "B": "b"}), Step("two", command="y"))
    assert JOB.env["PGPASSWORD"] == "hunter-2"


@pytest.mark.parametrize(
    ("values", "text", "masked"),
    [
        ([], "nothing", "nothing"),
        (["hunter2"], "a hunter2 b hunter2", "a *** b ***"),
        (["hunter2"], "ahunter2b", "a***b"),
        (["hunt", "hunter2"], "hunter2 hunt", "*** ***"),
        (["abc", "", "1"], "abc 1", "abc 1"),
        (["a.c*"], "abcc a.c*", "abcc ***"),
        (["größe"], "die größe", "die ***"),
        (["two\nlines"], "x two\nlines y", "x *** y"),
        (["first\nsecond\nno\n"], "| first |\n| second |\n| no |", "| *** |\n| *** |\n| no |"),
    ],
)
def test_masks_texts_and_bytes(values: list[str], text: str, masked: str) -> None:
    assert Masker(values).text(text) == masked
    assert Masker(values).data(text.encode()) == masked.encode()


def test_bytes_need_not_be_text() -> None:
    assert Masker(["hunter2"]).data(b"\xffhunter2\x00") == b"\xff***\x00"


def test_a_job_hides_its_secrets_and_all_of_its_env_file() -> None:
    hide = masker(JOB, {"HOST": "db1.internal"})
    assert hide.text("hunter-1 hunter-2 hunter-3 db1.internal PGHOST") == "*** *** *** *** PGHOST"
    assert hide.text("{{ params.token }}") == "{{ params.token }}"


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"count": 1, "items": [{"k": "hunter-1"}]}, {"count": 1, "items": [{"k": MASK}]}),
        ({"reused": {"a": {"items": ["hunter-1"]}}}, {"reused": {"a": {"items": [MASK]}}}),
        (
            {"name": "hunter-1", "items": [{"status": "hunter-1", "item": "hunter-1"}]},
            {"name": "hunter-1", "items": [{"status": "hunter-1", "item": MASK}]},
        ),
    ],
)
def test_items_are_masked_and_what_is_said_of_them_is_not(document: object, expected: object) -> None:
    assert masked(document, Masker(["hunter-1"]).text) == expected


def test_a_variable_that_a_request_sends_is_a_secret_whatever_it_is_called() -> None:
    request = Http("https://h.example/", headers={"X": "a {{ env.CALLER }} {{ params.p }}"}, body=["{{ env.WHO }}"])
    steps = (Step("s", http=request, env={"WHO": "hunter-4", "B": "bbbb"}),)
    job = Job("a", "/srv", steps, env={"CALLER": "hunter-5", "OTHER": "plain"}, default_env={"p": "pppp"})
    kept = redact(job)
    assert "hunter" not in encode(kept)
    assert kept.env == {"CALLER": MASK, "OTHER": "plain"}
    assert has_secrets(kept)
    assert unmask(kept, {"a": job}) == (job, [])
    assert masker(job).text("hunter-4 hunter-5 plain bbbb pppp") == "*** *** plain bbbb pppp"
    other = Job("b", "/srv", (Step("s", command="x"),), env={"CALLER": "free-1"}, children={"a": job})
    assert redact(other).env == {"CALLER": "free-1"}
    assert masker(other).text("free-1 hunter-5") == "free-1 ***"
