-- The ways of a search with a filter, and what they cost.


-- PostgreSQL does not count EXPLAIN as a query, so this function is volatile.
CREATE OR REPLACE FUNCTION retrieval.expectation(
    matching regclass, condition text, given text[], vectors double precision, OUT rows double precision, OUT cost double precision
)
LANGUAGE plpgsql
SET max_parallel_workers_per_gather = 0  -- a parallel plan states the rows of one worker
SET random_page_cost = 1.1
SET jit = off
AS $$
DECLARE
    part  json;
    every json;
BEGIN
    EXECUTE format('EXPLAIN (FORMAT JSON) SELECT id FROM %s WHERE %s', matching, condition) INTO part USING given;
    EXECUTE format('EXPLAIN (FORMAT JSON) SELECT id FROM %s', matching) INTO every;
    rows := greatest(1, vectors * (part #>> '{0,Plan,Plan Rows}')::double precision
                                / greatest(1, (every #>> '{0,Plan,Plan Rows}')::double precision));
    cost := (part #>> '{0,Plan,Total Cost}')::double precision;
END
$$;
COMMENT ON FUNCTION retrieval.expectation IS
    'How many of a number of vectors the planner expects to match a condition, and its cost of finding them.';


-- Defaults: one core of a Xeon, all in memory.
CREATE OR REPLACE FUNCTION retrieval.cost(costs jsonb, name text) RETURNS double precision
LANGUAGE sql IMMUTABLE
RETURN coalesce((costs ->> name)::double precision, CASE name WHEN 'candidate' THEN 30 WHEN 'vector' THEN 4 WHEN 'unit' THEN 4 END);
COMMENT ON FUNCTION retrieval.cost IS
    'Microseconds of a candidate of the index, a vector compared by id, or a unit of the planner''s costs: as measured, else as usual.';


CREATE OR REPLACE FUNCTION retrieval.is_exact_cheaper(
    costs jsonb, asked double precision, expected double precision, finding double precision
) RETURNS boolean
LANGUAGE sql IMMUTABLE
RETURN finding * retrieval.cost(costs, 'unit') + expected * retrieval.cost(costs, 'vector')
       < asked * retrieval.cost(costs, 'candidate') * CASE WHEN asked > 1000 THEN 5 ELSE 1 END;  -- a scan that is resumed takes longer, and misses some
COMMENT ON FUNCTION retrieval.is_exact_cheaper IS
    'Whether comparing the expected matching rows, whose finding has a planner''s cost, is faster than asking the index for candidates.';


-- Ids first, by an index where the condition has one, and then only their vectors, in the order of the table.
CREATE OR REPLACE FUNCTION retrieval.few_in_words(name text, condition text, operator text, similarity text) RETURNS text
LANGUAGE sql IMMUTABLE
RETURN format(
    $query$
    WITH nearest AS MATERIALIZED (
        SELECT id, embedding %3$s $2 AS distance
        FROM retrieval.%5$I
        WHERE id = ANY (ARRAY(SELECT id FROM retrieval.%1$I WHERE %2$s))
        ORDER BY (embedding %3$s $2) + 0  -- + 0: no index
        FETCH FIRST $3 ROWS WITH TIES  -- of which the image_id decides
    )
    SELECT array_agg((image_id, %4$s, image_path, resampled_image_path, group_id, intra_id, caption, width, height,
                      attributes)::retrieval.result ORDER BY distance, image_id),
           true, count(*)
    FROM (SELECT * FROM nearest JOIN retrieval.%1$I USING (id) ORDER BY distance, image_id LIMIT $3) AS found
    $query$,
    'matching_' || name, condition, operator, similarity, 'vectors_' || name);
COMMENT ON FUNCTION retrieval.few_in_words IS 'The query that compares the images that match a condition, where these are few.';
