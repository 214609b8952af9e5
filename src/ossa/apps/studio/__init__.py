"""``ossa studio``: a page to browse, correct and retrain, and the routes below /api that it asks."""
