-- Vectors of captions: a vector space of the collection and its text_model, like that of the images and their model. Each
-- vector is of the caption that the view shows, and its etag is the MD5 of that caption.
--
-- A trigger removes the vector of a caption that is no longer shown, so that no search finds an image by its former
-- caption. Whoever embeds captions looks for those without a vector.


CREATE OR REPLACE FUNCTION retrieval.forget_caption_vector() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    vectors text;
BEGIN
    FOR vectors IN
        SELECT s.vectors FROM retrieval.vector_space AS s
        JOIN retrieval.model AS m ON m.name = s.model AND m.family = 'text_encoder'
        WHERE s.collection = new.collection AND to_regclass(format('retrieval.%I', s.vectors)) IS NOT NULL
    LOOP
        EXECUTE format('DELETE FROM retrieval.%I WHERE id = $1', vectors) USING new.id;
    END LOOP;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION retrieval.forget_caption_vector IS 'Removes the vectors of an image''s former caption.';

CREATE OR REPLACE TRIGGER forget_caption_vector AFTER UPDATE OF caption, told, etag ON retrieval.image
FOR EACH ROW
WHEN (old.caption IS DISTINCT FROM new.caption OR new.caption IS NULL AND old.told IS DISTINCT FROM new.told)
EXECUTE FUNCTION retrieval.forget_caption_vector();


CREATE OR REPLACE FUNCTION retrieval.text_model_of(collection text) RETURNS text
LANGUAGE plpgsql STABLE SECURITY DEFINER AS $$
DECLARE
    model text;
BEGIN
    PERFORM retrieval.view_of(text_model_of.collection, NULL);
    SELECT c.text_model INTO model FROM retrieval.collection AS c WHERE c.name = text_model_of.collection;
    IF model IS NULL THEN
        RAISE EXCEPTION 'the captions of collection % have no vectors', quote_literal(text_model_of.collection)
            USING HINT = format('Name a text_model in its entry of collections.yaml, then run in a shell: image-retrieval caption %s', text_model_of.collection);
    END IF;
    RETURN model;
END
$$;
COMMENT ON FUNCTION retrieval.text_model_of IS 'The model whose vectors of a collection''s captions searches compare, or an error if there are none.';


CREATE OR REPLACE FUNCTION images.search_captions(
    collection     text,
    query          halfvec,
    k              integer DEFAULT 10,
    filter         jsonb DEFAULT '{}',
    min_similarity double precision DEFAULT NULL,
    grouped        boolean DEFAULT false
) RETURNS SETOF retrieval.result
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT * FROM retrieval.nearest(
        collection, query, CASE WHEN k > 1000000000 THEN 1000000000 ELSE k END, filter,
        CASE WHEN min_similarity IS NOT NULL THEN retrieval.checked_number('min_similarity', min_similarity, '-Infinity', 'Infinity') END,
        grouped, NULL, retrieval.text_model_of(collection));
END;
COMMENT ON FUNCTION images.search_captions IS
    'The k images of a collection whose captions are most similar to a vector of its text_model, best first; always k if that '
    'many with a caption match; else as images.search.';
