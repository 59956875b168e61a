-- How frequent words are in captions: hybrid searches weigh them by that.


CREATE OR REPLACE FUNCTION retrieval.count_caption_words(collection text, sampled integer) RETURNS integer
LANGUAGE plpgsql
SET max_parallel_workers_per_gather = 0
AS $$
DECLARE
    images   double precision;  -- with a vector, by the last ANALYZE
    sample   text;
    captions double precision;
    counted  integer;
BEGIN
    SELECT t.reltuples INTO images
    FROM retrieval.collection AS c
    JOIN pg_class AS t ON t.oid = to_regclass(format('retrieval.%I', 'vector_' || c.name || '_' || c.model))
    WHERE c.name = count_caption_words.collection
    FOR NO KEY UPDATE OF c;  -- one count at a time
    IF NOT FOUND THEN
        RETURN 0;
    END IF;
    sample := format(  -- blocks all over the table, with more rows than wanted; the same rows each time
        'SELECT words FROM retrieval.image TABLESAMPLE SYSTEM (%s) REPEATABLE (0) '
        'WHERE collection = %L AND deleted IS NULL AND words IS NOT NULL LIMIT %s',
        least(100, 150.0 * sampled / greatest(images, 1)), count_caption_words.collection, sampled);
    EXECUTE 'SELECT count(*) FROM (' || sample || ') AS s' INTO captions;
    WITH frequent AS MATERIALIZED (
        SELECT s.word, s.ndoc / captions AS share FROM ts_stat(sample) AS s ORDER BY s.ndoc DESC, s.word COLLATE "C" LIMIT 5000
    ), kept AS MATERIALIZED (
        SELECT * FROM frequent
        UNION ALL
        SELECT '', min(share) / 2 FROM frequent HAVING count(*) > 0
    ), gone AS (
        DELETE FROM retrieval.caption_word AS w
        WHERE w.collection = count_caption_words.collection AND NOT EXISTS (SELECT FROM kept AS k WHERE k.word = w.word)
    )
    INSERT INTO retrieval.caption_word AS w (collection, word, share)
    SELECT count_caption_words.collection, k.word, k.share FROM kept AS k
    ON CONFLICT ON CONSTRAINT caption_word_pkey DO UPDATE SET share = excluded.share WHERE w.share <> excluded.share;
    SELECT count(*) INTO counted FROM retrieval.caption_word AS w WHERE w.collection = count_caption_words.collection AND w.word <> '';
    RETURN counted;
END
$$;
COMMENT ON FUNCTION retrieval.count_caption_words IS
    'Counts in a sample of captions which share of them holds each of a collection''s most frequent words; returns the number of words.';


-- A prefix stands for all words that begin with it. The words of a phrase are assumed to be independent of each other.
CREATE OR REPLACE FUNCTION retrieval.term_weights(collection text, terms text[]) RETURNS double precision[]
LANGUAGE plpgsql STABLE STRICT AS $$
DECLARE
    unknown constant double precision := coalesce(
        (SELECT w.share FROM retrieval.caption_word AS w WHERE w.collection = term_weights.collection AND w.word = ''), 0.001);
    weights double precision[];
    part    text[];
    share   double precision;
    holding double precision;
BEGIN
    FOR number IN 1 .. cardinality(terms) LOOP
        share := 1;
        FOR part IN SELECT regexp_matches(terms[number], '''([^'']+)''(:\*)?', 'g') LOOP
            IF part[2] IS NULL THEN
                holding := (SELECT w.share FROM retrieval.caption_word AS w WHERE w.collection = term_weights.collection AND w.word = part[1]);
            ELSE
                holding := (SELECT least(1, sum(w.share)) FROM retrieval.caption_word AS w
                            WHERE w.collection = term_weights.collection AND w.word ^@ part[1]);
            END IF;
            share := share * coalesce(holding, unknown);
        END LOOP;
        weights[number] := ln((1 + 1e-6) / (share + 1e-6 / 2));
    END LOOP;
    RETURN weights;
END
$$;
COMMENT ON FUNCTION retrieval.term_weights IS
    'The weight of each term: BM25''s, for the share of captions that hold it, as if there were a million captions.';
