-- Schema version 12: functions mean the same for every caller, wherever pgvector is.
--
-- A function that PostgreSQL parses when it is called finds operators, types and functions on the caller's search_path:
-- pgvector's may not be there, and somebody else's may. So each of them has a search_path of its own. What is parsed when
-- it is made (BEGIN ATOMIC, RETURN) needs none, and is still merged into the query that calls it.


CREATE FUNCTION retrieval.pin_search_path() RETURNS void
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


CREATE OR REPLACE FUNCTION images.search(
    collection     text,
    query          halfvec,
    k              integer DEFAULT 10,
    filter         jsonb DEFAULT '{}',
    min_similarity double precision DEFAULT NULL,
    grouped        boolean DEFAULT false
) RETURNS SETOF retrieval.result
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT * FROM retrieval.nearest(collection, query, k, filter, min_similarity, grouped, NULL);
END;


CREATE OR REPLACE FUNCTION images.similar_to(
    collection     text,
    image_id       text,
    k              integer DEFAULT 10,
    filter         jsonb DEFAULT '{}',
    min_similarity double precision DEFAULT NULL,
    grouped        boolean DEFAULT false
) RETURNS SETOF retrieval.result
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT *
    FROM images.search(
        collection, retrieval.embedding_of(collection, similar_to.image_id), k,
        jsonb_build_object('and', jsonb_build_array(
            coalesce(filter, '{}'), jsonb_build_object('not', jsonb_build_object('image_id', similar_to.image_id)))),
        min_similarity, grouped);
END;


-- As before, on a search_path that it sets itself in each of its transactions.
CREATE OR REPLACE PROCEDURE images.embed_text(collection text, text text, seconds double precision DEFAULT 10)
LANGUAGE plpgsql AS $$
DECLARE
    until timestamptz;
BEGIN
    PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
    until := clock_timestamp() + make_interval(secs => embed_text.seconds);
    IF retrieval.query_vector(embed_text.collection, embed_text.text) IS NOT NULL THEN
        RETURN;
    END IF;
    IF octet_length(embed_text.text) NOT BETWEEN 1 AND 4000 THEN
        RAISE EXCEPTION 'a text to embed has 1 to 4000 bytes, not %', octet_length(embed_text.text);
    END IF;
    PERFORM pg_notify('image_retrieval_embed_text', jsonb_build_object('collection', embed_text.collection, 'text', embed_text.text)::text);
    COMMIT;
    PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
    WHILE retrieval.query_vector(embed_text.collection, embed_text.text) IS NULL LOOP
        IF clock_timestamp() > until THEN
            RAISE EXCEPTION 'the text % was not embedded within % seconds', quote_literal(embed_text.text), embed_text.seconds
                USING HINT = format(
                    'Does the service run (image-retrieval serve), and does the model read texts? In a shell: image-retrieval embed-text %s %L',
                    embed_text.collection, embed_text.text);
        END IF;
        PERFORM pg_sleep(0.02);
    END LOOP;
END
$$;


-- As before, and what they make has their own search_path.
CREATE OR REPLACE FUNCTION retrieval.face_vectors(collection text, model text, distance text) RETURNS void
LANGUAGE plpgsql AS $face$
DECLARE
    name    constant text := face_vectors.collection || '_' || face_vectors.model;
    vectors constant text := 'vector_' || name;
    view    constant text := 'images_' || name;
BEGIN
    IF to_regclass(format('retrieval.%I', vectors)) IS NULL THEN
        RETURN;
    END IF;
    IF to_regclass(format('retrieval.%I', view)) IS NULL THEN  -- else not even a lock: people are searching
        PERFORM retrieval.make_view(
            format('retrieval.%I', view),
            format('%s AND has_table_privilege(to_regclass(%L), ''SELECT'')',
                   retrieval.view_text(vectors), format('images.%I', face_vectors.collection)),
            'What images.<collection> shows, has shown or will show, of one model.');
        EXECUTE format('GRANT SELECT ON retrieval.%I TO PUBLIC', view);
    END IF;
    EXECUTE format(
        $function$
        CREATE OR REPLACE FUNCTION retrieval.%1$I(query halfvec, k integer) RETURNS retrieval.result[]
        LANGUAGE plpgsql STABLE
        SET plan_cache_mode = 'force_generic_plan'
        SET enable_sort = off
        SET search_path FROM CURRENT
        AS $body$
        BEGIN
            RETURN (%2$s);
        END
        $body$;
        COMMENT ON FUNCTION retrieval.%1$I IS 'The nearest k images of this collection under this model by its index, which may find fewer.';
        $function$,
        'nearest_' || name, retrieval.nearest_in_words(view, face_vectors.distance));
END
$face$;


CREATE OR REPLACE FUNCTION retrieval.write_shortcut() RETURNS trigger
LANGUAGE plpgsql AS $write$
BEGIN
    IF NOT EXISTS (
        SELECT FROM pg_proc
        WHERE oid = to_regprocedure('retrieval.shortcut(text, halfvec, integer)') AND prosrc = retrieval.shortcut_in_words())
    THEN
        PERFORM pg_advisory_xact_lock(hashtextextended('image_retrieval:shortcut', 0));
        EXECUTE format(
            $function$
            CREATE OR REPLACE FUNCTION retrieval.shortcut(collection text, query halfvec, k integer) RETURNS retrieval.result[]
            LANGUAGE plpgsql STABLE
            SET plan_cache_mode = 'force_generic_plan'
            SET enable_sort = off
            SET search_path FROM CURRENT
            AS %L;
            COMMENT ON FUNCTION retrieval.shortcut IS
                'The nearest k images that a collection shows, by its index, which may find fewer; null where it has none.';
            $function$,
            retrieval.shortcut_in_words());
    END IF;
    RETURN NULL;
END
$write$;


SELECT retrieval.pin_search_path();
