-- The most frequent hybrid search: a vector and a few words, without a filter. It answers as retrieval.hybrid does, but by
-- one fixed text for each vector table, whose plan PL/pgSQL keeps. To plan and run the parts of a hybrid search one by one
-- takes twice as long.


CREATE OR REPLACE FUNCTION retrieval.one_term_fit(words tsvector, term tsquery, parts tsquery, weight double precision)
RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN words @@ term
            THEN weight * (1 - 1 / (1 + ts_rank(words, parts) / (0.07296::float8 * (0.25::float8 + 0.0375::float8 * length(words)))))
            ELSE 0 END;
COMMENT ON FUNCTION retrieval.one_term_fit IS 'How well words fit a term, whose words are its parts, by the formula of search_words.sql.';


CREATE OR REPLACE FUNCTION retrieval.four_terms_fit(words tsvector, terms tsquery[], parts tsquery[], weights double precision[])
RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN nullif(retrieval.one_term_fit(words, terms[1], parts[1], weights[1]) + retrieval.one_term_fit(words, terms[2], parts[2], weights[2])
              + retrieval.one_term_fit(words, terms[3], parts[3], weights[3]) + retrieval.one_term_fit(words, terms[4], parts[4], weights[4]), 0);
COMMENT ON FUNCTION retrieval.four_terms_fit IS 'As the expression of retrieval.term_fit_in_words, of up to four terms whose weights add up to 1.';


-- The fastest way to images with a frequent term is to read images one after another, unless the first ones do not hold it.
CREATE OR REPLACE FUNCTION retrieval.candidates_in_words(matching text) RETURNS text
LANGUAGE sql IMMUTABLE
RETURN format(
    $query$
    SELECT *
    FROM (
        (SELECT id, image_id, words FROM retrieval.%1$I WHERE words @@ tiers[1] LIMIT greatest(30, wanted))
        UNION ALL
        (SELECT id, image_id, words FROM retrieval.%1$I WHERE words @@ tiers[2] LIMIT greatest(30, wanted))
        UNION ALL
        (SELECT *
         FROM (SELECT id, image_id, words FROM retrieval.%1$I WHERE frequent LIMIT 5000) AS first
         WHERE ts_match_vq(words, tiers[3])
         LIMIT greatest(30, wanted))
        UNION ALL
        (SELECT id, image_id, words FROM retrieval.%1$I WHERE words @@ tiers[3] LIMIT greatest(30, wanted))
        UNION ALL
        (SELECT id, image_id, words FROM retrieval.%1$I WHERE words @@ tiers[4] LIMIT greatest(30, wanted))
    ) AS t
    LIMIT greatest(30, wanted)
    $query$, matching);
COMMENT ON FUNCTION retrieval.candidates_in_words IS 'The query for the candidates of four tiers, as retrieval.best_by_words takes them.';


CREATE OR REPLACE FUNCTION retrieval.vector_and_words_in_words(name text, distance text) RETURNS text
LANGUAGE sql IMMUTABLE
RETURN format(
    $query$
    WITH near AS MATERIALIZED (
        SELECT m.id, m.image_id, m.words, v.distance
        FROM (SELECT id, embedding %3$s query AS distance FROM retrieval.%2$I ORDER BY embedding %3$s query LIMIT wanted) AS v
        JOIN retrieval.%1$I AS m ON m.id = v.id
    ), told AS MATERIALIZED (
        SELECT c.id, c.image_id, retrieval.four_terms_fit(c.words, terms, parts, weights) AS fit
        FROM (SELECT DISTINCT ON (id) * FROM (%5$s) AS a) AS c
        ORDER BY fit DESC, image_id
        LIMIT wanted
    ), found AS (
        SELECT n.id, n.image_id, n.distance, retrieval.four_terms_fit(n.words, terms, parts, weights) AS fit FROM near AS n
        UNION ALL
        SELECT t.id, t.image_id, v.embedding %3$s query, t.fit
        FROM told AS t JOIN retrieval.%2$I AS v ON v.id = t.id
        WHERE t.id <> ALL (ARRAY(SELECT n.id FROM near AS n))
    ), best AS (
        SELECT s.*, share * s.score + (1 - share) * coalesce(s.fit, 0) AS similarity
        FROM (SELECT *, retrieval.score(%4$s, slope, middle) AS score FROM found) AS s
        WHERE (SELECT count(*) FROM near) = wanted
        ORDER BY similarity DESC, s.distance, coalesce(s.fit, '-Infinity') DESC, s.image_id
        LIMIT k
    )
    SELECT i.image_id, b.similarity, i.uri, i.resampled_uri, i.group_id, i.intra_id, coalesce(i.caption, retrieval.written_caption(i)),
           i.width, i.height, i.attributes,
           CASE WHEN i.id = ANY (ARRAY(SELECT n.id FROM near AS n)) THEN '{vector}'::text[] ELSE '{}' END
           || CASE WHEN i.id = ANY (ARRAY(SELECT t.id FROM told AS t)) THEN '{words}'::text[] ELSE '{}' END,
           jsonb_strip_nulls(jsonb_build_object('vector', b.score, 'words', b.fit))
    FROM best AS b JOIN retrieval.image AS i ON i.id = b.id
    WHERE lowest IS NULL OR b.similarity >= lowest
    ORDER BY b.similarity DESC, b.distance, coalesce(b.fit, '-Infinity') DESC, i.image_id
    $query$,
    'matching_' || name, 'vectors_' || name, retrieval.operator(distance), retrieval.similarity_in_words(distance),
    retrieval.candidates_in_words('matching_' || name));
COMMENT ON FUNCTION retrieval.vector_and_words_in_words IS 'The query behind retrieval.hybrid_<collection>_<model>; no rows where the index finds too few.';


CREATE OR REPLACE FUNCTION retrieval.face_hybrid(name text, distance text) RETURNS void
LANGUAGE plpgsql AS $face$
BEGIN
    EXECUTE format(
        $function$
        CREATE OR REPLACE FUNCTION retrieval.%1$I(
            query halfvec, terms tsquery[], parts tsquery[], weights double precision[], tiers tsquery[], frequent boolean,
            slope double precision, middle double precision, share double precision, wanted integer, k integer, lowest double precision
        ) RETURNS TABLE (
            image_id text, similarity double precision, image_path text, resampled_image_path text, group_id text, intra_id text,
            caption text, width integer, height integer, attributes jsonb, found_by text[], scores jsonb
        )
        LANGUAGE plpgsql STABLE
        SET plan_cache_mode = 'force_generic_plan'
        SET enable_seqscan = off
        SET search_path FROM CURRENT
        AS $body$
        #variable_conflict use_column
        BEGIN
            RETURN QUERY %2$s;
        END
        $body$;
        COMMENT ON FUNCTION retrieval.%1$I IS 'The images of this collection that fit a vector of this model and up to four terms best.';
        $function$,
        'hybrid_' || name, retrieval.vector_and_words_in_words(name, distance));
END
$face$;
COMMENT ON FUNCTION retrieval.face_hybrid IS 'Creates retrieval.hybrid_<collection>_<model>.';


CREATE OR REPLACE FUNCTION retrieval.vector_and_words(
    settings retrieval.collection, query halfvec, words text, direction text, weight double precision, k integer, wanted integer,
    lowest double precision
) RETURNS TABLE (
    image_id text, similarity double precision, image_path text, resampled_image_path text, group_id text, intra_id text,
    caption text, width integer, height integer, attributes jsonb, found_by text[], scores jsonb
)
LANGUAGE plpgsql
SET hnsw.ef_search = 100
SET hnsw.iterative_scan = 'relaxed_order'
SET hnsw.max_scan_tuples = 20000
SET hnsw.scan_mem_multiplier = 8
AS $$
DECLARE
    terms    constant text[] := retrieval.word_terms(vector_and_words.words);
    weights  constant double precision[] := retrieval.term_weights(settings.name, terms);
    slope    double precision;
    middle   double precision;
    ef       integer;
    frequent boolean;  -- reading a posting of the index takes a twentieth of reading an image
BEGIN
    SELECT c.slope, c.middle, least(1000, greatest(settings.ef_search, 2 * wanted)) INTO slope, middle, ef
    FROM retrieval.calibration_of(settings, direction) AS c, pg_index AS i JOIN pg_opclass AS o ON o.oid = i.indclass[0]
    WHERE c.slope IS NOT NULL AND vector_dims(query) = settings.dimensions AND wanted <= 1000 AND cardinality(terms) <= 4
      AND i.indrelid = to_regclass(format('retrieval.%I', 'vector_' || settings.name || '_' || settings.model)) AND i.indisvalid
      AND o.opcname = retrieval.operator_class(settings.distance);
    IF NOT FOUND THEN
        RETURN;
    END IF;
    frequent := (SELECT 20.0 * greatest(30, wanted) < c.reltuples * exp(-2 * (SELECT max(w) FROM unnest(weights) AS w))
                 FROM pg_class AS c WHERE c.oid = 'retrieval.image_words'::regclass);
    PERFORM set_config('hnsw.ef_search', ef::text, true);
    RETURN QUERY EXECUTE format('SELECT * FROM retrieval.%I($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)', 'hybrid_' || settings.name || '_' || settings.model)
    USING query, terms::tsquery[], ARRAY(SELECT regexp_replace(t, ' <\d+> ', ' | ', 'g')::tsquery FROM unnest(terms) AS t),
          ARRAY(SELECT w / sum(w) OVER () FROM unnest(weights) AS w),
          retrieval.term_tiers(terms, weights, false)::tsquery[], frequent,
          slope, middle, round(weight::numeric, 6)::double precision, wanted, k, lowest;
END
$$;
COMMENT ON FUNCTION retrieval.vector_and_words IS
    'As retrieval.hybrid, for a vector and up to four words, where vectors have a calibration and an index; else no rows.';
