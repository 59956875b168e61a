-- Schema version 15: hints of changed objects.

CREATE TABLE retrieval.hint (
    collection text NOT NULL,
    uri        text NOT NULL,
    received   timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (collection, uri)
);
COMMENT ON TABLE retrieval.hint IS
    'Objects that may have changed, as events and polls tell. The next run looks at each and forgets it; the scheduled listing finds whatever no hint told.';
COMMENT ON COLUMN retrieval.hint.collection IS 'Collection whose source holds the object.';
COMMENT ON COLUMN retrieval.hint.uri IS 'The object. Whether it was written or deleted is asked of the store.';
COMMENT ON COLUMN retrieval.hint.received IS 'When the last hint of it came.';
