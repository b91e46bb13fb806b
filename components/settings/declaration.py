"""How a setting is declared: once, as the default of a dataclass field.

The reader, the error messages, the schema in Pulumi.yaml and docs/settings.md follow from the declarations.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from typing import Any, Generic, Literal, TypeVar, cast

T = TypeVar("T")

# Pulumi's types of a configuration key: https://www.pulumi.com/docs/iac/concepts/projects/project-file/
SchemaType = Literal["string", "integer", "boolean", "object", "array"]
Default = str | int | bool | dict[str, object] | list[object]
_METADATA_KEY = "declaration"


@dataclass(frozen=True, kw_only=True)
class Scalar(Generic[T]):
    """The validator of one plain value: its rule in words, and its parser.

    ``parse`` raises ValueError with the rule.
    """

    type: SchemaType
    rule: str
    parse: Callable[[str], T]


@dataclass(frozen=True, kw_only=True)
class Structured(Generic[T]):
    """The validator of a map or a list. ``read`` takes the decoded JSON, or None if the text isn't JSON.

    It returns the valid parts and the mistakes: whole sentences, each with its key and the command that fixes it.
    """

    type: SchemaType
    rule: str
    read: Callable[[object], tuple[T, list[str]]]


@dataclass(frozen=True, kw_only=True)
class Either(Generic[T]):
    """The validator of a plain value or a map. The schema has no type for it, because the engine would refuse one."""

    plain: Scalar[Any]
    map: Structured[Any]
    type: SchemaType | None = None

    @property
    def rule(self) -> str:
        return f"{self.plain.rule}, or {self.map.rule}"


Validator = Scalar[T] | Structured[T] | Either[T]


@dataclass(frozen=True, kw_only=True)
class Declaration:
    """Everything about one setting; ``setting`` describes the parts."""

    key: str = ""
    validator: Validator[Any]
    default: Default
    example: Default
    help: str
    group: str
    required: bool
    secret: Literal["hidden", "refused", "allowed"]
    command: str

    @property
    def default_text(self) -> str:
        """The default as Pulumi's configuration has it."""
        return default_text(self.default)

    @property
    def default_value(self) -> Any:
        """The value if the key isn't set. None if the setting is required and has no default."""
        return self._value(self.default_text)[0]

    @property
    def set_command(self) -> str:
        """The command that sets it, with a placeholder for the value."""
        return self.command or f"pulumi config set {self.key} <value>"

    def read(self, text: str, *, is_secret: bool = False) -> tuple[Any, list[str]]:
        """Returns the value of ``text`` and its mistakes. An empty text means the default.

        A broken scalar is replaced by the default. A map or list keeps its valid parts.
        """
        if is_secret and self.secret == "refused":
            return self.default_value, [self._refused_as_secret()]
        value, mistakes = self._value(text or self.default_text)
        if mistakes and isinstance(self._validator_of(text), Scalar):
            return self.default_value, [self.error_text(text, mistakes[0], is_secret=is_secret)]
        return value, mistakes

    def error_text(self, text: str, rule: str, *, is_secret: bool) -> str:
        """The error for a value that breaks a rule."""
        # The text of a rule may contain a part of the value.
        reason = (
            "[secret], but breaks the rule that its help in Pulumi.yaml describes"
            if is_secret
            else f"{_excerpt(text)!r}, but {rule}"
        )
        return f"{self.key} is {reason}; set it with: {self.set_command}"

    def _value(self, text: str) -> tuple[Any, list[str]]:
        validator = self._validator_of(text)
        if isinstance(validator, Structured):
            return validator.read(decoded(text))
        try:
            return validator.parse(text), []
        except ValueError as error:
            return None, [str(error)]

    def _validator_of(self, text: str) -> Scalar[Any] | Structured[Any]:
        if not isinstance(self.validator, Either):
            return self.validator
        return self.validator.map if isinstance(decoded(text), dict) else self.validator.plain

    def _refused_as_secret(self) -> str:
        return (
            f"{self.key} is secret, but previews and logs show it: put secrets into env, and set {self.key}"
            f" without --secret; remove it with: pulumi config rm {self.key}"
        )


def setting(
    validator: Validator[T],
    *,
    help: str,
    example: Default,
    default: Default = "",
    group: str = "",
    required: bool = False,
    secret: Literal["hidden", "refused", "allowed"] = "hidden",
    command: str = "",
) -> T:
    """Declare a setting: ``domain: str | None = setting(...)`` in a dataclass declares the key ``domain``.

    ``default`` and ``example`` are written as in Pulumi's configuration; an empty default means that nothing is set.
    ``group`` is its heading in docs/settings.md. ``command`` is the command that sets it, if
    `pulumi config set <key> <value>` can't.

    ``secret`` decides what happens if a user sets it with --secret. "hidden": an error never shows the value.
    "refused": the value becomes part of commands, which previews show. "allowed": the errors of
    the validator must never contain values.
    """
    declaration = Declaration(
        validator=validator,
        default=default,
        example=example,
        help=help,
        group=group,
        required=required,
        secret=secret,
        command=command,
    )
    metadata = {_METADATA_KEY: declaration}
    # Values that may be secrets must not get into a traceback or a log.
    shown = secret != "allowed"
    return cast(T, field(default_factory=lambda: declaration.default_value, metadata=metadata, repr=shown))


def declarations(settings: type[Any]) -> dict[str, Declaration]:
    """The declared settings of a dataclass by the names of their fields, in the order of the fields."""
    by_field = {field.name: field.metadata.get(_METADATA_KEY) for field in fields(settings)}
    return {name: replace(declaration, key=key_of(name)) for name, declaration in by_field.items() if declaration}


def default_text(default: Default) -> str:
    """A default as Pulumi's configuration has it: text as it is, everything else as JSON."""
    return default if isinstance(default, str) else json.dumps(default)


def key_of(field_name: str) -> str:
    """The key of a field: ``healthPath`` for ``health_path``."""
    return re.sub("_(.)", lambda match: match[1].upper(), field_name)


def _excerpt(text: str) -> str:
    """The first line of a text. The rest of a file that was given by mistake, such as a private key, isn't shown."""
    first, *rest = text.splitlines() or [""]
    return f"{first}…" if rest else text


def decoded(text: str) -> object:
    """The value of a JSON document; None for other texts."""
    try:
        return json.loads(text)
    except ValueError:
        return None
