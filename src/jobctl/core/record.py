"""NamedTuple, as typing has it, at a tenth of what that costs: typing compiles the annotation of each field, and
collections a constructor for each class. What a command loads has hundreds of fields, and makes values of few classes:
a constructor is compiled when the first value is made. Whoever checks types sees typing's own."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any
    from typing import NamedTuple as NamedTuple
else:
    from _collections import _tuplegetter
    from sys import intern

    def _constructor(cls: type) -> Any:
        """The `__new__` of a class, compiled: its parameters have the fields' names."""
        fields = ", ".join(cls._fields)
        made = eval(f"lambda _cls, {fields}: _new(_cls, ({fields}{',' if fields else ''}))", {"_new": tuple.__new__})
        made.__name__, made.__qualname__ = "__new__", f"{cls.__qualname__}.__new__"
        made.__module__, made.__defaults__ = cls.__module__, tuple(cls._field_defaults.values())
        cls.__new__ = staticmethod(made)
        return made

    def _make(cls: type, iterable: Iterable[Any], /) -> Any:
        """As the constructor, of an iterable of all fields' values."""
        made = tuple.__new__(cls, iterable)
        if len(made) != len(cls._fields):
            raise TypeError(f"{cls.__name__} has {len(cls._fields)} fields, not {len(made)}")
        return made

    def _replace(self: Any, /, **named: Any) -> Any:
        """The same with other values in some fields."""
        made = tuple.__new__(type(self), map(named.pop, self._fields, self))
        if named:
            raise ValueError(f"{type(self).__name__} has no {', '.join(named)}")
        return made

    def _asdict(self: Any) -> dict[str, Any]:
        """By the fields' names."""
        return dict(zip(self._fields, self, strict=True))

    def _repr(self: Any) -> str:
        return f"{type(self).__name__}({', '.join(map('{}={!r}'.format, self._fields, self))})"

    def _arguments(self: Any) -> tuple[Any, ...]:
        """For copy and pickle."""
        return tuple(self)

    _SHARED = {
        "_make": classmethod(_make),
        "_replace": _replace,
        "_asdict": _asdict,
        "__repr__": _repr,
        "__getnewargs__": _arguments,
    }

    class _Record(type):
        """Makes of a class with fields a tuple with names: that has the fields, their defaults, and its methods."""

        def __new__(cls, name: str, bases: tuple[type, ...], inside: dict[str, Any]) -> type:
            if not bases:
                return type.__new__(cls, name, bases, inside)
            fields = tuple(map(intern, inside.get("__annotations__", ())))
            defaults = {field: inside[field] for field in fields if field in inside}
            if tuple(defaults) != fields[len(fields) - len(defaults) :]:
                raise TypeError(f"{name}: a field without a default follows one that has one")

            def first(_cls: type, /, *args: Any, **named: Any) -> Any:
                return _constructor(made)(_cls, *args, **named)

            shown = {field: _tuplegetter(i, f"Alias for field number {i}") for i, field in enumerate(fields)}
            own = {key: value for key, value in inside.items() if key not in defaults}
            made = type(
                name,
                (tuple,),
                {
                    "__new__": first,
                    "__slots__": (),
                    "_fields": fields,
                    "_field_defaults": defaults,
                    "__match_args__": fields,
                    "__doc__": None,
                    **_SHARED,
                    **own,
                    **shown,
                },
            )
            return made

    class NamedTuple(metaclass=_Record):
        """What a class with fields names as its base."""
