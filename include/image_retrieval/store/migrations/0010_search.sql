-- Schema version 10: the most frequent search takes less time beside that of its index.

ALTER TABLE retrieval.vector_index ADD COLUMN operator_class text;
COMMENT ON COLUMN retrieval.vector_index.operator_class IS 'What it compares by; null where that was not noted.';


CREATE FUNCTION retrieval.operator_class(distance text) RETURNS text
LANGUAGE sql IMMUTABLE
RETURN CASE distance WHEN 'cosine' THEN 'halfvec_cosine_ops' WHEN 'inner_product' THEN 'halfvec_ip_ops' WHEN 'l2' THEN 'halfvec_l2_ops' END;
COMMENT ON FUNCTION retrieval.operator_class IS 'What an index on the vectors compares by, for a distance.';


CREATE FUNCTION retrieval.nearest_in_words(view text, distance text) RETURNS text
LANGUAGE sql IMMUTABLE
RETURN format(
    $query$
    SELECT array_agg((image_id, %2$s, image_path, resampled_image_path, group_id, intra_id, caption, width, height,
                      attributes)::retrieval.result ORDER BY distance + 0, image_id)  -- + 0: an index orders inexactly
    FROM (SELECT *, embedding %3$s query AS distance FROM retrieval.%1$I ORDER BY embedding %3$s query LIMIT k) AS found
    $query$,
    view, retrieval.similarity_in_words(distance), retrieval.operator(distance));
COMMENT ON FUNCTION retrieval.nearest_in_words IS 'The query for the k rows of a view that are nearest to a vector by its index.';


-- As before, with the query in words.
CREATE OR REPLACE FUNCTION retrieval.face_vectors(collection text, model text, distance text) RETURNS void
LANGUAGE plpgsql AS $face$
DECLARE
    name    constant text := face_vectors.collection || '_' || face_vectors.model;
    vectors constant text := 'vector_' || name;
    view    constant text := 'images_' || name;
BEGIN
    IF to_regclass(format('retrieval.%I', vectors)) IS NULL THEN
        RETURN;
    END IF;
    IF to_regclass(format('retrieval.%I', view)) IS NULL THEN  -- else not even a lock: people are searching
        PERFORM retrieval.make_view(
            format('retrieval.%I', view),
            format('%s AND has_table_privilege(to_regclass(%L), ''SELECT'')',
                   retrieval.view_text(vectors), format('images.%I', face_vectors.collection)),
            'What images.<collection> shows, has shown or will show, of one model.');
        EXECUTE format('GRANT SELECT ON retrieval.%I TO PUBLIC', view);
    END IF;
    EXECUTE format(
        $function$
        CREATE OR REPLACE FUNCTION retrieval.%1$I(query halfvec, k integer) RETURNS retrieval.result[]
        LANGUAGE plpgsql STABLE
        SET plan_cache_mode = 'force_generic_plan'
        SET enable_sort = off
        AS $body$
        BEGIN
            RETURN (%2$s);
        END
        $body$;
        COMMENT ON FUNCTION retrieval.%1$I IS 'The nearest k images of this collection under this model by its index, which may find fewer.';
        $function$,
        'nearest_' || name, retrieval.nearest_in_words(view, face_vectors.distance));
END
$face$;


-- Looking a collection up and calling a function by its name would take a tenth of a search. So what a search needs to know
-- is written out: a branch for each collection, of the first hundred; the others are searched the longer way.
CREATE FUNCTION retrieval.shortcut_in_words() RETURNS text
LANGUAGE sql AS $$
    SELECT format('DECLARE former text; BEGIN %s RETURN NULL; END', string_agg(branch, '' ORDER BY name))
    FROM (
        SELECT c.name, format(
            $branch$
            IF collection = %1$L THEN
                IF vector_dims(query) = %2$s AND k BETWEEN 1 AND 1000 THEN
                    former := set_config('hnsw.ef_search', least(1000, greatest(%3$s, 2 * k))::text, true);
                    RETURN (%4$s);
                END IF;
                RETURN NULL;
            END IF;
            $branch$,
            c.name, c.dimensions, c.ef_search, retrieval.nearest_in_words('images_' || c.name || '_' || c.model, c.distance)) AS branch
        FROM retrieval.collection AS c
        JOIN retrieval.vector_index AS i
            ON i.vectors = 'vector_' || c.name || '_' || c.model AND i.operator_class = retrieval.operator_class(c.distance)
        ORDER BY c.name
        LIMIT 100
    ) AS branches
$$;
COMMENT ON FUNCTION retrieval.shortcut_in_words IS 'The body of retrieval.shortcut.';


CREATE FUNCTION retrieval.write_shortcut() RETURNS trigger
LANGUAGE plpgsql AS $write$
BEGIN
    IF NOT EXISTS (
        SELECT FROM pg_proc
        WHERE oid = to_regprocedure('retrieval.shortcut(text, halfvec, integer)') AND prosrc = retrieval.shortcut_in_words())
    THEN
        PERFORM pg_advisory_xact_lock(hashtextextended('image_retrieval:shortcut', 0));
        EXECUTE format(
            $function$
            CREATE OR REPLACE FUNCTION retrieval.shortcut(collection text, query halfvec, k integer) RETURNS retrieval.result[]
            LANGUAGE plpgsql STABLE
            SET plan_cache_mode = 'force_generic_plan'
            SET enable_sort = off
            AS %L;
            COMMENT ON FUNCTION retrieval.shortcut IS
                'The nearest k images that a collection shows, by its index, which may find fewer; null where it has none.';
            $function$,
            retrieval.shortcut_in_words());
    END IF;
    RETURN NULL;
END
$write$;
COMMENT ON FUNCTION retrieval.write_shortcut IS 'Keeps retrieval.shortcut in step with the collections and their indexes.';

CREATE TRIGGER write_shortcut AFTER INSERT OR DELETE OR UPDATE ON retrieval.collection
FOR EACH STATEMENT EXECUTE FUNCTION retrieval.write_shortcut();
CREATE TRIGGER write_shortcut AFTER INSERT OR DELETE OR UPDATE ON retrieval.vector_index
FOR EACH STATEMENT EXECUTE FUNCTION retrieval.write_shortcut();

UPDATE retrieval.vector_index AS b
SET operator_class = o.opcname
FROM pg_index AS i JOIN pg_opclass AS o ON o.oid = i.indclass[0]
WHERE i.indexrelid = to_regclass(format('retrieval.%I', b.vectors || '_hnsw')) AND i.indisvalid;


-- As before, but for the shortcut.
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
LANGUAGE plpgsql STABLE
SET hnsw.iterative_scan = 'relaxed_order'
SET hnsw.max_scan_tuples = 20000
SET hnsw.scan_mem_multiplier = 8
SET hnsw.ef_search = 100
AS $$
DECLARE
    view      regclass;
    settings  retrieval.collection;
    index     record;
    condition text := 'true';
    given     text[] := '{}';
    expected  double precision;           -- rows that match, by the planner's estimate
    few       constant integer := 100;    -- so many matching rows per wanted one are compared sooner than found
    wanted    integer := k;               -- rows to find: more than k where the best of each group is asked for
    sure      integer;                    -- rows to find so that none is missed: the last candidates of an index are not sure
    exact     boolean;
    class     text;                       -- of the index that is asked
    operator  text;
    answer    text;
    results   retrieval.result[];
    found     retrieval.result;
    enough    boolean;
    hits      bigint;                     -- rows that came of the index
BEGIN
    IF filter = '{}' AND NOT grouped AND ef IS NULL AND nearest.model IS NULL THEN  -- what is asked most often
        results := retrieval.shortcut(nearest.collection, query, k);
        IF cardinality(results) >= k THEN
            FOREACH found IN ARRAY results LOOP
                IF min_similarity IS NULL OR found.similarity >= min_similarity THEN
                    RETURN NEXT found;
                END IF;
            END LOOP;
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
      AND o.opcname IN ('bit_hamming_ops', retrieval.operator_class(settings.distance))
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
        sure := CASE condition WHEN 'true' THEN wanted ELSE 2 * wanted END;
        ef := least(1001, greatest(coalesce(nullif(ef, 0), settings.ef_search), 2.0 * wanted, 3.0 * wanted * index.rows / expected));
        exact := exact OR condition <> 'true' AND ef > 1000;
        ef := least(ef, 1000);
        class := CASE WHEN NOT exact THEN index.class END;
        -- what an iterative scan finds late is not the nearest: under a filter all rows must be among the first candidates
        PERFORM set_config('hnsw.ef_search', ef::text, true),
                set_config('hnsw.iterative_scan', CASE condition WHEN 'true' THEN 'relaxed_order' ELSE 'off' END, true);
        IF class LIKE 'halfvec%' AND condition = 'true' AND NOT coalesce(grouped, false) THEN
            EXECUTE format('SELECT retrieval.%I($1, $2)', 'nearest_' || settings.name || '_' || settings.model) INTO results USING query, k;
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
              CASE WHEN class = 'bit_hamming_ops' THEN greatest(ef, sure) WHEN NOT exact THEN sure WHEN NOT grouped THEN wanted END,
              k;
        EXIT WHEN exact OR enough AND hits >= sure;
        IF hits >= sure AND wanted < 1000 THEN  -- too many of one group
            wanted := wanted * 10;
        ELSIF hits > 0 AND condition <> 'true' AND ef < 1000 THEN  -- fewer match than was expected
            expected := index.rows * hits / ef;
        ELSE
            exact := true;
        END IF;
    END LOOP;
    RETURN QUERY SELECT * FROM unnest(results) AS r WHERE min_similarity IS NULL OR r.similarity >= min_similarity;
END
$$;
