-- Schema version 18: hybrid searches weigh the sides.

ALTER TABLE retrieval.collection ADD COLUMN weight double precision NOT NULL DEFAULT 0.5 CHECK (weight BETWEEN 0 AND 1);
COMMENT ON COLUMN retrieval.collection.weight IS
    'How much the vectors count in hybrid searches, 0 to 1; the rest is shared by the other sides, such as words of captions.';
