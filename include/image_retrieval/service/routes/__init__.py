"""The routes of the API: each function reads a form, asks a room below, and gives an answer's form."""
