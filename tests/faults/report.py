"""What a run of the faults counted: for each point or fault, platform and database.

Tests hand in rows; the run that took everything writes them to ``REPORT.json``, which is committed.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from tests.conftest import ROOT

REPORT = Path(os.environ.get("STORMO_FAULTS_REPORT", Path(__file__).with_name("REPORT.json")))
#: The name under which a test keeps its rows.
ROWS = "faults"

#: ``section``, ``name``, ``platform``, ``database``, and what was counted.
Row = tuple[str, str, str, str, Mapping[str, int]]


def write(rows: Iterable[Row], seconds: float) -> None:
    """Writes the report, one line for each point and platform, so that two runs can be compared."""
    whole: Counter[str] = Counter()
    sections: dict[str, dict[str, Counter[str]]] = {}
    for section, name, where, database, counted in rows:
        whole.update(counted)
        line = f"{name} · {where} · {database}"
        sections.setdefault(section, {}).setdefault(line, Counter()).update(counted)
    report = {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": _commit(),
        "machine": f"{os.cpu_count()} cores, Python {platform.python_version()}, {platform.system()}",
        "seconds": round(seconds),
        "whole": dict(sorted(whole.items())),
    }
    REPORT.write_text(_lines(report, sections))


def _commit() -> str:
    def git(*words: str) -> str:
        return subprocess.run(("git", *words), cwd=ROOT, capture_output=True, text=True, check=True).stdout

    tracked = ("core", "bots", "storage", "stormo", "tests", ":!tests/faults/REPORT.json")
    changed = git("status", "--porcelain", "--untracked-files=no", "--", *tracked)
    return git("rev-parse", "HEAD").strip() + (" and changes" if changed else "")


def _lines(report: Mapping[str, object], sections: Mapping[str, Mapping[str, Counter[str]]]) -> str:
    """JSON with a line for each entry."""
    head = [f'"{name}": {json.dumps(value, ensure_ascii=False)}' for name, value in report.items()]
    for section, lines in sections.items():
        entries = ",\n  ".join(
            f"{json.dumps(name, ensure_ascii=False)}: {json.dumps(dict(sorted(counted.items())))}"
            for name, counted in sorted(lines.items())
        )
        head.append(f'"{section}": {{\n  {entries}\n}}')
    return "{\n" + ",\n".join(head) + "\n}\n"
