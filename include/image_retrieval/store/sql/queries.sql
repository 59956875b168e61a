-- name: find_query
UPDATE retrieval.query SET uses = uses + 1, used_at = now()
WHERE model = %(model)s AND md5(text) = md5(%(text)s) AND text = %(text)s
RETURNING embedding;

-- name: read_query
SELECT embedding FROM retrieval.query
WHERE model = %(model)s AND md5(text) = md5(%(text)s) AND text = %(text)s;

-- name: keep_query
INSERT INTO retrieval.query (model, text, embedding) VALUES (%(model)s, %(text)s, %(embedding)s)
ON CONFLICT (model, md5(text)) DO UPDATE SET uses = retrieval.query.uses + 1, used_at = now();

-- name: listen
LISTEN image_retrieval_embed_text;
