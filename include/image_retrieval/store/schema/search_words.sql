-- Searches for words in captions, best first.
--
-- Each part of a search (a word or a phrase) weighs as much as BM25 says of its document frequency. A caption's score for
-- a part grows with how often the part's words occur in it (ts_rank, which is 0.0608 for one occurrence and at most 1.645
-- times that) and falls with its length, by BM25 with k1 = 1.2 and b = 0.75 and 20 different words as the usual length.
-- The similarity is the weighted mean over the parts, 0 to below 1, and depends on no other caption of the results.


-- PostgreSQL does not count EXPLAIN as a query, so this function is volatile.
CREATE OR REPLACE FUNCTION retrieval.expected_rows(view regclass, condition text, given text[]) RETURNS double precision
LANGUAGE plpgsql AS $$
DECLARE
    plan json;
BEGIN
    EXECUTE format('EXPLAIN (FORMAT JSON) SELECT FROM %s WHERE %s', view, condition) INTO plan USING given;
    RETURN greatest((plan #>> '{0,Plan,Plan Rows}')::double precision, 1);
END
$$;
COMMENT ON FUNCTION retrieval.expected_rows IS 'The number of rows that the planner expects to match a condition.';


-- From ANALYZE, the planner knows how frequent the most frequent words are. It assumes that all others are equally rare, so
-- their captions are counted, up to a few.
CREATE OR REPLACE FUNCTION retrieval.captions_with(view regclass, phrase text) RETURNS double precision
LANGUAGE plpgsql AS $$
DECLARE
    few      constant integer := 200;
    expected constant double precision := retrieval.expected_rows(view, 'words @@ $1[1]::tsquery', ARRAY[phrase]);
    counted  bigint := few;
BEGIN
    IF expected < 5000 THEN
        EXECUTE format('SELECT count(*) FROM (SELECT FROM %s WHERE words @@ $1::tsquery LIMIT %s) AS f', view, few)
        INTO counted USING phrase;
    END IF;
    RETURN CASE WHEN counted < few THEN counted ELSE greatest(expected, few) END;
END
$$;
COMMENT ON FUNCTION retrieval.captions_with IS 'About how many captions of a view hold a phrase of a tsquery.';


CREATE OR REPLACE FUNCTION retrieval.word_weights(view regclass, phrases text[]) RETURNS double precision[]
LANGUAGE plpgsql AS $$
DECLARE
    captions double precision;
    weights  double precision[] := '{1}';
BEGIN
    IF cardinality(phrases) > 1 THEN
        captions := retrieval.expected_rows(view, 'words IS NOT NULL', '{}');
        SELECT array_agg(ln(1 + (greatest(captions - holding, 0) + 0.5) / (holding + 0.5)) ORDER BY number) INTO weights
        FROM unnest(phrases) WITH ORDINALITY AS p (phrase, number),
             LATERAL (SELECT retrieval.captions_with(view, phrase)) AS c (holding);
    END IF;
    RETURN weights;
END
$$;
COMMENT ON FUNCTION retrieval.word_weights IS 'What each phrase weighs, by the number of captions of a view that hold it; a single one weighs 1.';


CREATE OR REPLACE FUNCTION retrieval.fit_in_words(phrases integer) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT coalesce('(' || string_agg(format(
        '$5[%1$s] * ts_rank(words, $4[%1$s]) / (ts_rank(words, $4[%1$s]) + 0.0608 * 1.2 * (0.25 + 0.75 * length(words) / 20))', number),
        ' + ') || ') / (SELECT sum(weight) FROM unnest($5) AS w (weight))', '0.0::double precision')
    FROM generate_series(1, phrases) AS number;
END;
COMMENT ON FUNCTION retrieval.fit_in_words IS
    'The expression for how well words fit so many phrases: $4 holds the words of each, joined by |, and $5 their weights.';


-- If very many captions match, a search ranks only as many as it can read in a moment, fewer under a filter, which makes it
-- read many for each that matches: first those that hold all words, then those that hold the rarest one, then others.
CREATE OR REPLACE FUNCTION images.search_words(
    collection     text,
    words          text,
    k              integer DEFAULT 10,
    filter         jsonb DEFAULT '{}',
    min_similarity double precision DEFAULT NULL,
    grouped        boolean DEFAULT false
) RETURNS SETOF retrieval.result
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET synchronize_seqscans = off             -- else another search would compare other captions
SET max_parallel_workers_per_gather = 0
SET work_mem = '32MB'
AS $$
DECLARE
    view      constant regclass := retrieval.view_of(search_words.collection, NULL);
    lowest    constant double precision := retrieval.checked_number('min_similarity', min_similarity, '-Infinity', 'Infinity');
    query     constant tsquery := retrieval.words_query(search_words.words);
    condition text := 'true';
    given     text[] := '{}';
    phrases   text[];
    singles   tsquery[];                  -- the words of each phrase, any of them
    alternatives boolean;
    weights   double precision[];
    tiers     tsquery[];                  -- what candidates are taken by, in this order
    bound     integer := greatest(CASE WHEN filter = '{}' THEN 1000 ELSE 300 END, least(search_words.k, 1000000000));
    results   retrieval.result[];
    compared  bigint;
BEGIN
    IF search_words.words IS NULL OR retrieval.is_blank(search_words.words) THEN
        RAISE EXCEPTION 'words are %', CASE WHEN search_words.words IS NULL THEN 'null' ELSE 'blank' END;
    ELSIF length(search_words.words) > 1000 THEN
        RAISE EXCEPTION 'words have % characters: at most 1000 are allowed', length(search_words.words);
    ELSIF k IS NULL OR k < 1 THEN
        RAISE EXCEPTION 'k must be 1 or more, not %', coalesce(k::text, 'null');
    END IF;
    IF filter <> '{}' THEN
        SELECT * INTO given, condition FROM retrieval.condition_of(filter, given);
    END IF;
    SELECT array_agg(DISTINCT p.phrase) FILTER (WHERE NOT p.negated), bool_or(p.alternative) INTO phrases, alternatives
    FROM retrieval.word_parts(search_words.words) AS p;
    weights := retrieval.word_weights(view, phrases);
    tiers := ARRAY[query];
    IF alternatives AND cardinality(phrases) > 1 THEN
        tiers := ARRAY[
            query && array_to_string(phrases, ' & ')::tsquery,
            query && (SELECT p.phrase FROM unnest(phrases, weights) AS p (phrase, weight) ORDER BY p.weight DESC, p.phrase LIMIT 1)::tsquery,
            query];
    END IF;
    singles := ARRAY(SELECT regexp_replace(p, ' <\d+> ', ' | ', 'g')::tsquery FROM unnest(phrases) AS p);
    LOOP
        EXECUTE format(
            $query$
            WITH candidate AS MATERIALIZED (
                %3$s
            ), scored AS (
                SELECT DISTINCT ON (%4$s) *
                FROM (SELECT *, %5$s AS similarity FROM candidate) AS c
                ORDER BY %4$s, similarity DESC, image_id
            )
            SELECT array_agg((image_id, similarity, image_path, resampled_image_path, group_id, intra_id, caption,
                              width, height, attributes)::retrieval.result ORDER BY similarity DESC, image_id),
                   (SELECT max(number) FROM candidate)
            FROM (SELECT * FROM scored ORDER BY similarity DESC, image_id LIMIT $6) AS found
            $query$,
            view, condition,
            (SELECT string_agg(format(
                '(SELECT row_number() OVER () AS number, * FROM (SELECT image_id, image_path, resampled_image_path, group_id, intra_id, '
                'caption, width, height, attributes, words FROM %s WHERE %s AND words @@ $2[%s] LIMIT $3) AS t)', view, condition, tier),
                ' UNION ALL ' ORDER BY tier) FROM generate_subscripts(tiers, 1) AS tier),
            CASE WHEN grouped THEN 'group_id, CASE WHEN group_id IS NULL THEN image_id END' ELSE 'image_id' END,
            retrieval.fit_in_words(cardinality(singles)))
        INTO results, compared
        USING given, tiers, bound, singles, weights, k;
        EXIT WHEN cardinality(results) >= k OR coalesce(compared, 0) < bound;
        bound := least(bound, 100000000) * 10;
    END LOOP;
    RETURN QUERY SELECT * FROM unnest(results) AS r WHERE lowest IS NULL OR r.similarity >= lowest;
END
$$;
COMMENT ON FUNCTION images.search_words IS
    'The k images of a collection whose captions fit words best, best first; always k if that many match. Words are as in a web '
    'search: all of them, "a phrase", or, -without; else as images.search.';
