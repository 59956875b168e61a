"""What the site needs beyond the pages: those of the repository's root, and lists as Python-Markdown reads them."""

import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
OF_THE_ROOT = ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add the pages that lie beside docs/, with links as they are from inside of it."""
    for name in OF_THE_ROOT:
        text = re.sub(r"(\]\(|\]: )docs/", r"\1", (ROOT / name).read_text())
        files.append(File.generated(config, name.lower(), content=text))
    return files


def on_page_markdown(markdown: str, **_: object) -> str:
    """Link to those pages, and indent the contents of list items by four columns: GitHub needs only two or three."""
    for name in OF_THE_ROOT:
        markdown = re.sub(rf"\]\((\.\./)?{name}", f"]({name.lower()}", markdown)
    return indented(markdown)


def indented(markdown: str) -> str:
    """The same text, whose list items have their contents four columns to the right of their markers."""
    lines, width, fenced = [], 0, False  # width: columns from the marker of the present item to its text
    for line in markdown.split("\n"):
        fenced ^= line.startswith("```")
        if fenced:
            width = 0
        elif marker := re.match(r"(?:[-*]|\d+\.) +(?=\S)", line):
            width = len(marker[0])
        elif line.strip() and not line.startswith(" " * (width or 1)):
            width = 0
        elif width and line.strip():
            line = "    " + line[width:]
        lines.append(line)
    return "\n".join(lines)
