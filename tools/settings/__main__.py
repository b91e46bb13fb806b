"""Writes the schema in Pulumi.yaml and docs/settings.md anew: python -m tools.settings"""

from __future__ import annotations

from pathlib import Path

from tools.settings import page, schema

ROOT = Path(__file__).resolve().parents[2]

if __name__ == "__main__":
    project = ROOT / "Pulumi.yaml"
    project.write_text(schema.project_file(project.read_text()))
    (ROOT / "docs/settings.md").write_text(page.settings_page())
