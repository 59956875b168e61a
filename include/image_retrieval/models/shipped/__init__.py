"""Small models, trained on drawn scenes by `image_retrieval.training`: for demos and tests."""

from pathlib import Path

SHIPPED = Path(__file__).parent
VISION = SHIPPED / "scenes_vision"
DUAL = SHIPPED / "scenes_dual"
CAPTIONER = SHIPPED / "scenes_captioner"
