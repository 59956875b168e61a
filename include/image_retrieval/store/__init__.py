"""PostgreSQL with pgvector: schema, loading, index, search. The SQL is in .sql files beside the code."""
