"""Faces of ossa that stay running: servers and plug-ins. Nothing is computed here; everything is a trip of pipeline."""
