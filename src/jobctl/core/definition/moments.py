"""What says when: durations, instants, dates, crons, zones. How each is checked, converted and described.

What a cron means is core/schedule/cron.py's.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time
from functools import lru_cache

from jobctl.core import durations
from jobctl.core.definition.plain import MAX_INTEGER
from jobctl.core.definition.positions import Path
from jobctl.core.definition.shapes import INVALID, Defs, Report, Shape
from jobctl.core.definition.suggest import quoted
from jobctl.core.model import Millis
from jobctl.core.schedule.cron import CronError, parse_cron
from jobctl.core.schedule.zones import ZoneError, check_zone, parse_instant

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# --- time and size ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Duration(Shape):
    what = 'a duration such as "30s"'
    least: Millis = 1
    example = '"30s"'

    def takes(self, value: Any) -> bool:
        return isinstance(value, str)

    def convert(self, value: str, path: Path, report: Report) -> Any:
        try:
            ms = durations.parse(value)
        except durations.DurationError as error:
            report(path, error.message, error.hint)
            return INVALID
        if ms >= self.least:
            return ms
        if self.least == 1:
            report(path, f"must be longer than nothing, not {quoted(value)}", "leave the key out, or give it a time")
        else:
            least = durations.format(self.least)
            report(path, f"must be at least {least}, not {quoted(value)}", f'the least is "{least}"')
        return INVALID

    def hint(self, value: Any) -> str:
        if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= MAX_INTEGER:
            return f'write "{value}s" (units: ms, s, m, h, d, w)'
        return 'write "30s" (units: ms, s, m, h, d, w)'

    def schema(self, defs: Defs) -> dict[str, Any]:
        defs["duration"] = {
            "type": "string",
            "pattern": f"^(?=[0-9]){durations.PATTERN}$",
            "description": 'Whole numbers with units, the largest first: "250ms", "30s", "1h30m", "7d".',
        }
        return {"$ref": "#/$defs/duration"}


@dataclass(frozen=True)
class Instant(Shape):
    """An RFC 3339 time as text or as TOML's own. `text`: kept as text, which may then be a reference."""

    what = "a time with offset"
    text: bool = False
    example = '"2026-12-24T18:00:00+01:00"'

    def takes(self, value: Any) -> bool:
        return isinstance(value, (str, datetime)) and not (isinstance(value, datetime) and value.tzinfo is None)

    def convert(self, value: str | datetime, path: Path, report: Report) -> Any:
        written = value if isinstance(value, str) else value.isoformat()
        if self.text and "{{" in written:
            return written
        try:
            ms = parse_instant(written)
        except ValueError as error:
            report(path, str(error), self.hint(_without_offset(written)))
            return INVALID
        return written if self.text else ms

    def hint(self, value: Any) -> str:
        if isinstance(value, datetime):
            return f'add the offset: "{value.isoformat()}Z" is UTC, "{value.isoformat()}+01:00" an hour ahead of it'
        if isinstance(value, date):
            return f'add time and offset: "{value.isoformat()}T00:00:00Z"'
        return 'write "2026-12-24T18:00:00+01:00", or with Z for UTC'

    def schema(self, defs: Defs) -> dict[str, Any]:  # noqa: ARG002
        return {"type": "string", "minLength": 1} if self.text else {"type": "string", "format": "date-time"}


def _without_offset(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


class Date(Shape):
    what = 'a date such as "2027-01-01"'
    example = '"2027-01-01"'

    def takes(self, value: Any) -> bool:
        return isinstance(value, (str, date)) and not isinstance(value, datetime)

    def convert(self, value: str | date, path: Path, report: Report) -> Any:
        if isinstance(value, date):
            return value.isoformat()
        if is_date(value):
            return value
        report(path, f"{quoted(value)} is not a date", 'write year, month and day: "2027-01-01"')
        return INVALID

    def schema(self, defs: Defs) -> dict[str, Any]:  # noqa: ARG002
        return {"type": "string", "format": "date"}


def is_date(text: str) -> bool:
    """Whether a text is YYYY-MM-DD and that day exists."""
    try:
        return len(text) == 10 and date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


class CronText(Shape):
    what = "a cron expression"
    example = '"30 2 * * *"'

    def takes(self, value: Any) -> bool:
        return isinstance(value, str)

    def convert(self, value: str, path: Path, report: Report) -> Any:
        try:
            parse_cron(value)
        except CronError as error:
            report(path, error.message, error.hint)
            return INVALID
        return value

    def hint(self, value: Any) -> str:
        return 'write it as text: "30 2 * * *"' if isinstance(value, (int, float)) else ""

    def schema(self, defs: Defs) -> dict[str, Any]:  # noqa: ARG002
        return {"type": "string", "minLength": 1, "examples": ["30 2 * * *", "0 9 * * mon-fri", "@hourly"]}


class ScheduleText(CronText):
    """A schedule as one text, read as the table that it stands for: a cron expression, or `@reboot`."""

    def convert(self, value: str, path: Path, report: Report) -> Any:
        if value.strip() == "@reboot":
            return {"boot": True}
        read = super().convert(value, path, report)
        return INVALID if read is INVALID else {"cron": read}

    def hint(self, value: Any) -> str:
        if isinstance(value, datetime):
            offset = "" if value.tzinfo else "+00:00"
            return f'a single time is written schedule = {{ at = "{value.isoformat()}{offset}" }}'
        if isinstance(value, date):
            return f'a single time is written schedule = {{ at = "{value.isoformat()}T00:00:00+00:00" }}'
        if isinstance(value, time):
            return f'every day at that time is written schedule = "{value.minute} {value.hour} * * *"'
        return super().hint(value)

    def schema(self, defs: Defs) -> dict[str, Any]:
        schema = super().schema(defs)
        return {**schema, "examples": [*schema["examples"], "@reboot"]}


class Zone(Shape):
    what = "the name of a time zone"
    example = '"Europe/Berlin"'

    def takes(self, value: Any) -> bool:
        return isinstance(value, str)

    def convert(self, value: str, path: Path, report: Report) -> Any:
        problem = _zone_problem(value)
        if problem is None:
            return value
        report(path, *problem)
        return INVALID

    def schema(self, defs: Defs) -> dict[str, Any]:  # noqa: ARG002
        return {"type": "string", "minLength": 1, "examples": ["Europe/Berlin", "UTC"]}


@lru_cache(maxsize=1024)
def _zone_problem(name: str) -> tuple[str, str] | None:
    # Looking for the nearest name reads the zone folder: once per name, however many jobs have it.
    try:
        check_zone(name)
    except ZoneError as error:
        return error.message, error.hint
    return None
