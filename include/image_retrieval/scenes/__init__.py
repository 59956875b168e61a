"""Synthetic pictures with known classes and captions; the same seed gives the same pictures.

A scene's class is the shape and the hue of its main things; their count, size, texture and places, the ground behind
them and a smaller companion vary inside a class. Another seed gives other scenes, which can serve as held-out data.
"""

from image_retrieval.scenes.scene import NEAR_DUPLICATE_EVERY, Scene, draw_scenes

__all__ = ["NEAR_DUPLICATE_EVERY", "Scene", "draw_scenes"]
