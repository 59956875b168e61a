-- Schema version 21: what pictures look like.

ALTER TABLE retrieval.image
    ADD COLUMN colours text[],
    ADD COLUMN sharpness real,
    ADD COLUMN complexity real;
COMMENT ON COLUMN retrieval.image.colours IS
    'Names of its colours, the largest first: black, white, grey, red, orange, brown, yellow, green, blue, purple, pink.';
COMMENT ON COLUMN retrieval.image.sharpness IS 'Variance of the Laplacian of the resampled picture''s brightness, times 1,000: low if it is blurred.';
COMMENT ON COLUMN retrieval.image.complexity IS 'Share of the resampled picture''s pixels at an edge, 0 to 1.';
