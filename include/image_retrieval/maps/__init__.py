"""Maps of collections: vectors laid out in the plane, and their clusters."""
