"""Writes the demo's pictures and the models that ship to the store.

docker compose exec scheduler python include/compose/fill_demo.py
"""

from image_retrieval.collection import find_collection
from image_retrieval.local.filling import ensure_model, mirror, scene_pictures
from image_retrieval.settings import load_settings

settings = load_settings()
demo, photos = (find_collection(settings.collections_path, name) for name in ("demo", "photos"))
for model in (demo.model, photos.model):
    if ensure_model(model.source, settings):
        print(f"stored the model {model.name} at {model.source}")
written, removed = mirror(scene_pictures(), demo.source, settings)
print(f"filled {demo.source}: {written} written, {removed} removed")
