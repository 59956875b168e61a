-- name: find_database
SELECT 1 AS found FROM pg_database WHERE datname = %(name)s;

-- name: create_database
CREATE DATABASE {database};
