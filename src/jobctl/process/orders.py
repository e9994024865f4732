"""What a keeper is told of an attempt that it is to begin, and what it says of one that has ended."""

from __future__ import annotations

from jobctl.core.run import attempts as rules
from jobctl.core.run.attempts import Outcome
from jobctl.process import frames
from jobctl.process.end import End
from jobctl.process.frames import Message
from jobctl.process.held import Attempt, Command, NotStartableError
from jobctl.process.keepers import Link

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

BACKSTOP_MS = 1_000  # later than we would stop it ourselves


def start(attempt: Attempt[Any], command: Command, link: Link, now: int) -> Message:
    """NotStartableError for what no process can be given."""
    again = bool(attempt.probes) or attempt.checked
    told = [
        f"id={attempt.probe_id}", f"run={attempt.run}", f"take={attempt.take}", f"token={attempt.token}",
        f"base_path={attempt.files.base}", f"cwd={command.cwd}", f"grace={attempt.grace}",
        f"cap={attempt.log_limit}",
    ]  # fmt: skip
    if attempt.disk_limit:
        told.append(f"disk={attempt.disk_limit}")
    if again or attempt.poll is not None:
        told.append("again=1")
    if command.only_if:
        told += [f"cond={command.only_if}", f"shell={command.shell}"]
    timeouts = attempt.timeouts
    if timeouts.start_to_close is not None:
        left = timeouts.start_to_close
        if not attempt.poll and not attempt.probes:
            left = max(0, attempt.started_at + left - now)
        told.append(f"limit=start_to_close:{left}")
    if timeouts.schedule_to_close is not None:
        left = attempt.step_started_at + timeouts.schedule_to_close - now
        told.append(f"limit=schedule_to_close:{max(0, left) + BACKSTOP_MS}")
    if attempt.run_limit is not None:
        told.append(f"limit=run:{max(0, attempt.run_limit - now) + BACKSTOP_MS}")
    if command.given is not None:
        told.append(f"given={command.given}")
    if command.keeps is not None:
        told += [f"keep={name}" for name in command.keeps]
    told += [f"a={part}" for part in command.argv]
    try:
        return [b"start", frames.joined(told), *link.environment(command.environment)]
    except UnicodeEncodeError:
        raise NotStartableError(Outcome(rules.FAILED, error="it could not be started: half a character")) from None
    except ValueError as error:
        raise NotStartableError(Outcome(rules.FAILED, error=f"it could not be started: {error}")) from None


def end(told: dict[str, str]) -> End:
    return End(
        told["id"],
        told["how"],
        int(told["status"]),
        told.get("by", ""),
        told.get("what", ""),
        told.get("ran") == "1",
        int(told.get("began", "0")),
        int(told.get("wall", "0")),
        int(told.get("boot", "0")),
    )
