-- Schema version 6: searches that are complete.
--
-- A search returns min(k, matching rows) rows. An HNSW scan alone does not: it ends after ef_search candidates, or with
-- iterative scans after max_scan_tuples or too much memory. So it is asked where it is the sooner way, and where it
-- leaves rows wanting, it is asked for more once it is known how many match, or all that match are compared.


DROP FUNCTION images.similar_to(text, text, integer, jsonb, double precision);
DROP FUNCTION images.search(text, halfvec, integer, jsonb, double precision);

COMMENT ON TYPE retrieval.result IS 'One found image; similarity is 1 - cosine distance, the inner product, or 1 / (1 + L2 distance).';


CREATE FUNCTION retrieval.similarity(distance text, a halfvec, b halfvec) RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE distance WHEN 'cosine' THEN 1 - (a <=> b) WHEN 'inner_product' THEN -(a <#> b) WHEN 'l2' THEN 1 / (1 + (a <-> b)) END;
COMMENT ON FUNCTION retrieval.similarity IS
    'Larger is more alike: 1 - cosine distance, the inner product, or 1 / (1 + L2 distance).';


CREATE FUNCTION retrieval.operator(distance text) RETURNS text
LANGUAGE sql IMMUTABLE
RETURN CASE distance WHEN 'cosine' THEN '<=>' WHEN 'inner_product' THEN '<#>' WHEN 'l2' THEN '<->' END;
COMMENT ON FUNCTION retrieval.operator IS 'pgvector''s operator for a distance.';


CREATE FUNCTION retrieval.similarity_in_words(distance text) RETURNS text
LANGUAGE sql IMMUTABLE
RETURN CASE distance WHEN 'cosine' THEN '1 - distance' WHEN 'inner_product' THEN '-distance' WHEN 'l2' THEN '1 / (1 + distance)' END;
COMMENT ON FUNCTION retrieval.similarity_in_words IS 'The expression that makes a similarity of what the operator answers.';


-- EXPLAIN is no query to PostgreSQL, so this one function is volatile.
CREATE FUNCTION retrieval.expected_rows(view regclass, condition text, given text[]) RETURNS double precision
LANGUAGE plpgsql AS $$
DECLARE
    plan json;
BEGIN
    EXECUTE format('EXPLAIN (FORMAT JSON) SELECT FROM %s WHERE %s', view, condition) INTO plan USING given;
    RETURN greatest((plan #>> '{0,Plan,Plan Rows}')::double precision, 1);
END
$$;
COMMENT ON FUNCTION retrieval.expected_rows IS 'How many rows the planner expects to match a condition.';


-- Planning such a query takes as long as half the search, and PL/pgSQL keeps plans of fixed texts only: so each
-- collection has a text of its own for the most frequent search. A plan for any k would fear the index for the large
-- ones; without sorts there is no other way to the order that is asked for.
CREATE FUNCTION retrieval.write_nearest() RETURNS trigger
LANGUAGE plpgsql AS $write$
BEGIN
    IF TG_OP = 'DELETE' THEN
        EXECUTE format('DROP FUNCTION IF EXISTS retrieval.%I', 'nearest_' || old.name);
        RETURN NULL;
    END IF;
    EXECUTE format(
        $function$
        CREATE OR REPLACE FUNCTION retrieval.%1$I(query halfvec, k integer) RETURNS retrieval.result[]
        LANGUAGE plpgsql STABLE
        SET plan_cache_mode = 'force_generic_plan'
        SET enable_sort = off
        AS $body$
        BEGIN
            RETURN (
                SELECT array_agg((image_id, %3$s, image_path, resampled_image_path, group_id, intra_id, caption, width, height,
                                  attributes)::retrieval.result ORDER BY distance + 0, image_id)  -- + 0: the indexs order is not exact
                FROM (SELECT *, embedding %4$s query AS distance FROM images.%2$I ORDER BY embedding %4$s query LIMIT k) AS found);
        END
        $body$;
        COMMENT ON FUNCTION retrieval.%1$I IS 'The nearest k images of this collection by its index, which may find fewer.';
        $function$,
        'nearest_' || new.name, new.name, retrieval.similarity_in_words(new.distance), retrieval.operator(new.distance));
    RETURN NULL;
END
$write$;
COMMENT ON FUNCTION retrieval.write_nearest IS 'Keeps retrieval.nearest_<collection>, the search without filter, in step with the collections.';

CREATE TRIGGER write_nearest AFTER INSERT OR DELETE OR UPDATE OF distance ON retrieval.collection
FOR EACH ROW EXECUTE FUNCTION retrieval.write_nearest();

UPDATE retrieval.collection SET distance = distance;


CREATE FUNCTION retrieval.nearest(
    collection     text,
    query          halfvec,
    k              integer,
    filter         jsonb,
    min_similarity double precision,
    grouped        boolean,
    ef             integer
) RETURNS SETOF retrieval.result
LANGUAGE plpgsql STABLE
SET hnsw.iterative_scan = 'relaxed_order'
SET hnsw.max_scan_tuples = 20000
SET hnsw.scan_mem_multiplier = 8
SET hnsw.ef_search = 100
AS $$
DECLARE
    view      constant regclass := retrieval.view_of(nearest.collection);
    settings  retrieval.collection;
    index     record;
    condition text := 'true';
    given     text[] := '{}';
    expected  double precision;           -- rows that match, by the planner's estimate
    few       constant integer := 100;    -- so many matching rows per wanted one are compared sooner than found
    wanted    integer := k;               -- rows to find: more than k where the best of each group is asked for
    exact     boolean;
    class     text;                       -- of the index that is asked
    operator  text;
    answer    text;
    results   retrieval.result[];
    enough    boolean;
    hits      bigint;                     -- rows that came of the index
BEGIN
    SELECT * INTO settings FROM retrieval.collection AS c WHERE c.name = nearest.collection;
    IF query IS NULL OR vector_dims(query) <> settings.dimensions THEN
        RAISE EXCEPTION 'a query for collection % needs % dimensions, not %',
            quote_literal(nearest.collection), settings.dimensions, coalesce(vector_dims(query)::text, 'null')
            USING HINT = 'Embed the query with the collection''s own model.';
    END IF;
    IF k IS NULL OR k < 1 THEN
        RAISE EXCEPTION 'k is a number from 1 on, not %', coalesce(k::text, 'null');
    END IF;
    IF filter <> '{}' THEN
        SELECT * INTO given, condition FROM retrieval.condition_of(filter, given);
    END IF;
    operator := retrieval.operator(settings.distance);
    SELECT o.opcname AS class, t.reltuples AS rows INTO index  -- valid, and made for the distance
    FROM pg_class AS t
    JOIN pg_index AS i ON i.indrelid = t.oid AND i.indisvalid
    JOIN pg_opclass AS o ON o.oid = i.indclass[0]
    WHERE t.oid = to_regclass(format('retrieval.%I', 'vector_' || settings.name || '_' || settings.model))
      AND o.opcname IN ('bit_hamming_ops', CASE settings.distance WHEN 'cosine' THEN 'halfvec_cosine_ops'
                            WHEN 'inner_product' THEN 'halfvec_ip_ops' ELSE 'halfvec_l2_ops' END)
    ORDER BY o.opcname DESC
    LIMIT 1;
    exact := index.class IS NULL OR coalesce(ef, 1) = 0 OR k > 1000;
    IF grouped THEN
        wanted := 5 * least(k, 1000);
    END IF;
    IF NOT exact AND condition <> 'true' THEN
        expected := retrieval.expected_rows(view, condition, given);
        exact := expected < few * wanted;
    END IF;
    LOOP
        ef := least(1001, greatest(coalesce(nullif(ef, 0), settings.ef_search), 2.0 * wanted, 2.0 * wanted * index.rows / expected));
        exact := exact OR condition <> 'true' AND ef > 1000;
        ef := least(ef, 1000);
        class := CASE WHEN NOT exact THEN index.class END;
        -- what an iterative scan finds late is not the nearest: under a filter all rows must be among the first candidates
        PERFORM set_config('hnsw.ef_search', ef::text, true),
                set_config('hnsw.iterative_scan', CASE condition WHEN 'true' THEN 'relaxed_order' ELSE 'off' END, true);
        IF class LIKE 'halfvec%' AND condition = 'true' AND NOT coalesce(grouped, false) THEN
            EXECUTE format('SELECT retrieval.%I($1, $2)', 'nearest_' || settings.name) INTO results USING query, k;
            EXIT WHEN cardinality(results) >= k;
            exact := true;
            CONTINUE;
        END IF;
        answer := format(
            $query$
            WITH nearest AS MATERIALIZED (
                SELECT image_id, image_path, resampled_image_path, group_id, intra_id, caption, width, height, attributes,
                       embedding %1$s $2 AS distance
                FROM %2$s
                WHERE %3$s
                ORDER BY %4$s
                LIMIT $3
            ), best AS (
                %5$s
            )
            SELECT array_agg((image_id, similarity, image_path, resampled_image_path, group_id, intra_id, caption,
                              width, height, attributes)::retrieval.result ORDER BY distance, image_id),
                   count(*) >= $4, (SELECT count(*) FROM nearest)
            FROM (SELECT *, %6$s AS similarity FROM best ORDER BY distance + 0, image_id LIMIT $4) AS found
            $query$,
            operator, view, condition,
            CASE class
                WHEN 'bit_hamming_ops' THEN format('binary_quantize(embedding)::bit(%1$s) <~> binary_quantize($2)::bit(%1$s)', settings.dimensions)
                ELSE format('(embedding %s $2)%s', operator, CASE WHEN class IS NULL THEN ' + 0' ELSE '' END)  -- + 0: no index
            END,
            CASE WHEN grouped THEN
                'SELECT DISTINCT ON (group_id, CASE WHEN group_id IS NULL THEN image_id END) * FROM nearest '
                'ORDER BY group_id, CASE WHEN group_id IS NULL THEN image_id END, distance'
            ELSE 'SELECT * FROM nearest' END,
            retrieval.similarity_in_words(settings.distance));
        EXECUTE answer INTO results, enough, hits
        USING given, query,
              CASE WHEN class = 'bit_hamming_ops' THEN greatest(ef, wanted) WHEN NOT exact OR NOT grouped THEN wanted END,
              k;
        EXIT WHEN enough OR exact;
        IF hits >= wanted AND wanted < 1000 THEN  -- too many of one group
            wanted := wanted * 10;
        ELSIF hits BETWEEN 1 AND wanted - 1 AND condition <> 'true' AND ef < 1000 THEN  -- fewer match than was expected
            expected := index.rows * hits / ef;
        ELSE
            exact := true;
        END IF;
    END LOOP;
    RETURN QUERY SELECT * FROM unnest(results) AS r WHERE min_similarity IS NULL OR r.similarity >= min_similarity;
END
$$;
COMMENT ON FUNCTION retrieval.nearest IS
    'What images.search does; ef is how many candidates an index keeps, null: as the collection says, 0: no index.';


CREATE FUNCTION images.search(
    collection     text,
    query          halfvec,
    k              integer DEFAULT 10,
    filter         jsonb DEFAULT '{}',
    min_similarity double precision DEFAULT NULL,
    grouped        boolean DEFAULT false
) RETURNS SETOF retrieval.result
LANGUAGE sql STABLE AS $$
    SELECT * FROM retrieval.nearest(collection, query, k, filter, min_similarity, grouped, NULL)
$$;
COMMENT ON FUNCTION images.search IS
    'The k images of a collection that are most similar to a vector, best first; always k where so many match. '
    'filter is such as {"group_id": "shoes", "width": {"gte": 500}, "attributes": {"colour": {"any": ["red", "blue"]}}}; '
    'grouped: only the best image of each group_id.';


CREATE FUNCTION images.similar_to(
    collection     text,
    image_id       text,
    k              integer DEFAULT 10,
    filter         jsonb DEFAULT '{}',
    min_similarity double precision DEFAULT NULL,
    grouped        boolean DEFAULT false
) RETURNS SETOF retrieval.result
LANGUAGE sql STABLE AS $$
    SELECT *
    FROM images.search(
        collection, retrieval.embedding_of(collection, similar_to.image_id), k,
        jsonb_build_object('and', jsonb_build_array(
            coalesce(filter, '{}'), jsonb_build_object('not', jsonb_build_object('image_id', similar_to.image_id)))),
        min_similarity, grouped)
$$;
COMMENT ON FUNCTION images.similar_to IS
    'The k images that are most similar to one that the collection holds, best first, itself left out; else as images.search.';


CREATE OR REPLACE FUNCTION images.match(collection text, a text, b text) RETURNS double precision
LANGUAGE sql STABLE AS $$
    SELECT retrieval.similarity(
        (SELECT c.distance FROM retrieval.collection AS c WHERE c.name = match.collection),
        retrieval.embedding_of(collection, a), retrieval.embedding_of(collection, b))
$$;
COMMENT ON FUNCTION images.match IS 'Similarity of two images of a collection, by its distance.';
