-- Schema version 7: what the search service keeps: texts already embedded, calibrations, collections made by its API.

ALTER TABLE retrieval.model ADD COLUMN calibration jsonb;
COMMENT ON COLUMN retrieval.model.calibration IS
    'Per direction (image_image, text_image_en, text_image_zh) how a cosine becomes a score of 0 to 1; null where the model brings none.';


CREATE TABLE retrieval.query (
    model      text NOT NULL REFERENCES retrieval.model ON DELETE CASCADE,
    text       text NOT NULL,
    embedding  halfvec NOT NULL,
    uses       bigint NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    used_at    timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX query_text ON retrieval.query (model, md5(text));
COMMENT ON TABLE retrieval.query IS 'Texts that were searched for, embedded once per model, so that SQL can search by them again.';
COMMENT ON COLUMN retrieval.query.model IS 'Model that embedded it; a name never changes its weights.';
COMMENT ON COLUMN retrieval.query.text IS 'The text as it was given.';
COMMENT ON COLUMN retrieval.query.embedding IS 'Its vector, of length 1, in half precision.';
COMMENT ON COLUMN retrieval.query.uses IS 'How often a service fetched or made it; what a service answered out of its own memory is not counted.';
COMMENT ON COLUMN retrieval.query.created_at IS 'When it was embedded.';
COMMENT ON COLUMN retrieval.query.used_at IS 'When a service last fetched or made it.';


CREATE TABLE retrieval.made_collection (
    name       text PRIMARY KEY CHECK (name ~ '^[a-z][a-z0-9_]*$'),
    definition jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE retrieval.made_collection IS 'Collections made through the API; those of collections.yaml are not among them.';
COMMENT ON COLUMN retrieval.made_collection.name IS 'Name of the collection.';
COMMENT ON COLUMN retrieval.made_collection.definition IS 'What an entry of collections.yaml would hold, every default filled in.';
COMMENT ON COLUMN retrieval.made_collection.created_at IS 'When it was made.';


CREATE FUNCTION retrieval.query_vector(collection text, text text) RETURNS halfvec
LANGUAGE plpgsql STABLE AS $$
DECLARE
    found halfvec;
BEGIN
    PERFORM retrieval.view_of(query_vector.collection);
    SELECT q.embedding INTO found
    FROM retrieval.collection AS c
    JOIN retrieval.query AS q ON q.model = c.model
    WHERE c.name = query_vector.collection AND md5(q.text) = md5(query_vector.text) AND q.text = query_vector.text;
    RETURN found;
END
$$;
COMMENT ON FUNCTION retrieval.query_vector IS 'The vector of a text under a collection''s model; null where it is not embedded yet.';


CREATE FUNCTION images.search_text(
    collection     text,
    text           text,
    k              integer DEFAULT 10,
    filter         jsonb DEFAULT '{}',
    min_similarity double precision DEFAULT NULL
) RETURNS SETOF retrieval.result
LANGUAGE plpgsql STABLE AS $$
DECLARE
    query constant halfvec := retrieval.query_vector(search_text.collection, search_text.text);
BEGIN
    IF query IS NULL THEN
        RAISE EXCEPTION 'the text % is not embedded yet for collection %',
            quote_literal(search_text.text), quote_literal(search_text.collection)
            USING HINT = format(
                'With the service running: CALL images.embed_text(%1$L, %2$L); without it, in a shell: image-retrieval embed-text %1$s %2$L',
                search_text.collection, search_text.text);
    END IF;
    RETURN QUERY SELECT * FROM images.search(search_text.collection, query, search_text.k, search_text.filter, search_text.min_similarity);
END
$$;
COMMENT ON FUNCTION images.search_text IS
    'The k images of a collection that fit a text best (similarity = 1 - cosine distance), where that text was embedded before.';


-- A procedure, and not a function, since a notification leaves with its transaction only: it commits, then looks for
-- the row that the service writes.
CREATE PROCEDURE images.embed_text(collection text, text text, seconds double precision DEFAULT 10)
LANGUAGE plpgsql AS $$
DECLARE
    until constant timestamptz := clock_timestamp() + make_interval(secs => embed_text.seconds);
BEGIN
    IF retrieval.query_vector(embed_text.collection, embed_text.text) IS NOT NULL THEN
        RETURN;
    END IF;
    IF octet_length(embed_text.text) NOT BETWEEN 1 AND 4000 THEN
        RAISE EXCEPTION 'a text to embed has 1 to 4000 bytes, not %', octet_length(embed_text.text);
    END IF;
    PERFORM pg_notify('image_retrieval_embed_text', jsonb_build_object('collection', embed_text.collection, 'text', embed_text.text)::text);
    COMMIT;
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
COMMENT ON PROCEDURE images.embed_text IS
    'Has the running service embed a text, so that images.search_text can answer from it; outside of a transaction block.';
