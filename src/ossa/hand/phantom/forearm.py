"""Radius and ulna as phantoms have them, whatever meshes they come from: long, and with a styloid. Lengths in mm."""

from __future__ import annotations

import numpy as np

from ossa.phantom.mesh import Mesh, ellipsoid, merged

#: How much of the forearm is taken from the meshes, in mm from the distal end; what lies beyond ``SHAFT_MM`` is drawn
#: out to ``SHAFT_LENGTHENED`` times its length: a shaft runs on to the film's border. The elbow is not modelled.
FOREARM_MM, SHAFT_MM, SHAFT_LENGTHENED = 150.0, 100.0, 14.0


def long_shaft(forearm: Mesh) -> Mesh:
    """Radius or ulna, cut off in mid-shaft, with what lies beyond ``SHAFT_MM`` drawn out along the arm."""
    points = forearm.vertices.copy()
    beyond = np.maximum(points[:, 1] - points[:, 1].min() - SHAFT_MM, 0)
    points[:, 1] += (SHAFT_LENGTHENED - 1) * beyond
    return Mesh(points, forearm.faces)


def with_styloid(ulna: Mesh) -> Mesh:
    """An ulna with a styloid process: a spike at the little finger's side of its distal end. Sizes schematic."""
    points = ulna.vertices
    head = points[points[:, 1] < points[:, 1].min() + 6.0]
    edge = head[head[:, 0] < head[:, 0].min() + 3.0]
    side, end, depth = float(head[:, 0].min()), float(head[:, 1].min()), float(edge[:, 2].mean())
    spike, foot = ellipsoid((2.2, 6.5, 2.6)), ellipsoid((4.0, 7.0, 4.2))
    process = merged(
        Mesh(spike.vertices + np.array([side + 2.2, end + 2.0, depth]), spike.faces),
        Mesh(foot.vertices + np.array([side + 3.4, end + 6.0, depth]), foot.faces),
    )
    return merged(ulna, process)
