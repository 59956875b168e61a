"""The program that describes pictures: packed pixels in, captions out, by a model here or an endpoint."""
