-- Comparison of vectors and perceptual hashes.


CREATE OR REPLACE FUNCTION retrieval.operator(distance text) RETURNS text
LANGUAGE sql IMMUTABLE
RETURN CASE distance WHEN 'cosine' THEN '<=>' WHEN 'inner_product' THEN '<#>' WHEN 'l2' THEN '<->' END;
COMMENT ON FUNCTION retrieval.operator IS 'pgvector''s operator for a distance.';


CREATE OR REPLACE FUNCTION retrieval.operator_class(distance text) RETURNS text
LANGUAGE sql IMMUTABLE
RETURN CASE distance WHEN 'cosine' THEN 'halfvec_cosine_ops' WHEN 'inner_product' THEN 'halfvec_ip_ops' WHEN 'l2' THEN 'halfvec_l2_ops' END;
COMMENT ON FUNCTION retrieval.operator_class IS 'The operator class of an index on the vectors, for a distance.';


CREATE OR REPLACE FUNCTION retrieval.similarity(distance text, a halfvec, b halfvec) RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE distance WHEN 'cosine' THEN 1 - (a <=> b) WHEN 'inner_product' THEN -(a <#> b) WHEN 'l2' THEN 1 / (1 + (a <-> b)) END;
COMMENT ON FUNCTION retrieval.similarity IS
    'Similarity, larger is more alike: 1 - cosine distance, the inner product, or 1 / (1 + L2 distance).';


CREATE OR REPLACE FUNCTION retrieval.similarity_in_words(distance text) RETURNS text
LANGUAGE sql IMMUTABLE
RETURN CASE distance WHEN 'cosine' THEN '1 - distance' WHEN 'inner_product' THEN '-distance' WHEN 'l2' THEN '1 / (1 + distance)' END;
COMMENT ON FUNCTION retrieval.similarity_in_words IS 'The SQL expression that turns the operator''s result into a similarity.';


CREATE OR REPLACE FUNCTION images.phash_distance(a bigint, b bigint) RETURNS integer
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN bit_count((a # b)::bit(64));
COMMENT ON FUNCTION images.phash_distance IS
    'The number of bits, of 64, in which two perceptual hashes differ: 0 for pictures that look the same, about 32 for unrelated ones.';
