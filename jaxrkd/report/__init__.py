"""Pages, charts, pictures and tables of what was measured."""
