-- Schema version 18: runs tell of captions.

ALTER TABLE retrieval.run
    ADD COLUMN captions bigint,
    ADD COLUMN captions_due bigint;
COMMENT ON COLUMN retrieval.run.captions IS 'Captions that the captioner wrote during it; null: it captioned nothing.';
COMMENT ON COLUMN retrieval.run.captions_due IS 'Images that lacked a caption at its end, and will be tried again.';
