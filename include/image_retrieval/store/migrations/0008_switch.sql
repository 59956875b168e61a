-- Schema version 8: the switch of a collection to another model, and searches that are of one model from begin to end.
--
-- Each vector table has a view of its own, which outlives a switch. What searches for an image, a text or a vector reads
-- the model and that view from one snapshot, so a switch that commits meanwhile is before or after it, never within.

ALTER TABLE retrieval.collection ADD COLUMN overrules text;
COMMENT ON COLUMN retrieval.collection.overrules IS
    'Model in collections.yaml that a switch or a rollback put aside, until that file names another; null: the file holds.';


CREATE TABLE retrieval.switch (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    collection text NOT NULL,
    from_model text NOT NULL REFERENCES retrieval.model,
    to_model   text NOT NULL REFERENCES retrieval.model CHECK (to_model <> from_model),
    state      text NOT NULL CHECK (state IN ('open', 'switched', 'rolled_back', 'given_up')),
    checks     jsonb,
    started_at timestamptz NOT NULL DEFAULT now(),
    ended_at   timestamptz,
    CHECK ((state = 'open') = (ended_at IS NULL))
);
CREATE UNIQUE INDEX switch_open ON retrieval.switch (collection) WHERE state = 'open';
CREATE INDEX switch_latest ON retrieval.switch (collection, id DESC);
COMMENT ON TABLE retrieval.switch IS 'Switches of a collection from one model to another; while one is open, runs feed both tables.';
COMMENT ON COLUMN retrieval.switch.id IS 'In order of time.';
COMMENT ON COLUMN retrieval.switch.collection IS 'Collection that is switched.';
COMMENT ON COLUMN retrieval.switch.from_model IS 'Model that its view showed, and that a rollback goes back to.';
COMMENT ON COLUMN retrieval.switch.to_model IS 'Model that its view shows once it is switched.';
COMMENT ON COLUMN retrieval.switch.state IS 'open; switched; rolled_back: was switched and is not any more; given_up: never was.';
COMMENT ON COLUMN retrieval.switch.checks IS 'Figures of both models, side by side, as last measured.';
COMMENT ON COLUMN retrieval.switch.started_at IS 'When it began.';
COMMENT ON COLUMN retrieval.switch.ended_at IS 'When it came to its state; the vectors that are not shown are kept for a while from then on.';


ALTER TABLE retrieval.run
    ADD COLUMN also   text,
    ADD COLUMN switch bigint REFERENCES retrieval.switch ON DELETE SET NULL;
COMMENT ON COLUMN retrieval.run.also IS
    'Model of a switch that was open at the listing: the second half of the shards are the first half under that model.';
COMMENT ON COLUMN retrieval.run.switch IS 'Switch that it belongs to: its images came of retrieval.image, not of a listing.';


-- The views' text, of which all of them are made.
CREATE FUNCTION retrieval.view_text(vectors text) RETURNS text
LANGUAGE sql STABLE AS $$
    SELECT format(
        $view$
        SELECT i.image_id,
               i.uri AS image_path,
               i.resampled_uri AS resampled_image_path,
               v.embedding,
               i.group_id,
               i.intra_id,
               i.caption,
               i.width,
               i.height,
               i.format,
               i.attributes,
               i.first_seen AS created_at,
               i.updated AS updated_at,
               i.captured_at,
               i.sha256,
               i.phash
        FROM retrieval.%I AS v
        JOIN retrieval.image AS i ON i.id = v.id
        WHERE i.deleted IS NULL
        $view$, vectors)
$$;
COMMENT ON FUNCTION retrieval.view_text IS 'The query behind a view of a vector table; it ends in a condition.';


CREATE FUNCTION retrieval.make_view(view text, query text, about text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format(
        $view$
        CREATE OR REPLACE VIEW %1$s AS
        %2$s;
        COMMENT ON VIEW %1$s IS %3$L;
        COMMENT ON COLUMN %1$s.image_id IS 'Key under the collection''s source, without its extension.';
        COMMENT ON COLUMN %1$s.image_path IS 'Where the original lies.';
        COMMENT ON COLUMN %1$s.resampled_image_path IS 'Where the resampled picture lies; null where none is kept.';
        COMMENT ON COLUMN %1$s.embedding IS 'Vector of length 1; compare with <=> (cosine distance).';
        COMMENT ON COLUMN %1$s.group_id IS 'What several images show, such as a product.';
        COMMENT ON COLUMN %1$s.intra_id IS 'Which image of its group it is.';
        COMMENT ON COLUMN %1$s.caption IS 'What it shows, in words.';
        COMMENT ON COLUMN %1$s.width IS 'Pixels of the upright original.';
        COMMENT ON COLUMN %1$s.height IS 'Pixels of the upright original.';
        COMMENT ON COLUMN %1$s.format IS 'File format by content.';
        COMMENT ON COLUMN %1$s.attributes IS 'Anything else to filter by.';
        COMMENT ON COLUMN %1$s.created_at IS 'When a listing first found it.';
        COMMENT ON COLUMN %1$s.updated_at IS 'When its row last changed.';
        COMMENT ON COLUMN %1$s.captured_at IS 'When the picture was taken, by the camera''s own clock; null where the file does not tell.';
        COMMENT ON COLUMN %1$s.sha256 IS 'SHA-256 of the original''s bytes, in hexadecimal.';
        COMMENT ON COLUMN %1$s.phash IS 'Perceptual hash of 64 bits; compare with images.phash_distance.';
        $view$, make_view.view, make_view.query, make_view.about);
END
$$;
COMMENT ON FUNCTION retrieval.make_view IS 'Makes a view of the images that have vectors, or gives it another query; its grants stay.';


CREATE OR REPLACE FUNCTION retrieval.show_vectors(collection text, vectors text) RETURNS void
LANGUAGE sql AS $$
    SELECT retrieval.make_view(
        format('images.%I', show_vectors.collection), retrieval.view_text(vectors), 'The searchable images of this collection.')
$$;


-- It answers those who may read images.<collection>, and so needs no right of its own.
CREATE FUNCTION retrieval.face_vectors(collection text, model text, distance text) RETURNS void
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
            RETURN (
                SELECT array_agg((image_id, %3$s, image_path, resampled_image_path, group_id, intra_id, caption, width, height,
                                  attributes)::retrieval.result ORDER BY distance + 0, image_id)  -- + 0: the indexs order is not exact
                FROM (SELECT *, embedding %4$s query AS distance FROM retrieval.%2$I ORDER BY embedding %4$s query LIMIT k) AS found);
        END
        $body$;
        COMMENT ON FUNCTION retrieval.%1$I IS 'The nearest k images of this collection under this model by its index, which may find fewer.';
        $function$,
        'nearest_' || name, view, retrieval.similarity_in_words(face_vectors.distance), retrieval.operator(face_vectors.distance));
END
$face$;
COMMENT ON FUNCTION retrieval.face_vectors IS
    'Makes retrieval.images_<collection>_<model> and retrieval.nearest_<collection>_<model>, the search without filter.';


CREATE FUNCTION retrieval.drop_vectors(collection text, model text) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    name constant text := drop_vectors.collection || '_' || drop_vectors.model;
BEGIN
    EXECUTE format('DROP FUNCTION IF EXISTS retrieval.%I', 'nearest_' || name);
    EXECUTE format('DROP VIEW IF EXISTS retrieval.%I', 'images_' || name);
    EXECUTE format('DROP TABLE IF EXISTS retrieval.%I', 'vector_' || name);
    DELETE FROM retrieval.vector_index WHERE vectors = 'vector_' || name;
END
$$;
COMMENT ON FUNCTION retrieval.drop_vectors IS 'Drops the vectors of a collection under a model, with all that searches them; an error where they are shown.';


CREATE OR REPLACE FUNCTION retrieval.write_nearest() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        EXECUTE format('DROP FUNCTION IF EXISTS retrieval.%I', 'nearest_' || old.name || '_' || old.model);
    ELSE
        PERFORM retrieval.face_vectors(new.name, new.model, new.distance);
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION retrieval.write_nearest IS 'Keeps retrieval.nearest_<collection>_<model> in step with the collections.';

DROP TRIGGER write_nearest ON retrieval.collection;
CREATE TRIGGER write_nearest AFTER INSERT OR DELETE OR UPDATE OF model, distance ON retrieval.collection
FOR EACH ROW EXECUTE FUNCTION retrieval.write_nearest();

DO $$
DECLARE
    entry record;
BEGIN
    FOR entry IN SELECT c.name, c.distance FROM retrieval.collection AS c LOOP
        EXECUTE format('DROP FUNCTION IF EXISTS retrieval.%I', 'nearest_' || entry.name);
        PERFORM retrieval.face_vectors(entry.name, m.name, entry.distance) FROM retrieval.model AS m;
    END LOOP;
END
$$;


DROP FUNCTION retrieval.nearest(text, halfvec, integer, jsonb, double precision, boolean, integer);
CREATE FUNCTION retrieval.view_of(collection text, model text) RETURNS regclass
LANGUAGE plpgsql STABLE AS $$
DECLARE
    face constant regclass := to_regclass(format('images.%I', view_of.collection));
    view regclass;
BEGIN
    SELECT to_regclass(format('retrieval.%I', 'images_' || c.name || '_' || coalesce(view_of.model, c.model))) INTO view
    FROM retrieval.collection AS c WHERE c.name = view_of.collection AND face IS NOT NULL;
    IF view IS NULL THEN
        RAISE EXCEPTION 'unknown collection %', quote_literal(view_of.collection)
            USING HINT = 'A collection''s first run makes its view. There are: ' || coalesce((SELECT string_agg(c.name, ', ' ORDER BY c.name) FROM retrieval.collection AS c), 'none');
    END IF;
    IF NOT has_table_privilege(face, 'SELECT') THEN
        RAISE insufficient_privilege USING MESSAGE = format('permission denied for view %s', face);
    END IF;
    RETURN view;
END
$$;
COMMENT ON FUNCTION retrieval.view_of(text, text) IS
    'The view of a collection''s vectors under a model, null: the one that is shown; an error that lists the collections where it is none.';

CREATE OR REPLACE FUNCTION retrieval.embedding_of(collection text, image_id text) RETURNS halfvec
LANGUAGE plpgsql STABLE AS $$
DECLARE
    found halfvec;
BEGIN
    EXECUTE format('SELECT embedding FROM %s WHERE image_id = $1', retrieval.view_of($1, NULL)) INTO found USING $2;
    IF found IS NULL THEN
        RAISE EXCEPTION 'collection % has no image %', quote_literal($1), quote_literal($2)
            USING HINT = 'image_id is the object''s key under the collection''s source, without its extension.';
    END IF;
    RETURN found;
END
$$;


-- As before, but of one model.
CREATE FUNCTION retrieval.nearest(
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
    view      constant regclass := retrieval.view_of(nearest.collection, nearest.model);
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
    'What images.search does; ef is how many candidates an index keeps, null: as the collection says, 0: no index; '
    'model: whose vectors, null: those that are shown.';
