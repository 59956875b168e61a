-- Complete searches.
--
-- A search returns min(k, matching rows) rows. An HNSW scan alone does not: it ends after ef_search candidates, or with
-- iterative scans after max_scan_tuples or too much memory. So the index is used if it is the faster way, by what both
-- ways cost on this collection. If it returns too few rows, it is asked for more, by the share that matched, or all
-- matching rows are compared.
--
-- A search reads the model and the view of its vectors from one snapshot, so a switch that commits meanwhile comes
-- before or after it, never within.


-- Functions that search run as their owner, since no role may read the views behind images.<collection>: the condition of
-- a search could otherwise see rows of a collection that its role may not read. They ask for the right of the role that
-- calls: the one of SET ROLE, else that of the login.
CREATE OR REPLACE FUNCTION retrieval.caller() RETURNS name
LANGUAGE sql STABLE
RETURN CASE current_setting('role') WHEN 'none' THEN session_user ELSE current_setting('role')::name END;
COMMENT ON FUNCTION retrieval.caller IS 'The role that calls, also inside a function that runs as its owner.';


-- The view's name, or an error that lists the existing collections.
CREATE OR REPLACE FUNCTION retrieval.view_of(collection text) RETURNS regclass
LANGUAGE plpgsql STABLE AS $$
DECLARE
    view regclass;
BEGIN
    SELECT to_regclass(format('images.%I', c.name)) INTO view FROM retrieval.collection AS c WHERE c.name = view_of.collection;
    IF view IS NULL THEN
        RAISE EXCEPTION 'unknown collection %', quote_literal(view_of.collection)
            USING HINT = 'A collection''s first run makes its view. There are: ' || coalesce((SELECT string_agg(c.name, ', ' ORDER BY c.name) FROM retrieval.collection AS c), 'none');
    END IF;
    RETURN view;
END
$$;
COMMENT ON FUNCTION retrieval.view_of(text) IS 'The view of a collection, or an error that lists the existing collections.';


CREATE OR REPLACE FUNCTION retrieval.view_of(collection text, model text) RETURNS regclass
LANGUAGE plpgsql STABLE AS $$
DECLARE
    face constant regclass := to_regclass(format('images.%I', view_of.collection));
    view regclass;
BEGIN
    SELECT to_regclass(format('retrieval.%I', 'images_' || c.name || '_' || coalesce(view_of.model, c.model))) INTO view
    FROM retrieval.collection AS c WHERE c.name = view_of.collection AND face IS NOT NULL
      AND (coalesce(view_of.model, c.model) = c.model OR EXISTS (  -- else another collection's: names can be joined in two ways
          SELECT FROM retrieval.vector_space AS s WHERE s.collection = c.name AND s.model = view_of.model));
    IF view IS NULL THEN
        RAISE EXCEPTION 'unknown collection %', quote_literal(view_of.collection)
            USING HINT = 'A collection''s first run makes its view. There are: ' || coalesce((SELECT string_agg(c.name, ', ' ORDER BY c.name) FROM retrieval.collection AS c), 'none');
    END IF;
    IF NOT has_table_privilege(retrieval.caller(), face, 'SELECT') THEN
        RAISE insufficient_privilege USING MESSAGE = format('permission denied for view %s', face);
    END IF;
    RETURN view;
END
$$;
COMMENT ON FUNCTION retrieval.view_of(text, text) IS
    'The view of a collection''s vectors under a model (null: the model that is shown), or an error that lists the existing collections.';


CREATE OR REPLACE FUNCTION retrieval.find_embedding(collection text, image_id text, model text DEFAULT NULL) RETURNS halfvec
LANGUAGE plpgsql STABLE SECURITY DEFINER AS $$
DECLARE
    vector halfvec;
BEGIN
    EXECUTE format('SELECT embedding FROM %s WHERE image_id = $1', retrieval.view_of($1, $3)) INTO vector USING $2;
    RETURN vector;
END
$$;
COMMENT ON FUNCTION retrieval.find_embedding IS 'The vector of an image under a model (null: the model that is shown); null if there is none.';


CREATE OR REPLACE FUNCTION retrieval.embedding_of(collection text, image_id text) RETURNS halfvec
LANGUAGE plpgsql STABLE AS $$
DECLARE
    vector constant halfvec := retrieval.find_embedding($1, $2);
BEGIN
    IF vector IS NULL THEN
        RAISE EXCEPTION 'collection % has no image %', quote_literal($1), quote_literal($2)
            USING HINT = 'image_id is the object''s key under the collection''s source, without its extension.';
    END IF;
    RETURN vector;
END
$$;
COMMENT ON FUNCTION retrieval.embedding_of IS 'The vector of an image; an error if the collection does not have the image.';


CREATE OR REPLACE FUNCTION retrieval.nearest(
    collection     text,
    query          halfvec,
    k              integer,
    filter         jsonb,
    min_similarity double precision,
    grouped        boolean,
    ef             integer,
    model          text DEFAULT NULL
) RETURNS SETOF retrieval.result
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET hnsw.iterative_scan = 'relaxed_order'
SET hnsw.max_scan_tuples = 20000
SET hnsw.scan_mem_multiplier = 8
SET hnsw.ef_search = 100
SET enable_sort = on
SET random_page_cost = 1.1
SET jit = off
AS $$
DECLARE
    view      regclass;
    space     text;                       -- the names of the collection and the model, joined
    settings  retrieval.collection;
    index     record;
    condition text := 'true';
    given     text[] := '{}';
    expected  double precision;           -- rows that match, by the planner's estimate, then by what the index found
    finding   double precision;           -- what finding them costs, by the planner
    forced    constant boolean := ef IS NOT NULL;
    few       boolean := false;           -- matching rows are found first, and compared by id
    asked     double precision;           -- candidates of the index
    most      constant integer := 20000;  -- candidates, of which all are in order
    wanted    integer := k;               -- rows to find: more than k if only the best of each group is wanted
    sure      bigint;                     -- rows to find so that none is missed: the last candidates of an index are uncertain
    exact     boolean;
    class     text;                       -- of the index in use
    operator  text;
    answer    text;
    results   retrieval.result[];
    enough    boolean;
    hits      bigint;                     -- rows that the index returned
BEGIN
    IF filter = '{}' AND NOT grouped AND ef IS NULL AND nearest.model IS NULL AND k BETWEEN 1 AND 1000 THEN  -- asked most often
        SELECT format('SELECT retrieval.%I($1, $2)', 'nearest_' || c.name || '_' || c.model), least(1000, greatest(c.ef_search, 2 * k))
        INTO answer, ef
        FROM retrieval.collection AS c
        JOIN pg_index AS i ON i.indrelid = to_regclass(format('retrieval.%I', 'vector_' || c.name || '_' || c.model)) AND i.indisvalid
        JOIN pg_opclass AS o ON o.oid = i.indclass[0]
        WHERE c.name = nearest.collection
          AND c.dimensions = vector_dims(query)
          AND o.opcname = retrieval.operator_class(c.distance)
          AND has_table_privilege(retrieval.caller(), to_regclass(format('images.%I', c.name)), 'SELECT');
        IF FOUND THEN
            PERFORM set_config('hnsw.ef_search', ef::text, true);
            EXECUTE answer INTO results USING query, k;
            ef := NULL;
        END IF;
        IF cardinality(results) >= k THEN
            RETURN QUERY SELECT * FROM unnest(results) AS r WHERE min_similarity IS NULL OR r.similarity >= min_similarity;
            RETURN;
        END IF;
    END IF;
    view := retrieval.view_of(nearest.collection, nearest.model);
    SELECT * INTO settings FROM retrieval.collection AS c WHERE c.name = nearest.collection;
    IF nearest.model <> settings.model THEN
        SELECT m.name, m.dimensions INTO settings.model, settings.dimensions
        FROM retrieval.model AS m WHERE m.name = nearest.model;
    END IF;
    IF query IS NULL OR vector_dims(query) <> settings.dimensions THEN
        RAISE EXCEPTION 'a query for collection % needs % dimensions, not %',
            quote_literal(nearest.collection), settings.dimensions, coalesce(vector_dims(query)::text, 'null')
            USING HINT = 'Embed the query with the collection''s own model.';
    END IF;
    IF k IS NULL OR k < 1 THEN
        RAISE EXCEPTION 'k must be 1 or more, not %', coalesce(k::text, 'null');
    END IF;
    IF filter <> '{}' THEN
        SELECT * INTO given, condition FROM retrieval.condition_of(filter, given);
    END IF;
    operator := retrieval.operator(settings.distance);
    SELECT o.opcname AS class, t.reltuples AS rows INTO index  -- valid, and built for the distance
    FROM pg_class AS t
    JOIN pg_index AS i ON i.indrelid = t.oid AND i.indisvalid
    JOIN pg_opclass AS o ON o.oid = i.indclass[0]
    WHERE t.oid = to_regclass(format('retrieval.%I', 'vector_' || settings.name || '_' || settings.model))
      AND o.opcname IN ('bit_hamming_ops', retrieval.operator_class(settings.distance))
    ORDER BY o.opcname DESC
    LIMIT 1;
    exact := index.class IS NULL OR coalesce(ef, 1) = 0 OR k > 1000;
    IF grouped THEN
        wanted := 5 * least(k, 1000);
    END IF;
    space := settings.name || '_' || settings.model;
    IF condition <> 'true' AND index.rows > 0 THEN
        SELECT e.rows, e.cost INTO expected, finding
        FROM retrieval.expectation(format('retrieval.%I', 'matching_' || space)::regclass, condition, given, index.rows) AS e;
    END IF;
    LOOP
        sure := CASE condition WHEN 'true' THEN wanted ELSE 2 * wanted END;
        asked := greatest(coalesce(nullif(ef, 0), settings.ef_search), 2.0 * wanted, 3.0 * wanted * index.rows / expected);
        IF condition <> 'true' AND asked > 1000 THEN  -- what an iterative scan finds late is in no good order
            asked := 2 * asked;
            sure := 2 * sure;
        END IF;
        IF condition <> 'true' THEN
            exact := exact OR asked > most OR NOT forced AND coalesce(retrieval.is_exact_cheaper(settings.costs, asked, expected, finding), false);
            few := exact AND NOT coalesce(grouped, false) AND expected < 0.1 * index.rows;
        END IF;
        ef := least(asked, 1000);
        class := CASE WHEN NOT exact THEN index.class END;
        -- with a filter all rows must be among the first candidates, so that none is missed
        PERFORM set_config('hnsw.ef_search', ef::text, true),
                set_config('hnsw.iterative_scan', CASE WHEN condition = 'true' OR asked > 1000 THEN 'relaxed_order' ELSE 'off' END, true),
                set_config('hnsw.max_scan_tuples', CASE condition WHEN 'true' THEN most ELSE least(asked, most)::integer END::text, true),
                set_config('enable_sort', CASE WHEN class IS NULL OR condition = 'true' THEN 'on' ELSE 'off' END, true);
        IF class LIKE 'halfvec%' AND condition = 'true' AND NOT coalesce(grouped, false) THEN
            EXECUTE format('SELECT retrieval.%I($1, $2)', 'nearest_' || settings.name || '_' || settings.model) INTO results USING query, k;
            EXIT WHEN cardinality(results) >= k;
            exact := true;
            CONTINUE;
        END IF;
        answer := CASE WHEN few THEN retrieval.few_in_words(space, condition, operator, retrieval.similarity_in_words(settings.distance)) ELSE format(
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
                ELSE format('(embedding %s $2)%s', operator, CASE WHEN class IS NULL THEN ' + 0, image_id' ELSE '' END)  -- + 0: no index
            END,
            CASE WHEN grouped THEN
                'SELECT DISTINCT ON (group_id, CASE WHEN group_id IS NULL THEN image_id END) * FROM nearest '
                'ORDER BY group_id, CASE WHEN group_id IS NULL THEN image_id END, distance, image_id'
            ELSE 'SELECT * FROM nearest' END,
            retrieval.similarity_in_words(settings.distance)) END;
        EXECUTE answer INTO results, enough, hits
        USING given, query,
              CASE WHEN class = 'bit_hamming_ops' THEN greatest(ef, sure) WHEN NOT exact THEN sure WHEN NOT grouped THEN wanted END,
              k;
        EXIT WHEN exact OR enough AND hits >= sure;
        IF hits >= sure AND wanted < 1000 THEN  -- too many of one group
            wanted := wanted * 10;
        ELSIF hits > 0 AND condition <> 'true' AND asked < most THEN  -- fewer match than expected
            expected := index.rows * hits / asked;
        ELSE
            exact := true;
        END IF;
    END LOOP;
    PERFORM set_config('image_retrieval.way', jsonb_build_object(  -- for images.explain_search
        'exact', exact, 'few', few, 'asked', round(asked), 'expected', round(expected), 'finding', finding, 'condition', condition,
        'rows', index.rows, 'indexed', index.class IS NOT NULL)::text, true);
    RETURN QUERY SELECT * FROM unnest(results) AS r WHERE min_similarity IS NULL OR r.similarity >= min_similarity;
END
$$;
COMMENT ON FUNCTION retrieval.nearest IS
    'The function behind images.search; ef is the number of candidates of the index, null: the collection''s, 0: no index; '
    'model: the model of the vectors, null: the one that is shown.';


-- a k beyond any table's size means all
CREATE OR REPLACE FUNCTION images.search(
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
        grouped, NULL);
END;
COMMENT ON FUNCTION images.search IS
    'The k images of a collection that are most similar to a vector, best first; always k if that many match. '
    'A filter is an object such as {"group_id": "shoes", "width": {"gte": 500}, "attributes": {"colour": {"any": ["red", "blue"]}}}; '
    'grouped: only the best image of each group_id.';


CREATE OR REPLACE FUNCTION images.similar_to(
    collection     text,
    image_id       text,
    k              integer DEFAULT 10,
    filter         jsonb DEFAULT '{}',
    min_similarity double precision DEFAULT NULL,
    grouped        boolean DEFAULT false
) RETURNS SETOF retrieval.result
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT *
    FROM images.search(
        collection, retrieval.embedding_of(collection, similar_to.image_id), k,
        jsonb_build_object('and', jsonb_build_array(
            coalesce(filter, '{}'), jsonb_build_object('not', jsonb_build_object('image_id', similar_to.image_id)))),
        min_similarity, grouped);
END;
COMMENT ON FUNCTION images.similar_to IS
    'The k images most similar to an image of the collection, best first, without that image; else as images.search.';


CREATE OR REPLACE FUNCTION images.match(collection text, a text, b text) RETURNS double precision
LANGUAGE sql STABLE AS $$
    SELECT retrieval.similarity(
        (SELECT c.distance FROM retrieval.collection AS c WHERE c.name = match.collection),
        retrieval.embedding_of(collection, a), retrieval.embedding_of(collection, b))
$$;
COMMENT ON FUNCTION images.match IS 'The similarity of two images of a collection, by its distance.';
