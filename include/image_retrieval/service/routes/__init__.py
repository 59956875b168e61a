"""The routes of the API: each function checks a form, calls the modules below, and returns a schema."""
