"""Checks requests, answers and updates against the machine-readable Bot API specification."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

Check = Callable[[Any, str], list[str]]

_CONSTANT = re.compile(r"always [\"“](\w+)[\"”]|must be (\w+)$")
_DISCRIMINATORS = frozenset({"type", "status", "source"})


def default_spec_path() -> Path | None:
    """The specification beside the repository (or under STORMO_SHARED), None where it is absent."""
    shared = os.environ.get("STORMO_SHARED")
    root = Path(shared) if shared else Path(__file__).resolve().parents[4] / "shared"
    path = root / "data" / "telegram-bot-api-10.0.json"
    return path if path.is_file() else None


def _integer(value: Any, path: str) -> list[str]:
    return [] if isinstance(value, int) and not isinstance(value, bool) else [f"{path}: not an Integer"]


def _float(value: Any, path: str) -> list[str]:
    ok = isinstance(value, int | float) and not isinstance(value, bool)
    return [] if ok else [f"{path}: not a Float"]


def _string(value: Any, path: str) -> list[str]:
    return [] if isinstance(value, str) else [f"{path}: not a String"]


def _boolean(value: Any, path: str) -> list[str]:
    return [] if isinstance(value, bool) else [f"{path}: not a Boolean"]


def _anything(value: Any, path: str) -> list[str]:
    return []


def _constant(expected: str) -> Check:
    def check(value: Any, path: str) -> list[str]:
        return [] if value == expected else [f"{path}: {value!r} where the specification says {expected!r}"]

    return check


def _array(item: Check) -> Check:
    def check(value: Any, path: str) -> list[str]:
        if not isinstance(value, list):
            return [f"{path}: not an Array"]
        return [fault for index, each in enumerate(value) for fault in item(each, f"{path}[{index}]")]

    return check


def _any_of(checks: list[Check]) -> Check:
    if len(checks) == 1:
        return checks[0]

    def check(value: Any, path: str) -> list[str]:
        return min((each(value, path) for each in checks), key=len, default=[])

    return check


class SpecValidator:
    """The specification compiled to functions; each check returns the list of what is wrong."""

    def __init__(self, path: Path) -> None:
        document = json.loads(path.read_text(encoding="utf-8"))
        self._types: dict[str, Any] = document["types"]
        self._methods: dict[str, Any] = document["methods"]
        self._names = {name.lower(): name for name in self._methods}
        self._compiled: dict[str, Check] = {
            "Integer": _integer,
            "Float": _float,
            "String": _string,
            "Boolean": _boolean,
            "InputFile": _anything,
        }

    def method_name(self, name: str) -> str | None:
        """The method's name as the specification spells it (calls are case-insensitive), None if unknown."""
        return self._names.get(name.lower())

    def request(
        self,
        method: str,
        params: Mapping[str, Any],
        files: frozenset[str] = frozenset(),
    ) -> list[str]:
        """Faults in the parameters of a call; form values may be strings holding JSON."""
        fields = {field["name"]: field for field in self._methods[method].get("fields", ())}
        faults = [
            f"{method}: required parameter {name} is missing"
            for name, field in fields.items()
            if field["required"] and name not in params and name not in files
        ]
        for name, value in params.items():
            if name not in fields:
                faults.append(f"{method}: unknown parameter {name}")
            else:
                faults += self._parameter(f"{method}.{name}", fields[name]["types"], value)
        return faults

    def result(self, method: str, value: Any) -> list[str]:
        """Faults in the `result` of an answer."""
        check = _any_of([self._check(name) for name in self._methods[method]["returns"]])
        return check(value, f"{method} result")

    def update(self, value: Any) -> list[str]:
        """Faults in an Update."""
        return self._check("Update")(value, "Update")

    def _parameter(self, path: str, types: list[str], value: Any) -> list[str]:
        if isinstance(value, str) and "String" not in types and "InputFile" not in types:
            try:
                value = json.loads(value)
            except ValueError:
                return [f"{path}: {value!r} is not JSON of {' or '.join(types)}"]
        return _any_of([self._check(name) for name in types])(value, path)

    def _check(self, name: str) -> Check:
        if name not in self._compiled:
            self._compiled[name] = self._later(name)
            self._compiled[name] = self._compile(name)
        return self._compiled[name]

    def _later(self, name: str) -> Check:
        # A type may hold itself (Message.reply_to_message): its check is looked up at the time of use.
        def check(value: Any, path: str) -> list[str]:
            return self._compiled[name](value, path)

        return check

    def _compile(self, name: str) -> Check:
        if name.startswith("Array of "):
            return _array(self._check(name.removeprefix("Array of ")))
        declared = self._types[name]
        if declared.get("subtypes"):
            return _any_of([self._check(subtype) for subtype in declared["subtypes"]])
        return self._object(name, declared.get("fields", []))

    def _object(self, type_name: str, fields: list[dict[str, Any]]) -> Check:
        checks = {field["name"]: self._field(field) for field in fields}
        required = [field["name"] for field in fields if field["required"]]

        def check(value: Any, path: str) -> list[str]:
            if not isinstance(value, dict):
                return [f"{path}: not a {type_name}"]
            faults = [f"{path}: {type_name}.{name} is missing" for name in required if name not in value]
            for name, each in value.items():
                if name in checks:
                    faults += checks[name](each, f"{path}.{name}")
                else:
                    faults.append(f"{path}: {type_name} has no field {name}")
            return faults

        return check

    def _field(self, field: dict[str, Any]) -> Check:
        constant = _CONSTANT.search(field["description"])
        if constant and field["name"] in _DISCRIMINATORS:
            return _constant(constant[1] or constant[2])
        return _any_of([self._check(name) for name in field["types"]])


@lru_cache
def compiled(path: Path) -> SpecValidator:
    """One validator a file, since reading the specification takes longer than most tests."""
    return SpecValidator(path)
