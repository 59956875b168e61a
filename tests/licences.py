"""The licence of each package that is installed, and which ones a company cannot take: `make licences` lists them.

A package may be taken where what it declares leaves a choice that is permissive, or copyleft for its own files only
(LGPL, MPL). GPL and AGPL alone, licences for non-commercial use, and packages that declare nothing may not. It imports
nothing but the standard library, so that any environment's Python can run it.
"""

import re
import sys
from collections.abc import Iterator
from importlib.metadata import Distribution, distributions

# as SPDX, as classifiers and as free text write them
ACCEPTED = re.compile(
    r"""
    (apache|bsd|mit|isc|zlib|mpl|psf|lgpl|bsl-1|boost|cc0|unlicense|hpnd|cnri-python|postgresql|artistic)\b.* | 0bsd |
    .*\b(bsd|mit|apache|python\ software\ foundation|postgresql)(\ software)?\ licen[cs]e.* |
    3-clause\ bsd.* | the\ unlicense.* | python-2.* |
    mozilla\ public\ license\ 2.* | gnu\ (library\ or\ )?lesser\ general\ public\ license.*
    """,
    re.IGNORECASE | re.VERBOSE,
)
REFUSED = re.compile(r"non.?commercial|cc-by-nc|commons.?clause|\bsspl|busl|business source|^a?gpl", re.IGNORECASE)
CUDA = re.compile(r"(nvidia|cuda)-")  # NVIDIA's own terms, which let programs bring these libraries along


def declared(package: Distribution) -> list[str]:
    """The licences among which a package lets choose: its SPDX expression, or classifiers, or free text."""
    if expression := package.metadata.get("License-Expression"):
        return re.split(r"\s+OR\s+", expression.strip("()"))
    classifiers = package.metadata.get_all("Classifier") or []
    if named := [line.split(" :: ")[-1] for line in classifiers if re.match(r"License :: .* :: ", line)]:
        return named
    text = (package.metadata.get("License") or "").strip().partition("\n")[0]
    if text in ("", "UNKNOWN"):  # of old packages, whose licence is a file alone
        text = (package.read_text("LICENSE") or "").strip().partition("\n")[0]
    return re.split(r"\s+OR\s+|/", text) if text else []


def acceptable(choice: str) -> bool:
    """Whether each part of one choice may be taken."""
    parts = [part.strip(" ()") for part in re.split(r"\s+AND\s+|\s+WITH\s+[^ ]+", choice) if part.strip(" ()")]
    return bool(parts) and all(ACCEPTED.fullmatch(part) and not REFUSED.search(part) for part in parts)


def refused() -> Iterator[str]:
    """What is installed and may not be."""
    for package in distributions():
        choices = declared(package)
        if not CUDA.match(package.name) and not any(acceptable(choice) for choice in choices):
            yield f"{package.name} {package.version}: {' or '.join(choices) or 'declares no licence'}"


def main() -> None:
    for package in sorted(distributions(), key=lambda one: one.name.lower()):
        print(f"{package.name:45} {package.version:15} {' or '.join(declared(package))[:100]}")
    if wrong := sorted(refused()):
        sys.exit("\n".join(["", "A company cannot take these:", *wrong]))


if __name__ == "__main__":
    main()
