-- Schema version 4: what else decides a model's vectors.

ALTER TABLE retrieval.model
    ADD COLUMN dtype  text,
    ADD COLUMN digest text;

COMMENT ON COLUMN retrieval.model.digest IS
    'SHA-256 over its weights, config and preprocessor files; null until the first shard is in the table.';
COMMENT ON COLUMN retrieval.model.dtype IS 'Precision that it runs in; null where nothing was listed since version 4.';
COMMENT ON COLUMN retrieval.model.family IS
    'vision_transformer, pooled_backbone (both images only) or dual_encoder (images and text).';
