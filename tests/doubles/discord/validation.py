"""Holds both directions against the published description of the HTTP API, where that file is at hand."""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from jsonschema import Draft202012Validator
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from tests.doubles.discord.errors import Json

_REQUEST, _REPLY = "urn:double:request", "urn:double:reply"
_SNOWFLAKE: Json = {"type": ["string", "integer"], "pattern": "^(0|[1-9][0-9]*)$"}

#: Where the description is stricter than, or different from, what the platform takes and gives:
#: (document, path to the schema, what stands there instead, why).
DEVIATIONS: tuple[tuple[str, tuple[str, ...], Json, str], ...] = (
    (_REQUEST, ("SnowflakeType",), _SNOWFLAKE, "clients may send ids as integers"),
    (
        _REQUEST,
        ("ApplicationCommandCreateRequest", "properties", "default_member_permissions"),
        {"type": ["integer", "string", "null"]},
        "permissions are strings on the wire, integers in the description",
    ),
    (
        _REQUEST,
        ("ApplicationCommandUpdateRequest", "properties", "default_member_permissions"),
        {"type": ["integer", "string", "null"]},
        "as above",
    ),
    (
        _REPLY,
        ("InnerErrors", "properties", "_errors", "items"),
        {"type": "object", "required": ["code", "message"]},
        "codes inside form errors are words, not integers",
    ),
)


@dataclass(frozen=True)
class Violation:
    """Something accepted or answered that the description does not allow."""

    direction: str
    operation: str
    where: str
    message: str


class Validation:
    """Validators of one description, compiled when first needed and then kept."""

    def __init__(self, description: Json) -> None:
        self._paths: Json = description["paths"]
        self._registry: Registry[Any] = Registry()
        for urn in (_REQUEST, _REPLY):
            document = _deviating(description, urn)
            resource = DRAFT202012.create_resource(document)
            self._registry = self._registry.with_resource(urn, resource)
        self._validators: dict[tuple[str, ...], Draft202012Validator | None] = {}
        self.violations: list[Violation] = []

    def describes(self, method: str, path: str) -> bool:
        """Whether the description knows this operation (by a concrete path)."""
        parts = [unquote(each) for each in path.strip("/").split("/")]
        for template, operations in self._paths.items():
            wanted = template.strip("/").split("/")
            same = method.lower() in operations and len(wanted) == len(parts)
            if same and all(want[0] == "{" or want == got for want, got in zip(wanted, parts, strict=True)):
                return True
        return False

    def request(self, method: str, template: str, body: object) -> None:
        """Checks a body that was accepted; none at all is checked too where one is required."""
        operation = self._operation(method, template)
        if operation is None or "requestBody" not in operation:
            return
        if body is None and not operation["requestBody"].get("required"):
            return
        steps = ("requestBody", "content", "application/json", "schema")
        self._check("request", method, template, steps, body)

    def reply(self, method: str, template: str, status: int, body: object) -> None:
        operation = self._operation(method, template)
        if operation is None or status == 429:
            return
        known = operation["responses"]
        key = next((each for each in (str(status), f"{status // 100}XX") if each in known), None)
        if key is None:
            self._note("reply", method, template, "status", f"{status} is not described")
        elif status == 204:
            if body is not None:
                self._note("reply", method, template, "", "204 with a body")
        elif status >= 400:
            steps: tuple[str, ...] = ("components", "schemas", "ErrorResponse")
            self._check("reply", "", "", steps, body, label=f"{method} {template} {status}")
        else:
            steps = ("responses", key, "content", "application/json", "schema")
            self._check("reply", method, template, steps, body)

    def _operation(self, method: str, template: str) -> Json | None:
        found: Json | None = self._paths.get(template, {}).get(method.lower())
        return found

    def _check(
        self,
        direction: str,
        method: str,
        template: str,
        steps: tuple[str, ...],
        body: object,
        label: str = "",
    ) -> None:
        validator = self._validator(direction, method, template, steps)
        if validator is None:
            return
        for error in validator.iter_errors(body):
            where = "/".join(map(str, error.absolute_path))
            best = max(error.context or [error], key=lambda each: len(each.absolute_path))
            self._note(direction, method, template or label, where, best.message[:300])

    def _note(self, direction: str, method: str, template: str, where: str, message: str) -> None:
        self.violations.append(Violation(direction, f"{method} {template}".strip(), where, message))

    def _validator(
        self, direction: str, method: str, template: str, steps: tuple[str, ...]
    ) -> Draft202012Validator | None:
        pointer = ("paths", template, method.lower(), *steps) if template else steps
        key = (direction, *pointer)
        if key not in self._validators:
            urn = _REQUEST if direction == "request" else _REPLY
            path = "/".join(each.replace("~", "~0").replace("/", "~1") for each in pointer)
            schema = {"$ref": f"{urn}#/{path}"}
            self._validators[key] = Draft202012Validator(schema, registry=self._registry)
        return self._validators[key]


def _deviating(description: Json, urn: str) -> Json:
    """The description with what `DEVIATIONS` says about this direction."""
    document = copy.deepcopy(description)
    for where, path, instead, _why in DEVIATIONS:
        if where == urn:
            node = document["components"]["schemas"]
            for part in path[:-1]:
                node = node[part]
            node[path[-1]] = instead
    return document


@cache
def _read(path: Path) -> Json:
    found: Json = json.loads(path.read_text(encoding="utf-8"))
    return found


def load(path: Path) -> Validation | None:
    """None where the file is absent: then nothing is validated, and tests that need it skip."""
    return Validation(_read(path)) if path.exists() else None
