-- What the images of a collection have in common: their formats, colours, shapes, groups and years, counted.
CREATE OR REPLACE FUNCTION images.facets(collection text, filter jsonb DEFAULT '{}', most integer DEFAULT 20)
RETURNS TABLE (facet text, value text, images bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER AS $$
DECLARE
    condition text := 'true';
    given     text[] := '{}';
BEGIN
    IF most IS NULL OR most < 1 THEN
        RAISE EXCEPTION 'most must be 1 or more, not %', coalesce(most::text, 'null');
    END IF;
    IF filter <> '{}' THEN
        SELECT * INTO given, condition FROM retrieval.condition_of(filter, given);
    END IF;
    RETURN QUERY EXECUTE format(
        $query$
        WITH found AS MATERIALIZED (
            SELECT format, orientation, colours, group_id, captured_at FROM %s WHERE %s
        ), told AS (
            SELECT facet, value, count(*) AS images
            FROM found, LATERAL (
                VALUES ('format', format), ('orientation', orientation), ('group_id', group_id),
                       ('year', to_char(captured_at, 'YYYY'))
                UNION ALL SELECT 'colour', unnest(colours)
            ) AS facets (facet, value)
            WHERE value IS NOT NULL
            GROUP BY facet, value
        ), numbered AS (
            SELECT told.*, row_number() OVER (PARTITION BY facet ORDER BY told.images DESC, value COLLATE "C") AS place FROM told
        )
        SELECT facet, value, images FROM numbered WHERE place <= $2 ORDER BY facet, place
        $query$, retrieval.view_of(collection, NULL), condition)
    USING given, most;
END
$$;
COMMENT ON FUNCTION images.facets IS
    'How many images of a collection, or of those that match a filter, have each format, orientation, colour, group_id and year of '
    'capture; the most frequent values of each, at most `most`.';


CREATE OR REPLACE FUNCTION retrieval.matching_ids(collection text, filter jsonb, after text, most integer)
RETURNS SETOF text
LANGUAGE plpgsql STABLE SECURITY DEFINER AS $$
DECLARE
    given     text[] := '{}';
    condition text;
BEGIN
    SELECT * INTO given, condition FROM retrieval.condition_of(filter, given);
    RETURN QUERY EXECUTE format(
        $query$
        SELECT image_id FROM %s WHERE ($2 IS NULL OR image_id COLLATE "C" > $2) AND %s
        ORDER BY image_id COLLATE "C" LIMIT $3
        $query$, retrieval.view_of(collection, NULL), condition)
    USING given, after, most;
END
$$;
COMMENT ON FUNCTION retrieval.matching_ids IS 'The ids of a collection''s images that match a filter, in order, beginning after a given one.';
