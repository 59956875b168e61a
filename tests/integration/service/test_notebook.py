"""The notebook of the documentation runs, in a kernel of its own, and shows what it promises."""

from pathlib import Path

import nbformat
import pytest
from manifests import ROOT
from nbclient import NotebookClient

NOTEBOOK = ROOT / "docs" / "client.ipynb"


def outputs(cell: nbformat.NotebookNode, kind: str) -> list[str]:
    return [output.data[kind] for output in cell.outputs if kind in output.get("data", {})]


def test_the_notebook_is_kept_without_its_outputs():
    notebook = nbformat.read(NOTEBOOK, 4)
    nbformat.validate(notebook)
    assert all(not cell.outputs and cell.execution_count is None for cell in notebook.cells if cell.cell_type == "code")


def test_the_notebook_runs(served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for name, value in served.environment().items():
        monkeypatch.setenv(name, value)
    for name in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR"):
        monkeypatch.setenv(name, str(tmp_path))
    notebook = nbformat.read(NOTEBOOK, 4)
    [parameters] = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", ())]
    parameters.source = f"HOME = {str(served.home)!r}\nCOLLECTION = 'things'"
    NotebookClient(
        notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    ).execute()
    cells = {cell.source.split("\n")[-1]: cell for cell in notebook.cells if cell.cell_type == "code"}
    [shown] = outputs(cells["found"], "text/html")
    assert shown.count('<img src="data:image/jpeg;base64,') == 6
    assert len(shown) < 200_000
    assert cells["print(found)"].outputs[0].text.startswith("6 images of things\nsimilarity")
    assert outputs(cells["best.picture"], "image/png")
    [frame] = outputs(cells['circles.to_pandas()[["image_id", "similarity", "score", "width", "height"]]'], "text/html")
    assert "image_id" in frame
    [match] = outputs(cells["client.match(picture, best.open(), collection=COLLECTION)"], "text/plain")
    assert match.startswith("Match(similarity=0.")
