"""``ossa serve``: the REST service. ``app.create_app`` builds it; the studio is mounted on the same server."""
