-- Schema version 11: searches by text keep the best image of each group, too.

DROP FUNCTION images.search_text(text, text, integer, jsonb, double precision);

CREATE FUNCTION images.search_text(
    collection     text,
    text           text,
    k              integer DEFAULT 10,
    filter         jsonb DEFAULT '{}',
    min_similarity double precision DEFAULT NULL,
    grouped        boolean DEFAULT false
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
    RETURN QUERY SELECT * FROM images.search(search_text.collection, query, search_text.k, search_text.filter,
                                             search_text.min_similarity, search_text.grouped);
END
$$;
COMMENT ON FUNCTION images.search_text IS
    'The k images of a collection that fit a text best, where that text was embedded before; with grouped, the best of each of k groups.';
