-- Schema version 19: a hybrid search of fixed text for each vector table, which renew_views makes. The functions behind
-- it have other arguments or results. Trainings learn from texts, too.

DROP FUNCTION IF EXISTS retrieval.hybrid(text, jsonb, integer, jsonb, double precision, boolean, text, double precision, text);
DROP FUNCTION IF EXISTS retrieval.sides(retrieval.collection, text, jsonb, text, text, jsonb, boolean, integer);
DROP FUNCTION IF EXISTS retrieval.calibration_of(retrieval.collection, text);

COMMENT ON COLUMN retrieval.training.method IS 'What it learns by: continue, moco, moby, swav, pairs or text.';
