"""The pod's program: packed pixels in, vectors out. Needs the object store and a model, but no database or Airflow."""
