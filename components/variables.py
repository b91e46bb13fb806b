"""All of the app's variables: those of the setting ``env``, and those that a program takes from other resources."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import cast

import pulumi

from components.errors import UserError
from components.settings import env

# The value of a variable. A number, such as the port of a database, becomes text.
Variable = pulumi.Input[str] | pulumi.Input[int]

# An output that becomes text without `apply` is this text and a link.
_OUTPUT_AS_TEXT = "Calling __str__ on an Output[T] is not supported"
# The engine's numbers are those of JavaScript, in which larger ones may lose digits:
# https://developer.mozilla.org/en-US/docs/Web/JavaScript/Reference/Global_Objects/Number/MAX_SAFE_INTEGER
_MAX_NUMBER = 2**53 - 1


def combined(from_settings: Mapping[str, str], from_program: Mapping[str, Variable]) -> pulumi.Output[dict[str, str]]:
    """The variables by name. A secret stays secret. A value that a preview doesn't know yet makes all of them unknown.

    Raises UserError for a name that no variable can have, or that the settings have, too. A value that no variable can
    have raises UserError later, when it is known. Errors don't show values.
    """
    if mistakes := list(_name_mistakes(from_settings, from_program)):
        raise _error(mistakes)
    from_resources = pulumi.Output.from_input({name: from_program[name] for name in sorted(from_program)})
    return from_resources.apply(
        lambda values: {**from_settings, **_as_texts(cast(dict[str, object], values), from_settings)}
    )


def _name_mistakes(from_settings: Mapping[str, str], from_program: object) -> Iterator[str]:
    if not isinstance(from_program, Mapping):
        yield f"it has the type {type(from_program).__name__}, and must be a dict of names to texts or outputs"
        return
    for name in cast(Mapping[object, object], from_program):
        if not isinstance(name, str):
            yield f"{name!r}: a variable's name is a text"
        elif mistake := env.name_mistake(name):
            yield f"{name or 'an empty name'}: {mistake}; choose another name"
        elif name in from_settings:
            yield (
                f"{name}: the stack's settings have this variable, too; remove it there with:"
                f" pulumi config rm --path env.{name}"
            )


def _as_texts(values: Mapping[str, object], from_settings: Mapping[str, str]) -> dict[str, str]:
    """The texts of the program's variables; raises UserError for values that no variable can have."""
    mistakes, texts = list[str](), dict[str, str]()
    for name, value in values.items():
        # Pulumi's engine has only numbers with a fraction: 5432 can come back as 5432.0.
        plain = int(value) if isinstance(value, float) and value.is_integer() else value
        texts[name] = env.as_text(plain)
        if mistake := _value_mistake(plain) or env.text_mistake(name, texts[name]):
            mistakes.append(f"{name}: {mistake}")
    if not mistakes and (too_long := env.total_mistake({**from_settings, **texts})):
        mistakes.append(too_long)
    if mistakes:
        raise _error(mistakes)
    return texts


def _value_mistake(value: object) -> str | None:
    if isinstance(value, str):
        if _OUTPUT_AS_TEXT in value:
            return (
                "an output became part of a text before it was known: write pulumi.Output.format(…) or output.apply(…)"
            )
        return None
    if isinstance(value, int):
        if abs(value) > _MAX_NUMBER:
            return (
                f"its value is a number above {_MAX_NUMBER}, which may have lost digits: make it a text in the program"
            )
        return None
    return f"its value has the type {type(value).__name__}, and a variable is a text: convert it in the program"


def _error(mistakes: list[str]) -> UserError:
    lines = [f"  - {mistake}" for mistake in mistakes]
    return UserError("\n".join(["the program's variables (env of fleet.build) can't work:", *lines]))
