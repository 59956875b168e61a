-- Texts as queries: the service or the command line embeds each text once per model, and searches use its vector.


CREATE OR REPLACE FUNCTION retrieval.query_vector(collection text, text text) RETURNS halfvec
LANGUAGE plpgsql STABLE SECURITY DEFINER AS $$
DECLARE
    vector halfvec;
BEGIN
    PERFORM retrieval.view_of(query_vector.collection, NULL);
    IF query_vector.text IS NULL OR retrieval.is_blank(query_vector.text) THEN
        RAISE EXCEPTION 'text is %', CASE WHEN query_vector.text IS NULL THEN 'null' ELSE 'blank' END;
    ELSIF length(query_vector.text) > 1000 THEN
        RAISE EXCEPTION 'text has % characters: at most 1000 are allowed', length(query_vector.text);
    END IF;
    SELECT q.embedding INTO vector
    FROM retrieval.collection AS c
    JOIN retrieval.query AS q ON q.model = c.model
    WHERE c.name = query_vector.collection AND md5(q.text) = md5(query_vector.text) AND q.text = query_vector.text;
    RETURN vector;
END
$$;
COMMENT ON FUNCTION retrieval.query_vector IS
    'The vector of a text under a collection''s model; null if it is not embedded yet, an error if the text is not a valid query.';


CREATE OR REPLACE FUNCTION retrieval.is_embedded(collection text, text text) RETURNS boolean
LANGUAGE plpgsql STABLE SECURITY DEFINER AS $$
BEGIN
    PERFORM retrieval.view_of(is_embedded.collection, NULL);
    RETURN (
        SELECT coalesce(bool_and(EXISTS (
            SELECT FROM retrieval.query AS q WHERE q.model = m.name AND md5(q.text) = md5(is_embedded.text) AND q.text = is_embedded.text)), false)
        FROM retrieval.collection AS c JOIN retrieval.model AS m ON m.name = c.model OR m.name = c.text_model
        WHERE c.name = is_embedded.collection AND (m.name = c.text_model OR m.family = 'dual_encoder' OR c.text_model IS NULL));
END
$$;
COMMENT ON FUNCTION retrieval.is_embedded IS
    'Whether a text is embedded under the models of a collection that read texts: that of its vectors, and that of its captions.';


CREATE OR REPLACE FUNCTION retrieval.embedded_text(collection text, text text) RETURNS halfvec
LANGUAGE plpgsql STABLE AS $$
DECLARE
    vector constant halfvec := retrieval.query_vector(embedded_text.collection, embedded_text.text);
BEGIN
    IF vector IS NULL THEN
        RAISE EXCEPTION 'the text % is not embedded yet for collection %',
            quote_literal(embedded_text.text), quote_literal(embedded_text.collection)
            USING HINT = format(
                'With the service running: CALL images.embed_text(%1$L, %2$L); without it, in a shell: image-retrieval embed-text %1$s %2$L',
                embedded_text.collection, embedded_text.text);
    END IF;
    RETURN vector;
END
$$;
COMMENT ON FUNCTION retrieval.embedded_text IS 'The vector of a text under a collection''s model; an error if it is not embedded yet.';


CREATE OR REPLACE FUNCTION images.search_text(
    collection     text,
    text           text,
    k              integer DEFAULT 10,
    filter         jsonb DEFAULT '{}',
    min_similarity double precision DEFAULT NULL,
    grouped        boolean DEFAULT false
) RETURNS SETOF retrieval.result
LANGUAGE plpgsql STABLE AS $$
DECLARE
    query constant halfvec := retrieval.embedded_text(search_text.collection, search_text.text);
BEGIN
    RETURN QUERY SELECT * FROM images.search(search_text.collection, query, search_text.k, search_text.filter,
                                             search_text.min_similarity, search_text.grouped);
END
$$;
COMMENT ON FUNCTION images.search_text IS
    'The k images of a collection that fit a text best, if that text was embedded before; with grouped, the best of each of k groups.';


-- A procedure, and not a function, since a notification is only sent when its transaction commits. It commits, then
-- waits for the row that the service writes. A procedure that commits cannot have settings, so it sets its search_path
-- itself.
CREATE OR REPLACE PROCEDURE images.embed_text(collection text, text text, seconds double precision DEFAULT 10)
LANGUAGE plpgsql AS $$
DECLARE
    until timestamptz;
BEGIN
    PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
    until := clock_timestamp() + make_interval(secs => embed_text.seconds);
    PERFORM retrieval.query_vector(embed_text.collection, embed_text.text);  -- an error if it is no query
    IF retrieval.is_embedded(embed_text.collection, embed_text.text) THEN
        RETURN;
    END IF;
    IF octet_length(embed_text.text) NOT BETWEEN 1 AND 4000 THEN
        RAISE EXCEPTION 'a text to embed must have 1 to 4000 bytes, not %', octet_length(embed_text.text);
    END IF;
    PERFORM pg_notify('image_retrieval_embed_text', jsonb_build_object('collection', embed_text.collection, 'text', embed_text.text)::text);
    COMMIT;
    PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
    WHILE NOT retrieval.is_embedded(embed_text.collection, embed_text.text) LOOP
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
COMMENT ON PROCEDURE images.embed_text IS
    'Lets the running service embed a text, so that images.search_text can use it. Call it outside a transaction block.';
