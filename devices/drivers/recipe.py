"""Instruments are shown, copied and pickled by their recipe, as devices are."""

from __future__ import annotations

from typing import Any, Self

__all__ = ["Recipe"]


class Recipe:
    """Remembers the arguments of the constructor; a copy is made from them and is closed."""

    _recipe: tuple[tuple[Any, ...], dict[str, Any]]

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:  # noqa: D102
        self = super().__new__(cls)
        self._recipe = args, kwargs
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return _again, (type(self), *self._recipe)

    def __repr__(self) -> str:
        args, kwargs = self._recipe
        shown = [
            *map(repr, args),
            *(f"{key}={_open(key, value)!r}" for key, value in kwargs.items()),
        ]
        return f"{type(self).__name__}({', '.join(shown)})"


def _again(cls: type[Recipe], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Recipe:
    return cls(*args, **kwargs)


def _open(key: str, value: Any) -> Any:
    """Return what may be shown: a recipe goes into records, and a token into none."""
    return "***" if key == "token" and not str(value).startswith("env:") else value
