"""What is written is true: pages that are made, links, commands, examples."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from pnn.cli.errors import EXIT_CODES
from pnn.config import presets, reference
from pnn.rules import RULES
from pnn.rules.page import rules_page

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def test_the_configuration_page_is_the_one_that_the_code_gives():
    page = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    assert page == reference(), "run: pnn presets --keys > docs/configuration.md"


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_page_of_rules_is_the_one_that_the_code_gives():
    page = (ROOT / "docs" / "rules.md").read_text(encoding="utf-8")
    assert page == rules_page(), "run: pnn rules --page > docs/rules.md"
    assert all(rule.works_on for rule in RULES.values())
    # Of its own: a figure that is inherited would be that of another source.
    assert all(vars(rule).get("reported") for rule in RULES.values())


def test_the_readme_names_every_exit_code():
    for code in EXIT_CODES:
        assert code in (0, 1) or re.search(rf"\b{code}\b", README), code


def test_every_preset_is_in_a_page_or_the_changelog():
    text = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    for preset in presets():
        assert f"`{preset}`" in text or f"pnn train {preset}" in text


@pytest.mark.parametrize("example", sorted((ROOT / "examples").glob("*.py")), ids=lambda p: p.name)
def test_examples_run_as_they_are(example, tmp_path):
    figure = tmp_path / "figure.png"
    takes_path = "sys.argv" in example.read_text(encoding="utf-8")
    command = [sys.executable, str(example), *([str(figure)] if takes_path else [])]
    command += ["--quick"] if '"--quick"' in example.read_text(encoding="utf-8") else []
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() or figure.is_file()


def test_the_table_of_all_rules_has_all_rules():
    path = ROOT / "examples" / "compare" / "digital_stand_in.toml"
    assert set(tomllib.loads(path.read_text(encoding="utf-8"))["rules"]) == set(RULES)
