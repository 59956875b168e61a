-- Schema version 16: a listing that is killed goes on where it was.

CREATE TABLE retrieval.listed_part (
    collection text NOT NULL,
    run_id     text NOT NULL,
    number     integer NOT NULL,
    declared   text NOT NULL,
    up_to      text NOT NULL,
    listed     bigint NOT NULL,
    rows       jsonb NOT NULL,
    missing    jsonb NOT NULL,
    refused    jsonb NOT NULL,
    began      timestamptz NOT NULL,
    saved      timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (collection, run_id, number)
);
COMMENT ON TABLE retrieval.listed_part IS
    'What a run under way has listed and compared, so that its next try goes on behind it if this one is killed.';
COMMENT ON COLUMN retrieval.listed_part.collection IS 'Collection whose source is listed.';
COMMENT ON COLUMN retrieval.listed_part.run_id IS 'Run that lists it.';
COMMENT ON COLUMN retrieval.listed_part.number IS 'Place among the parts, in the order of the URIs.';
COMMENT ON COLUMN retrieval.listed_part.declared IS 'Digest of the collection''s entry: parts under another one do not count.';
COMMENT ON COLUMN retrieval.listed_part.up_to IS 'Last URI of the part.';
COMMENT ON COLUMN retrieval.listed_part.listed IS 'Number of images that the part lists.';
COMMENT ON COLUMN retrieval.listed_part.rows IS 'Objects that the table did not know as they are.';
COMMENT ON COLUMN retrieval.listed_part.missing IS 'Known URIs that were not listed.';
COMMENT ON COLUMN retrieval.listed_part.refused IS 'Objects whose names no table can hold.';
COMMENT ON COLUMN retrieval.listed_part.began IS 'When the transaction of the listing began.';
COMMENT ON COLUMN retrieval.listed_part.saved IS 'When the part was saved.';
