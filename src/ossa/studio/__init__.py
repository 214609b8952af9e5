"""Browsing, correcting and retraining: what the studio does, whoever asks for it (``apps/studio`` does, over HTTP)."""
