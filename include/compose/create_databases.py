"""Creates the databases that are missing: the project's, and Airflow's metadata database."""

import psycopg

from image_retrieval.settings import load_settings

url = load_settings().database()
ours = psycopg.conninfo.conninfo_to_dict(url)["dbname"]
with psycopg.connect(url, dbname="postgres", autocommit=True) as connection:
    there = {name for (name,) in connection.execute("SELECT datname FROM pg_database")}
    for name in (ours, "airflow"):
        if name not in there:
            connection.execute(psycopg.sql.SQL("CREATE DATABASE {}").format(psycopg.sql.Identifier(str(name))))
