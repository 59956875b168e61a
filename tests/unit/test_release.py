"""One version: the package's, the changelog's newest, and the tags of the images that documents and manifests name."""

import re
from pathlib import Path

from image_retrieval import __version__

ROOT = Path(__file__).parents[2]
TAGGED = ("docker-compose.yaml", "docs/*.md", "include/kubernetes/*", "include/image_retrieval/settings.py")


def test_the_changelog_begins_with_what_is_unreleased_and_then_this_version():
    headings = re.findall(r"^## \[(.+?)\](?: - (\S+))?$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[0] == ("Unreleased", "")
    assert headings[1][0] == __version__
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\d", date) for _, date in headings[1:])


def test_images_are_named_by_this_version():
    files = [path for pattern in TAGGED for path in ROOT.glob(pattern) if path.is_file()]
    tags = {
        tag
        for path in files
        for tag in re.findall(r"(?:image-retrieval-[a-z]+:|[tT]ag: \")([\d.]+\d)", path.read_text())
    }
    assert tags == {__version__}
