"""PostgreSQL with pgvector: schema, loading, index, search. The SQL lies in .sql files beside the code."""
