"""The pod's program: packed pixels in, vectors out. Needs the object store and a model, no database and no Airflow."""
