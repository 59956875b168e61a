"""Turns the bytes of any image into the pixels that a model reads."""
