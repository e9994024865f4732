"""NamedTuple, as typing has it, at a third of what that costs: typing compiles the annotation of each field, and what a
command loads has hundreds of them. Whoever checks types sees typing's own."""

from __future__ import annotations

from collections import namedtuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any
    from typing import NamedTuple as NamedTuple
else:

    class _Record(type):
        """Makes of a class with fields a tuple with names: that has the fields, their defaults, and its methods."""

        def __new__(cls, name: str, bases: tuple[type, ...], inside: dict[str, Any]) -> type:
            if not bases:
                return type.__new__(cls, name, bases, inside)
            fields = list(inside.get("__annotations__", ()))
            named = [field for field in fields if field in inside]
            if named != fields[len(fields) - len(named) :]:
                raise TypeError(f"{name}: a field without a default follows one that has one")
            defaults = [inside[field] for field in named]
            made = namedtuple(name, fields, defaults=defaults, module=inside["__module__"])
            for key, value in inside.items():
                if key not in fields and key not in ("__module__", "__classcell__"):
                    setattr(made, key, value)
            return made

    class NamedTuple(metaclass=_Record):
        """What a class with fields names as its base."""
