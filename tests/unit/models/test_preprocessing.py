import pytest

from image_retrieval.models.preprocessing import normalisation, wanted_size

TRAINED_WITH = (0.1, 0.2, 0.3), (0.4, 0.5, 0.6)


@pytest.mark.parametrize(
    ("preprocessor", "config", "size"),
    [
        ({"size": {"height": 48, "width": 32}}, {}, (32, 48)),
        ({"size": {"shortest_edge": 40}}, {}, (40, 40)),
        ({"size": 40}, {}, (40, 40)),
        ({"size": [48, 32]}, {}, (32, 48)),
        ({"size": {"shortest_edge": 40}, "crop_size": {"height": 48, "width": 32}}, {}, (32, 48)),
        ({"size": {"shortest_edge": 40}, "crop_size": 32, "do_center_crop": True}, {}, (32, 32)),
        ({"size": {"height": 40, "width": 40}, "crop_size": 32, "do_center_crop": False}, {}, (40, 40)),
        ({"size": {"shortest_edge": 40, "longest_edge": None}, "crop_size": None}, {}, (40, 40)),
        ({"max_num_patches": 256, "patch_size": 16}, {}, (256, 256)),
        ({"max_num_patches": 300}, {"patch_size": 14}, (238, 238)),
        ({}, {"image_size": 384}, (384, 384)),
        ({}, {"image_size": [48, 32]}, (32, 48)),
        ({"size": {"longest_edge": 40}}, {"image_size": 384}, (384, 384)),
        ({}, {}, (224, 224)),
    ],
)
def test_the_size_is_that_of_what_reaches_the_model(preprocessor, config, size):
    assert wanted_size(preprocessor, config) == size


@pytest.mark.parametrize(
    ("preprocessor", "wanted"),
    [
        ({}, (1 / 255, *TRAINED_WITH)),
        ({"image_mean": [0.7], "image_std": [0.8]}, (1 / 255, (0.7,), (0.8,))),
        ({"image_mean": None, "image_std": None}, (1 / 255, *TRAINED_WITH)),
        ({"rescale_factor": 1 / 127.5}, (1 / 127.5, *TRAINED_WITH)),
        ({"do_rescale": False}, (1.0, *TRAINED_WITH)),
        ({"do_rescale": False, "rescale_factor": 1 / 255}, (1.0, *TRAINED_WITH)),
        ({"do_normalize": False}, (1 / 255, (0.0,) * 3, (1.0,) * 3)),
        ({"do_normalize": False, "image_mean": [0.7], "image_std": [0.8]}, (1 / 255, (0.0,) * 3, (1.0,) * 3)),
    ],
)
def test_values_are_normalised_as_the_file_says_else_as_the_family(preprocessor, wanted):
    assert normalisation(preprocessor, TRAINED_WITH) == wanted
