-- Airflow's metadata, beside our tables: run once, when the volume of PostgreSQL is new.
CREATE DATABASE airflow;
