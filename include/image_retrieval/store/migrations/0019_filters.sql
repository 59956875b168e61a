-- Schema version 19: searches with filters choose their way by measured costs, and indexes serve filters that are used.

DROP FUNCTION retrieval.expected_rows;

ALTER TABLE retrieval.collection ADD COLUMN costs jsonb;
COMMENT ON COLUMN retrieval.collection.costs IS
    'What searches with filters cost here, in microseconds, as the upkeep measured it: candidate of the index, vector compared by id, unit of the planner''s costs; null: not measured.';


CREATE TABLE retrieval.filter_use (
    collection text NOT NULL,
    kind       text NOT NULL CHECK (kind IN ('column', 'attribute', 'attribute_range')),
    subject    text NOT NULL,
    uses       bigint NOT NULL,
    slow       bigint NOT NULL,
    seconds    double precision NOT NULL,
    used_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (collection, kind, subject)
);
COMMENT ON TABLE retrieval.filter_use IS
    'What searches of the service, the client and the command line have filtered by; the upkeep proposes indexes by it.';
COMMENT ON COLUMN retrieval.filter_use.collection IS 'Collection that was searched.';
COMMENT ON COLUMN retrieval.filter_use.kind IS 'column, attribute: a value or one of a list, or attribute_range: a range of numbers.';
COMMENT ON COLUMN retrieval.filter_use.subject IS 'Name of the column or of the attribute.';
COMMENT ON COLUMN retrieval.filter_use.uses IS 'Searches whose filter named it.';
COMMENT ON COLUMN retrieval.filter_use.slow IS 'Those of them that took long.';
COMMENT ON COLUMN retrieval.filter_use.seconds IS 'How long all of them took, together.';
COMMENT ON COLUMN retrieval.filter_use.used_at IS 'When the last of them was.';


CREATE TABLE retrieval.filter_index (
    name    text PRIMARY KEY,
    made_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE retrieval.filter_index IS
    'Indexes on retrieval.image that the upkeep made for filters of one collection, which their condition names.';
COMMENT ON COLUMN retrieval.filter_index.name IS 'Name of the index; noted before it is made, and forgotten after it is dropped.';
COMMENT ON COLUMN retrieval.filter_index.made_at IS 'When it was begun.';
