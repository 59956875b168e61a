from pathlib import Path

import numpy as np
import pytest

from image_retrieval.client.errors import ClientClosed
from image_retrieval.client.models import KEPT, Models
from image_retrieval.collection import Collection
from image_retrieval.errors import UserError
from image_retrieval.models.shipped import DUAL, VISION
from image_retrieval.pipeline.shown import describe_listed
from image_retrieval.settings import Settings

SETTINGS = Settings(_env_file=None)


def shown(folder: Path, dtype: str = "float32", digest: str | None = None):
    model = {"name": "tiny", "source": str(folder), "dtype": dtype}
    described = describe_listed(Collection(name="things", source="s3://images/", model=model), SETTINGS)
    object.__setattr__(described, "digest", digest)
    return described


@pytest.fixture
def models():
    models = Models(SETTINGS)
    yield models
    models.close()


def test_a_tower_is_loaded_once_and_those_not_asked_make_room(models):
    first = models.texts(["a star", "两个"], shown(DUAL))
    assert first.shape == (2, 128)
    [tower] = models._towers.values()
    models.texts(["a star"], shown(DUAL))
    assert list(models._towers.values()) == [tower]
    for dtype in ("bfloat16", "float16"):
        models.texts(["a star"], shown(DUAL, dtype))
        models._image_tower(shown(VISION, dtype))
    assert len(models._towers) == KEPT
    assert tower not in models._towers.values()
    assert models.texts(["a star", "两个"], shown(DUAL)) == pytest.approx(first, abs=1e-6)


def test_a_model_that_is_another_one_by_now_is_refused(models):
    with pytest.raises(UserError, match="have changed"):
        models.texts(["a star"], shown(DUAL, digest="0" * 64))


def test_a_model_without_a_text_side_is_refused(models):
    with pytest.raises(UserError, match="reads images only"):
        models.texts(["a star"], shown(VISION))


def test_vectors_that_are_not_finite_are_refused(models):
    described = shown(DUAL)
    tower = models._text_tower(described)
    for weights in tower.network.parameters():
        weights.data.fill_(np.nan)
    with pytest.raises(UserError, match="not finite: set its dtype"):
        models.texts(["a star"], described)


def test_a_closed_one_loads_nothing(models):
    models.close()
    with pytest.raises(ClientClosed):
        models.texts(["a star"], shown(DUAL))
