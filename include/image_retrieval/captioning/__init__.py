"""The program that describes pictures: packed pixels in, captions out. Needs the object store and a model or an endpoint."""
