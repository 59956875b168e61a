"""Writes the demo's pictures and the models that ship to the store.

docker compose exec scheduler python include/compose/fill_demo.py
"""

from image_retrieval.collection import find_collection
from image_retrieval.local.filling import ensure_models, mirror, scene_pictures
from image_retrieval.settings import load_settings

settings = load_settings()
demo, photos = (find_collection(settings.collections_path, name) for name in ("demo", "photos"))
for collection in (demo, photos):
    for source in ensure_models(collection, settings):
        print(f"stored a model at {source}")
written, removed = mirror(scene_pictures(), demo.source, settings)
print(f"filled {demo.source}: {written} written, {removed} removed")
