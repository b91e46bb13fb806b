"""Reads the stack's settings: the only reader of pulumi.Config.

First call `read`, then `check` with the app's Procfile. The app is packed after both. All mistakes are reported
together, before anything changes.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pulumi

from components import target_loader
from components.errors import UserError
from components.settings import own_certificate, processes, stack_file
from components.settings.common import CommonSettings, Settings, TargetSettings
from components.settings.declaration import Declaration, Default, declarations, decoded, default_text
from components.targets import TARGETS


class SettingsError(UserError):
    """Everything that is wrong with the stack's settings, one line each."""


@dataclass(frozen=True, kw_only=True)
class Draft:
    """Settings that were read but not checked yet.

    ``mistakes`` has pairs of a key and a sentence. A broken value is replaced by its default.
    """

    settings: Settings
    mistakes: tuple[tuple[str, str], ...]

    @property
    def names_processes(self) -> bool:
        """Whether a setting names types of the Procfile, so that ``check`` needs it."""
        return bool(self.settings.processes) or list(self.settings.singletons) != processes.SINGLETONS

    def check(self, procfile_text: str | None) -> Settings:
        """Returns the settings. Raises SettingsError with all mistakes.

        ``procfile_text`` is None if the app's Procfile isn't known; then its processes aren't checked.
        """
        settings = self.settings
        conflicts = processes.conflicts(settings.processes, settings.singletons, procfile_text)
        mistakes = [*self.mistakes, *conflicts]
        if mistakes:
            position = {key: index for index, key in enumerate(all_declarations())}
            # Sorted as the settings are declared; unknown keys come last.
            ordered = sorted(mistakes, key=lambda mistake: position.get(mistake[0], len(position)))
            lines = [f"  - {line}" for _, line in ordered]
            raise SettingsError("\n".join(["the stack's settings can't work:", *lines]))
        return self.settings


def read(root: Path, config: pulumi.Config) -> Draft:
    """The settings of the running stack; paths are relative to ``root``."""
    reader = _Reader(config)
    values = reader.values(CommonSettings)
    reader.refuse_changed_variables(root)
    reader.refuse_a_plain_key(root)
    target = values["target"]
    target_settings = TargetSettings()
    # If the target isn't valid, it isn't known which keys are allowed.
    if "target" in reader.broken_keys():
        reader.refuse_values_that_no_target_takes()
    else:
        target_settings = _read_target_settings(reader, target)
        reader.refuse_settings_of_other_targets(target)
    app = root / values["app"]
    reader.require_folder("app", app)
    # Several servers need a balancer.
    balancer = values["balancer"] or values["servers"] > 1
    settings = Settings(**{**values, "app": app, "balancer": balancer}, target_settings=target_settings)
    # A broken value is its default here, and says nothing about the others.
    broken = reader.broken_keys()
    conflicts = [*settings.conflicts(), *target_settings.conflicts(settings)]
    reader.mistakes += [(keys[0], line) for keys, line in conflicts if not broken & set(keys)]
    reader.refuse_unknown_keys()
    return Draft(settings=settings, mistakes=tuple(reader.mistakes))


def _read_target_settings(reader: _Reader, target: str) -> TargetSettings:
    settings_type = target_loader.settings_type(target)
    return settings_type(**reader.values(settings_type, target))


def all_declarations() -> dict[str, dict[str, Declaration]]:
    """For each key a map from owner to declaration. The owner is a target's name, or "" for all targets."""
    by_key: dict[str, dict[str, Declaration]] = {}
    owners = {"": CommonSettings, **{name: target_loader.settings_type(name) for name in TARGETS}}
    for owner, settings_type in owners.items():
        for declaration in declarations(settings_type).values():
            by_key.setdefault(declaration.key, {})[owner] = declaration
    return by_key


def schema_default(by_owner: Mapping[str, Declaration]) -> Default:
    """The default in Pulumi.yaml, which Pulumi passes if the key isn't set. Empty if the targets differ."""
    first, *others = by_owner.values()
    return first.default if all(other.default == first.default for other in others) else ""


@dataclass
class _Reader:
    """Reads settings from Pulumi's configuration and collects the mistakes: pairs of a key and a sentence."""

    config: pulumi.Config
    declared: dict[str, dict[str, Declaration]] = field(default_factory=all_declarations)
    mistakes: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])

    def values(self, settings_type: type[Any], target: str = "") -> dict[str, Any]:
        """The values of the settings that a dataclass declares, by field name."""
        return {name: self._value(declaration, target) for name, declaration in declarations(settings_type).items()}

    def broken_keys(self) -> set[str]:
        return {key for key, _ in self.mistakes}

    def require_folder(self, key: str, path: Path) -> None:
        """Adds a mistake if ``path`` isn't a folder."""
        if not path.is_dir():
            declaration = self.declared[key][""]
            rule = f"there is no folder {path}"
            text = self._text(declaration)
            self.mistakes.append((key, declaration.error_text(text, rule, is_secret=self._is_secret(key))))

    def refuse_changed_variables(self, root: Path) -> None:
        """Adds a mistake for each variable that isn't what was typed into the stack's file below ``root``."""
        env = self.config.get_object("env") if "env" not in self.broken_keys() else None
        file, project = self._file(root)
        variables = cast(dict[str, object], env) if isinstance(env, dict) else {}
        for name in stack_file.changed(file, project, variables):
            line = (
                f"env.{name}: without quotes, YAML reads its value as a number, a date or true, and the app would get"
                f" it written in another way: put it in quotes in {file.name}, or set it as text with: pulumi config"
                f" set --path --type string env.{name} <value>"
            )
            self.mistakes.append(("env", line))

    def refuse_a_plain_key(self, root: Path) -> None:
        """Adds a mistake if the private key of the setting tls isn't secret in the stack's file below ``root``."""
        if not (key := own_certificate.key_in(decoded(self.config.get("tls") or ""))):
            return
        file, project = self._file(root)
        if not self._is_secret("tls") or stack_file.has_plain(file, project, "tls", own_certificate.KEY, key):
            self.mistakes.append(("tls", own_certificate.plain_key()))

    def _file(self, root: Path) -> tuple[Path, str]:
        """The stack's file below ``root``, unless a user names another one, and the project's name."""
        return root / f"Pulumi.{pulumi.get_stack()}.yaml", self.config.full_key("").rstrip(":")

    def refuse_settings_of_other_targets(self, target: str) -> None:
        """Adds a mistake for each setting that only other targets know."""
        for key, by_owner in self._target_settings_set().items():
            if target not in by_owner:
                owners = " and ".join(by_owner)
                line = f"{key} is a setting of target {owners}, not of {target}; remove it with: pulumi config rm {key}"
                self.mistakes.append((key, line))

    def refuse_values_that_no_target_takes(self) -> None:
        """For settings of targets, if it isn't known which target is meant."""
        for key, by_owner in self._target_settings_set().items():
            text, is_secret = self.config.require(key), self._is_secret(key)
            readings = [declaration.read(text, is_secret=is_secret)[1] for declaration in by_owner.values()]
            if all(readings):
                self.mistakes += [(key, line) for line in readings[0]]

    def refuse_unknown_keys(self) -> None:
        """Adds a mistake for each key that no target knows."""
        project = self.config.full_key("")
        names = {*pulumi.runtime.config.CONFIG.get(), *pulumi.runtime.config.get_config_env()}
        for key in sorted(name.removeprefix(project) for name in names if name.startswith(project)):
            if key not in self.declared:
                similar = difflib.get_close_matches(key, self.declared, 1)
                hint = f" (did you mean {similar[0]}?)" if similar else ""
                self.mistakes.append((key, f"{key} is no setting{hint}; remove it with: pulumi config rm {key}"))

    def _target_settings_set(self) -> dict[str, dict[str, Declaration]]:
        """The keys that the user has set and that only some targets know.

        For a key that isn't set, Pulumi passes the default of the schema.
        """
        return {
            key: by_owner
            for key, by_owner in self.declared.items()
            if "" not in by_owner and (self.config.get(key) or "") not in ("", default_text(schema_default(by_owner)))
        }

    def _value(self, declaration: Declaration, target: str) -> Any:
        text = self._text(declaration)
        if declaration.required and text == declaration.default_text:
            rule = declaration.validator.rule
            line = f"{declaration.key} is needed by target {target}: {rule}; set it with: {declaration.set_command}"
            self.mistakes.append((declaration.key, line))
            return declaration.default_value
        value, mistakes = declaration.read(text, is_secret=self._is_secret(declaration.key))
        self.mistakes += [(declaration.key, line) for line in mistakes]
        return value

    def _text(self, declaration: Declaration) -> str:
        return self.config.get(declaration.key) or declaration.default_text

    def _is_secret(self, key: str) -> bool:
        return pulumi.runtime.is_config_secret(self.config.full_key(key))
