-- Functions mean the same for every caller, wherever pgvector is.
--
-- A function that PostgreSQL parses when it is called finds operators, types and functions on the caller's search_path:
-- pgvector's may not be there, and somebody else's may. So each of them has a search_path of its own. What is parsed when
-- it is made (BEGIN ATOMIC, RETURN) needs none, and is still merged into the query that calls it.
CREATE OR REPLACE FUNCTION retrieval.pin_search_path() RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    path    constant text := (SELECT 'pg_catalog, ' || quote_ident(n.nspname) || ', pg_temp'
                              FROM pg_extension AS e JOIN pg_namespace AS n ON n.oid = e.extnamespace
                              WHERE e.extname = 'vector');
    routine record;
BEGIN
    FOR routine IN
        SELECT p.oid::regprocedure AS signature, coalesce(p.proconfig, '{}') AS settings, strpos(p.prosrc, E'\\') > 0 AS has_escapes
        FROM pg_proc AS p
        WHERE p.pronamespace IN ('retrieval'::regnamespace, 'images'::regnamespace)
          AND p.prosqlbody IS NULL AND p.prokind = 'f'  -- a procedure that is to commit can have no settings
    LOOP
        IF routine.settings @> ARRAY['search_path=' || path] IS NOT TRUE THEN
            EXECUTE format('ALTER FUNCTION %s SET search_path = %s', routine.signature, path);
        END IF;
        IF routine.has_escapes AND routine.settings @> '{standard_conforming_strings=on}' IS NOT TRUE THEN
            EXECUTE format('ALTER FUNCTION %s SET standard_conforming_strings = on', routine.signature);
        END IF;
    END LOOP;
END
$$;
COMMENT ON FUNCTION retrieval.pin_search_path IS
    'Lets the functions of this schema and of images find pgvector where it is, and nothing in other schemas; each migrate calls it.';
