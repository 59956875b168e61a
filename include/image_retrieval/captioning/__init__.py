"""The program that captions pictures: packed pixels in, captions out, by a model in this process or by an endpoint."""
