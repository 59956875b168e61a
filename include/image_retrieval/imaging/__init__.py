"""From the bytes of any image to the pixels that a model reads."""
