"""Two processes train as one does with the same batch; what they exchange, and normalise by."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from torch import nn

from image_retrieval.training.ranks import SharedBatchNorm, gathered, own_rows, rand, world
from unit.training import each_way

WAYS = [("moco", "vit"), ("moco", "resnet"), ("moby", "swin"), ("swav", "resnet"), ("continue", "vit")]
INCLUDE = Path(each_way.__file__).parents[3] / "include"


def losses(folder: Path) -> list[float]:
    return [point["loss"] for point in json.loads((folder / "losses.json").read_text())]


@pytest.mark.slow
def test_two_processes_have_the_losses_of_one(pack, tiny, tmp_path):
    ways = [f"{method}={tiny(kind)}" for method, kind in WAYS]
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
               str(Path(each_way.__file__)), pack, str(tmp_path / "two"), *ways]  # fmt: skip
    environment = os.environ | {"PYTHONPATH": str(INCLUDE), "OMP_NUM_THREADS": "1"}
    with (tmp_path / "told").open("wb") as told:
        subprocess.run(command, env=environment, stdout=told, stderr=told, timeout=200, check=True)
    each_way.run_each(pack, tmp_path / "one", ways)
    for method, kind in WAYS:
        one, both = (losses(tmp_path / count / f"{method}-{kind}") for count in ("one", "two"))
        assert len(one) == len(both) == 51
        assert both == pytest.approx(one, abs=1e-4), (method, kind)


@pytest.mark.slow
def test_where_one_process_is_killed_the_run_ends_and_goes_on_to_the_same_weights(pack, tiny, tmp_path):
    def begun(out: Path) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "image_retrieval.training.launching", "2", "training", "run", pack,
                   str(out), "--start", str(tiny("vit")), "--epochs", "40", "--batch-size", "32",
                   "--checkpoint-every", "1", "--device", "cpu", "--resume"]  # fmt: skip
        environment = os.environ | {"PYTHONPATH": str(INCLUDE), "OMP_NUM_THREADS": "1"}
        return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)

    def processes(of: int) -> list[int]:
        children = Path(f"/proc/{of}/task/{of}/children").read_text().split()
        return [int(each) for each in children if b"training" in Path(f"/proc/{each}/cmdline").read_bytes()]

    broken = begun(tmp_path / "broken")
    try:
        while not (tmp_path / "broken" / "losses.json").exists():
            assert broken.poll() is None
            time.sleep(0.02)
        os.kill(processes(broken.pid)[1], signal.SIGKILL)
        _, told = broken.communicate(timeout=60)
    finally:
        broken.kill()
        broken.wait()
    assert broken.returncode == 75
    assert told.splitlines()[-1] == "image-retrieval: process 1 was ended by SIGKILL"
    assert told.count("image-retrieval: another process of the training has ended: `training resume` goes on") == 1
    assert json.loads((tmp_path / "broken" / "training.json").read_text())["state"] == "stopped"
    for out in ("broken", "unbroken"):
        process = begun(tmp_path / out)
        _, told = process.communicate(timeout=100)
        assert process.returncode == 0, told
    one, other = ((tmp_path / out / "model.safetensors").read_bytes() for out in ("broken", "unbroken"))
    assert one == other


def test_a_shared_batch_norm_is_torchs_for_one_process():
    torch.manual_seed(0)
    for shape in ((9, 4), (3, 4, 5, 5)):
        plain = nn.BatchNorm1d(4) if len(shape) == 2 else nn.BatchNorm2d(4)
        nn.init.normal_(plain.weight)
        shared = SharedBatchNorm(4)
        shared.load_state_dict(plain.state_dict())
        one = torch.randn(shape, requires_grad=True)
        other = one.detach().clone().requires_grad_()
        wanted, found = plain(one), shared(other)
        assert torch.allclose(found, wanted, atol=1e-5)
        wanted.pow(3).sum().backward()
        found.pow(3).sum().backward()
        assert torch.allclose(other.grad, one.grad, atol=1e-4)
        assert torch.allclose(shared.running_var, plain.running_var, atol=1e-6)
        assert torch.allclose(shared.eval()(one), plain.eval()(one), atol=1e-5)


def test_one_process_alone_has_all_rows():
    rows = torch.arange(6)
    assert world() == 1
    assert torch.equal(own_rows(rows), rows)
    assert torch.equal(gathered(rows), rows)
    one, other = (rand(4, 2, rng=torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(one, other)
