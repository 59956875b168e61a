import email.message
from importlib.metadata import Distribution

import pytest
from licences import acceptable, declared, refused


class Package(Distribution):
    """A package that declares what a test says."""

    def __init__(self, *headers: tuple[str, str]) -> None:
        self.message = email.message.Message()
        for name, value in (("Name", "some-package"), *headers):
            self.message[name] = value

    @property
    def metadata(self):
        return self.message

    def read_text(self, filename): ...

    def locate_file(self, path): ...


def may_be_taken(*headers: tuple[str, str]) -> bool:
    return any(acceptable(choice) for choice in declared(Package(*headers)))


def test_what_is_installed_may_be_taken():
    assert sorted(refused()) == []


@pytest.mark.parametrize(
    "expression",
    [
        "MIT",
        "Apache-2.0 WITH LLVM-exception",
        "BSD-3-Clause AND 0BSD AND MIT AND Zlib AND CC0-1.0",
        "LGPL-3.0-only",
        "GPL-2.0-only OR MIT",
        "(Apache-2.0 OR AGPL-3.0-only)",
    ],
)
def test_expressions_that_leave_a_choice(expression):
    assert may_be_taken(("License-Expression", expression))


@pytest.mark.parametrize(
    "expression",
    [
        "GPL-3.0-or-later",
        "AGPL-3.0-only",
        "MIT AND GPL-2.0-only",
        "CC-BY-NC-4.0",
        "SSPL-1.0",
        "LicenseRef-Own",
        "BUSL-1.1",
    ],
)
def test_expressions_that_leave_none(expression):
    assert not may_be_taken(("License-Expression", expression))


def test_classifiers_and_words():
    kind = "License :: OSI Approved :: "
    assert may_be_taken(("Classifier", f"{kind}MIT License"))
    assert may_be_taken(
        ("Classifier", f"{kind}Artistic License"), ("Classifier", f"{kind}GNU General Public License (GPL)")
    )
    assert not may_be_taken(("Classifier", f"{kind}GNU General Public License v3 (GPLv3)"))
    assert not may_be_taken(("Classifier", f"{kind}GNU Affero General Public License v3"))
    assert may_be_taken(("License", "3-Clause BSD License\n\nRedistribution and use in source and binary forms"))
    assert not may_be_taken(("License", "MIT License, for non-commercial use"))
    assert not may_be_taken(("License", "see the file"))
    assert not may_be_taken()
