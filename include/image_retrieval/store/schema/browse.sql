-- The images of a collection that match a filter, page by page.
CREATE OR REPLACE FUNCTION retrieval.browse(collection text, filter jsonb, after text, k integer) RETURNS SETOF text
LANGUAGE plpgsql STABLE SECURITY DEFINER AS $$
DECLARE
    condition text;
    given     text[] := '{}';
BEGIN
    SELECT * INTO given, condition FROM retrieval.condition_of(filter, given);
    RETURN QUERY EXECUTE format(
        'SELECT image_id FROM %s WHERE ($2 IS NULL OR image_id COLLATE "C" > $2) AND (%s) ORDER BY image_id COLLATE "C" LIMIT $3',
        retrieval.view_of(browse.collection, NULL), condition)
    USING given, after, k;
END
$$;
COMMENT ON FUNCTION retrieval.browse IS 'The ids of the first k images after an id that match a filter, in their order.';
