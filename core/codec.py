"""Events as text, for the tables of parked events and dead letters. Only there: a secret ballot never comes here."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import cattrs
from cattrs.strategies import configure_tagged_union

from core.body import Body, from_json, to_json
from core.events import Inbound


def _converter() -> cattrs.Converter:
    converter = cattrs.Converter(forbid_extra_keys=False)
    converter.register_unstructure_hook(datetime, lambda value: value.isoformat())
    converter.register_structure_hook(datetime, lambda value, _: datetime.fromisoformat(value))
    converter.register_unstructure_hook(Body, to_json)
    converter.register_structure_hook(Body, lambda value, _: from_json(value))
    configure_tagged_union(Inbound, converter)
    return converter


_CONVERTER: list[cattrs.Converter] = []


def _get() -> cattrs.Converter:
    # Built on first use: parked events are rare, and the hooks cost some milliseconds.
    if not _CONVERTER:
        _CONVERTER.append(_converter())
    return _CONVERTER[0]


def dump(event: Inbound) -> str:
    return json.dumps(_get().unstructure(event, unstructure_as=Inbound), ensure_ascii=False)


def load(text: str) -> Inbound:
    """Raises ``ValueError`` for what no version of ours wrote."""
    try:
        value: Any = _get().structure(json.loads(text), Inbound)  # type: ignore[arg-type]
    except Exception as error:
        raise ValueError(f"not an event: {type(error).__name__}") from error
    event: Inbound = value
    return event
