"""From files to a verdict, by the commands that people type."""

import json
from pathlib import Path

import pytest

from image_retrieval import models
from image_retrieval.cli import main
from image_retrieval.scenes import draw_scenes

SHIPPED = Path(models.__file__).parent / "shipped"


@pytest.fixture
def listed(tmp_path):
    """An index file of drawn scenes in a folder."""
    lines = []
    for scene in draw_scenes(40):
        path = tmp_path / "pictures" / scene.key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(scene.data)
        lines.append({"uri": f"file://{path}", "group_id": path.parent.name})
    (tmp_path / "list.jsonl").write_text("\n".join(map(json.dumps, lines)))
    return f"file://{tmp_path}/list.jsonl"


def test_a_model_is_judged_on_what_was_packed(listed, tmp_path, capsys):
    pack, out = f"{tmp_path}/pack", tmp_path / "report"
    assert main(["training", "pack", listed, pack, "--longest-side", "128", "--held-out", "0.5"]) == 0
    packed = json.loads(capsys.readouterr().out)
    assert packed["images"] + packed["duplicates"] == len(list(draw_scenes(40)))
    assert packed["duplicates"] > 0
    judged = ["training", "gate", pack, str(SHIPPED / "scenes_vision"), "--against", str(SHIPPED / "scenes_dual")]
    assert main([*judged, "--out", str(out)]) == 1
    report = json.loads(capsys.readouterr().out)
    assert report["decision"] == "undecided"
    assert report["reason"] == f"{packed['held_out']} pictures are held out: at least 100 are needed"
    assert json.loads((out / "gate.json").read_text())["figures"] == report["figures"]
    assert (out / "gate.md").read_text().startswith("# Undecided\n")
    assert (out / "gate.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["pack", "{listed}", "{folder}", "--held-out", "0.7"], "--held-out 0.7: a share from 0 to 0.5 is needed"),
        (
            ["gate", "{folder}", "m", "--against", "m"],
            "holds no complete training set: `image-retrieval ",
        ),
    ],
)
def test_mistakes_are_told_in_one_line(arguments, message, listed, tmp_path, capsys):
    places = {"listed": listed, "folder": f"{tmp_path}/nothing"}
    assert main(["training", *(given.format(**places) for given in arguments)]) == 2
    told = capsys.readouterr().err
    assert message in told
    assert told.count("\n") == 1
