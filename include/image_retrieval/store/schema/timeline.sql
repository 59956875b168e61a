-- When the images of a collection were taken: bars of the smallest unit that needs few enough of them.
CREATE OR REPLACE FUNCTION images.timeline(collection text, filter jsonb DEFAULT '{}', most integer DEFAULT 60)
RETURNS TABLE (unit text, since timestamp, until timestamp, images bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER AS $$
DECLARE
    view      constant regclass := retrieval.view_of(timeline.collection, NULL);
    condition text := 'true';
    given     text[] := '{}';
    earliest  constant timestamp := '0001-01-01';  -- of the years that clients can read
    latest    constant timestamp := '9999-12-31 23:59:59.999999';
    first     timestamp;
    last      timestamp;
    width     interval;
    step      record;
BEGIN
    IF most IS NULL OR most NOT BETWEEN 1 AND 10000 THEN
        RAISE EXCEPTION 'most must be 1 to 10000, not %', coalesce(most::text, 'null');
    END IF;
    IF filter <> '{}' THEN
        SELECT * INTO given, condition FROM retrieval.condition_of(filter, given);
    END IF;
    EXECUTE format(
        'SELECT min(captured_at), max(captured_at) FROM %s WHERE captured_at BETWEEN $2 AND $3 AND (%s)', view, condition)
    INTO first, last USING given, earliest, latest;
    FOR step IN
        SELECT * FROM (VALUES
            ('hour', interval '1 hour', interval '1 hour'), ('day', '1 day', '1 day'), ('week', '7 days', '7 days'),
            ('month', '1 month', '28 days'), ('quarter', '3 months', '90 days'), ('year', '1 year', '365 days'),
            ('decade', '10 years', '3652 days'), ('century', '100 years', '36524 days'), ('millennium', '1000 years', '365242 days')
        ) AS steps (name, width, shortest)
    LOOP
        unit := step.name;
        width := step.width;
        EXIT WHEN last - date_trunc(unit, first) < most * step.shortest;
    END LOOP;
    RETURN QUERY EXECUTE format(
        $query$
        WITH counted AS (
            SELECT date_trunc($2, captured_at) AS since, count(*) AS images
            FROM %s WHERE captured_at BETWEEN $6 AND $7 AND (%s)
            GROUP BY 1
        )
        SELECT $2, greatest(bar, $6), least(bar + $3, $7), coalesce(c.images, 0)
        FROM generate_series(date_trunc($2, $4), $5, $3) AS bar LEFT JOIN counted AS c ON c.since = bar
        ORDER BY bar
        $query$, view, condition)
    USING given, unit, width, first, last, earliest, latest;
END
$$;
COMMENT ON FUNCTION images.timeline IS
    'How many images of a collection, or of those that match a filter, were taken when, by the cameras'' clocks: bars of one unit '
    '(hour to millennium) from the first image to the last, at most `most`, if that is 10 or more. Images without a time are left out.';
