"""What a row of the command line's table consists of. The rows themselves: cli/table.py. Loaded by every call: imports
nothing, and works nothing out before it is asked.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Kind = str  # "flag", "text", "integer", "list", "help", "version"
    Arity = str  # "one", "optional", "many" (at least one), "any"


class Argument:
    """A word that stands for itself. `into`: the name that its value has in `main` of the command's file."""

    __slots__ = ("arity", "choices", "default", "help", "into", "metavar")

    def __init__(
        self,
        into: str,
        metavar: str,
        help: str,
        *,
        arity: Arity = "one",
        choices: tuple[str, ...] = (),
        default: str | None = None,
    ) -> None:
        self.into = into
        self.metavar = metavar
        self.help = help
        self.arity = arity
        self.choices = choices
        self.default = default

    @property
    def several(self) -> bool:
        return self.arity in ("many", "any")

    @property
    def required(self) -> bool:
        return self.arity in ("one", "many")

    def start(self) -> Any:
        """Its value when nothing is given."""
        return [] if self.several else self.default


class Option:
    """What begins with a dash. `into`: as for an argument; without it, as the last of its names says."""

    __slots__ = ("choices", "default", "help", "into", "kind", "metavar", "names")

    def __init__(
        self,
        *names: str,
        help: str,
        metavar: str = "",
        kind: Kind = "",
        choices: tuple[str, ...] = (),
        default: str | int | None = None,
        into: str = "",
    ) -> None:
        self.names = names
        self.help = help
        self.metavar = metavar
        self.kind = kind or ("text" if metavar else "flag")
        self.choices = choices
        self.default = default
        self.into = into or names[-1][2:].replace("-", "_")

    def start(self) -> Any:
        """Its value when it is not given."""
        if self.kind == "flag":
            return False
        return [] if self.kind == "list" else self.default


class Row:
    """One command, or a group of commands; jobctl itself is the group whose path is ""."""

    __slots__ = ("examples", "group", "more", "of", "path", "section", "settings", "summary")

    def __init__(
        self,
        path: str,
        section: str,
        summary: str,
        *of: Argument | Option,
        more: str = "",
        examples: tuple[str, ...] = (),
        group: bool = False,
        settings: bool = True,
    ) -> None:
        self.path = path  # as it is typed: "run", "schedule next"
        self.section = section  # under which heading of `jobctl --help` it stands
        self.summary = summary
        self.of = of
        self.more = more  # paragraphs of its page
        self.examples = examples
        self.group = group
        self.settings = settings  # whether its `main` is handed the settings

    @property
    def word(self) -> str:
        """The last one of its path."""
        return self.path.rpartition(" ")[2]

    @property
    def file(self) -> str:
        """The file in cli/commands/ that does it, without its ending."""
        return self.path.replace(" ", "_").replace("-", "_")

    @property
    def arguments(self) -> list[Argument]:
        return [one for one in self.of if isinstance(one, Argument)]

    @property
    def options(self) -> list[Option]:
        return [one for one in self.of if isinstance(one, Option)]

    @property
    def by_name(self) -> dict[str, Option]:
        """Its options by "--wait", "-p"."""
        return {name: option for option in self.options for name in option.names}

    def start(self) -> dict[str, Any]:
        """The values of a call that gives none."""
        return {one.into: one.start() for one in self.of if getattr(one, "kind", "") not in ("help", "version")}


def children(path: str, table: dict[str, Row]) -> list[Row]:
    """The rows of the group of that path, in their order."""
    return [row for row in table.values() if row.path and row.path.rpartition(" ")[0] == path]
