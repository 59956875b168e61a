-- Schema version 18: captions have vectors, in spaces of their own.

ALTER TABLE retrieval.collection ADD COLUMN text_model text REFERENCES retrieval.model;
COMMENT ON COLUMN retrieval.collection.text_model IS
    'Model of the vectors of captions that searches compare; null: captions have no vectors, or not all of them yet.';
COMMENT ON COLUMN retrieval.model.family IS
    'vision_transformer, pooled_backbone (both images only), dual_encoder (images and text) or text_encoder (captions).';
