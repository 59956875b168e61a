-- Why a search takes the way that it takes, in words and figures.


CREATE OR REPLACE FUNCTION retrieval.way_in_words(way jsonb) RETURNS text
LANGUAGE sql IMMUTABLE
RETURN CASE
    WHEN way IS NULL THEN 'the index of the vectors, without a filter'
    WHEN (way ->> 'few')::boolean THEN 'the matching images are found first, then only their vectors are read and compared'
    WHEN (way ->> 'exact')::boolean THEN 'all vectors are read, and those of the matching images compared'
    ELSE 'the index of the vectors gives the nearest candidates, and those that match are kept'
END;
COMMENT ON FUNCTION retrieval.way_in_words IS 'The way of a search, as retrieval.nearest notes it.';


CREATE OR REPLACE FUNCTION retrieval.reason_in_words(way jsonb, costs jsonb, k integer) RETURNS text
LANGUAGE sql IMMUTABLE
RETURN CASE
    WHEN way IS NULL THEN 'it finds k images without comparing the others'
    WHEN way -> 'indexed' = 'false' THEN 'the vectors have no index, so all are compared'
    WHEN k > 1000 THEN 'an index gives at most 1000 candidates in order'
    WHEN way ->> 'condition' = 'true' THEN 'the filter lets every image through'
    ELSE format(
        'comparing what matches would cost about %s ms, and asking the index for %s candidates about %s ms (costs: %s)',
        round((((way ->> 'finding')::double precision * retrieval.cost(costs, 'unit')
                + (way ->> 'expected')::double precision * retrieval.cost(costs, 'vector')) / 1000)::numeric, 1),
        way ->> 'asked',
        round(((way ->> 'asked')::double precision * retrieval.cost(costs, 'candidate') / 1000)::numeric, 1),
        CASE WHEN costs IS NULL THEN 'as usual, until the upkeep measures them' ELSE 'as the upkeep measured them' END)
END;
COMMENT ON FUNCTION retrieval.reason_in_words IS 'Why a search takes its way.';


CREATE OR REPLACE FUNCTION retrieval.advice_for(collection text, filter jsonb, way jsonb, matching bigint, milliseconds double precision)
RETURNS text
LANGUAGE sql STABLE
AS $$
    SELECT coalesce(
        (SELECT 'faster with an index: '
                || string_agg(DISTINCT 'CREATE INDEX CONCURRENTLY ' || i.definition
                              || coalesce(format('; CREATE STATISTICS retrieval.%I ON %s FROM retrieval.image; ANALYZE retrieval.image', i.name || '_stat', i.expression), ''), '; ')
                || '; the upkeep makes it where collections.yaml says filter_indexes: true'
         FROM retrieval.filter_parts(filter) AS p, retrieval.filter_index(advice_for.collection, p.kind, p.subject) AS i
         WHERE i.name IS NOT NULL AND retrieval.serving_index(advice_for.collection, p.kind, p.subject) IS NULL
           AND milliseconds > 20 AND matching < 0.1 * (way ->> 'rows')::double precision),
        (SELECT format('the planner expected %s matching rows instead of %s: run ANALYZE retrieval.image', way ->> 'expected', matching)
         WHERE (SELECT count(*) FROM retrieval.filter_parts(filter)) = 1  -- several are expected as if they were independent
           AND NOT (way ->> 'expected')::double precision BETWEEN matching / 10.0 AND greatest(matching, 1) * 10.0),
        'none: no index is missing')
$$;
COMMENT ON FUNCTION retrieval.advice_for IS 'What would make a search faster.';


CREATE OR REPLACE FUNCTION images.explain_search(
    collection text, query halfvec, k integer DEFAULT 10, filter jsonb DEFAULT '{}'
) RETURNS TABLE (what text, told text)
LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    view     regclass;
    costs    jsonb;
    way      jsonb;
    results  bigint;
    matching bigint;
    started  timestamptz;
    times    double precision[] := '{}';
    given    text[] := '{}';
    condition text;
BEGIN
    view := retrieval.view_of(explain_search.collection, NULL);
    SELECT c.costs INTO costs FROM retrieval.collection AS c WHERE c.name = explain_search.collection;
    FOR turn IN 1..2 LOOP
        PERFORM set_config('image_retrieval.way', '', true);
        started := clock_timestamp();
        SELECT count(*) INTO results FROM images.search(explain_search.collection, query, k, filter);
        times := times || extract(epoch FROM clock_timestamp() - started) * 1000::double precision;
    END LOOP;
    way := nullif(current_setting('image_retrieval.way', true), '')::jsonb;
    SELECT c.given, c.condition INTO given, condition FROM retrieval.condition_of(filter, given) AS c;
    EXECUTE format('SELECT count(*) FROM %s WHERE %s', view, condition) INTO matching USING given;
    RETURN QUERY VALUES
        ('way', retrieval.way_in_words(way)),
        ('why', retrieval.reason_in_words(way, costs, k)),
        ('matching rows', matching || coalesce('; the planner expected ' || (way ->> 'expected'), '')),
        ('results', results::text),
        ('candidates', coalesce(CASE WHEN (way ->> 'exact')::boolean THEN 'none: the index of the vectors is not used' ELSE way ->> 'asked' END, 'k, or ef_search of the collection')),
        ('time', format('%s ms, then %s ms', round(times[1]::numeric, 1), round(times[2]::numeric, 1)));
    RETURN QUERY
        SELECT 'index for ' || p.kind || ' ' || p.subject, coalesce(retrieval.serving_index(explain_search.collection, p.kind, p.subject), 'none')
        FROM retrieval.filter_parts(filter) AS p
        ORDER BY 1;
    RETURN QUERY VALUES ('advice', retrieval.advice_for(explain_search.collection, filter, way, matching, times[2]));
END
$$;
COMMENT ON FUNCTION images.explain_search IS
    'Runs images.search twice, and tells which way it takes and why, how many rows match, how long it takes, and what would make it faster.';
