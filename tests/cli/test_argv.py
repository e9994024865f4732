"""The small parser and typer understand the same argv in the same way."""

from __future__ import annotations

import shlex

import pytest

from jobctl.cli import argv, refusal
from jobctl.cli.row import Argument, Option, Row
from jobctl.cli.table import HELP, TABLE
from jobctl.core.errors import UsageError

UNDERSTOOD = [
    "run backup",
    "run backup -p day=2026-01-01 -pa=b --param=c=d --param e=",
    "run -p a=b backup --wait 20s",
    "run backup --wait=",
    "run backup --wait=-5s",
    "run backup --detach --detach",
    "--json run backup",
    "run backup --json -q -v --no-input",
    "-f a.toml --file b.toml run backup --file=c.toml -f d.toml -fe.toml",
    "--state-dir x run backup --state-dir y",
    "--state-dir x run backup",
    "run backup --state-dir=",
    "--color always run backup --color never",
    "-q -v --no-input status",
    "status",
    "status backup-a1b2c3 --exit-status",
    "status ''",
    "run ''",
    "history",
    "history backup --limit 5 --since 2h --until 2026-12-24T18:00:00+01:00 --tag x",
    "history --limit=007",
    "history --status failed --status=timed_out",
    "logs r1",
    "logs r1 step -f --attempt 2 --tail 20 --raw",
    "-f jobs.toml logs r1 --follow --file b.toml",
    "resume r1 --from load --updated --detach",
    "pause r1 r2 --reason 'for a while'",
    "cancel --reason=x r1",
    "terminate r1 r2 r3",
    "wait r1 r2 --timeout 5m",
    "list",
    "show backup",
    "show -- backup",
    "step pay -- ./pay --json -x --",
    "--json step pay -- ./pay",
    "step pay true",
    "sleep 1d",
    "sleep-until 2026-12-24T18:00:00+01:00",
    "wait-signal go --timeout 1d",
    "heartbeat",
    "heartbeat 7",
    "output a=1 b=2",
    "output a -",
    "fail 'no such user' --non-retryable --type user --retry-delay 5s",
    "validate",
    "validate - a.toml",
    "init",
    "init other.toml --force",
    "doctor --json",
    "completion zsh",
    "schema",
    "help",
    "help schedule next",
]
LEFT_TO_TYPER = [
    "run backup -qv",
    "run backup --wait -5s",
    "run backup -f -",
    "history --limit -5",
    "history --limit +5",
]
REFUSED = {
    "": "no command given",
    "rnu backup": "no such command 'rnu'",
    "run": "missing argument 'JOB'",
    "run a b": "unexpected argument: b",
    "run backup --detcah": "no such option: --detcah",
    "run backup --wait": "option '--wait' requires an argument",
    "run backup --detach=yes": "option '--detach' does not take a value",
    "history --limit many": "invalid value for '--limit': 'many' is not a valid",
    "history --status done": "invalid value for '--status': 'done' is not one of",
    "status --color red": "invalid value for '--color': 'red' is not one of",
    "completion": "missing argument 'bash|zsh|fish'",
    "completion powershell": "invalid value for 'bash|zsh|fish'",
    "cancel": "missing argument 'RUN...'",
    "run --det backup": "no such option: --det",
    "list --follow": "no such option: --follow",
    "--follow list": "no such option: --follow",
}


@pytest.mark.parametrize("line", UNDERSTOOD)
def test_both_parsers_give_the_same_values(line: str) -> None:
    quick = argv.parse(shlex.split(line), TABLE)
    assert quick is not None
    assert quick == refusal.parse(shlex.split(line))


@pytest.mark.parametrize("line", LEFT_TO_TYPER)
def test_what_is_unusual_is_left_to_typer(line: str) -> None:
    assert argv.parse(shlex.split(line), TABLE) is None
    assert isinstance(refusal.parse(shlex.split(line)), tuple)


@pytest.mark.parametrize(("line", "message"), REFUSED.items())
def test_wrong_usage_is_refused_in_a_sentence_with_a_way_out(line: str, message: str) -> None:
    assert argv.parse(shlex.split(line), TABLE) is None
    with pytest.raises(UsageError) as caught:
        refusal.parse(shlex.split(line))
    assert caught.value.message.startswith(message)
    assert "--help" in caught.value.hint
    assert "\n" not in caught.value.message


@pytest.mark.parametrize(
    ("line", "guess"), [("rnu backup", "run"), ("run backup --detcah", "--detach"), ("staus", "status")]
)
def test_a_slip_of_the_finger_gets_a_suggestion(line: str, guess: str) -> None:
    with pytest.raises(UsageError) as caught:
        refusal.parse(shlex.split(line))
    assert f"did you mean {guess}?" in caught.value.hint


@pytest.mark.parametrize("line", ["--version", "--json --version", "run --version", "--version -h"])
def test_the_version_is_the_same_from_both(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    version = argv.parse(shlex.split(line), TABLE)
    assert refusal.parse(shlex.split(line)) == 0
    assert capsys.readouterr().out == f"{version}\n"


@pytest.mark.parametrize(
    ("line", "command"), [("-h", []), ("run --help", ["run"]), ("schedule next -h --json", ["schedule", "next"])]
)
def test_help_of_a_command_is_the_command_help(line: str, command: list[str]) -> None:
    call = argv.parse(shlex.split(line), TABLE)
    assert isinstance(call, tuple)
    assert (call[0], call[2]) == ("help", {"command": command})


def test_values_of_one_call_do_not_leak_into_the_next() -> None:
    argv.parse(["-f", "a.toml", "run", "backup", "-p", "a=b"], TABLE)
    call = argv.parse(["run", "backup"], TABLE)
    assert isinstance(call, tuple)
    assert call[1]["file"] == []
    assert call[2]["params"] == []


def test_a_command_in_a_group_needs_one_row() -> None:
    plan = Row("plan", "", "Plans.", HELP, group=True)
    count = Option("-n", "--count", kind="integer", metavar="N", default=10, help="So many.")
    next_ = Row("plan next", "", "The next ones.", Argument("what", "WHAT", "Of what.", arity="any"), count, HELP)
    table = {"": TABLE[""], "plan": plan, "plan next": next_}

    for line in ("plan next", "--json plan next -n 3", "plan -q next --json a b"):
        call = argv.parse(line.split(), table)
        assert isinstance(call, tuple)
        assert call[0] == "plan next"
        assert call == refusal.parse(line.split(), table)
    assert argv.parse(["plan"], table) is None


@pytest.mark.parametrize(
    ("line", "way"),
    [
        ("history --status broken", "did you mean failed?"),
        ("history --status success", "did you mean succeeded?"),
        ("history --status cancelled", "did you mean canceled?"),
        ("history --status faild", "did you mean failed?"),
        ("run backup db=x", "jobctl run backup -p db=x"),
        ("run backup monday", "jobctl run backup -p NAME=monday"),
        ("hisory", "did you mean history?"),
        ("list x", "`jobctl list --help` tells how it is used"),
    ],
)
def test_the_way_out_names_what_was_likely_meant(line: str, way: str) -> None:
    with pytest.raises(UsageError) as caught:
        refusal.parse(shlex.split(line))
    assert way in caught.value.hint
