-- Schema version 6: what a collection is searched by, the indexes that were built, and how well they find.

ALTER TABLE retrieval.collection
    ADD COLUMN distance  text NOT NULL DEFAULT 'cosine' CHECK (distance IN ('cosine', 'inner_product', 'l2')),
    ADD COLUMN ef_search integer NOT NULL DEFAULT 100 CHECK (ef_search BETWEEN 1 AND 1000);
COMMENT ON COLUMN retrieval.collection.distance IS 'What its vectors are compared by: cosine, inner_product or l2.';
COMMENT ON COLUMN retrieval.collection.ef_search IS
    'How many candidates a search through its index keeps, at least; raised until the measured recall is as wanted.';


CREATE TABLE retrieval.vector_index (
    vectors  text PRIMARY KEY,
    rows     bigint NOT NULL,
    seconds  double precision NOT NULL,
    built_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE retrieval.vector_index IS 'The index of each vector table, as it was built.';
COMMENT ON COLUMN retrieval.vector_index.vectors IS 'Name of the vector table.';
COMMENT ON COLUMN retrieval.vector_index.rows IS 'Vectors that it was built over; later ones were inserted.';
COMMENT ON COLUMN retrieval.vector_index.seconds IS 'How long that took.';
COMMENT ON COLUMN retrieval.vector_index.built_at IS 'When it was done.';


CREATE TABLE retrieval.recall (
    collection  text NOT NULL,
    model       text NOT NULL,
    measured_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    ef_search   integer NOT NULL,
    rows        bigint NOT NULL,
    queries     integer NOT NULL,
    recall      double precision NOT NULL,
    target      double precision NOT NULL,
    PRIMARY KEY (collection, measured_at)
);
COMMENT ON TABLE retrieval.recall IS 'How many of the 10 nearest images searches through the index found, over time.';
COMMENT ON COLUMN retrieval.recall.collection IS 'Collection that was searched.';
COMMENT ON COLUMN retrieval.recall.model IS 'Model whose vectors it showed.';
COMMENT ON COLUMN retrieval.recall.measured_at IS 'When it was measured.';
COMMENT ON COLUMN retrieval.recall.ef_search IS 'ef_search that it was measured with.';
COMMENT ON COLUMN retrieval.recall.rows IS 'Vectors that were there.';
COMMENT ON COLUMN retrieval.recall.queries IS 'Queries that were asked.';
COMMENT ON COLUMN retrieval.recall.recall IS 'Share of the exact answers'' 10 images that the index found, too.';
COMMENT ON COLUMN retrieval.recall.target IS 'What the collection wants of it.';
