"""The whole trips (predict, evaluate, train, ...): one file per command, the only layer that joins the others.

The command line, the server, the studio and a notebook call the same functions.
"""
