-- Makes functions work in the same way for every caller, whichever schema pgvector is in.
--
-- A function that PostgreSQL parses at each call finds operators, types and functions on the caller's search_path,
-- which may lack pgvector's, and may have somebody else's. So each such function has a search_path of its own. A
-- function that is parsed at creation (BEGIN ATOMIC, RETURN) needs none, and PostgreSQL can still inline it.
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
          AND p.prosqlbody IS NULL AND p.prokind = 'f'  -- a procedure with settings cannot commit
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
    'Gives the functions of this schema and of images a search_path with pgvector''s schema and no other; each migrate calls it.';
