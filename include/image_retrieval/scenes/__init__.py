"""Synthetic pictures whose likeness and captions are known, the same from the same seed.

A scene's class is the shape and the hue of its main things; their count, size, texture and places, the ground behind
them and a smaller companion vary inside a class. Scenes of another seed are other scenes: held out from those of this.
"""

from image_retrieval.scenes.scene import NEAR_DUPLICATE_EVERY, Scene, draw_scenes

__all__ = ["NEAR_DUPLICATE_EVERY", "Scene", "draw_scenes"]
