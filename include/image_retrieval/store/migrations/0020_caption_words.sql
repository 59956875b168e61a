-- Schema version 20: how frequent the words of captions are, so that hybrid searches need not ask the planner. Each vector
-- table's function for them has another argument; renew_views makes it.

CREATE TABLE retrieval.caption_word (
    collection text NOT NULL REFERENCES retrieval.collection ON DELETE CASCADE,
    word       text COLLATE "C" NOT NULL,
    share      double precision NOT NULL CHECK (share > 0 AND share <= 1),
    PRIMARY KEY (collection, word)
);
COMMENT ON TABLE retrieval.caption_word IS
    'The most frequent words of a collection''s captions, as the upkeep counts them in a sample: a rare word weighs more in hybrid searches.';
COMMENT ON COLUMN retrieval.caption_word.collection IS 'Name of the collection.';
COMMENT ON COLUMN retrieval.caption_word.word IS 'A lexeme of retrieval.image.words; the empty one stands for each word that is not listed.';
COMMENT ON COLUMN retrieval.caption_word.share IS 'Share of the captions that hold it.';

DROP FUNCTION IF EXISTS retrieval.expected_weights(text[]);
DROP FUNCTION IF EXISTS retrieval.vector_and_words_in_words(text, text);
DROP FUNCTION IF EXISTS retrieval.candidates_in_words(text, integer);

DO $$
DECLARE
    former regprocedure;
BEGIN
    FOR former IN
        SELECT p.oid FROM pg_proc AS p
        WHERE p.pronamespace = 'retrieval'::regnamespace AND p.proname LIKE 'hybrid\_%' AND p.pronargs = 11
    LOOP
        EXECUTE format('DROP FUNCTION %s', former);
    END LOOP;
END
$$;
