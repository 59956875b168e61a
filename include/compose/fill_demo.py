"""Puts the demo's pictures and its model into the store.

docker compose exec scheduler python include/compose/fill_demo.py
"""

from image_retrieval.collection import find_collection
from image_retrieval.local.filling import ensure_model, mirror, scene_pictures
from image_retrieval.settings import load_settings

settings = load_settings()
demo = find_collection(settings.collections_path, "demo")
ensure_model(demo.model.source, settings)
written, removed = mirror(scene_pictures(), demo.source, settings)
print(f"filled {demo.source}: {written} written, {removed} removed")
