-- name: find_backend
-- the process that answers; behind a pooler it is not the one that the connection started with
SELECT pg_catalog.pg_backend_pid() AS pid;

-- name: lift_limits
-- runs lift the limits that a role or server sets for people: listings and index builds take long
SET {scope} statement_timeout = 0;
SET {scope} lock_timeout = 0;
SET {scope} idle_in_transaction_session_timeout = 0;
SET {scope} idle_session_timeout = 0;

-- name: lift_transaction_limit
SET {scope} transaction_timeout = 0;

-- name: lift_idle_limits
-- a pool's connection is idle between two requests, and may be between two statements of one
SET {scope} idle_in_transaction_session_timeout = 0;
SET {scope} idle_session_timeout = 0;

-- name: limit
-- never above the limit of the role, the database or the server
SELECT set_config(name, least(nullif(reset_val::bigint, 0), %(ms)s)::text, %(is_local)s)
FROM pg_settings WHERE name = %(name)s;

-- name: prepare
-- The settings that statements and psycopg rely on, whatever role, database and environment have set. On the last
-- search_path, only this session's temporary tables come before the catalog, and pgvector's schema is found wherever it
-- is.
SET {scope} client_encoding = 'UTF8';
SET {scope} DateStyle = 'ISO';
SET {scope} standard_conforming_strings = on;
SET {scope} search_path = pg_catalog;
SET {scope} default_transaction_isolation = 'read committed';

-- name: become_owner
-- new objects belong to the schema's owner, whoever creates them; otherwise the next role could not replace or drop
-- them
SELECT set_config('role', pg_get_userbyid(nspowner), {is_local})
FROM pg_namespace
WHERE nspname = 'retrieval' AND pg_get_userbyid(nspowner) <> current_user AND pg_has_role(nspowner, 'SET');

-- name: find_extension
SELECT e.extversion AS version, n.nspname AS schema, has_schema_privilege(n.oid, 'USAGE') AS usable,
       current_user AS role, set_config('search_path', 'pg_catalog, ' || quote_ident(n.nspname), {is_local}) AS path
FROM pg_extension AS e
JOIN pg_namespace AS n ON n.oid = e.extnamespace
WHERE e.extname = 'vector';

-- name: find_available
-- the version of pgvector on the server, whether or not the database has it
SELECT default_version AS version FROM pg_available_extensions WHERE name = 'vector';

-- name: read_version
SELECT version_num AS version FROM retrieval.alembic_version;

-- name: find_rights
-- missing: the schemas to create
SELECT has_database_privilege(current_database(), 'CREATE') AS may_create, current_user AS role,
       ARRAY(SELECT name FROM unnest(ARRAY['retrieval', 'images']) AS name WHERE to_regnamespace(name) IS NULL) AS missing,
       current_setting('transaction_read_only')::boolean AS read_only;

-- name: lock_migrations
-- one migration at a time
SELECT pg_advisory_xact_lock(hashtextextended('image_retrieval:migrate', 0));

-- name: find_home
-- the schema for a new extension: the first on the role's search_path, or null
SELECT coalesce(
    (SELECT name FROM pg_catalog.unnest(pg_catalog.current_schemas(false)) AS name
     WHERE name OPERATOR(pg_catalog.<>) 'pg_catalog' LIMIT 1),
    (SELECT nspname FROM pg_catalog.pg_namespace WHERE nspname OPERATOR(pg_catalog.=) 'public')) AS schema;

-- name: make_extension
CREATE EXTENSION vector SCHEMA {schema};

-- name: make_schema
CREATE SCHEMA {schema};

-- name: load_extension
-- a session accepts hnsw.… in a function's settings only after loading pgvector, which using its types does
SELECT CAST('[1]' AS vector);

-- name: pin_search_path
DO $$
BEGIN
    IF to_regprocedure('retrieval.pin_search_path()') IS NOT NULL THEN
        PERFORM retrieval.pin_search_path();
    END IF;
END
$$;
